"""BigGAN: class-conditional image synthesis, large scale and small (Brock, Donahue and Simonyan 2019)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from daybreak.systems import export_lazily
from daybreak.systems.biggan.config import PRESETS, Config, cifar10, digits, letters, tiny

if TYPE_CHECKING:
    from daybreak.systems.biggan.evaluate import evaluate
    from daybreak.systems.biggan.features.train import train_features
    from daybreak.systems.biggan.predict import load
    from daybreak.systems.biggan.train import train

__all__ = [
    "PRESETS",
    "Config",
    "cifar10",
    "digits",
    "evaluate",
    "letters",
    "load",
    "tiny",
    "train",
    "train_features",
]

export_lazily(__name__, train="train", train_features="features.train", evaluate="evaluate", load="predict")

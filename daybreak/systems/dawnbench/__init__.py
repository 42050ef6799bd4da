"""DAWNBench: how fast, and how cheaply, a classifier reaches a given accuracy (Coleman et al. 2017)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from daybreak.systems import export_lazily
from daybreak.systems.dawnbench.config import PRESETS, Config, cifar10, cifar10_94, cifar10_95, tiny

if TYPE_CHECKING:
    from daybreak.systems.dawnbench.evaluate import evaluate
    from daybreak.systems.dawnbench.imagenet.train import train_imagenet
    from daybreak.systems.dawnbench.predict import load
    from daybreak.systems.dawnbench.train import train

__all__ = [
    "PRESETS",
    "Config",
    "cifar10",
    "cifar10_94",
    "cifar10_95",
    "evaluate",
    "load",
    "tiny",
    "train",
    "train_imagenet",
]

export_lazily(__name__, train="train", train_imagenet="imagenet.train", evaluate="evaluate", load="predict")

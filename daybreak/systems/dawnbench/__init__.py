"""DAWNBench: how fast, and how cheaply, a classifier reaches a given accuracy (Coleman et al. 2017)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from daybreak.systems import export_lazily
from daybreak.systems.dawnbench.config import PRESETS, Config, cifar10, tiny

if TYPE_CHECKING:
    from daybreak.systems.dawnbench.evaluate import evaluate
    from daybreak.systems.dawnbench.predict import load
    from daybreak.systems.dawnbench.train import train

__all__ = ["PRESETS", "Config", "cifar10", "evaluate", "load", "tiny", "train"]

export_lazily(__name__, train="train", evaluate="evaluate", load="predict")

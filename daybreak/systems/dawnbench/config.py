"""What a dawnbench run needs to know, and its presets. Imports no torch."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar, Literal

from daybreak.engine.config import RunConfig, preset, presets


@dataclass(kw_only=True)
class Config(RunConfig):
    """Train a ResNet-9 classifier with 1cycle."""

    system: ClassVar[str] = "dawnbench"
    watch: ClassVar[tuple[str, Literal["min", "max"]]] = ("val_accuracy", "max")

    limits: ClassVar[dict[str, tuple[float, float]]] = RunConfig.limits | {
        "held_out": (1, math.inf),
        "width": (1, 1024),
        "batch_size": (2, math.inf),  # batch norm at one pixel needs two images
        "lr": (0, 100),
        "weight_decay": (0, 1),
        "label_smoothing": (0, 1),
        "crop": (0, 7),
        "eval_every": (1, math.inf),
    }

    data: Literal["digits", "cifar10"] = "digits"
    """Data set: scikit-learn's bundled digits, or CIFAR-10 under DAYBREAK_DATA."""
    held_out: int = 200
    """Training images held out for validation; the test set is for `evaluate` alone."""
    width: int = 16
    """Channels of the first layer; the last has eight times as many."""
    batch_size: int = 64
    """Images a step, over all processes."""
    lr: float = 0.1
    """Peak learning rate of SGD with Nesterov momentum."""
    weight_decay: float = 5e-4
    """Decay of filters and matrices a step, times the learning rate; norms and biases have none."""
    label_smoothing: float = 0.1
    """Probability mass moved from the true class to all classes."""
    crop: int = 0
    """Random shift of up to this many pixels; 0 is off."""
    flip: bool = False
    """Mirror every other image at random."""
    eval_every: int = 50
    """Steps between two validations."""


@preset
def tiny() -> Config:
    """8x8 handwritten digits, bundled with scikit-learn: seconds on a laptop, no network needed."""
    return Config(width=8, steps=400, log_every=10, save_every=100, eval_every=50, crop=1)


@preset
def cifar10() -> Config:
    """CIFAR-10, 45,000 images to train on and 5,000 held out: ten minutes on two cores."""
    return Config(
        data="cifar10",
        held_out=5_000,
        width=24,
        batch_size=128,
        lr=0.25,
        crop=2,
        flip=True,
        steps=2_300,
        save_every=500,
        eval_every=575,
    )


PRESETS = presets(tiny, cifar10)

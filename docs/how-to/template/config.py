"""What a template run needs to know, and its presets. Imports no torch."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar, Literal

from daybreak.engine.config import RunConfig, preset, presets


@dataclass(kw_only=True)
class Config(RunConfig):
    """Fit a curve to noisy points."""

    system: ClassVar[str] = "template"
    watch: ClassVar[tuple[str, Literal["min", "max"]]] = ("loss", "min")

    limits: ClassVar[dict[str, tuple[float, float]]] = RunConfig.limits | {
        "points": (1, math.inf),
        "noise": (0, math.inf),
        "hidden_size": (1, math.inf),
        "batch_size": (1, math.inf),
        "lr": (0, 10),
    }

    points: int = 512
    """Points to learn from."""
    noise: float = 0.05
    """Standard deviation of the noise on them."""
    hidden_size: int = 32
    """Units of each hidden layer."""
    batch_size: int = 64
    """Points a step, over all processes."""
    lr: float = 0.01
    """Peak learning rate of AdamW."""


@preset
def tiny() -> Config:
    """512 generated points: seconds on a laptop."""
    return Config(steps=300, log_every=20, save_every=100)


PRESETS = presets(tiny)

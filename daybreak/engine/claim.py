"""What a system sets out to show, in its code before the first run, and curves beside it. Imports no torch."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal


@dataclass(frozen=True)
class Target:
    """One metric of a claim: what it should reach, what guessing gives, and what others published.

    ``floor`` and ``anchor`` are (what it is, value).
    """

    unit: str
    target: float | None = None
    floor: tuple[str, float] | None = None
    anchor: tuple[str, float] | None = None
    better: Literal["higher", "lower"] = "higher"


@dataclass(frozen=True)
class Curve:
    """What belongs to a figure and is none itself: for every seed the places ``x`` and the values ``y`` there."""

    name: str
    x: list[list[float]]
    y: list[list[float]]


@dataclass(frozen=True)
class Claim:
    """A sentence, and the metrics of ``evaluate`` that it rests on.

    ``training_seconds`` and ``training_cpu_seconds`` are metrics of every run.
    """

    text: str
    preset: str
    """The preset whose runs can show it, unchanged but for ``flags``."""
    metrics: dict[str, Target]
    headline: bool = False
    """Whether its first metric is the one to show in ``daybreak list``."""
    flags: dict[str, Any] = field(default_factory=dict[str, Any])
    """Fields of the config that these runs have otherwise than the preset."""

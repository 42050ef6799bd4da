"""Bars: what a network thinks of several answers, question by question."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from daybreak.draw.figure import COLOURS, INK, new_figure, save
from daybreak.draw.lettering import family, legible
from daybreak.engine.errors import UserError

LINE, EDGES = 0.26, 0.3
"""Inches of a bar or a heading, and of all that is not bars."""
GAP = 0.5
"""Bars that would have room between two groups."""
LONGEST = 90
"""Characters of a heading."""


@dataclass(frozen=True)
class Bars:
    """A heading, and shares of 0 to 1 by their names."""

    title: str
    shares: Mapping[str, float]


def bars(groups: Sequence[Bars], path: Path) -> Path:
    """Draw groups of horizontal bars below each other, on one scale, with their percentages.

    Raises UserError where there is no group, a group has no bar, or a share is none.
    """
    if not groups or not all(group.shares for group in groups):
        raise UserError(f"there is nothing to draw in {path}: give at least one group, and bars in each")
    shares = [share for group in groups for share in group.shares.values()]
    if not all(0 <= share <= 1 for share in shares):
        raise UserError(f"a bar of {min(shares)} to {max(shares)} cannot be drawn in {path}: shares are 0 to 1")
    lines = sum(len(group.shares) + 1 + GAP for group in groups) - GAP
    figure, axes = new_figure(6.4, EDGES + LINE * lines)
    ticks: list[float] = []
    top = 0.0
    for group in groups:
        heading = legible(group.title, LONGEST)
        axes.text(0, top, heading, va="center", color=INK, fontsize=10, parse_math=False, family=list(family()))
        for share in group.shares.values():
            top += 1
            ticks.append(top)
            axes.text(share + 0.01 * max(shares), top, f"{100 * share:.0f} %", va="center", color=INK, fontsize=9)
        top += 1 + GAP
    axes.barh(ticks, shares, height=0.7, color=COLOURS[0])
    names = [legible(name) for group in groups for name in group.shares]
    axes.set_yticks(ticks, names, parse_math=False, family=list(family()))
    axes.set_xticks([])
    axes.set_xlim(0, max(*shares, 0.01) * 1.12)
    axes.set_ylim(top - 1, -0.6)
    axes.spines["bottom"].set_visible(False)
    return save(figure, Path(path))

"""Curves and confusion matrices."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import cycle
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike

from daybreak.draw.figure import COLOURS, HAIR, INK, MUTED, new_figure, save
from daybreak.engine.errors import UserError

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.lines import Line2D

LEGIBLE_CLASSES = 20
"""Above this many classes a confusion matrix has no room for counts."""
MOST_TICKS = 40


def curves(
    series: Mapping[str, tuple[ArrayLike, ArrayLike]],
    path: Path,
    *,
    x_label: str = "step",
    y_label: str = "",
    y_span: tuple[float, float] | None = None,
    title: str = "",
) -> Path:
    """Draw lines over a common axis.

    Args:
        series: name -> (x, y), two sequences of one length; a value that is not finite leaves a gap.
        path: where to write, ending in .png or .svg.
        x_label: what is on the x axis, with its unit.
        y_label: what is on the y axis, with its unit.
        y_span: lowest and highest value that the y axis shows at least, as (0, 100) for percentages.
        title: one short line above the picture.

    Raises:
        UserError: there is no series, or its x and y differ in length.

    """
    if not series:
        raise UserError(f"there is nothing to draw in {path}: give at least one series")
    figure, axes = new_figure(6.4, 3.8)
    axes.grid(axis="y", color=HAIR, linewidth=0.8)
    axes.set_axisbelow(True)
    lines = [
        _line(axes, name, x, y, colour) for (name, (x, y)), colour in zip(series.items(), cycle(COLOURS), strict=False)
    ]
    if y_span is not None:
        axes.set_ylim(min(y_span[0], axes.get_ylim()[0]), max(y_span[1], axes.get_ylim()[1]))
    _labels(axes, x_label, y_label, title)
    if len(series) > 1:
        _legend(axes, lines, list(series))
    return save(figure, Path(path))


def confusion(counts: ArrayLike, classes: Sequence[str], path: Path, *, title: str = "") -> Path:
    """Draw a confusion matrix; the colour is the share of the true class, the text the count.

    Args:
        counts: (K, K) counts, rows the true class, columns the predicted one.
        classes: K names.
        path: where to write, ending in .png or .svg.
        title: one short line above the picture.

    Raises:
        UserError: the counts are not square, not as many as the names, or negative.

    """
    table = np.asarray(counts)
    size = len(classes)
    if table.shape != (size, size) or size == 0 or (table < 0).any():
        raise UserError(
            f"a confusion matrix of {size} classes needs {size} x {size} counts of 0 or more, not {table.shape}"
        )
    side = min(3.2 + 0.34 * size, 10.0)
    figure, axes = new_figure(side, side)
    totals = table.sum(axis=1, keepdims=True)
    shares = table / np.maximum(totals, 1)
    # the square root lets rare confusions be seen beside a strong diagonal
    axes.imshow(np.sqrt(shares), cmap="Blues", vmin=0, vmax=1.15, interpolation="nearest")
    _class_ticks(axes, classes)
    if size <= LEGIBLE_CLASSES:
        for row, column in np.argwhere(table > 0):
            ink = "white" if shares[row, column] > 0.45 else INK
            axes.text(column, row, f"{table[row, column]:g}", ha="center", va="center", color=ink, fontsize=8)
    _labels(axes, "predicted class", "true class", title)
    return save(figure, Path(path))


def _line(axes: Axes, name: str, x: ArrayLike, y: ArrayLike, colour: str) -> Line2D:
    across, up = np.asarray(x, dtype=float), np.asarray(y, dtype=float)
    if across.shape != up.shape or across.ndim != 1:
        raise UserError(
            f"the series {name!r} has {across.size} values of x and {up.size} of y: give as many of one as of the other"
        )
    up = np.where(np.isfinite(up), up, np.nan)
    marker = "o" if np.isfinite(up).sum() < 25 else ""
    return axes.plot(across, up, color=colour, linewidth=1.8, marker=marker, markersize=4, solid_capstyle="round")[0]


def _labels(axes: Axes, x_label: str, y_label: str, title: str) -> None:
    # a "$" in a name is a dollar, not mathematics
    axes.set_xlabel(x_label, color=MUTED, fontsize=10, parse_math=False)
    axes.set_ylabel(y_label, color=MUTED, fontsize=10, parse_math=False)
    axes.set_title(title, color=INK, fontsize=11, loc="left", parse_math=False)


def _legend(axes: Axes, lines: list[Line2D], names: list[str]) -> None:
    # set afterwards: matplotlib hides names that begin with "_" and reads mathematics into "$"
    legend = axes.legend(lines, ["-"] * len(names), frameon=False, fontsize=9, labelcolor=INK)
    for text, name in zip(legend.get_texts(), names, strict=True):
        text.set_parse_math(False)
        text.set_text(name)


def _class_ticks(axes: Axes, classes: Sequence[str]) -> None:
    ticks = range(0, len(classes), -(-len(classes) // MOST_TICKS))
    names = [classes[tick] for tick in ticks]
    turned = 90 if max(map(len, names)) > 3 else 0
    axes.set_xticks(ticks, names, parse_math=False, rotation=turned)
    axes.set_yticks(ticks, names, parse_math=False)
    axes.spines["bottom"].set_visible(False)

"""Attention maps: one matrix between two texts, or every head of every layer on one sheet."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike, NDArray

from daybreak.draw.figure import DPI, HAIR, INK, MUTED, save
from daybreak.draw.lettering import breadth, family, legible
from daybreak.engine.errors import UserError

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

MARGIN, GAP = 0.16, 0.07
SMALLEST, LARGEST = 0.16, 0.32
"""Inches of a cell of a matrix with many tokens, and with few."""
PANEL, LEAST_LABELLED = 1.8, 0.1
"""Inches that a map of a sheet is wide or high, and of a cell that leaves room for labels."""
HEADING, LAYER = 0.56, 0.22
"""Inches that a group's title and the names of its heads take, and the names of its layers."""
TITLE, GROUP_TITLE, MOST_TITLE = 11, 9.5, 100
SCALE_WIDTH, SCALE_HEIGHT = 0.55, 1.1
SHARES = (0, 0.1, 0.25, 0.5, 1)


@dataclass(frozen=True)
class Heads:
    """All maps between two texts: ``maps[layer][head]`` is of (rows, columns)."""

    title: str
    rows: Sequence[str]
    columns: Sequence[str]
    maps: Sequence[Sequence[ArrayLike]]


def alignment(weights: ArrayLike, rows: Sequence[str], columns: Sequence[str], path: Path, title: str = "") -> Path:
    """Draw one attention map; the colour grows as the square root of the weight.

    Args:
        weights: (T, S) of 0 to 1: row t is how token t of the one text looks at the S tokens of the other.
        rows: T tokens. As in a subword vocabulary, one that begins with a space begins a word; the tokens of one word
            are tied by a line.
        columns: S tokens.
        path: where to write, ending in .png or .svg.
        title: one short line above the picture.

    Raises:
        UserError: the weights are not T x S, not finite, or negative.

    """
    table = _checked(weights, rows, columns)
    cell = _pixels(min(max(9 / max(table.shape), SMALLEST), LARGEST))
    font = min(10, cell * 72 * 0.64)
    across, down = breadth(map(legible, rows), font), breadth(map(legible, columns), font)
    left, top = MARGIN + across + 2 * GAP, MARGIN + (0.32 if title else 0) + down + 2 * GAP
    height, width = (count * cell for count in table.shape)
    figure, axes = _paper(left + width + MARGIN + SCALE_WIDTH, top + max(height, SCALE_HEIGHT) + MARGIN, title)
    _map(axes, table, left, top, cell)
    _label_rows(axes, rows, left, top, cell, font)
    _label_columns(axes, columns, left, top, cell, font)
    _scale(axes, left + width + MARGIN, top)
    return save(figure, Path(path))


def heads(groups: Sequence[Heads], path: Path, title: str = "") -> Path:
    """Draw many attention maps on one sheet: a line of maps for every layer, one for every head.

    Args:
        groups: drawn below each other, each under its title; short texts get their labels.
        path: where to write, ending in .png or .svg.
        title: one short line above the picture.

    Raises:
        UserError: there is no map, or one that does not fit its texts.

    """
    if not groups or not all(group.maps and all(group.maps) for group in groups):
        raise UserError(f"there is no attention map to draw in {path}: give at least one of each kind")
    blocks = [_block(group) for group in groups]
    top = MARGIN + (0.34 if title else 0)
    right = max(block.width for block in blocks)
    figure, axes = _paper(right + SCALE_WIDTH, top + sum(block.height for block in blocks), title)
    _scale(axes, right, top + HEADING + max(blocks[0].down, 0.1))
    for block in blocks:
        _draw_block(axes, block, top)
        top += block.height
    return save(figure, Path(path))


@dataclass(frozen=True)
class _Block:
    """A group of maps with its measures in inches."""

    group: Heads
    title: str
    maps: list[list[NDArray[np.float64]]]
    cell: float
    font: float
    across: float
    """Breadth of the labels of rows, down: height of those of columns; 0 where there is no room for them."""
    down: float

    @property
    def pitch(self) -> tuple[float, float]:
        """From one map to the next, down and across."""
        rows, columns = self.maps[0][0].shape
        return rows * self.cell + MARGIN, columns * self.cell + MARGIN

    @property
    def width(self) -> float:
        across = LAYER + self.across + len(self.maps[0]) * self.pitch[1]
        return MARGIN + max(across, breadth([self.title], GROUP_TITLE) + MARGIN)

    @property
    def height(self) -> float:
        return HEADING + self.down + len(self.maps) * self.pitch[0] + MARGIN


def _block(group: Heads) -> _Block:
    maps = [[_checked(weights, group.rows, group.columns) for weights in layer] for layer in group.maps]
    cell = _pixels(min(PANEL / max(maps[0][0].shape), 0.2))
    font = min(8, cell * 72 * 0.75)
    title = legible(group.title, longest=MOST_TITLE)
    if cell < LEAST_LABELLED:
        return _Block(group, title, maps, cell, font, 0, 0)
    across, down = (breadth(map(legible, tokens), font) + 2 * GAP for tokens in (group.rows, group.columns))
    return _Block(group, title, maps, cell, font, across, down)


def _draw_block(axes: Axes, block: _Block, top: float) -> None:
    pitch = block.pitch
    first_top, first_left = top + HEADING + block.down, MARGIN + LAYER + block.across
    _write(axes, MARGIN, top + 0.14, block.title, GROUP_TITLE)
    for i, layer in enumerate(block.maps):
        y = first_top + i * pitch[0]
        _write(axes, MARGIN, y + (pitch[0] - MARGIN) / 2, f"layer {i + 1}", 8, color=MUTED, ha="center", rotation=90)
        for j, table in enumerate(layer):
            x = first_left + j * pitch[1]
            _map(axes, table, x, y, block.cell)
            if i == 0:
                _write(axes, x + (pitch[1] - MARGIN) / 2, top + 0.42, f"head {j + 1}", 8, color=MUTED, ha="center")
            if i == 0 and block.down:
                _label_columns(axes, block.group.columns, x, y, block.cell, block.font)
        if block.across:
            _label_rows(axes, block.group.rows, first_left, y, block.cell, block.font)


def _checked(weights: ArrayLike, rows: Sequence[str], columns: Sequence[str]) -> NDArray[np.float64]:
    table = np.asarray(weights, dtype=np.float64)
    if table.shape != (len(rows), len(columns)) or table.size == 0:
        raise UserError(f"a map of {len(rows)} x {len(columns)} tokens needs as many weights, not {table.shape}")
    if not np.isfinite(table).all() or (table < 0).any():
        raise UserError("the attention is not made of finite weights of 0 or more: the network has diverged")
    return table


def _pixels(inches: float) -> float:
    """Rounded to whole pixels, so that all cells of a map are of one size."""
    return max(1, round(inches * DPI)) / DPI


def _paper(width: float, height: float, title: str) -> tuple[Figure, Axes]:
    """A white figure whose axes are measured in inches from the upper left corner, as wide as its title at least."""
    from matplotlib.figure import Figure

    shown = legible(title, longest=MOST_TITLE) if title else ""
    width = max(width, breadth([shown], TITLE) + 2 * MARGIN)
    figure = Figure(figsize=(width, height), dpi=DPI, facecolor="white")
    axes = figure.add_axes((0, 0, 1, 1), xlim=(0, width), ylim=(height, 0), autoscale_on=False)
    axes.set_axis_off()
    _write(axes, MARGIN, MARGIN, shown, TITLE, va="top")
    return figure, axes


def _write(axes: Axes, x: float, y: float, text: str, size: float, **style: object) -> None:
    # a "$" in a token is a dollar, not mathematics
    style = {"color": INK, "va": "center", "family": list(family()), **style}
    axes.text(x, y, text, fontsize=size, parse_math=False, **style)  # pyright: ignore[reportArgumentType]


def _map(axes: Axes, table: NDArray[np.float64], left: float, top: float, cell: float) -> None:
    bottom, right = top + table.shape[0] * cell, left + table.shape[1] * cell
    # the square root lets a glance be seen beside a stare
    axes.imshow(
        np.sqrt(table), cmap="Blues", vmin=0, vmax=1.15, interpolation="nearest", aspect="auto",
        extent=(left, right, bottom, top),
    )  # fmt: skip
    axes.plot([left, right, right, left, left], [top, top, bottom, bottom, top], color=HAIR, linewidth=0.8)


def _label_rows(axes: Axes, tokens: Sequence[str], left: float, top: float, cell: float, font: float) -> None:
    for i, token in enumerate(tokens):
        y = top + (i + 0.5) * cell
        _write(axes, left - 2 * GAP, y, legible(token), font, ha="right", va="center_baseline")
        if _goes_on(tokens, i):
            axes.plot([left - GAP] * 2, [y - cell, y], color=MUTED, linewidth=1)


def _label_columns(axes: Axes, tokens: Sequence[str], left: float, top: float, cell: float, font: float) -> None:
    for i, token in enumerate(tokens):
        x = left + (i + 0.5) * cell
        _write(axes, x, top - 2 * GAP, legible(token), font, ha="center", va="bottom", rotation=90)
        if _goes_on(tokens, i):
            axes.plot([x - cell, x], [top - GAP] * 2, color=MUTED, linewidth=1)


def _goes_on(tokens: Sequence[str], i: int) -> bool:
    """Whether token i goes on with the word of the one before it: a letter or digit right after another."""
    return i > 0 and tokens[i][:1].isalnum() and tokens[i - 1][-1:].isalnum()


def _scale(axes: Axes, left: float, top: float) -> None:
    """Which weight a colour stands for."""
    steps = np.linspace(1, 0, 64)[:, None]
    axes.imshow(
        steps, cmap="Blues", vmin=0, vmax=1.15, aspect="auto", extent=(left, left + 0.12, top + SCALE_HEIGHT, top)
    )
    for share in SHARES:
        y = top + SCALE_HEIGHT * (1 - share**0.5)
        _write(axes, left + 0.12 + GAP, y, f"{share:.0%}", 7.5, color=MUTED)

"""One look for all pictures, and how they reach the disk. Matplotlib is imported when the first one is drawn."""

from __future__ import annotations

import io
from pathlib import Path
from typing import TYPE_CHECKING

from daybreak.engine.errors import UserError
from daybreak.engine.files import write_atomic

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

COLOURS = ("#2a6fc9", "#d9622b", "#1b8f6a", "#7a4fc0", "#b8860b", "#c23b6b")
"""Told apart by readers who confuse red and green too; dark enough for thin lines on white."""
INK, MUTED, HAIR = "#1d2129", "#5d6470", "#e3e6ea"
RIGHT, WRONG = "#1b8f4d", "#cf3030"
DPI = 150


def new_figure(width: float, height: float) -> tuple[Figure, Axes]:
    """A white figure (inches) of its own, outside pyplot, with one plain pair of axes."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), dpi=DPI, layout="constrained", facecolor="white")
    axes = figure.add_subplot()
    axes.tick_params(colors=MUTED, labelsize=9, length=0, labelcolor=MUTED)
    for side, spine in axes.spines.items():
        spine.set_visible(side == "bottom")
        spine.set_color(MUTED)
    return figure, axes


def kind_of(path: Path) -> str:
    """``png`` or ``svg``, by the name's ending; a verb asks before its work. Raises UserError for any other ending."""
    kind = path.suffix.lower().removeprefix(".")
    if kind not in ("png", "svg"):
        raise UserError(f"{path} is no name for a picture: end it with .png or .svg")
    return kind


def save(figure: Figure, path: Path) -> Path:
    """Write the figure as a whole, as PNG or SVG by the name's ending. Raises UserError for any other ending."""
    kind = kind_of(path)
    content = io.BytesIO()
    figure.savefig(content, format=kind, metadata={"Date": None} if kind == "svg" else None)
    write_atomic(path, content.getvalue())
    return path

"""A sheet of small images with captions, right and wrong ones framed."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from daybreak.draw.figure import INK, RIGHT, WRONG, save
from daybreak.engine.errors import UserError

SMALLEST_SIDE = 112
"""Pixels that an image's longer side is brought to, by a whole factor."""
FRAME, GAP = 5, 14
DPI, FONT = 100, 13.5
"""Points of a caption: large, since a page shows a sheet of six columns at about half its size."""
LINE, CHARACTER, MOST_LINES = 24, 11.0, 3
"""Height of a caption's line and mean width of its characters, in pixels; more lines are cut."""


def grid(
    images: NDArray[np.uint8],
    captions: Sequence[str],
    path: Path,
    *,
    columns: int = 6,
    marks: Sequence[bool] | None = None,
) -> Path:
    """Draw images side by side, small ones enlarged with nearest neighbour.

    Args:
        images: (N, C, H, W) uint8, C of 1 or 3.
        captions: N texts; long ones are wrapped, then cut.
        path: where to write, ending in .png or .svg.
        columns: images a row.
        marks: N booleans: a green frame for True (right), a red one for False (wrong).

    Raises:
        UserError: the images are not uint8 (N, C, H, W), or there are not N captions or marks.

    """
    _check(images, captions, marks, columns)
    count, _, height, width = images.shape
    scale = max(1, round(SMALLEST_SIDE / max(height, width)))
    columns = min(columns, count)
    cell = max(width * scale + 2 * FRAME, SMALLEST_SIDE)
    texts = [_wrapped(caption, int(cell / CHARACTER)) for caption in captions]
    caption_height = LINE * max(text.count("\n") + 1 if text else 0 for text in texts)
    pitch = (height * scale + 2 * FRAME + caption_height + GAP, cell + GAP)
    canvas = np.full((math.ceil(count / columns) * pitch[0] + GAP, columns * pitch[1] + GAP, 3), 255, np.uint8)
    corners = [(GAP + i // columns * pitch[0], GAP + i % columns * pitch[1]) for i in range(count)]
    for i, (top, left) in enumerate(corners):
        tile = _framed(images[i], scale, None if marks is None else marks[i])
        left += (cell - tile.shape[1]) // 2
        canvas[top : top + tile.shape[0], left : left + tile.shape[1]] = tile
    foot = height * scale + 2 * FRAME + 3
    return _save(
        canvas, [(left + cell / 2, top + foot, text) for (top, left), text in zip(corners, texts, strict=True)], path
    )


def _check(images: NDArray[np.uint8], captions: Sequence[str], marks: Sequence[bool] | None, columns: int) -> None:
    if images.ndim != 4 or images.dtype != np.uint8 or images.shape[1] not in (1, 3) or images.size == 0:
        raise UserError(f"a sheet needs uint8 images (N, 1 or 3, H, W), not {images.dtype} {images.shape}")
    for what, given in (("captions", captions), ("marks", marks)):
        if given is not None and len(given) != len(images):
            raise UserError(f"a sheet of {len(images)} images needs as many {what}, not {len(given)}")
    if columns < 1:
        raise UserError(f"a sheet needs at least one column, not {columns}")


def _framed(image: NDArray[np.uint8], scale: int, mark: bool | None) -> NDArray[np.uint8]:
    """(C, H, W) -> enlarged (H', W', 3) with a frame of the mark's colour, or of none."""
    pixels = np.broadcast_to(image.transpose(1, 2, 0), (*image.shape[1:], 3))
    pixels = pixels.repeat(scale, axis=0).repeat(scale, axis=1)
    colour = "#ffffff" if mark is None else RIGHT if mark else WRONG
    tile = np.empty((pixels.shape[0] + 2 * FRAME, pixels.shape[1] + 2 * FRAME, 3), np.uint8)
    tile[:] = tuple(bytes.fromhex(colour[1:]))
    tile[FRAME:-FRAME, FRAME:-FRAME] = pixels
    return tile


def _wrapped(caption: str, width: int) -> str:
    lines = [line for part in caption.splitlines() for line in textwrap.wrap(part, width)]
    if len(lines) > MOST_LINES:
        lines = [*lines[: MOST_LINES - 1], lines[MOST_LINES - 1][: width - 1] + "…"]
    return "\n".join(lines)


def _save(canvas: NDArray[np.uint8], texts: list[tuple[float, float, str]], path: Path) -> Path:
    """Write the canvas pixel by pixel, with centred texts at (x, y) from its upper left corner."""
    from matplotlib.figure import Figure

    height, width = canvas.shape[:2]
    figure = Figure(figsize=(width / DPI, height / DPI), dpi=DPI, facecolor="white")
    figure.figimage(canvas, resize=False)
    for x, y, text in texts:
        figure.text(x / width, 1 - y / height, text, ha="center", va="top", fontsize=FONT, color=INK, parse_math=False)
    return save(figure, Path(path))

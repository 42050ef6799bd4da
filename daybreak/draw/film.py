"""Frames to an MP4 that browsers play."""

from __future__ import annotations

import importlib
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from daybreak.engine.errors import UserError, need
from daybreak.engine.files import write_atomic

ENDING = ".mp4"
SMALLEST = 256
"""Pixels: lower frames are enlarged by a whole number, so that their pixels can be seen."""


def is_film(path: Path) -> bool:
    """Whether the name is one of an MP4."""
    return path.suffix.lower() == ENDING


def need_film(path: Path) -> None:
    """Raise UserError, before the work, where the name is not one of an MP4 or PyAV is missing."""
    if not is_film(path):
        raise UserError(f"{path} is no name for a film: end it with {ENDING}")
    need("av", "video")


def film(frames: NDArray[np.uint8], path: Path, *, fps: int = 20) -> Path:
    """Write frames (T, H, W, 3) as H.264, whole or not at all. Raises UserError as :func:`need_film`."""
    need_film(path)
    av: Any = importlib.import_module("av")
    frames = _even(frames.repeat(factor := -(-SMALLEST // frames.shape[1]), 1).repeat(factor, 2))
    content = BytesIO()
    with av.open(content, "w", format="mp4") as container:
        stream = container.add_stream("h264", rate=fps, options={"crf": "16"})
        stream.height, stream.width, stream.pix_fmt = *frames.shape[1:3], "yuv420p"
        for frame in frames:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(np.ascontiguousarray(frame), format="rgb24")))
        container.mux(stream.encode())
    write_atomic(path, content.getvalue())
    return path


def _even(frames: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Frames whose colours are stored for squares of two pixels have even sides: the last row or column is doubled."""
    return np.pad(frames, ((0, 0), (0, frames.shape[1] % 2), (0, frames.shape[2] % 2), (0, 0)), "edge")

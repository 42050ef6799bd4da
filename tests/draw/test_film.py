"""A film has the frames that were given to it."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import av
import numpy as np
import pytest
import torch

from daybreak.draw import film, need_film
from daybreak.engine.errors import UserError
from daybreak.systems.biggan.pictures import there_and_back

HEIGHT, WIDTH = 8, 20
# a bright square of four pixels that goes a place to the right with each frame
FRAMES = np.full((6, HEIGHT, WIDTH, 3), (30, 30, 30), np.uint8)
for at, frame in enumerate(FRAMES):
    frame[2:6, 2 * at : 2 * at + 4] = (220, 200, 40)


def read(path: Path) -> np.ndarray:
    with av.open(path) as container:
        return np.stack([frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)])


def test_the_frames_come_back_enlarged(tmp_path: Path) -> None:
    back = read(film(FRAMES, tmp_path / "way.mp4"))
    assert back.shape == (6, 256, 640, 3)
    difference = np.abs(back[:, 16::32, 16::32].astype(int) - FRAMES)  # the middle of each enlarged pixel
    assert difference.mean() < 5 and np.median(difference.max((1, 2, 3))) < 30


def test_odd_sides_are_made_even(tmp_path: Path) -> None:
    assert read(film(np.zeros((2, 301, 303, 3), np.uint8), tmp_path / "odd.mp4")).shape == (2, 302, 304, 3)


def test_the_way_back_leads_to_its_beginning() -> None:
    ways = torch.arange(2 * 4).view(2, 4, 1, 1, 1).expand(2, 4, 1, 3, 5).byte()
    frames = there_and_back(ways)
    assert frames.shape == (6, 3, 10, 3)
    assert frames[:, 0, 0, 0].tolist() == [0, 1, 2, 3, 2, 1] and frames[:, 0, 5, 2].tolist() == [4, 5, 6, 7, 6, 5]


def test_what_cannot_be_filmed_is_refused_before_the_work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UserError, match=r"way\.gif is no name for a film"):
        need_film(tmp_path / "way.gif")
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: None)
    with pytest.raises(UserError, match=r"pip install 'daybreak\[video\]'"):
        need_film(tmp_path / "way.mp4")

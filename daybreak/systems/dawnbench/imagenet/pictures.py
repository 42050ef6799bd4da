"""A small folder of generated pictures, in shapes as various as those of photographs."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from daybreak.engine.files import disk_errors

Wave = Callable[[NDArray[np.float64], NDArray[np.float64]], NDArray[np.float64]]
TEXTURES: dict[str, Wave] = {
    "bars": lambda x, y: np.sin(x),
    "checks": lambda x, y: np.sin(x) * np.sin(y),
    "rings": lambda x, y: np.sin(np.hypot(x, y)),
    "stripes": lambda x, y: np.sin(y),
}
"""Classes: brightness, -1 to 1, at a place measured from the middle of the picture."""
TRAIN, VAL = 64, 20  # pictures a class
SHORTEST, LONGEST = 32, 64  # pixels a side


def generate(root: Path, train: int = TRAIN, val: int = VAL) -> None:
    """Draw root/{train,val}/<texture>/NNN.png, the same ones each time. A folder that is there is left as it is."""
    if root.exists():
        return
    partial = root.with_name(f".tmp_{root.name}")
    generator = np.random.default_rng(0)
    with disk_errors(root):
        shutil.rmtree(partial, ignore_errors=True)
        for part, count in (("train", train), ("val", val)):
            for name, wave in TEXTURES.items():
                (partial / part / name).mkdir(parents=True)
                for i in range(count):
                    Image.fromarray(draw(wave, generator)).save(partial / part / name / f"{i:03}.png")
        os.replace(partial, root)


def draw(wave: Wave, generator: np.random.Generator) -> NDArray[np.uint8]:
    """One picture (H, W, 3): two random colours in a texture of random frequency, a little turned, with noise."""
    height, width = generator.integers(SHORTEST, LONGEST + 1, 2)
    y, x = np.mgrid[:height, :width] - np.array([height, width])[:, None, None] / 2
    turn, frequency = generator.normal(0, 0.1), generator.uniform(0.6, 1.0)
    cos, sin = np.cos(turn) * frequency, np.sin(turn) * frequency
    bright = (wave(x * cos + y * sin, y * cos - x * sin)[:, :, None] + 1) / 2  # (H, W, 1), 0 to 1
    dark, light = generator.uniform(0, 100, 3), generator.uniform(155, 255, 3)
    pixels = dark + (light - dark) * bright + generator.normal(0, 12, (height, width, 3))
    return pixels.clip(0, 255).astype(np.uint8)

"""Folders of pictures as batches: random crops to train on, phase by phase, and rectangles to validate on."""

from __future__ import annotations

import hashlib
import math
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image, ImageOps
from torch import Tensor

from daybreak.data import where
from daybreak.data.images import ImageFolder, folder
from daybreak.data.loader import Loader
from daybreak.data.photo import FORMATS, open_image
from daybreak.engine.errors import UserError
from daybreak.systems.dawnbench.imagenet.config import ImagenetConfig
from daybreak.systems.dawnbench.imagenet.phases import Phase, phase_at

Batch = tuple[Tensor, Tensor]  # images (B, 3, H, W) uint8 in channels_last, labels (B,) int64

TRIES = 10
ASPECTS = (3 / 4, 4 / 3)  # of training crops (Szegedy et al. 2015, section 6)
MOST_OBLONG = 2.0  # of validation crops: what is more oblong loses its ends
ROUNDED_TO = 8  # pixels
MARGIN = 1 / 16  # of each side cut from validation pictures: 7/8 of either length is left, as 256 to 224
ORIENTATION = 0x0112  # EXIF tag; from 5 on the picture lies on its side
EVAL_BATCH = 128


# ------------------------------------------------------------------------------- where the pictures are


def open_sets(config: ImagenetConfig, assets: Path) -> tuple[ImageFolder, ImageFolder]:
    """The folders to train and to validate on. Raises UserError when they are missing, or differ in their classes."""
    root = assets / "pictures" if config.images == "generated" else Path(config.data or where.root() / "imagenet")
    root = root.expanduser()
    for part in ("train", "val"):
        if not (root / part).is_dir():
            raise UserError(
                f"there is no folder {root / part}: give as --data a folder with train/<class>/ and val/<class>/, "
                "or set DAYBREAK_DATA to where imagenet/ lies"
            )
    train, val = folder(root / "train"), folder(root / "val")
    if differing := sorted(set(train.classes) ^ set(val.classes)):
        raise UserError(f"{root / 'train'} and {root / 'val'} differ in the class {differing[0]!r}: give both the same")
    return train, val


def digest(train: ImageFolder, val: ImageFolder) -> str:
    """SHA-256 over the names of all files, class by class; their pixels would take hours."""
    names = "\n".join(f"{path.parent.name}/{path.name}" for path in [*train.paths, *val.paths])
    return f"sha256:{hashlib.sha256(names.encode()).hexdigest()}"


# ------------------------------------------------------------------------------- to train on


@dataclass(frozen=True)
class Files:
    """Rows of a folder, not decoded yet: the crop needs random numbers, which the loader has."""

    pictures: ImageFolder

    def __len__(self) -> int:
        return len(self.pictures)

    def __getitem__(self, indices: Tensor) -> tuple[list[Path], Tensor]:
        return [self.pictures.paths[row] for row in indices.tolist()], self.pictures.labels[indices]


@dataclass(frozen=True)
class RandomCrops:
    """Decode a batch: of each picture a random part, at a random aspect ratio, half of them mirrored."""

    size: int
    min_scale: float

    def __call__(self, batch: tuple[list[Path], Tensor], generator: torch.Generator) -> Batch:
        """Paths and labels (B,) -> images (B, 3, size, size) and labels."""
        paths, labels = batch
        return to_tensor([self._crop(open_image(path), generator) for path in paths]), labels

    def _crop(self, picture: Image.Image, generator: torch.Generator) -> Image.Image:
        box = random_box(*picture.size, self.min_scale, generator)
        crop = picture.resize((self.size, self.size), Image.Resampling.BILINEAR, box)
        return ImageOps.mirror(crop) if torch.rand((), generator=generator) < 0.5 else crop


def random_box(
    width: int, height: int, min_scale: float, generator: torch.Generator
) -> tuple[float, float, float, float]:
    """Left, top, right and bottom of a part of a picture: ``min_scale`` to all of its area, sides 3:4 to 4:3.

    Where none of ten draws fits into the picture, it is the largest part in its middle of such an aspect ratio.
    """
    area, aspect, x, y = torch.rand(4, TRIES, generator=generator).double().numpy()
    pixels = width * height * (min_scale + (1 - min_scale) * area)
    low, high = np.log(ASPECTS)
    ratios = np.exp(low + (high - low) * aspect)
    widths, heights = np.sqrt(pixels * ratios), np.sqrt(pixels / ratios)
    fits = (widths <= width) & (heights <= height)
    if fits.any():
        i = int(fits.argmax())  # the first that does
        w, h = float(widths[i]), float(heights[i])
        left, top = float(x[i]) * (width - w), float(y[i]) * (height - h)
    else:
        ratio = min(max(width / height, ASPECTS[0]), ASPECTS[1])
        w, h = min(width, height * ratio), min(height, width / ratio)
        left, top = (width - w) / 2, (height - h) / 2
    return left, top, min(left + w, width), min(top + h, height)


def to_tensor(pictures: list[Image.Image]) -> Tensor:
    """Pictures of one size -> (B, 3, H, W) uint8, in channels_last as they lie in memory."""
    return torch.from_numpy(np.stack([np.asarray(picture) for picture in pictures])).permute(0, 3, 1, 2)


class PhasedBatches:
    """Endless iterator over the steps: what one process takes of each batch, shard by shard.

    A shard is read by a loader of its own, so that its rows and its crops do not depend on how many processes there
    are. All loaders follow from the number of steps done, and that is the state.
    """

    def __init__(
        self, pictures: ImageFolder, phases: list[Phase], config: ImagenetConfig, place: tuple[int, int]
    ) -> None:
        self.pictures, self.phases, self.config = pictures, phases, config
        self.mine = range(place[0], config.shards, place[1])
        if config.shards % place[1]:
            raise UserError(f"--shards {config.shards} cannot be shared among {place[1]} processes: give a multiple")
        self.done = 0
        self._phase: Phase | None = None
        self._loaders: list[Loader[Batch]] = []

    def __next__(self) -> list[Batch]:
        """The next step's images and labels, one batch a shard."""
        phase = phase_at(self.phases, self.done)
        if phase is not self._phase:
            self._phase, self._loaders = phase, [self._open(phase, shard) for shard in self.mine]
        self.done += 1
        return [next(loader) for loader in self._loaders]

    def _open(self, phase: Phase, shard: int) -> Loader[Batch]:
        workers = self.config.workers and max(1, self.config.workers // len(self.mine))
        words = np.random.SeedSequence([self.config.seed, phase.start]).generate_state(1)  # each phase its own order
        loader: Loader[Any] = Loader(  # of files, which the transform makes a Batch
            Files(self.pictures), phase.batch_size, int(words[0]), transform=RandomCrops(phase.size, phase.min_scale),
            workers=workers, shard=(shard, self.config.shards),
        )  # fmt: skip
        epoch, index = divmod(self.done - phase.start, loader.batches_per_epoch)
        loader.load_state_dict({"epoch": epoch, "index": index})
        return loader

    def state_dict(self) -> dict[str, int]:
        """The number of steps done."""
        return {"done": self.done}

    def load_state_dict(self, state: dict[str, int]) -> None:
        """Go to the number of steps done."""
        self.done, self._phase = state["done"], None


# ------------------------------------------------------------------------------- to validate on


@dataclass(frozen=True)
class Rectangle:
    """Rows of like aspect ratio, and the shape in pixels that all of them get."""

    rows: list[int]
    height: int
    width: int


def aspects(pictures: ImageFolder) -> list[float]:
    """Width over height of each picture, from its header where that will do."""
    return [width / height for width, height in map(_size, pictures.paths)]


def rectangles(aspects: list[float], size: int, batch_size: int, parts: int = 1) -> list[Rectangle]:
    """Sort by aspect ratio and cut into batches of near-equal length, a multiple of ``parts`` in number.

    A batch's shorter side is ``size``, its aspect ratio the mean of its pictures', from 1:2 to 2:1.
    """
    if len(aspects) < parts:
        raise UserError(f"{len(aspects)} validation images cannot be shared among {parts} processes: add some")
    order = np.argsort(aspects, kind="stable")
    count = min(math.ceil(len(order) / batch_size / parts) * parts, len(order) // parts * parts)
    ratios = np.log(aspects)
    chunks = np.array_split(order, count)
    return [Rectangle(rows.tolist(), *shape_of(math.exp(ratios[rows].mean()), size)) for rows in chunks]


def shape_of(aspect: float, size: int) -> tuple[int, int]:
    """Height and width of a crop: the shorter side is ``size``, the longer one a multiple of eight pixels."""
    longer = round(size * min(max(aspect, 1 / aspect), MOST_OBLONG) / ROUNDED_TO) * ROUNDED_TO
    return (size, max(size, longer)) if aspect >= 1 else (max(size, longer), size)


@dataclass(frozen=True)
class Rectangles:
    """``rectangles[[i]]`` is the i-th batch of rectangular crops, for a loader of batches of one."""

    pictures: ImageFolder
    batches: list[Rectangle]

    def __len__(self) -> int:
        return len(self.batches)

    def __getitem__(self, indices: Tensor) -> Batch:
        batch = self.batches[int(indices)]
        crops = [fit(open_image(self.pictures.paths[row]), batch.height, batch.width) for row in batch.rows]
        return to_tensor(crops), self.pictures.labels[batch.rows]


def fit(picture: Image.Image, height: int, width: int) -> Image.Image:
    """The middle of a picture, 7/8 of it either way, at that shape; it is cut where its aspect ratio is another."""
    return ImageOps.fit(picture, (width, height), Image.Resampling.BILINEAR, bleed=MARGIN)


def _size(path: Path) -> tuple[int, int]:
    """Width and height of a picture as it is seen. What no header tells, decoding does, or it says what is wrong."""
    try:
        with warnings.catch_warnings(action="ignore"), Image.open(path, formats=FORMATS) as image:
            lies = image.getexif().get(ORIENTATION, 1) >= 5
            return (image.height, image.width) if lies else image.size
    except (OSError, SyntaxError, ValueError, TypeError, Image.DecompressionBombError):
        return open_image(path).size

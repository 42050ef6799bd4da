"""Which images a biggan config trains on, and which it compares its samples with."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from daybreak.data import images, where
from daybreak.data.images import SUFFIXES, ImageFolder, Images
from daybreak.data.toy.digits import digits
from daybreak.engine.errors import UserError
from daybreak.systems.biggan.config import Config

SPLIT_SEED = 0  # the held-out images are the same ones in every run, whatever its seed
READERS = {
    "mnist": images.mnist,
    "fashion-mnist": images.fashion_mnist,
    "emnist-letters": images.emnist_letters,
    "cifar10": images.cifar10,
}
LARGEST_EDGE = 1 / 8  # of the side: images that lack so little get an edge rather than being enlarged
NO_CLASS = ["image"]


@dataclass(frozen=True)
class TrainingSet:
    """Images to train on, held-out ones to compare with, and the names of the classes of both."""

    train: Images | ImageFolder
    held_out: Images
    classes: list[str]

    @property
    def channels(self) -> int:
        """1 for grey images, 3 for coloured ones."""
        return self.held_out.images.shape[1]

    @property
    def digest(self) -> str:
        """Of the images trained on; of a folder, those held out of it."""
        return images.digest(self.train if isinstance(self.train, Images) else self.held_out)


def training_set(config: Config) -> TrainingSet:
    """What a config trains on, images (N, C, R, R) of its resolution R.

    Raises UserError where a set is missing or broken, or has too few images to hold some out.
    """
    if config.data == "folder":
        train, held_out = _folder(config)
    else:
        train, held_out = at_resolution(_read(config, train=True), config.resolution).split(config.held_out, SPLIT_SEED)
    if config.unconditional:
        _forget_classes(train)
        _forget_classes(held_out)
    return TrainingSet(train, held_out, train.classes)


def test_set(config: Config) -> Images:
    """Images that training never saw: a set's test images, or those held out of a folder.

    Raises UserError where a set is missing or broken.
    """
    if config.data == "folder":
        return training_set(config).held_out
    test = at_resolution(_read(config, train=False), config.resolution)
    if config.unconditional:
        _forget_classes(test)
    return test


def _forget_classes(these: Images | ImageFolder) -> None:
    these.labels, these.classes = torch.zeros_like(these.labels), NO_CLASS


def _read(config: Config, train: bool) -> Images:
    return digits(train) if config.data == "digits" else READERS[config.data](where.root(), train)


def at_resolution(these: Images, side: int) -> Images:
    """Images (N, C, H, H) with sides of that many pixels: a black edge for those that lack little, else resized."""
    lacking = side - these.images.shape[3]
    if not lacking:
        return these
    if 0 < lacking <= side * LARGEST_EDGE and lacking % 2 == 0:
        return Images(F.pad(these.images, [lacking // 2] * 4), these.labels, these.classes)
    parts = [
        F.interpolate(part.float(), (side, side), mode="bilinear", antialias=True).round().to(torch.uint8)
        for part in these.images.split(1_000)
    ]
    return Images(torch.cat(parts), these.labels, these.classes)


def _folder(config: Config) -> tuple[ImageFolder, Images]:
    path = Path(config.images).expanduser()
    found = _unsorted(path, config.resolution) if config.unconditional else images.folder(path, config.resolution)
    if len(found) <= config.held_out:
        raise UserError(
            f"{path} has {len(found)} images, not more than the {config.held_out} to hold out: "
            "add images, or give fewer as --held-out"
        )
    order = torch.from_numpy(np.random.default_rng(SPLIT_SEED).permutation(len(found)))
    rows = order[config.held_out :]
    held_out, labels = found[order[: config.held_out]]
    train = ImageFolder([found.paths[row] for row in rows], found.labels[rows], found.classes, config.resolution)
    return train, Images(held_out, labels, found.classes)


def _unsorted(path: Path, side: int) -> ImageFolder:
    """Every image file in a folder and below it, without classes."""
    if not path.is_dir():
        raise UserError(f"there is no folder {path}: give one with images in it")
    paths = sorted(p for p in path.rglob("*") if p.suffix.lower() in SUFFIXES and p.name[0] != ".")
    if not paths:
        raise UserError(f"{path} has no images ({' '.join(sorted(SUFFIXES))}): give a folder that has some")
    return ImageFolder(paths, torch.zeros(len(paths), dtype=torch.int64), NO_CLASS, side)


def as_floats(pixels: Tensor) -> Tensor:
    """Bytes from 0 to 255 -> floats from -1 to 1, what the networks see and make."""
    return pixels.float() / 127.5 - 1


def as_bytes(pictures: Tensor) -> Tensor:
    """Floats from -1 to 1 -> bytes from 0 to 255, on the CPU."""
    return ((pictures.detach().float() + 1) * 127.5).round().clamp(0, 255).to(torch.uint8).cpu()

"""Four sets of small images as one: 32x32 pixels in colour, and classes that are told apart over all of them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import torch

from daybreak.data import images, where
from daybreak.data.images import Images
from daybreak.data.toy.digits import digits
from daybreak.nn.features import CLASSES, fit
from daybreak.systems.biggan.features.config import FeaturesConfig

SPLIT_SEED = 0  # the same images are taken, and held out, in every run, whatever its seed

SETS: dict[str, Callable[[Path, bool], Images]] = {
    "cifar10": images.cifar10,
    "letters": images.emnist_letters,
    "mnist": images.mnist,
    "digits": lambda root, train: digits(train),
}


def training_sets(config: FeaturesConfig) -> tuple[Images, Images]:
    """Images to train on, and ``config.held_out`` of them to validate on."""
    parts = [take(read(name, train=True), count) for name, count in counts(config).items()]
    joined = Images(
        torch.cat([part.images for part in parts]), torch.cat([part.labels for part in parts]), list(CLASSES)
    )
    return joined.split(config.held_out, SPLIT_SEED)


def counts(config: FeaturesConfig) -> dict[str, int]:
    """How many training images are taken of each set that is not left out."""
    asked = {name: getattr(config, name) for name in SETS}
    return {name: count for name, count in asked.items() if count}


def take(part: Images, count: int) -> Images:
    """So many images drawn at random, or all of them. Raises UserError where there are fewer."""
    return part if count == len(part) else part.split(count, SPLIT_SEED)[1]


def read(name: str, train: bool) -> Images:
    """A set as the net sees it: (N, 3, 32, 32), and its labels as numbers into ``CLASSES``."""
    part = SETS[name](where.root(), train)
    number = torch.tensor([CLASSES.index(each) for each in part.classes])
    return Images(fit(part.images).contiguous(), number[part.labels], list(CLASSES))

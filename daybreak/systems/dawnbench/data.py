"""Which images a dawnbench config trains on, validates on and is tested on."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from torch import Tensor

from daybreak.data import images, where
from daybreak.data.images import Images
from daybreak.data.toy.digits import digits
from daybreak.engine.errors import UserError
from daybreak.systems.dawnbench.config import Config

SPLIT_SEED = 0  # the held-out images are the same ones in every run, whatever its seed

READERS: dict[str, Callable[[Path, bool], Images]] = {
    "digits": lambda root, train: digits(train),
    "cifar10": images.cifar10,
    "mnist": images.mnist,
    "emnist-letters": images.emnist_letters,
}


class Rows:
    """Stands in for a data set whose images lie on the device: a batch is the numbers of its rows."""

    def __init__(self, count: int) -> None:
        self.count = count

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, indices: Tensor) -> Tensor:
        """Rows (B,), int64, as they are."""
        return indices


def training_sets(config: Config) -> tuple[Images, Images | None]:
    """Images to train on, and ``config.held_out`` images of the training set to validate on, or None."""
    train_set, held_out = _read(config, train=True), None
    if config.held_out:
        train_set, held_out = train_set.split(config.held_out, SPLIT_SEED)
    if config.train_on >= len(train_set):
        raise UserError(
            f"--train-on {config.train_on} leaves none out of {len(train_set)} images: give fewer, or 0 for all of them"
        )
    if config.train_on:
        _, train_set = train_set.split(config.train_on, SPLIT_SEED)
    return train_set, held_out


def test_set(config: Config) -> Images:
    """The images that no decision may depend on."""
    return _read(config, train=False)


def _read(config: Config, train: bool) -> Images:
    if config.data not in READERS:
        raise UserError(
            f"dawnbench trains on {', '.join(READERS)}, not on {config.data!r}: give one of these as --data"
        )
    return READERS[config.data](where.root(), train)

"""Labelled images: resident arrays read from the public formats, and folders of image files decoded when asked for.

Readers take the data root (see :func:`daybreak.data.where.root`) and check what they read: magic numbers, sizes,
record counts, label ranges. A file that is missing or not whole raises UserError with its name and what to do.
"""

from __future__ import annotations

import gzip
import hashlib
import math
import struct
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from string import ascii_uppercase

import numpy as np
import torch
from PIL import ImageOps
from torch import Tensor

from daybreak.data.photo import open_image
from daybreak.engine.errors import UserError

__all__ = [
    "ImageFolder",
    "Images",
    "cifar10",
    "digest",
    "emnist_letters",
    "fashion_mnist",
    "folder",
    "idx",
    "mnist",
    "open_image",
    "read_idx",
]

DIGITS = [str(digit) for digit in range(10)]
CLOTHES = ["T-shirt/top", "Trouser", "Pullover", "Dress", "Coat", "Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot"]
CIFAR_SHAPE = (3, 32, 32)
LARGEST_IDX = 2**31  # bytes; what a header may claim before anything is read
SUFFIXES = frozenset({".png", ".jpg", ".jpeg", ".webp", ".bmp", ".gif", ".tif", ".tiff"})


@dataclass
class Images:
    """Images of one size with a class each, all in memory. Indexing takes many rows at once."""

    images: Tensor
    """(N, C, H, W) uint8."""
    labels: Tensor
    """(N,) int64, numbers into ``classes``."""
    classes: list[str]

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, indices: Tensor | list[int]) -> tuple[Tensor, Tensor]:
        """Give the rows ``indices`` (B,) as images (B, C, H, W) and labels (B,)."""
        return self.images[indices], self.labels[indices]

    def subset(self, indices: Tensor | list[int]) -> Images:
        """Copy the rows ``indices`` into a data set of their own."""
        images, labels = self[indices]
        return Images(images, labels, self.classes)

    def split(self, n_held_out: int, seed: int) -> tuple[Images, Images]:
        """Split at random into (the rest, ``n_held_out`` rows). Raises UserError unless both have rows."""
        if not 0 < n_held_out < len(self):
            raise UserError(f"cannot hold out {n_held_out} of {len(self)} images: some must stay on either side")
        order = torch.from_numpy(np.random.default_rng(seed).permutation(len(self)))
        return self.subset(order[n_held_out:]), self.subset(order[:n_held_out])


def digest(images: Images) -> str:
    """SHA-256 over shape, pixels and labels in order, as "sha256:<hex>"; what a record calls its data."""
    code = hashlib.sha256(repr(tuple(images.images.shape)).encode())
    for part in (images.images, images.labels):
        code.update(part.cpu().contiguous().numpy().data)
    return f"sha256:{code.hexdigest()}"


# ------------------------------------------------------------------------------- CIFAR-10


def cifar10(root: Path | str, train: bool) -> Images:
    """Read CIFAR-10 (Krizhevsky 2009), binary version: 50,000 or 10,000 images (3, 32, 32) in 10 classes."""
    place = Path(root) / "cifar-10-batches-bin"
    names = [f"data_batch_{i}.bin" for i in range(1, 6)] if train else ["test_batch.bin"]
    hint = _hint("cifar10", place)
    classes = _lines(place / "batches.meta.txt", hint)
    parts = [_cifar_records(place / name, len(classes), hint) for name in names]
    if len({len(part) for part in parts}) > 1:
        counts = ", ".join(str(len(part)) for part in parts)
        raise UserError(f"the training files in {place} hold {counts} images where all hold the same number; {hint}")
    records = np.concatenate(parts)  # (N, 1 + 3072)
    images = torch.from_numpy(np.ascontiguousarray(records[:, 1:]).reshape(-1, *CIFAR_SHAPE))
    return Images(images, torch.from_numpy(records[:, 0].astype(np.int64)), classes)


def _cifar_records(path: Path, num_classes: int, hint: str) -> np.ndarray:
    size = 1 + math.prod(CIFAR_SHAPE)
    content = np.frombuffer(_content(path, hint), np.uint8)
    if content.size == 0 or content.size % size:
        raise UserError(f"{path} has {content.size} bytes, not a whole number of {size}-byte images; {hint}")
    records = content.reshape(-1, size)
    if records[:, 0].max() >= num_classes:
        raise UserError(f"{path} has a label {records[:, 0].max()} where {num_classes} classes are named; {hint}")
    return records


def _lines(path: Path, hint: str) -> list[str]:
    lines = [line.strip() for line in _content(path, hint).decode("utf-8", "replace").splitlines() if line.strip()]
    if not lines:
        raise UserError(f"{path} names no classes; {hint}")
    return lines


# ------------------------------------------------------------------------------- MNIST and its kin: idx files


def mnist(root: Path | str, train: bool) -> Images:
    """Read MNIST (LeCun 1998): digits, (1, 28, 28)."""
    return _mnist_like(Path(root) / "mnist", "mnist", train, DIGITS)


def fashion_mnist(root: Path | str, train: bool) -> Images:
    """Read Fashion-MNIST (Xiao 2017): ten kinds of clothes, (1, 28, 28)."""
    return _mnist_like(Path(root) / "fashion-mnist", "fashion-mnist", train, CLOTHES)


def emnist_letters(root: Path | str, train: bool) -> Images:
    """Read EMNIST-Letters (Cohen 2017): 26 letters, upper and lower case one class, (1, 28, 28), upright."""
    place = Path(root) / "emnist"
    images, labels = (
        _idx_file(place, f"emnist-letters-{'train' if train else 'test'}-{kind}-ubyte")
        for kind in ("images-idx3", "labels-idx1")
    )
    hint = _hint("emnist-letters", place)
    return idx(images, labels, list(ascii_uppercase), first_label=1, transposed=True, hint=hint)


def _mnist_like(place: Path, name: str, train: bool, classes: list[str]) -> Images:
    part = "train" if train else "t10k"
    images, labels = (_idx_file(place, f"{part}-{kind}-ubyte") for kind in ("images-idx3", "labels-idx1"))
    return idx(images, labels, classes, hint=_hint(name, place))


def _idx_file(place: Path, name: str) -> Path:
    return place / name if (place / name).exists() else place / f"{name}.gz"


def idx(
    images_path: Path,
    labels_path: Path,
    classes: Sequence[str],
    *,
    first_label: int = 0,
    transposed: bool = False,
    hint: str = "get it again",
) -> Images:
    """Read a pair of idx files (.gz or not): grey images (N, H, W) and their labels (N,).

    ``first_label`` is the number of the first class in the file; ``transposed`` images are turned upright.
    ``hint`` ends the message of the UserError that a broken file raises: what to do about it.
    """
    pixels, labels = read_idx(images_path, 3, hint), read_idx(labels_path, 1, hint)
    if len(pixels) != len(labels):
        raise UserError(f"{images_path} has {len(pixels)} images, but {labels_path} {len(labels)} labels; {hint}")
    last_label = first_label + len(classes) - 1
    if labels.min() < first_label or labels.max() > last_label:
        raise UserError(
            f"{labels_path} has labels from {labels.min()} to {labels.max()}, "
            f"where {first_label} to {last_label} are meant; {hint}"
        )
    upright = np.ascontiguousarray(pixels.transpose(0, 2, 1)) if transposed else pixels
    return Images(
        torch.from_numpy(upright).unsqueeze(1), torch.from_numpy(labels.astype(np.int64) - first_label), list(classes)
    )


def read_idx(path: Path, dimensions: int, hint: str = "get it again") -> np.ndarray:
    """Read an idx file of bytes (.gz or not) with that many dimensions, none of them empty, as a writable array."""
    try:
        with gzip.open(path) if path.suffix == ".gz" else path.open("rb") as stream:
            header = stream.read(4 + 4 * dimensions)
            if len(header) < 4 + 4 * dimensions or header[:4] != bytes([0, 0, 8, dimensions]):
                raise UserError(f"{path} is not an idx file of bytes in {dimensions} dimensions; {hint}")
            shape = struct.unpack(f">{dimensions}I", header[4:])
            size = math.prod(shape)
            if not 0 < size <= LARGEST_IDX:
                raise UserError(f"{path} claims to hold {' x '.join(map(str, shape))} bytes; {hint}")
            content = bytearray(stream.read(size + 1))  # one more than there should be, which also checks gzip's CRC
    except FileNotFoundError as error:
        raise UserError(f"there is no {path}; {hint}") from error
    except (OSError, EOFError, zlib.error) as error:
        raise UserError(f"{path} cannot be read ({error}); {hint}") from error
    if len(content) != size:
        state = f"ends after {len(content)} of" if len(content) < size else "goes on after"
        raise UserError(f"{path} {state} the {size} bytes that it announces; {hint}")
    return np.frombuffer(content, np.uint8).reshape(shape)


def _content(path: Path, hint: str) -> bytearray:
    try:
        return bytearray(path.read_bytes())
    except FileNotFoundError as error:
        raise UserError(f"there is no {path}; {hint}") from error
    except OSError as error:
        raise UserError(f"{path} cannot be read ({error}); {hint}") from error


def _hint(name: str, place: Path) -> str:
    prepare = f"daybreak data prepare {name}"
    return f"move {place} away and run: {prepare}" if place.exists() else f"run: {prepare}"


# ------------------------------------------------------------------------------- folders of image files


@dataclass
class ImageFolder:
    """One folder a class, image files in it; decoded when asked for, so that it may be larger than memory."""

    paths: list[Path]
    labels: Tensor
    """(N,) int64, numbers into ``classes``."""
    classes: list[str]
    size: int | None
    """Side in pixels that every image is cut and resized to; None leaves them, and then all have to be of one size."""

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, indices: Tensor | list[int]) -> tuple[Tensor, Tensor]:
        """Decode the rows ``indices`` (B,): images (B, 3, H, W) uint8 and labels (B,). UserError names a bad file."""
        rows = torch.as_tensor(indices)
        pictures = [self._decode(self.paths[row]) for row in rows.tolist()]
        for row, picture in zip(rows.tolist(), pictures, strict=True):
            if picture.shape != pictures[0].shape:
                raise UserError(
                    f"{self.paths[row]} is {_size(picture)} pixels where another image is {_size(pictures[0])}: "
                    "give the size that all should have"
                )
        return torch.stack(pictures), self.labels[rows]

    def _decode(self, path: Path) -> Tensor:
        picture = open_image(path)
        if self.size is not None:
            picture = ImageOps.fit(picture, (self.size, self.size))
        return torch.from_numpy(np.array(picture)).permute(2, 0, 1)  # (3, H, W)


def folder(path: Path | str, size: int | None = None) -> ImageFolder:
    """Read a folder of folders: each sub-folder is a class (in order of name), each image file in it a row.

    ``size``: side of the square that images are cut and resized to. Hidden files and files without an image's suffix
    are passed over. Raises UserError for a folder that is not there, has no classes, or a class without images.
    """
    path = Path(path)
    if not path.is_dir():
        raise UserError(f"there is no folder {path}: give a folder with one sub-folder of images a class")
    names = sorted(entry.name for entry in path.iterdir() if entry.is_dir() and not entry.name.startswith("."))
    if not names:
        raise UserError(f"{path} has no sub-folders: put the images of each class into a folder of its own")
    paths: list[Path] = []
    labels: list[int] = []
    for label, name in enumerate(names):
        found = sorted(p for p in (path / name).iterdir() if p.suffix.lower() in SUFFIXES and p.name[0] != ".")
        if not found:
            raise UserError(
                f"{path / name} has no images ({' '.join(sorted(SUFFIXES))}): add some or remove the folder"
            )
        paths += found
        labels += [label] * len(found)
    return ImageFolder(paths, torch.tensor(labels), names, size)


def _size(picture: Tensor) -> str:
    return f"{picture.shape[2]} x {picture.shape[1]}"

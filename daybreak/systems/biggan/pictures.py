"""Sheets, strips and folders of sampled images."""

from __future__ import annotations

import re
from collections.abc import Sequence
from io import BytesIO
from pathlib import Path

import torch
from PIL import Image
from torch import Tensor

from daybreak import draw
from daybreak.engine.errors import UserError
from daybreak.engine.files import write_atomic
from daybreak.systems.biggan.predict import Asked, Sampler
from daybreak.systems.biggan.sample import COLUMNS, MOST_ROWS

SHEETS = (".png", ".svg")


def samples(
    sampler: Sampler, classes: Sequence[str], n: int, truncation: float | None, seed: int, out: Path
) -> list[Path]:
    """Write ``n`` images of each class: as a sheet where ``out`` is a picture, else as a file each in that folder."""
    labels = sampler.labels(list(classes) or None).tolist()
    images = sampler.sample(labels, n, truncation=truncation, seed=seed)
    names = [sampler.classes[label] for label in labels for _ in range(n)]
    if out.suffix.lower() not in SHEETS:
        return _files(images, names, n, out)
    captions = [name if i % n == 0 else "" for i, name in enumerate(names)]
    return [draw.grid(images.numpy(), captions, out, columns=min(n, COLUMNS) if len(labels) > 1 else COLUMNS)]


def _files(images: Tensor, names: Sequence[str], n: int, out: Path) -> list[Path]:
    """One PNG an image, in a folder for each class: what `train --data folder` reads."""
    paths = [out / _plain(name) / f"{i % n:05d}.png" for i, name in enumerate(names)]
    for image, path in zip(images, paths, strict=True):
        content = BytesIO()
        pixels = image.permute(1, 2, 0).numpy()  # (H, W, C)
        Image.fromarray(pixels[:, :, 0] if pixels.shape[2] == 1 else pixels).save(content, "PNG")
        write_atomic(path, content.getvalue())
    return paths


def _plain(name: str) -> str:
    """A class's name as one of a folder: ``T-shirt/top`` -> ``T-shirt_top``."""
    return re.sub(r"[/\\\0]", "_", name).lstrip(".") or "_"


def grid(sampler: Sampler, n: int, truncation: float | None, seed: int, out: Path) -> Path:
    """Draw a row for each class and a column for each of ``n`` latents; of over 40 classes some, evenly spread."""
    count = len(sampler.classes)
    labels = torch.linspace(0, count - 1, min(count, MOST_ROWS)).round().long().tolist()
    images = sampler.sample(labels, n, truncation=truncation, seed=seed)
    captions = [sampler.classes[label] if i == 0 else "" for label in labels for i in range(n)]
    return draw.grid(images.numpy(), captions, out, columns=n)


def strips(
    sampler: Sampler,
    classes: Sequence[Asked],
    steps: int,
    n: int,
    truncation: float | None,
    seed: int,
    out: Path,
) -> Path:
    """Draw ``n`` ways, a row each, between two classes or between latents of one; as a film if ``out`` is an MP4."""
    if filmed := draw.is_film(out):
        draw.need_film(out)
    elif out.suffix.lower() not in SHEETS:
        raise UserError(f"{out} is no name for a picture or a film: end it with .png, .svg or .mp4")
    images = sampler.interpolate(classes, steps, n, truncation=truncation, seed=seed)
    if filmed:
        return draw.film(there_and_back(images.unflatten(0, (n, steps))).numpy(), out)
    names = [sampler.classes[label] for label in sampler.labels(classes).tolist()]
    ends = {0: names[0], steps - 1: names[-1]}
    return draw.grid(images.numpy(), [ends.get(i % steps, "") for i in range(n * steps)], out, columns=steps)


def there_and_back(ways: Tensor) -> Tensor:
    """Ways (N, steps, C, H, W) -> frames (2 * steps - 2, H, N * W, 3), side by side; the last leads to the first."""
    frames = ways.permute(1, 3, 0, 4, 2).flatten(2, 3)  # (steps, H, N * W, C)
    frames = frames.expand(*frames.shape[:3], 3)
    return torch.cat([frames, frames[1:-1].flip(0)])

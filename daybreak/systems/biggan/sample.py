"""Images out of a generator: latents, truncated or not, ways between them, batches, and a sheet of all classes."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from daybreak.draw.sheet import grid
from daybreak.engine.device import Device
from daybreak.engine.errors import UserError
from daybreak.engine.rundir import ASSETS, config_of
from daybreak.engine.strict import build, read_object
from daybreak.engine.weights import load_weights
from daybreak.systems.biggan.config import Config
from daybreak.systems.biggan.data import as_bytes
from daybreak.systems.biggan.model import Generator, architecture

CLASSES = "classes.json"
COLUMNS, FEWEST_ROWS, MOST_ROWS = 8, 4, 40  # of a sheet


@dataclass(frozen=True)
class Classes:
    """What training noted in ``assets/classes.json``."""

    classes: list[str]
    channels: int


def read_generator(run_dir: Path) -> tuple[Generator, list[str]]:
    """The averaged generator of a finished run, on the CPU in evaluation mode, and the names of its classes.

    Raises UserError when the training is unfinished or files are damaged.
    """
    config = config_of(Config, run_dir)
    path = run_dir / ASSETS / CLASSES
    known = build(Classes, read_object(path), str(path))
    if not known.classes or known.channels not in (1, 3):
        raise UserError(f"{path} names no classes, or images that are neither grey nor RGB: train the run again")
    generator = Generator(architecture(config, known.channels, len(known.classes)))
    load_weights(generator, run_dir)
    return generator.requires_grad_(False).eval(), known.classes


def latents(count: int, size: int, truncation: float = math.inf, seed: int = 0) -> Tensor:
    """Latent vectors (count, size) on the CPU: normal, and drawn anew where beyond ``truncation`` standard deviations.

    That is the truncation trick (Brock et al. 2019, section 3.1): nearer to the middle images are better and more
    alike. Raises ValueError for a truncation that is not above 0.
    """
    if not truncation > 0:
        raise ValueError(f"a truncation of {truncation} leaves nothing to draw from")
    random = torch.Generator().manual_seed(seed)
    # By the quantile function, not by drawing again what is beyond: one draw for the narrowest threshold too, and the
    # same seed gives neighbouring latents at neighbouring thresholds.
    edge = torch.special.ndtr(torch.tensor(-truncation, dtype=torch.float64))
    uniform = torch.rand(count, size, generator=random, dtype=torch.float64).clamp(1e-15, 1 - 1e-15)
    return torch.special.ndtri(edge + uniform * (1 - 2 * edge)).float()


def great_circle(start: Tensor, end: Tensor, share: Tensor) -> Tensor:
    """From latents (N, D) to others, at shares (S,) of the way from 0 to 1: (N, S, D), as long as the two are.

    A straight line would pass nearer to the middle than normal latents ever lie (White, "Sampling Generative
    Networks", 2016).
    """
    cosine = torch.cosine_similarity(start, end, dim=1).clamp(-1.0, 1.0)
    angle = cosine.acos().clamp(1e-4, math.pi - 1e-4)[:, None]  # (N, 1); of equal or opposite latents any will do
    parts = ((1 - share) * angle).sin(), (share * angle).sin()  # (N, S) each
    return (parts[0][:, :, None] * start[:, None] + parts[1][:, :, None] * end[:, None]) / angle.sin()[:, :, None]


@torch.no_grad()
def sample(generator: Generator, z: Tensor, classes: Tensor, device: Device, batch_size: int = 64) -> Tensor:
    """Latents (N, dim_z) and labels (N,) or embeddings (N, D) -> images (N, C, H, W), floats in [-1, 1], on the CPU.

    The generator stays in its mode, which should be that of evaluation.
    """
    pictures: list[Tensor] = []
    for some_z, some in zip(z.split(batch_size), classes.split(batch_size), strict=True):
        with device.autocast():
            pictures.append(generator(device.place(some_z), device.place(some)).cpu())
    return torch.cat(pictures)


def sheet(generator: Generator, classes: Sequence[str], device: Device, path: Path, seed: int = 0) -> Path:
    """Draw a row for each class, with the same latents in each; of over 40 classes some, evenly spread."""
    labels = torch.linspace(0, len(classes) - 1, min(len(classes), MOST_ROWS)).round().long()
    each = COLUMNS * math.ceil(FEWEST_ROWS / len(labels))
    z = latents(each, generator.dim_z, seed=seed).repeat(len(labels), 1)
    pictures = as_bytes(sample(generator, z, labels.repeat_interleave(each), device))
    captions = [classes[int(label)] if i == 0 else "" for label in labels for i in range(each)]
    return grid(pictures.contiguous().numpy(), captions, path, columns=COLUMNS)

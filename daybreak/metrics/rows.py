"""Features of images as the metrics of generated images take them: a row an image, from whatever network."""

from __future__ import annotations

import torch
from torch import Tensor


def rows(features: Tensor, least: int = 1) -> Tensor:
    """Features (N, D) of any float type and device, in fp64 on the CPU, where every machine computes the same.

    Raises ValueError for another shape, fewer than ``least`` rows, or values that are not finite.
    """
    if features.dim() != 2 or not features.shape[1]:
        raise ValueError(f"features are (images, dimensions), and not {tuple(features.shape)}")
    if len(features) < least:
        raise ValueError(f"{len(features)} images are too few: {least} are needed")
    there = features.detach().cpu().double()
    if not torch.isfinite(there).all():
        raise ValueError("features have values that are not finite")
    return there


def both_rows(real: Tensor, fake: Tensor, least: int = 1) -> tuple[Tensor, Tensor]:
    """Two sets as :func:`rows`; raises ValueError as well where their dimensions differ."""
    if real.shape[1:] != fake.shape[1:]:
        raise ValueError(f"features of {tuple(real.shape[1:])} and {tuple(fake.shape[1:])} dimensions do not compare")
    return rows(real, least), rows(fake, least)

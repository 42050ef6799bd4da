"""How much of what is generated is like the real images, and how much of the real images is like what is generated.

Precision and recall: Kynkaanniemi et al., "Improved Precision and Recall Metric for Assessing Generative Models" (2019,
section 2). Density and coverage, which an outlier does not spoil: Naeem et al., "Reliable Fidelity and Diversity
Metrics for Generative Models" (2020, section 3). Each set's support is the union of balls around its features, each as
large as it takes to reach the k nearest others of the set.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from daybreak.metrics.rows import both_rows

NEAREST = 5
"""Neighbours that a ball reaches: as Naeem et al. take it."""
BLOCK = 2**22  # distances at a time: 32 MB


@dataclass(frozen=True)
class PRDC:
    """Fractions; density may be above 1."""

    precision: float
    """Of the generated images: those within a real ball."""
    recall: float
    """Of the real images: those within a generated ball."""
    density: float
    """Real balls that a generated image lies in, over k."""
    coverage: float
    """Of the real images: those whose ball holds a generated one."""


def prdc(real: Tensor, fake: Tensor, nearest: int = NEAREST) -> PRDC:
    """All four, of features (N, D) and (M, D); exact, and without ever holding all distances.

    Raises ValueError for sets of no more than ``nearest`` images, of other dimensions, or with values that are not
    finite.
    """
    real, fake = both_rows(real, fake, nearest + 1)
    centre = real.mean(0)
    real, fake = real - centre, fake - centre  # small numbers have small rounding errors
    real_radii, fake_radii = _radii(real, nearest), _radii(fake, nearest)
    holding, covered, recalled = torch.zeros(len(fake), dtype=torch.int64), 0, 0  # real balls around each generated one
    for some, radii in zip(_blocks(real, len(fake)), _blocks(real_radii, len(fake)), strict=True):
        distances = _squared_distances(some, fake)  # (n, M)
        inside = distances <= radii[:, None]
        holding += inside.sum(0)
        covered += int(inside.any(1).sum())
        recalled += int((distances <= fake_radii).any(1).sum())
    return PRDC(
        precision=(holding > 0).double().mean().item(),
        recall=recalled / len(real),
        density=holding.double().mean().item() / nearest,
        coverage=covered / len(real),
    )


def _radii(features: Tensor, nearest: int) -> Tensor:
    """Squared distance of each row (N, D) to its k-th nearest other: (N,)."""
    parts = _blocks(features, len(features))
    return torch.cat([_squared_distances(some, features).kthvalue(nearest + 1).values for some in parts])  # and itself


def _squared_distances(a: Tensor, b: Tensor) -> Tensor:
    """(N, D), (M, D) -> (N, M)."""
    return torch.addmm(a.square().sum(1)[:, None] + b.square().sum(1), a, b.T, alpha=-2.0)


def _blocks(rows: Tensor, width: int) -> tuple[Tensor, ...]:
    """So many rows at a time as ``width`` distances of each fit into a block."""
    return rows.split(max(1, BLOCK // width))

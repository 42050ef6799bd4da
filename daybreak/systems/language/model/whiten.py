"""Layers that begin by centring or whitening: an encoder's vectors all point one way, and their cosines tell little."""

from __future__ import annotations

import torch
from torch import Tensor, nn

NORM = 4.0
"""Of a vector that such a layer gives, about."""
LEAST = 1e-2
"""What is added to the spread of each direction, as a share of the largest: beyond, there is only noise."""


@torch.no_grad()
def whiten(layer: nn.Linear, vectors: Tensor, norm: float = NORM) -> None:
    """Let a square layer take the mean of vectors (N, D) away, and scale their principal directions to one spread.

    The vectors that it gives are about as long as ``norm``.

    Su et al. 2021, "Whitening Sentence Representations", section 3.
    """
    vectors = vectors.double()
    mean = vectors.mean(0)
    covariance = (vectors - mean).T @ (vectors - mean) / len(vectors)
    variances, directions = torch.linalg.eigh(covariance)
    spreads = variances.clamp(min=0).sqrt()
    scales = norm / len(mean) ** 0.5 / (spreads + LEAST * spreads.max() + 1e-6)
    weight = scales[:, None] * directions.T
    layer.weight.copy_(weight)
    layer.bias.copy_(-weight @ mean)


@torch.no_grad()
def centre(layer: nn.Linear, vectors: Tensor, norm: float = NORM) -> None:
    """Let a square layer take the mean of vectors (N, D) away; those that it gives are about as long as ``norm``.

    Which words are like which stays as it is: whitening makes all of them alike in nothing.
    """
    vectors = vectors.double()
    mean = vectors.mean(0)
    scale = norm / ((vectors - mean).norm(dim=1).mean() + 1e-6)
    layer.weight.copy_(scale * torch.eye(len(mean)))
    layer.bias.copy_(-scale * mean)

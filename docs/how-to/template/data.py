"""Noisy points of a sine."""

from __future__ import annotations

import math

import torch
from torch import Tensor


class Points:
    """x (N, 1), uniform in [-1, 1], and y = sin(pi x) + noise."""

    def __init__(self, count: int, noise: float, seed: int) -> None:
        generator = torch.Generator().manual_seed(seed)
        self.x = torch.rand(count, 1, generator=generator) * 2 - 1
        self.y = torch.sin(math.pi * self.x) + noise * torch.randn(count, 1, generator=generator)

    def __len__(self) -> int:
        return len(self.x)

    def __getitem__(self, indices: Tensor) -> tuple[Tensor, Tensor]:
        return self.x[indices], self.y[indices]

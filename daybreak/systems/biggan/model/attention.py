"""Self-attention over the places of a feature map (Zhang et al., SAGAN, 2019)."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from daybreak.nn.attention import attention
from daybreak.systems.biggan.model.layout import Architecture
from daybreak.systems.biggan.model.spectral import SpectralConv2d


class Attention(nn.Module):
    """Adds to each place ``gamma`` times a mean over all places, weighted by how well they match.

    Keys and values are pooled to a quarter of the places. ``gamma`` begins at 0, so that the network learns first
    without; it is a scalar.
    """

    def __init__(self, a: Architecture, channels: int) -> None:
        super().__init__()
        narrow, middle = max(1, channels // 8), max(1, channels // 2)
        self.query = SpectralConv2d(a, channels, narrow, 1, bias=False)
        self.key = SpectralConv2d(a, channels, narrow, 1, bias=False)
        self.value = SpectralConv2d(a, channels, middle, 1, bias=False)
        self.out = SpectralConv2d(a, middle, channels, 1, bias=False)
        self.gamma = nn.Parameter(torch.zeros(()))

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) -> the same, in either memory format."""
        _, _, height, width = x.shape
        query = places(self.query(x))  # (B, H W, C / 8)
        key = places(F.max_pool2d(self.key(x), 2))  # (B, H W / 4, C / 8)
        value = places(F.max_pool2d(self.value(x), 2))  # (B, H W / 4, C / 2)
        found = attention(query, key, value, scale=1.0)  # (B, H W, C / 2)
        found = found.transpose(1, 2).unflatten(2, (height, width))  # a view, in channels_last
        return x + self.gamma * self.out(found)


def places(x: Tensor) -> Tensor:
    """(B, C, H, W) -> (B, H W, C): no copy where x is in channels_last."""
    return x.permute(0, 2, 3, 1).flatten(1, 2)

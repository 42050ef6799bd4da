"""The network of the small presets."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class ResNet9(nn.Module):
    """The nine-layer residual net of the DAWNBench entries (Page, "How to Train Your ResNet", 2018).

    ``width`` 64 is the original. Takes images of any size from 8x8 on, as bytes: it normalises them itself, so that
    its weights are all that is needed to use it.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, in_channels: int, num_classes: int, width: int = 64) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(in_channels, 1, 1))
        self.register_buffer("std", torch.ones(in_channels, 1, 1))
        self.features = nn.Sequential(
            conv(in_channels, width),
            conv(width, 2 * width, pool=True),
            Residual(2 * width),
            conv(2 * width, 4 * width, pool=True),
            conv(4 * width, 8 * width, pool=True),
            Residual(8 * width),
        )
        self.head = nn.Linear(8 * width, num_classes, bias=False)

    def normalise_by(self, images: Tensor) -> None:
        """Take each channel's mean and standard deviation from ``images``, uint8 (N, C, H, W)."""
        pixels = images.transpose(0, 1).flatten(1).double()  # (C, N H W)
        self.mean.copy_(pixels.mean(1)[:, None, None])
        self.std.copy_(pixels.std(1)[:, None, None])

    def forward(self, images: Tensor) -> Tensor:
        """Images (B, C, H, W), uint8 -> logits (B, num_classes)."""
        features = self.features((images.float() - self.mean) / self.std).amax(dim=(2, 3))  # (B, 8 width)
        return 0.125 * self.head(features)


class Residual(nn.Module):
    """x + conv(conv(x))."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.body = nn.Sequential(conv(channels, channels), conv(channels, channels))

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) -> (B, C, H, W)."""
        return x + self.body(x)


def conv(channels: int, out_channels: int, *, pool: bool = False) -> nn.Sequential:
    """3x3 convolution, batch norm, ReLU, and halving of height and width where asked."""
    layers = [nn.Conv2d(channels, out_channels, 3, padding=1, bias=False)]
    halve = [nn.MaxPool2d(2)] if pool else []  # before the norm, which then has a quarter of the work
    return nn.Sequential(*layers, *halve, nn.BatchNorm2d(out_channels), nn.ReLU(inplace=True))

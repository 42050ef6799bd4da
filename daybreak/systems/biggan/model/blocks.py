"""Residual blocks of BigGAN (Brock et al. 2019, figure 15) and of BigGAN-deep (figure 16)."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from daybreak.systems.biggan.model.layout import Architecture
from daybreak.systems.biggan.model.norm import ConditionalNorm
from daybreak.systems.biggan.model.resample import Resample, enlarged, halved
from daybreak.systems.biggan.model.spectral import SpectralConv2d

BOTTLENECK = 4  # how much narrower the inside of a deep block is


class GeneratorBlock(nn.Module):
    """Two convolutions, the first of which enlarges."""

    def __init__(self, a: Architecture, inputs: int, outputs: int, condition: int) -> None:
        super().__init__()
        self.norm1 = ConditionalNorm(a, inputs, condition)
        self.conv1 = SpectralConv2d(a, inputs, outputs, 3, "up")
        self.norm2 = ConditionalNorm(a, outputs, condition)
        self.conv2 = SpectralConv2d(a, outputs, outputs, 3)
        self.shortcut = SpectralConv2d(a, inputs, outputs, 1, "up")

    def forward(self, x: Tensor, condition: Tensor) -> Tensor:
        """(B, inputs, H, W) -> (B, outputs, 2 H, 2 W)."""
        h = self.conv1(F.relu(self.norm1(x, condition), inplace=True))
        h = self.conv2(F.relu(self.norm2(h, condition), inplace=True))
        return h + self.shortcut(x)


class DeepGeneratorBlock(nn.Module):
    """Four convolutions, narrow between the first and the last; the shortcut drops channels and learns nothing."""

    def __init__(self, a: Architecture, inputs: int, outputs: int, condition: int, enlarge: bool) -> None:
        super().__init__()
        hidden = inputs // BOTTLENECK
        self.norm1 = ConditionalNorm(a, inputs, condition)
        self.conv1 = SpectralConv2d(a, inputs, hidden, 1)
        self.norm2 = ConditionalNorm(a, hidden, condition)
        self.conv2 = SpectralConv2d(a, hidden, hidden, 3, "up" if enlarge else "none")
        self.norm3 = ConditionalNorm(a, hidden, condition)
        self.conv3 = SpectralConv2d(a, hidden, hidden, 3)
        self.norm4 = ConditionalNorm(a, hidden, condition)
        self.conv4 = SpectralConv2d(a, hidden, outputs, 1)
        self.outputs, self.enlarge = outputs, enlarge

    def forward(self, x: Tensor, condition: Tensor) -> Tensor:
        """(B, inputs, H, W) -> (B, outputs, H', W'), the sides doubled where the block enlarges."""
        h = x
        for norm, conv in (
            (self.norm1, self.conv1),
            (self.norm2, self.conv2),
            (self.norm3, self.conv3),
            (self.norm4, self.conv4),
        ):
            h = conv(F.relu(norm(h, condition), inplace=True))
        x = x[:, : self.outputs]
        return h + (enlarged(x) if self.enlarge else x)


class DiscriminatorBlock(nn.Module):
    """Two convolutions, after the second of which the block may halve; the first block gets no activation before."""

    def __init__(self, a: Architecture, inputs: int, outputs: int, halve: bool, first: bool) -> None:
        super().__init__()
        resample: Resample = "down" if halve else "none"
        hidden = outputs if a.wide else inputs
        self.conv1 = SpectralConv2d(a, inputs, hidden, 3)
        self.conv2 = SpectralConv2d(a, hidden, outputs, 3, resample)
        learned = halve or inputs != outputs
        self.shortcut = SpectralConv2d(a, inputs, outputs, 1, resample) if learned else nn.Identity()
        self.first = first

    def forward(self, x: Tensor) -> Tensor:
        """(B, inputs, H, W) -> (B, outputs, H', W'), the sides halved where the block halves."""
        h = self.conv1(x if self.first else F.relu(x))
        h = self.conv2(F.relu(h, inplace=True))
        return h + self.shortcut(x)


class DeepDiscriminatorBlock(nn.Module):
    """Four convolutions, narrow between the first and the last; the shortcut gains what channels it lacks."""

    def __init__(self, a: Architecture, inputs: int, outputs: int, halve: bool) -> None:
        super().__init__()
        hidden = outputs // BOTTLENECK
        self.conv1 = SpectralConv2d(a, inputs, hidden, 1)
        self.conv2 = SpectralConv2d(a, hidden, hidden, 3)
        self.conv3 = SpectralConv2d(a, hidden, hidden, 3)
        self.conv4 = SpectralConv2d(a, hidden, outputs, 1, "down" if halve else "none")
        self.shortcut = SpectralConv2d(a, inputs, outputs - inputs, 1) if inputs != outputs else None
        self.halve = halve

    def forward(self, x: Tensor) -> Tensor:
        """(B, inputs, H, W) -> (B, outputs, H', W'), the sides halved where the block halves."""
        h = self.conv1(F.relu(x))
        for conv in (self.conv2, self.conv3, self.conv4):
            h = conv(F.relu(h, inplace=True))
        x = halved(x) if self.halve else x
        if self.shortcut is not None:
            x = torch.cat([x, self.shortcut(x)], 1)
        return h + x

"""The networks: a residual net of nine layers, and the net that reaches 94 % on CIFAR-10 soonest."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn.functional import gelu

from daybreak.nn.pool import MaxPool2x2
from daybreak.nn.winograd import Conv3x3
from daybreak.systems.dawnbench.config import Config
from daybreak.systems.dawnbench.parts import BlurPool, GhostBatchNorm2d, dirac_, whitening_filters

Norm = Callable[[int], nn.BatchNorm2d]
KEPT, KEPT_OVER = 0.6, 2_000  # the part of the running statistics that is left after so many images (Jordan 2024)


class Network(nn.Module):
    """What both networks are: images of any size from 8x8 on as bytes -> logits.

    They normalise the images themselves, so that their weights are all that is needed to use them.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, in_channels: int) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(in_channels, 1, 1))
        self.register_buffer("std", torch.ones(in_channels, 1, 1))

    def look_at(self, images: Tensor) -> None:
        """Take each channel's mean and standard deviation from the training ``images``, uint8 (N, C, H, W)."""
        pixels = images.transpose(0, 1).flatten(1).double()  # (C, N H W)
        self.mean.copy_(pixels.mean(1)[:, None, None])
        self.std.copy_(pixels.std(1)[:, None, None])

    def normalise(self, images: Tensor) -> Tensor:
        """Bytes (B, C, H, W) -> floats of mean 0 and variance 1."""
        return (images.float() - self.mean) / self.std


def network(config: Config, in_channels: int, num_classes: int) -> Network:
    """The network a config asks for."""
    if config.net == "resnet9":
        return ResNet9(in_channels, num_classes, config)
    return SpeedNet(in_channels, num_classes, config)


# ----------------------------------------------------------------------------- ResNet-9


class ResNet9(Network):
    """The nine-layer residual net of the DAWNBench entries (Page, "How to Train Your ResNet", 2018): width 64 there."""

    def __init__(self, in_channels: int, num_classes: int, config: Config) -> None:
        super().__init__(in_channels)
        width, norm, pool = config.width, plain_norm(config), pool_layer(config)
        self.features = nn.Sequential(
            conv(in_channels, width, norm),
            conv(width, 2 * width, norm, pool()),
            Residual(2 * width, norm),
            conv(2 * width, 4 * width, norm, pool()),
            conv(4 * width, 8 * width, norm, pool()),
            Residual(8 * width, norm),
        )
        self.head = nn.Linear(8 * width, num_classes, bias=False)

    def forward(self, images: Tensor) -> Tensor:
        """Images (B, C, H, W), uint8 -> logits (B, num_classes)."""
        features = self.features(self.normalise(images)).amax(dim=(2, 3))  # (B, 8 width)
        return 0.125 * self.head(features)


class Residual(nn.Module):
    """x + conv(conv(x))."""

    def __init__(self, channels: int, norm: Norm) -> None:
        super().__init__()
        self.body = nn.Sequential(conv(channels, channels, norm), conv(channels, channels, norm))

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) -> (B, C, H, W)."""
        return x + self.body(x)


def conv(channels: int, out_channels: int, norm: Norm, *pool: nn.Module) -> nn.Sequential:
    """3x3 convolution, batch norm and ReLU; a pool stands before the norm, which then has a quarter of the work."""
    return nn.Sequential(Conv3x3(channels, out_channels), *pool, norm(out_channels), nn.ReLU(inplace=True))


# ----------------------------------------------------------------------------- the speed net


class SpeedNet(Network):
    """The net of Jordan's airbench ("94% on CIFAR-10 in 3.29 Seconds on a Single GPU", 2024), after Page's.

    A 2x2 convolution that whitens, then three blocks of ``width``, 4 width and 4 width channels.
    """

    def __init__(self, in_channels: int, num_classes: int, config: Config) -> None:
        super().__init__(in_channels)
        width = config.width
        filters = 2 * in_channels * 2 * 2  # each whitened direction and its negative
        self.whiten = nn.Conv2d(in_channels, filters, 2)
        self.whiten.weight.requires_grad_(not config.whiten)
        self.blocks = nn.Sequential(
            Block(filters, width, config),
            Block(width, 4 * width, config),
            Block(4 * width, 4 * width, config),
        )
        self.head = nn.Linear(4 * width, num_classes, bias=False)
        nn.init.normal_(self.head.weight)

    def look_at(self, images: Tensor) -> None:
        """Take mean, deviation and whitening filters from the training ``images``, uint8 (N, C, H, W)."""
        super().look_at(images)
        if not self.whiten.weight.requires_grad:
            filters = whitening_filters(self.normalise(images[:5_000]))
            self.whiten.load_state_dict({"weight": filters, "bias": torch.zeros(len(filters))})

    def forward(self, images: Tensor) -> Tensor:
        """Images (B, C, H, W), uint8 -> logits (B, num_classes)."""
        features = self.blocks(gelu(self.whiten(self.normalise(images)))).amax(dim=(2, 3))  # (B, 4 width)
        return self.head(features) / features.shape[1]


class Block(nn.Module):
    """Convolution and halving; then ``config.depth`` - 1 more convolutions, with a shortcut if they are two or more."""

    def __init__(self, channels: int, out_channels: int, config: Config) -> None:
        super().__init__()
        norm = speed_norm(config)
        self.first = Conv3x3(channels, out_channels)
        self.pool = pool_layer(config)()
        self.norm = norm(out_channels)
        self.rest = nn.ModuleList([Conv3x3(out_channels, out_channels) for _ in range(config.depth - 1)])
        self.norms = nn.ModuleList([norm(out_channels) for _ in range(config.depth - 1)])
        for layer in self.modules():
            if config.dirac and isinstance(layer, Conv3x3):
                dirac_(layer.weight)

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) -> (B, out_channels, H // 2, W // 2)."""
        x = begun = gelu(self.norm(self.pool(self.first(x))))
        for number, (layer, norm) in enumerate(zip(self.rest, self.norms, strict=True), start=1):
            x = norm(layer(x))
            if number > 1 and number == len(self.rest):
                x = x + begun
            x = gelu(x)
        return x


# ----------------------------------------------------------------------------- what config fields choose


def plain_norm(config: Config) -> Norm:
    """Batch norm, over ghost batches where the config asks for them."""
    if not config.ghost:
        return nn.BatchNorm2d
    return lambda channels: GhostBatchNorm2d(channels, config.ghost)


def speed_norm(config: Config) -> Norm:
    """Airbench's: running statistics that forget quickly, and no trained scale unless the config asks for it."""
    at_once = config.micro_batch or config.batch_size
    momentum = 1.0 - KEPT ** (at_once / KEPT_OVER)
    ghost = config.ghost or at_once
    return lambda channels: GhostBatchNorm2d(channels, ghost, scale=config.norm_scale, momentum=momentum, eps=1e-12)


def pool_layer(config: Config) -> Callable[[], nn.Module]:
    """What halves height and width."""
    return BlurPool if config.blurpool else MaxPool2x2

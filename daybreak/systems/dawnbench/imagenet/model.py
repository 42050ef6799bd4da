"""ResNet-50 (He et al. 2016): bottleneck blocks, halving in the 3x3 convolution, each branch beginning at zero."""

from __future__ import annotations

import torch
from torch import Tensor, nn

EXPANSION = 4
MEAN, STD = (123.675, 116.28, 103.53), (58.395, 57.12, 57.375)  # of ImageNet's pixels, 0 to 255


class ResNet(nn.Module):
    """Residual network of bottlenecks; ``width`` 64 and ``blocks`` 3, 4, 6, 3 are the ResNet-50.

    Takes images of any shape, as bytes: it normalises them itself, so that its weights are all that is needed.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, num_classes: int, width: int = 64, blocks: tuple[int, ...] = (3, 4, 6, 3)) -> None:
        super().__init__()
        self.register_buffer("mean", torch.tensor(MEAN)[:, None, None])
        self.register_buffer("std", torch.tensor(STD)[:, None, None])
        self.stem = nn.Sequential(*conv(3, width, 7, stride=2), nn.ReLU(inplace=True), nn.MaxPool2d(3, 2, padding=1))
        channels, stages = width, []
        for number, count in enumerate(blocks):
            inner = width * 2**number
            for i in range(count):
                stages.append(Bottleneck(channels, inner, stride=2 if number and not i else 1))
                channels = inner * EXPANSION
        self.stages = nn.Sequential(*stages)
        self.head = nn.Linear(channels, num_classes)
        nn.init.normal_(self.head.weight, std=0.01)
        nn.init.zeros_(self.head.bias)

    def forward(self, images: Tensor) -> Tensor:
        """Images (B, 3, H, W), uint8 -> logits (B, num_classes)."""
        features = self.stages(self.stem((images.float() - self.mean) / self.std))  # (B, 32 width, H/32, W/32)
        return self.head(features.mean(dim=(2, 3)))


class Bottleneck(nn.Module):
    """x + a 1x1, a 3x3 and a 1x1 convolution, the middle one narrow and, where asked, of stride 2."""

    def __init__(self, channels: int, inner: int, stride: int) -> None:
        super().__init__()
        outer = inner * EXPANSION
        self.body = nn.Sequential(
            *conv(channels, inner, 1),
            nn.ReLU(inplace=True),
            *conv(inner, inner, 3, stride),
            nn.ReLU(inplace=True),
            *conv(inner, outer, 1),
        )
        last_norm = self.body[-1]
        assert isinstance(last_norm, nn.BatchNorm2d)
        nn.init.zeros_(last_norm.weight)  # the block begins as the identity (Goyal et al. 2017, section 5.1)
        same = stride == 1 and channels == outer
        self.shortcut = nn.Identity() if same else nn.Sequential(*conv(channels, outer, 1, stride))

    def forward(self, x: Tensor) -> Tensor:
        """(B, channels, H, W) -> (B, 4 inner, H / stride, W / stride)."""
        return (self.body(x) + self.shortcut(x)).relu_()


def conv(channels: int, out_channels: int, side: int, stride: int = 1) -> tuple[nn.Module, nn.Module]:
    """A convolution of side x side, and batch norm."""
    layer = nn.Conv2d(channels, out_channels, side, stride, padding=side // 2, bias=False)
    nn.init.kaiming_normal_(layer.weight, mode="fan_out", nonlinearity="relu")
    return layer, nn.BatchNorm2d(out_channels)

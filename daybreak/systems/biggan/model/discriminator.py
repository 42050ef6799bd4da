"""The projection discriminator: images and classes to a number each (Miyato and Koyama 2018)."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from daybreak.systems.biggan.model.attention import Attention
from daybreak.systems.biggan.model.blocks import DeepDiscriminatorBlock, DiscriminatorBlock
from daybreak.systems.biggan.model.layout import Architecture, Stage, discriminator_stages
from daybreak.systems.biggan.model.spectral import SpectralConv2d, SpectralEmbedding, SpectralLinear


class Discriminator(nn.Module):
    """BigGAN's discriminator, or BigGAN-deep's (Brock et al. 2019, appendix B)."""

    def __init__(self, a: Architecture) -> None:
        super().__init__()
        stages = discriminator_stages(a)
        self.stem = SpectralConv2d(a, a.channels, stages[0].inputs, 3) if a.deep else nn.Identity()
        blocks = [_blocks(a, stage, first=i == 0) for i, stage in enumerate(stages)]
        self.blocks = nn.ModuleList(block for stage in blocks for block in stage)
        self.attention = nn.ModuleList(
            Attention(a, stage.outputs) if stage.attend and block is of[-1] else nn.Identity()
            for stage, of in zip(stages, blocks, strict=True)
            for block in of
        )
        self.linear = SpectralLinear(a, stages[-1].outputs, 1)
        self.embedding = SpectralEmbedding(a, a.num_classes, stages[-1].outputs)

    def forward(self, images: Tensor, labels: Tensor) -> Tensor:
        """Images (B, C, H, W) in [-1, 1] and labels (B,), int64 -> logits (B,): high for real images of their class."""
        h = self.stem(images)
        for block, attention in zip(self.blocks, self.attention, strict=True):
            h = attention(block(h))
        h = F.relu(h).float().sum((2, 3))  # (B, D)
        with torch.autocast(h.device.type, enabled=False):
            return self.linear(h)[:, 0] + (self.embedding(labels) * h).sum(1)


def _blocks(a: Architecture, stage: Stage, first: bool) -> list[nn.Module]:
    if not a.deep:
        return [DiscriminatorBlock(a, stage.inputs, stage.outputs, stage.resample, first)]
    same = [DeepDiscriminatorBlock(a, stage.outputs, stage.outputs, halve=False) for _ in range(a.depth - 1)]
    return [DeepDiscriminatorBlock(a, stage.inputs, stage.outputs, stage.resample), *same]

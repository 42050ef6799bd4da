"""The generator: latent vectors and classes to images."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from daybreak.systems.biggan.model.attention import Attention
from daybreak.systems.biggan.model.blocks import DeepGeneratorBlock, GeneratorBlock
from daybreak.systems.biggan.model.layout import Architecture, Stage, generator_stages, latent_chunk, latent_size
from daybreak.systems.biggan.model.norm import OutputNorm
from daybreak.systems.biggan.model.spectral import SpectralConv2d, SpectralLinear

SMALLEST_SIDE = 4  # of the first feature map, in pixels


class Generator(nn.Module):
    """BigGAN's generator, or BigGAN-deep's (Brock et al. 2019, section 3 and appendix B).

    ``dim_z`` is the width of z; ``embedding`` the table of classes that all batch norms share, or None.
    """

    def __init__(self, a: Architecture) -> None:
        super().__init__()
        self.architecture = a
        self.dim_z, self.chunk = latent_size(a), latent_chunk(a)
        self.embedding = nn.Embedding(a.num_classes, a.shared_dim) if a.shared_dim else None
        stages = generator_stages(a)
        seen = a.shared_dim + (self.dim_z if a.deep else self.chunk)
        first = seen if a.deep else self.chunk or self.dim_z
        self.linear = SpectralLinear(a, first, stages[0].inputs * SMALLEST_SIDE**2)
        blocks = [_blocks(a, stage, seen) for stage in stages]
        self.blocks = nn.ModuleList(block for stage in blocks for block in stage)
        self.attention = nn.ModuleList(
            Attention(a, stage.outputs) if stage.attend and block is of[-1] else nn.Identity()
            for stage, of in zip(stages, blocks, strict=True)
            for block in of
        )
        self.norm = OutputNorm(a, stages[-1].outputs)
        self.to_image = SpectralConv2d(a, stages[-1].outputs, a.channels, 3)

    def forward(self, z: Tensor, classes: Tensor) -> Tensor:
        """Latents (B, dim_z) and labels (B,), int64, or rows of ``embedding`` (B, D) -> images (B, C, H, W) in [-1, 1].

        Embeddings rather than labels let a caller go from one class to another.
        """
        if self.embedding is not None and not classes.is_floating_point():
            classes = self.embedding(classes)
        first, conditions = self._conditions(z, classes)
        h = self.linear(first).unflatten(1, (-1, SMALLEST_SIDE, SMALLEST_SIDE))
        for block, attention, condition in zip(self.blocks, self.attention, conditions, strict=True):
            h = attention(block(h, condition))
        h = self.to_image(F.relu(self.norm(h), inplace=True))
        return torch.tanh(h.float())

    def _conditions(self, z: Tensor, classes: Tensor) -> tuple[Tensor, list[Tensor]]:
        """What the first layer sees, and each of the blocks."""
        if self.architecture.deep:
            both = torch.cat([classes, z], 1)
            return both, [both] * len(self.blocks)
        if not self.chunk:
            return z, [classes] * len(self.blocks)
        first, *rest = z.split(self.chunk, 1)
        return first, [torch.cat([classes, part], 1) for part in rest]


def _blocks(a: Architecture, stage: Stage, condition: int) -> list[nn.Module]:
    if not a.deep:
        return [GeneratorBlock(a, stage.inputs, stage.outputs, condition)]
    same = [DeepGeneratorBlock(a, stage.inputs, stage.inputs, condition, enlarge=False) for _ in range(a.depth - 1)]
    return [*same, DeepGeneratorBlock(a, stage.inputs, stage.outputs, condition, enlarge=True)]

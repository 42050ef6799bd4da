"""The networks of BigGAN."""

from __future__ import annotations

from torch import nn

from daybreak.systems.biggan.config import Config
from daybreak.systems.biggan.model.discriminator import Discriminator
from daybreak.systems.biggan.model.generator import Generator
from daybreak.systems.biggan.model.layout import Architecture, Original
from daybreak.systems.biggan.model.norm import standing_statistics
from daybreak.systems.biggan.model.spectral import fold

__all__ = [
    "Architecture",
    "Discriminator",
    "Generator",
    "Original",
    "architecture",
    "begin",
    "fold",
    "standing_statistics",
]


def architecture(config: Config, channels: int, num_classes: int) -> Architecture:
    """What the networks of a config look like for images of so many channels and classes."""
    return Architecture(
        resolution=config.resolution,
        channels=channels,
        num_classes=num_classes,
        ch=config.ch,
        deep=config.model == "biggan-deep",
        depth=config.depth,
        attention=config.attention,
        dim_z=config.dim_z,
        shared_dim=config.shared_dim,
        hier=config.hier,
    )


def begin(network: nn.Module, init: str) -> None:
    """Draw the weights of convolutions, linear layers and embeddings anew.

    "orthogonal" (Saxe et al. 2014), a filter being a row; or "normal", with a standard deviation of 0.02.
    """
    for module in network.modules():
        if isinstance(module, (nn.Conv2d, nn.Linear, nn.Embedding)):
            if init == "orthogonal":
                nn.init.orthogonal_(module.weight)
            else:
                nn.init.normal_(module.weight, 0.0, 0.02)

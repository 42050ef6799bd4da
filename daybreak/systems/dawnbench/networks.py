"""The network that a config of either loop asks for, untrained, and the images it sees."""

from __future__ import annotations

from torch import nn

from daybreak.systems.dawnbench import model
from daybreak.systems.dawnbench.config import Config
from daybreak.systems.dawnbench.imagenet.config import ImagenetConfig
from daybreak.systems.dawnbench.imagenet.model import ResNet
from daybreak.systems.dawnbench.predict import SIDES

IMAGENET_CLASSES, CLASSES = 1000, 10


def network(config: Config | ImagenetConfig) -> nn.Module:
    """The network before training."""
    if isinstance(config, ImagenetConfig):
        return ResNet(IMAGENET_CLASSES, config.width, config.blocks)
    return model.network(config, image_shapes(config)[-1][0], CLASSES)


def image_shapes(config: Config | ImagenetConfig) -> list[tuple[int, int, int]]:
    """(C, H, W) of the images in each phase of training; those of the last are what is tested."""
    if isinstance(config, ImagenetConfig):
        return [(3, side, side) for side in config.sizes]
    return [(1 if config.data == "digits" else 3, SIDES[config.data], SIDES[config.data])]

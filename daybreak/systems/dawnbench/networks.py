"""The network that a config of either loop asks for, untrained, and the images it sees."""

from __future__ import annotations

from torch import nn

from daybreak.systems.dawnbench import model
from daybreak.systems.dawnbench.config import SHAPES, Config
from daybreak.systems.dawnbench.imagenet.config import ImagenetConfig
from daybreak.systems.dawnbench.imagenet.model import ResNet
from daybreak.systems.dawnbench.updates import side_of

IMAGENET_CLASSES = 1000


def network(config: Config | ImagenetConfig) -> nn.Module:
    """The network before training."""
    if isinstance(config, ImagenetConfig):
        return ResNet(IMAGENET_CLASSES, config.width, config.blocks)
    shape = SHAPES[config.data]
    return model.network(config, shape.channels, shape.classes)


def image_shapes(config: Config | ImagenetConfig) -> list[tuple[int, int, int]]:
    """(C, H, W) of the images in each phase of training; those of the last are what is tested."""
    if isinstance(config, ImagenetConfig):
        return [(3, side, side) for side in config.sizes]
    return [(SHAPES[config.data].channels, side, side) for side in sorted(set(sides(config)))]


def image_shares(config: Config | ImagenetConfig) -> list[float]:
    """The share of the training's images that each of :func:`image_shapes` has."""
    if isinstance(config, ImagenetConfig):
        return [epochs / sum(config.epochs) for epochs in config.epochs]
    each = sides(config)
    return [each.count(side) / len(each) for _, side, _ in image_shapes(config)]


def sides(config: Config) -> list[int]:
    """Side of the images in every step."""
    return [*map(side_of(config, SHAPES[config.data].side), range(config.steps))]

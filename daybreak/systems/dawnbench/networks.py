"""The network that a config of either loop asks for, untrained, and the images it sees."""

from __future__ import annotations

from torch import nn

from daybreak.systems.dawnbench import model
from daybreak.systems.dawnbench.config import Config
from daybreak.systems.dawnbench.imagenet.config import ImagenetConfig
from daybreak.systems.dawnbench.imagenet.model import ResNet
from daybreak.systems.dawnbench.predict import SIDES
from daybreak.systems.dawnbench.updates import side_of

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
    channels, full = 1 if config.data == "digits" else 3, SIDES[config.data]
    return [(channels, side, side) for side in sorted(set(sides(config, full)))]


def image_shares(config: Config | ImagenetConfig) -> list[float]:
    """The share of the training's images that each of :func:`image_shapes` has."""
    if isinstance(config, ImagenetConfig):
        return [epochs / sum(config.epochs) for epochs in config.epochs]
    each = sides(config, SIDES[config.data])
    return [each.count(side) / len(each) for _, side, _ in image_shapes(config)]


def sides(config: Config, full: int) -> list[int]:
    """Side of the images in every step."""
    return [*map(side_of(config, full), range(config.steps))]

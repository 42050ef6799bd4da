"""What imagenet-93 would take on machines that it was not run on: a projection from counted FLOPs, no measurement."""

from __future__ import annotations

from dataclasses import dataclass

from daybreak.systems.dawnbench.flops import flops
from daybreak.systems.dawnbench.imagenet.config import IMAGENET_TRAIN, ImagenetConfig
from daybreak.systems.dawnbench.imagenet.model import ResNet


@dataclass(frozen=True)
class Work:
    """One phase's training: how many images, and what each costs."""

    size: int
    min_scale: float
    images: float
    flops_per_image: int
    """Of the forward and the backward pass; a multiplication and its addition are two."""

    @property
    def flops(self) -> float:
        """Of the whole phase."""
        return self.images * self.flops_per_image


@dataclass(frozen=True)
class Machine:
    """A machine as its maker states it, and the share of its peak that is assumed."""

    name: str
    gpus: int
    peak: float
    """Dense FLOP/s of one GPU in 16 bits."""
    share: float
    cores: int
    """To decode images on."""
    price_per_hour: float


@dataclass(frozen=True)
class Projection:
    """Seconds of computing and of reading, phase by phase; they overlap, and the longer one counts."""

    machine: Machine
    computing: list[float]
    reading: list[float]

    @property
    def seconds(self) -> float:
        """Of training, without validation and start-up, which DAWNBench's clock left out as well."""
        return sum(map(max, self.computing, self.reading))

    @property
    def cost(self) -> float:
        """Dollars for these seconds."""
        return self.seconds / 3600 * self.machine.price_per_hour


def work_of(config: ImagenetConfig, images: int = IMAGENET_TRAIN, num_classes: int = 1000) -> list[Work]:
    """Images and FLOPs of each phase of a training over so many images."""
    return [
        Work(size, min_scale, epochs * images, training_flops(config, size, num_classes))
        for size, min_scale, epochs in zip(config.sizes, config.min_scales, config.epochs, strict=True)
    ]


def training_flops(config: ImagenetConfig, size: int, num_classes: int) -> int:
    """FLOPs of the convolutions and matrix products in one image's forward and backward pass, counted by torch."""
    return round(flops(ResNet(num_classes, config.width, config.blocks), (3, size, size)).training)


def project(work: list[Work], machine: Machine, images_per_core: list[float]) -> Projection:
    """Time of each phase, where one core reads ``images_per_core[phase]`` images a second."""
    speed = machine.gpus * machine.peak * machine.share
    return Projection(
        machine,
        [phase.flops / speed for phase in work],
        [phase.images / (rate * machine.cores) for phase, rate in zip(work, images_per_core, strict=True)],
    )

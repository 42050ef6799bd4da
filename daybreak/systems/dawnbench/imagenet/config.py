"""What a run on ImageNet needs to know, and its presets. Imports no torch."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar, Literal

from daybreak.engine.config import RunConfig, preset, presets

IMAGENET_TRAIN = 1_281_167
"""Training images of ILSVRC 2012."""


@dataclass(kw_only=True)
class ImagenetConfig(RunConfig):
    """Train a ResNet-50 on growing images, batch sizes and learning rates changing by phase."""

    system: ClassVar[str] = "dawnbench"
    loop: ClassVar[str] = "train-imagenet"
    watch: ClassVar[tuple[str, Literal["min", "max"]]] = ("val_accuracy", "max")
    # the phases are shares of the steps, so the steps of a run stay; where its images lie and who reads them may change
    may_change: ClassVar[frozenset[str]] = RunConfig.may_change - {"steps"} | {"data", "workers"}

    limits: ClassVar[dict[str, tuple[float, float]]] = RunConfig.limits | {
        "width": (1, 1024),
        "shards": (1, math.inf),
        "workers": (0, 1024),
        "lr": (0, 100),
        "weight_decay": (0, 1),
        "label_smoothing": (0, 1),
        "eval_every": (1, math.inf),
    }

    images: Literal["folder", "generated"] = "folder"
    """A folder of pictures, or a few generated ones, kept in the run directory."""
    data: str = ""
    """Folder with train/<class>/ and val/<class>/; default: imagenet under DAYBREAK_DATA."""
    width: int = 64
    """Channels of the stem; the last layer has 32 times as many."""
    blocks: tuple[int, ...] = (3, 4, 6, 3)
    """Bottleneck blocks of each stage; four stages of 3, 4, 6, 3 are the ResNet-50."""
    epochs: tuple[float, ...] = (13.0, 12.0, 3.0)
    """Epochs of each phase: `steps` are shared out as these ask, whatever the number of images."""
    sizes: tuple[int, ...] = (128, 224, 288)
    """Side of the training crops in each phase, in pixels; the shorter side of the validation crops."""
    batch_sizes: tuple[int, ...] = (4096, 1792, 1024)
    """Images a step in each phase, over all processes."""
    min_scales: tuple[float, ...] = (0.08, 0.087, 0.5)
    """Smallest share of a picture's area that a training crop of each phase may show."""
    shards: int = 8
    """Parts of each batch, with batch norm statistics and random crops of their own; the processes share them out."""
    lr: float = 0.125
    """Peak learning rate of SGD for a batch of 256 images; it grows in proportion with the batch."""
    lr_epochs: tuple[float, ...] = (0.0, 7.0, 13.0, 13.0, 22.0, 25.0, 28.0)
    """Epochs at which the learning rate is given; straight lines between them, a jump where one stands twice."""
    lr_shares: tuple[float, ...] = (0.5, 1.0, 0.125, 0.5, 0.05, 0.005, 0.0005)
    """The learning rate there, as a share of its peak."""
    weight_decay: float = 5e-5
    """Decay of filters and matrices a step, times the learning rate; norms and biases have none."""
    label_smoothing: float = 0.1
    """Probability mass moved from the true class to all classes."""
    workers: int = 0
    """Processes that read images ahead, beside each training process."""
    eval_every: int = 500
    """Steps between two validations."""


@preset
def imagenet_93() -> ImagenetConfig:
    """ImageNet on eight GPUs in 28 epochs (torchrun --nproc_per_node 8); fast.ai's schedule for one machine."""
    config = ImagenetConfig(workers=12, save_every=1_000)
    config.steps = steps_of(config, IMAGENET_TRAIN)
    return config


@preset
def imagenet_tiny() -> ImagenetConfig:
    """Generated pictures of four textures, 32 to 48 pixels: seconds on a laptop, no data needed."""
    return ImagenetConfig(
        images="generated",
        width=8,
        blocks=(1, 1, 1, 1),
        epochs=(4.0, 3.0, 1.0),
        sizes=(32, 40, 48),
        batch_sizes=(32, 16, 16),
        min_scales=(0.35, 0.35, 0.5),
        shards=2,
        lr=1.0,
        lr_epochs=(0.0, 2.0, 4.0, 7.0, 8.0),
        lr_shares=(0.5, 1.0, 0.5, 0.05, 0.005),
        steps=96,
        log_every=4,
        save_every=20,
        eval_every=24,
    )


IMAGENET_PRESETS = presets(imagenet_tiny, imagenet_93)


def steps_of(config: ImagenetConfig, images: int) -> int:
    """Steps in which the config's phases see so many training images as often as its epochs say."""
    return round(sum(n * images / size for n, size in zip(config.epochs, config.batch_sizes, strict=True)))

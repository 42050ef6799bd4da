"""What a dawnbench run needs to know, and its presets. Imports no torch."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar, Literal

from daybreak.engine.config import RunConfig, preset, presets
from daybreak.engine.errors import UserError


@dataclass(frozen=True)
class Shape:
    """What the images of a data set are: channels, pixels a side, and classes to tell apart."""

    channels: int
    side: int
    classes: int


SHAPES = {
    "digits": Shape(1, 8, 10),
    "cifar10": Shape(3, 32, 10),
    "mnist": Shape(1, 28, 10),
    "emnist-letters": Shape(1, 28, 26),
}
UNMIRRORED = ("mnist", "emnist-letters")  # a mirrored b is a d; digits is the toy on which every part can be tried


@dataclass(kw_only=True)
class Config(RunConfig):
    """Train an image classifier fast: a net, an optimizer, and the parts of the recipe that are on."""

    system: ClassVar[str] = "dawnbench"
    watch: ClassVar[tuple[str, Literal["min", "max"]]] = ("val_accuracy", "max")

    limits: ClassVar[dict[str, tuple[float, float]]] = RunConfig.limits | {
        "held_out": (0, math.inf),
        "train_on": (0, math.inf),
        "width": (1, 1024),
        "depth": (1, 8),
        "batch_size": (2, math.inf),  # batch norm at one pixel needs two images
        "micro_batch": (0, math.inf),
        "ghost": (0, math.inf),
        "lr": (0, 100),
        "bias_scale": (0, 1e5),
        "head_scale": (0, 1e5),
        "momentum": (0, 1),
        "weight_decay": (0, 1),
        "sam": (0, 10),
        "keep": (0.01, 1),
        "ema": (0, 1),
        "label_smoothing": (0, 1),
        "crop": (0, 7),
        "cutout": (0, 32),
        "mixup": (0, 10),
        "cutmix": (0, 10),
        "smallest": (0, 32),
        "eval_every": (1, math.inf),
    }

    data: Literal["digits", "cifar10", "mnist", "emnist-letters"] = "digits"
    """Data set: scikit-learn's bundled digits; or CIFAR-10, MNIST or EMNIST-Letters under DAYBREAK_DATA."""
    held_out: int = 200
    """Training images held out for validation; the test set is for `evaluate` alone. 0 trains on all of them."""
    train_on: int = 0
    """Train on only so many of the other images, to try things quickly; 0 takes all."""
    net: Literal["resnet9", "speed"] = "resnet9"
    """resnet9: Page's nine-layer residual net. speed: Jordan's airbench net, with its first layer whitened."""
    width: int = 16
    """Channels of the first layer (resnet9) or block (speed)."""
    depth: int = 2
    """Convolutions a block of the speed net; from 3 on with a shortcut around all but the first."""
    whiten: bool = True
    """The speed net's first layer whitens patches of the training images, and is frozen but for its bias."""
    dirac: bool = True
    """The speed net's filters begin by handing their input through."""
    norm_scale: bool = False
    """Train the scales of the speed net's batch norms, not their biases alone."""
    blurpool: bool = False
    """Pool without aliasing: a blur before pixels are left out."""

    batch_size: int = 64
    """Images a step, over all processes."""
    micro_batch: int = 0
    """Images sent through the net at once, of which batch norm takes its statistics; 0 sends the whole batch."""
    ghost: int = 0
    """Images of which batch norm takes its statistics, where that is fewer than go through at once; 0 takes all."""
    optimizer: Literal["sgd", "muon"] = "sgd"
    """SGD with Nesterov momentum; or Muon for filters, and that for the rest."""
    lr: float = 0.1
    """Peak learning rate."""
    bias_scale: float = 1.0
    """Learning rate of biases over that of filters."""
    head_scale: float = 1.0
    """Learning rate of the last layer over that of filters."""
    momentum: float = 0.85
    """Momentum; with the one-cycle schedule the lowest of it, going up to 0.95."""
    schedule: Literal["one-cycle", "linear", "steps"] = "one-cycle"
    """Learning rate: up and down by cosines; from the peak down to 0; or a tenth after half and three quarters."""
    weight_decay: float = 5e-4
    """Decay a step, times the learning rate, of filters and matrices (and of norms and biases with `decay_all`)."""
    decay_all: bool = False
    """Decay norms and biases too."""
    sam: float = 0.0
    """Sharpness-aware minimisation: how far uphill the gradient is taken; 0 is off."""
    keep: float = 1.0
    """Selective backprop: the part of each batch, the harder images, that is trained on."""
    ema: float = 0.0
    """Decay a step of the averaged weights that are evaluated and saved; 0 takes the last weights."""

    label_smoothing: float = 0.1
    """Probability mass moved from the true class to all classes."""
    crop: int = 0
    """Random shift of up to this many pixels; 0 is off."""
    flip: Literal["off", "random", "alternating"] = "off"
    """Mirror images never, at random, or every image in every other epoch."""
    cutout: int = 0
    """Side of a square that is painted grey in each image; 0 is off."""
    mixup: float = 0.0
    """Blend images with others: alpha of the Beta distribution of their shares; 0 is off."""
    cutmix: float = 0.0
    """Paste pieces of other images: alpha of the Beta distribution of their areas; 0 is off."""
    smallest: int = 0
    """Progressive resizing: side of the images at first, growing to the full side; 0 is off."""
    views: bool = False
    """Average the answers to six views of each image when evaluating, three of them mirrored."""
    eval_every: int = 50
    """Steps between two validations."""

    def check(self) -> None:
        """Raise UserError where fields do not go together."""
        super().check()
        side = SHAPES[self.data].side
        if self.net == "speed" and self.data == "digits":
            raise UserError("--net speed needs images of 9 pixels and more, and digits have 8: give --net resnet9")
        if self.data == "digits" and (self.blurpool or self.smallest):
            raise UserError(
                "--blurpool and --smallest need images of 32 pixels, and digits have 8: give --data cifar10"
            )
        if self.data in UNMIRRORED and (self.flip != "off" or self.views):
            raise UserError(
                "--flip and --views mirror images, and mirrored letters and digits are others or none: "
                f"give --flip off --no-views with --data {self.data}"
            )
        if 0 < self.smallest < 12 or self.smallest % 4 or self.smallest > side:
            raise UserError(f"--smallest {self.smallest} cannot be: give 0, or 12 to {side} in steps of 4")
        if self.micro_batch and self.batch_size % self.micro_batch:
            raise UserError(
                f"--batch-size {self.batch_size} is no multiple of --micro-batch {self.micro_batch}: give one that is"
            )
        if self.micro_batch and (self.sam or self.keep < 1):
            raise UserError("--sam and --keep work on whole batches: give --micro-batch 0 with them")


@preset
def tiny() -> Config:
    """8x8 handwritten digits, bundled with scikit-learn: seconds on a laptop, no network needed."""
    return Config(width=8, steps=400, log_every=10, save_every=100, eval_every=50, crop=1)


@preset
def cifar10() -> Config:
    """CIFAR-10 by a plain ResNet-9, 45,000 images to train on and 5,000 held out: six minutes on two cores."""
    return Config(
        data="cifar10",
        held_out=5_000,
        width=24,
        batch_size=128,
        lr=0.25,
        crop=2,
        flip="random",
        steps=2_300,
        save_every=500,
        eval_every=575,
    )


@preset
def cifar10_94() -> Config:
    """94 % on CIFAR-10 as fast as it goes: all 50,000 images, a quarter of an hour on two cores."""
    return Config(
        data="cifar10",
        held_out=0,
        net="speed",
        width=64,
        batch_size=1_000,
        micro_batch=250,
        optimizer="muon",
        lr=0.2,
        bias_scale=265,
        head_scale=3_350,
        momentum=0.6,
        schedule="linear",
        weight_decay=0.01,
        decay_all=True,
        label_smoothing=0.2,
        crop=2,
        flip="alternating",
        smallest=24,
        views=True,
        steps=680,
        log_every=10,
        save_every=100,
        eval_every=50,
    )


@preset
def cifar10_95() -> Config:
    """95 % on CIFAR-10: a wider net, for longer; three quarters of an hour on two cores."""
    config = cifar10_94()
    config.width, config.crop, config.cutout = 96, 4, 8
    config.steps = 1_300
    return config


PRESETS = presets(tiny, cifar10, cifar10_94, cifar10_95)

"""What a biggan run needs to know, and its presets. Imports no torch."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar, Literal

from daybreak.engine.config import RunConfig, preset, presets
from daybreak.engine.errors import UserError

SIDES = (8, 16, 32, 64, 128, 256, 512)


@dataclass(kw_only=True)
class Config(RunConfig):
    """Train a generator of images of given classes, and a discriminator against it."""

    system: ClassVar[str] = "biggan"
    watch: ClassVar[tuple[str, Literal["min", "max"]]] = ("val_distance", "min")

    limits: ClassVar[dict[str, tuple[float, float]]] = RunConfig.limits | {
        "resolution": (8, 512),
        "held_out": (2, math.inf),
        "workers": (0, 256),
        "ch": (2, 512),
        "depth": (1, 8),
        "dim_z": (1, 4_096),
        "shared_dim": (0, 4_096),
        "batch_size": (2, math.inf),  # batch norm of one image knows no variance
        "accumulate": (1, math.inf),
        "d_steps": (1, 100),
        "lr_g": (0, 1),
        "lr_d": (0, 1),
        "beta1": (0, 0.999),
        "adam_eps": (0, 1),
        "ortho_g": (0, 1),
        "ortho_d": (0, 1),
        "ema": (0, 1),
        "ema_start": (0, math.inf),
        "eval_every": (1, math.inf),
        "sample_every": (1, math.inf),
        "patience": (0, math.inf),
    }

    data: Literal["digits", "mnist", "fashion-mnist", "emnist-letters", "cifar10", "folder"] = "digits"
    """Images: scikit-learn's bundled digits, sets under DAYBREAK_DATA, or a folder of your own."""
    images: str = ""
    """With --data folder: a folder with one sub-folder of images a class."""
    unconditional: bool = False
    """Take no notice of classes; a folder then needs no sub-folders."""
    resolution: int = 8
    """Side of the images in pixels: 8, 16, 32, 64, 128, 256 or 512."""
    flip: bool = False
    """Mirror half of the real images; not for letters."""
    held_out: int = 200
    """Images that samples are compared with in each validation, and that are not trained on."""
    workers: int = 0
    """Processes that decode the images of a folder."""

    model: Literal["biggan", "biggan-deep"] = "biggan"
    """Architecture: BigGAN, or BigGAN-deep with its bottlenecks."""
    ch: int = 32
    """Channels that all widths are multiples of; at up to 32 pixels all are four times this."""
    depth: int = 2
    """Of BigGAN-deep: blocks a resolution."""
    attention: tuple[int, ...] = ()
    """Resolutions at which both networks attend to all places at once; the paper takes 64 of 128."""
    dim_z: int = 64
    """Width of the latent vector; with --hier less what does not go into equal parts."""
    shared_dim: int = 64
    """Width of the class embedding that all batch norms share; 0 gives each a table of its own."""
    hier: bool = True
    """Show each block its own part of the latent vector (skip-z), not only the first layer."""
    init: Literal["orthogonal", "normal"] = "orthogonal"
    """First weights: orthogonal, or normal with a standard deviation of 0.02."""

    batch_size: int = 64
    """Images sent through at once, over all processes: what batch norm takes its statistics of."""
    accumulate: int = 1
    """Such batches for each step of an optimiser."""
    d_steps: int = 1
    """Steps of the discriminator for one of the generator."""
    split_d: bool = False
    """Send fake and real images through the discriminator one after the other: less memory."""
    augment: tuple[Literal["colour", "translation", "cutout"], ...] = ()
    """Change what the discriminator sees, real and fake, differentiably: for few images."""
    lr_g: float = 2e-4
    """Learning rate of the generator's Adam."""
    lr_d: float = 2e-4
    """Learning rate of the discriminator's Adam."""
    beta1: float = 0.0
    """Adam's decay of the mean gradient."""
    adam_eps: float = 1e-8
    """Adam's epsilon."""
    ortho_g: float = 0.0
    """Strength of the orthogonal regularisation of the generator; the paper takes 1e-4."""
    ortho_d: float = 0.0
    """The same of the discriminator."""
    ema: float = 0.999
    """Decay a step of the generator's averaged weights, which are sampled from and saved."""
    ema_start: int = 100
    """Steps before the averaging begins."""

    eval_every: int = 500
    """Steps between two validations."""
    sample_every: int = 500
    """Steps between two sample sheets."""
    patience: int = 3
    """Validations in a row that look like a collapse before the run stops; 0 never stops it."""

    def check(self) -> None:
        """Raise UserError where fields do not go together."""
        super().check()
        if self.resolution not in SIDES:
            raise UserError(f"--resolution {self.resolution} cannot be: give one of {', '.join(map(str, SIDES))}")
        if (self.data == "folder") != bool(self.images):
            raise UserError("--data folder and --images PATH go together: give both, or neither")
        if not set(self.attention) <= {side for side in SIDES if side <= self.resolution}:
            raise UserError(
                f"--attention {' '.join(map(str, self.attention))} cannot be at --resolution {self.resolution}: "
                f"give powers of two from 8 to {self.resolution}"
            )
        if (self.hier or self.model == "biggan-deep") and not self.shared_dim:
            raise UserError("--shared-dim 0 goes only with --no-hier and --model biggan: give these too, or a width")
        if self.model == "biggan-deep" and not self.hier:
            raise UserError("--model biggan-deep shows every block all of the latent vector: leave out --no-hier")
        parts = self.resolution.bit_length() - 2  # the first layer's, and one for each doubling of 4 pixels
        if self.hier and self.dim_z < parts:
            raise UserError(f"--dim-z {self.dim_z} cannot be parted among {parts} layers: give at least {parts}")


@preset
def tiny() -> Config:
    """8x8 handwritten digits, bundled with scikit-learn: seconds on a laptop, no network needed."""
    return Config(
        ch=8, dim_z=32, shared_dim=32, batch_size=32, lr_g=1e-3, lr_d=1e-3, ema=0.98, ema_start=50,
        steps=400, log_every=20, save_every=100, eval_every=100, sample_every=200,
    )  # fmt: skip


@preset
def digits() -> Config:
    """The same by a larger network: five minutes on two cores."""
    return Config(
        ch=16, augment=("translation",), lr_g=5e-4, lr_d=5e-4, ema=0.998, ema_start=200, steps=3_000, eval_every=250,
    )  # fmt: skip


@preset
def letters() -> Config:
    """EMNIST-Letters at 32x32, or --data mnist or fashion-mnist: half an hour on two cores."""
    return Config(
        data="emnist-letters", resolution=32, ch=16, dim_z=80, held_out=520, lr_g=4e-4, lr_d=4e-4, ema_start=500,
        steps=5_000, save_every=250,
    )  # fmt: skip


@preset
def cifar10() -> Config:
    """CIFAR-10 by BigGAN with 32 channels: an hour and a half on two cores."""
    return Config(
        data="cifar10", resolution=32, flip=True, ch=32, dim_z=128, shared_dim=128, held_out=1_000, batch_size=50,
        augment=("colour", "translation", "cutout"), init="normal", lr_d=4e-4, ema_start=500, steps=7_000,
        save_every=250,
    )  # fmt: skip


PRESETS = presets(tiny, digits, letters, cifar10)

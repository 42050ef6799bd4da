"""What the training of the feature net needs to know, and its presets. Imports no torch."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar, Literal

from daybreak.engine.config import RunConfig, preset, presets
from daybreak.engine.errors import UserError


@dataclass(kw_only=True)
class FeaturesConfig(RunConfig):
    """Train the classifier in whose features images are compared: on photographs, digits and letters at once."""

    system: ClassVar[str] = "biggan"
    loop: ClassVar[str] = "train-features"
    watch: ClassVar[tuple[str, Literal["min", "max"]]] = ("val_accuracy", "max")

    limits: ClassVar[dict[str, tuple[float, float]]] = RunConfig.limits | {
        "cifar10": (0, 50_000),
        "letters": (0, 124_800),
        "mnist": (0, 60_000),
        "digits": (0, 1_437),
        "held_out": (1, math.inf),
        "batch_size": (2, math.inf),  # batch norm needs two images
        "lr": (0, 100),
        "weight_decay": (0, 1),
        "label_smoothing": (0, 1),
        "crop": (0, 31),
        "eval_every": (1, math.inf),
    }

    cifar10: int = 50_000
    """Training images taken of CIFAR-10; 0 leaves the set out."""
    letters: int = 26_000
    """Training images taken of EMNIST-Letters."""
    mnist: int = 12_000
    """Training images taken of MNIST."""
    digits: int = 1_437
    """Training images taken of scikit-learn's digits."""
    held_out: int = 2_000
    """Of all these, images held out for validation; the test sets are for `evaluate` alone."""
    batch_size: int = 128
    """Images a step, over all processes."""
    lr: float = 0.2
    """Peak learning rate of SGD."""
    weight_decay: float = 5e-4
    """Decay of filters and matrices a step, times the learning rate; norms and biases have none."""
    label_smoothing: float = 0.1
    """Probability mass moved from the true class to all classes."""
    crop: int = 2
    """Random shift of up to this many pixels."""
    eval_every: int = 400
    """Steps between two validations."""

    def check(self) -> None:
        """Raise UserError where fields do not go together."""
        super().check()
        taken = self.cifar10 + self.letters + self.mnist + self.digits
        if taken < self.held_out + self.batch_size:
            raise UserError(
                f"{taken} images are too few to hold out {self.held_out} and train in batches of {self.batch_size}: "
                "take more of --cifar10, --letters, --mnist or --digits"
            )


@preset
def features_tiny() -> FeaturesConfig:
    """scikit-learn's digits alone: seconds on a laptop, no data needed; only to see that it works."""
    return FeaturesConfig(
        cifar10=0, letters=0, mnist=0, held_out=200, batch_size=64, lr=0.1,
        steps=40, log_every=10, save_every=20, eval_every=20,
    )  # fmt: skip


@preset
def features() -> FeaturesConfig:
    """The net that daybreak brings: 89,437 images of four sets, five times over; ten minutes on two cores."""
    return FeaturesConfig(steps=3_600, save_every=400)


FEATURES_PRESETS = presets(features_tiny, features)

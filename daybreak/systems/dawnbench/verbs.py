"""The verbs of dawnbench besides training, and what its records claim. Imports no torch."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tyro.conf import Positional

from daybreak.engine.claim import Claim, Target
from daybreak.engine.errors import UserError
from daybreak.systems.dawnbench.config import PRESETS

LOOPS = {"train": PRESETS}
CLAIMS = {
    "cifar10-resnet9-cpu": Claim(
        "a plain ResNet-9 with 1cycle reaches 88 % on CIFAR-10 in ten minutes on two cores",
        "cifar10",
        {
            "test_accuracy": Target("%", 88.0, floor=("the most frequent class", 10.0)),
            "training_seconds": Target("s", 600.0, better="lower"),
        },
        headline=True,
    ),
    "digits-cpu": Claim(
        "the tiny preset reads handwritten digits it has not seen, after seconds of training",
        "tiny",
        {
            "test_accuracy": Target("%", 97.0, floor=("the most frequent class", 11.67)),
            "training_seconds": Target("s", 20.0, better="lower"),
        },
    ),
}


@dataclass
class Evaluate:
    """Test a trained run: accuracy on the test set, confusion matrix, right and wrong answers."""

    def __call__(self, run: Path) -> dict[str, float]:
        """The numbers of one run directory."""
        from daybreak.systems.dawnbench.evaluate import evaluate

        return evaluate(run)


@dataclass
class Classify:
    """Say what is in a picture."""

    run: Positional[Path]
    """Run directory."""
    pictures: Positional[tuple[Path, ...]]
    """Picture files."""

    def __call__(self) -> None:
        """One line a picture: file, class, probability."""
        if not self.pictures:
            raise UserError("daybreak dawnbench classify needs picture files after the run directory")
        from daybreak.systems.dawnbench.predict import load

        for path, (name, chance) in zip(self.pictures, load(self.run).classify(self.pictures), strict=True):
            print(f"{path}\t{name}\t{chance:.1%}")


VERBS: dict[str, Any] = {"evaluate": Evaluate, "classify": Classify}

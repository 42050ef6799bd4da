"""The verbs of dawnbench besides training, and what its records claim. Imports no torch."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tyro.conf import Positional

from daybreak.systems.dawnbench.config import PRESETS

LOOPS = {"train": PRESETS}


@dataclass
class Evaluate:
    """Test a trained run: accuracy on the test set, confusion matrix, right and wrong answers."""

    run: Positional[Path]
    """Run directory."""

    def __call__(self) -> dict[str, float]:
        """The numbers."""
        from daybreak.systems.dawnbench.evaluate import evaluate

        return evaluate(self.run)


@dataclass
class Classify:
    """Say what is in a picture."""

    run: Positional[Path]
    """Run directory."""
    pictures: Positional[tuple[Path, ...]]
    """Picture files."""

    def __call__(self) -> None:
        """One line a picture: file, class, probability."""
        from daybreak.systems.dawnbench.predict import load

        for path, (name, chance) in zip(self.pictures, load(self.run).classify(self.pictures), strict=True):
            print(f"{path}\t{name}\t{chance:.1%}")


VERBS: dict[str, Any] = {"evaluate": Evaluate, "classify": Classify}

"""The verbs of template besides training. Imports no torch."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from daybreak.systems.template.config import PRESETS
from tyro.conf import Positional

from daybreak.engine.claim import Claim

LOOPS = {"train": PRESETS}
CLAIMS: dict[str, Claim] = {}


@dataclass
class Evaluate:
    """Test a trained run on fresh points."""

    def __call__(self, run: Path) -> dict[str, float]:
        """The numbers of one run directory."""
        from daybreak.systems.template.evaluate import evaluate

        return evaluate(run)


@dataclass
class Predict:
    """The curve's value at x."""

    run: Positional[Path]
    """Run directory."""
    x: Positional[tuple[float, ...]]
    """Where; between -1 and 1."""

    def __call__(self) -> None:
        """One line a value."""
        import torch
        from daybreak.systems.template.predict import load

        for value in load(self.run).predict(torch.tensor(self.x)[:, None])[:, 0].tolist():
            print(f"{value:.2f}")


VERBS: dict[str, Any] = {"evaluate": Evaluate, "predict": Predict}

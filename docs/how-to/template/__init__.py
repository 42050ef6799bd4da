"""template: replace this line by what the system does and the paper it comes from."""

from __future__ import annotations

from typing import TYPE_CHECKING

from daybreak.systems.template.config import PRESETS, Config, tiny

from daybreak.systems import export_lazily

if TYPE_CHECKING:
    from daybreak.systems.template.evaluate import evaluate
    from daybreak.systems.template.predict import load
    from daybreak.systems.template.train import train

__all__ = ["PRESETS", "Config", "evaluate", "load", "tiny", "train"]

export_lazily(__name__, train="train", evaluate="evaluate", load="predict")

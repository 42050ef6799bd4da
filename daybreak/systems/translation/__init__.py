"""Translation: the RNN encoder-decoder, attention, and the Transformer (Sutskever 2014 to Vaswani 2017)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from daybreak.systems import export_lazily
from daybreak.systems.translation.config import PRESETS, Config, numbers, rnn, tiny, transformer

if TYPE_CHECKING:
    from daybreak.systems.translation.evaluate import evaluate
    from daybreak.systems.translation.predict import load
    from daybreak.systems.translation.train import train

__all__ = ["PRESETS", "Config", "evaluate", "load", "numbers", "rnn", "tiny", "train", "transformer"]

export_lazily(__name__, train="train", evaluate="evaluate", load="predict")

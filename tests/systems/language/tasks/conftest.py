"""A reader that all tests of the tasks use."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from daybreak.systems.language.assets import Reader
from daybreak.systems.language.shape import Shape
from daybreak.systems.language.wordpiece import read_wordpiece

sys.path.insert(0, str(Path(__file__).parent))  # trials.py

SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
LETTERS = [chr(code) for code in range(ord("a"), ord("z") + 1)]
KNOWN = [
    *",.?", "and", "ann", "ate", "awake", "cat", "dull", "end", "film", "fine", "he", "is", "lee", "man", "mat", "of",
    "on", "plot", "rome", "sat", "sleeps", "so", "someone", "something", "the", "what", "where", "who",
]  # fmt: skip


@pytest.fixture(scope="session")
def reader(tmp_path_factory: pytest.TempPathFactory) -> Reader:
    """Reads the words above as one piece each, and all others by their letters."""
    pieces = [*SPECIAL, *LETTERS, *(f"##{letter}" for letter in LETTERS), *KNOWN]
    path = tmp_path_factory.mktemp("vocabulary") / "vocab.txt"
    path.write_text("".join(f"{piece}\n" for piece in pieces))
    shape = Shape(len(pieces), hidden_size=32, num_layers=2, num_heads=2, inner_size=64, positions=64)
    return Reader(read_wordpiece(path, True), True, shape)

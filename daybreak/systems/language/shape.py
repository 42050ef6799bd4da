"""Sizes of BERT (Devlin et al. 2018; the small ones, Turc et al. 2019). Imports no torch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from daybreak.engine.errors import UserError
from daybreak.systems.language.config import Size


@dataclass(frozen=True)
class Shape:
    """What the weights of an encoder are shaped by."""

    vocabulary: int
    """Word pieces."""
    hidden_size: int
    num_layers: int
    num_heads: int
    inner_size: int
    """Width between the two matrices of a feed-forward layer."""
    positions: int = 512
    """Longest row, in word pieces."""
    segments: int = 2

    def __post_init__(self) -> None:
        for name, value in vars(self).items():
            if value < 1:
                raise UserError(f"{name} {value} cannot be: a BERT has at least one")
        if self.hidden_size % self.num_heads:
            raise UserError(f"hidden_size {self.hidden_size} is no multiple of num_heads {self.num_heads}: give one")


SIZES: dict[str, tuple[int, int]] = {"tiny": (2, 128), "mini": (4, 256), "small": (4, 512), "base": (12, 768)}
"""Layers and width; every head is 64 wide."""


def shape_of(size: Size, vocabulary: int, positions: int = 512) -> Shape:
    """The shape of a named size with a vocabulary of its own."""
    num_layers, hidden_size = SIZES[size]
    return Shape(vocabulary, hidden_size, num_layers, hidden_size // 64, 4 * hidden_size, positions)


def to_public(shape: Shape) -> dict[str, Any]:
    """The shape in the words of the public checkpoints' ``config.json``."""
    return {public: getattr(shape, ours) for public, ours in _PUBLIC.items()}


def from_public(values: dict[str, Any]) -> Shape:
    """Undo :func:`to_public`. Raises UserError naming what is missing, or what this encoder does not do."""
    unlike = {"hidden_act": "gelu", "position_embedding_type": "absolute", "layer_norm_eps": 1e-12}
    for name, wanted in unlike.items():
        if values.get(name, wanted) != wanted:
            raise UserError(f"{name} {values[name]!r} of this checkpoint is not BERT's {wanted!r}: give a BERT's")
    missing = [name for name in _PUBLIC if type(values.get(name)) is not int]
    if missing:
        raise UserError(f"config.json of this checkpoint has no {missing[0]}: give the folder of a BERT")
    return Shape(**{ours: values[public] for public, ours in _PUBLIC.items()})


_PUBLIC = {
    "vocab_size": "vocabulary",
    "hidden_size": "hidden_size",
    "num_hidden_layers": "num_layers",
    "num_attention_heads": "num_heads",
    "intermediate_size": "inner_size",
    "max_position_embeddings": "positions",
    "type_vocab_size": "segments",
}

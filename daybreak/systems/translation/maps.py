"""What a translator looked at, as plain values: tokens, and one attention map for every head."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

Kind = Literal["cross", "encoder", "decoder"]
START_MARK, END_MARK = "⟨s⟩", "⏎"
"""How the start and the end of a sentence are shown: each is a token of its own, and is looked at a lot."""


@dataclass(frozen=True)
class Map:
    """One attention map: row t tells where the network looked while it made (or read) token t."""

    kind: Kind
    """cross: the translation looks at the source. encoder, decoder: each looks at itself."""
    layer: int
    """From 1."""
    head: int
    """From 1."""
    weights: list[list[float]]
    """(rows, columns), each row of sum 1."""


@dataclass(frozen=True)
class Look:
    """A sentence, its translation, and all attention maps between them, tokens as text."""

    source: list[str]
    target: list[str]
    maps: list[Map]

    @property
    def alignment(self) -> list[list[float]]:
        """(target, source): the mean of all cross maps of the last layer."""
        last = max(m.layer for m in self.maps if m.kind == "cross")
        chosen = [m.weights for m in self.maps if m.kind == "cross" and m.layer == last]
        return np.mean(chosen, axis=0).tolist()

    def axes(self, kind: Kind) -> tuple[list[str], list[str]]:
        """The tokens that the rows and the columns of a kind's maps stand for.

        The decoder reads one token behind: it has read the start of the sentence when it writes the first word.
        """
        if kind == "encoder":
            return self.source, self.source
        if kind == "decoder":
            return self.target, [START_MARK, *self.target[:-1]]
        return self.target, self.source

"""Words that a text leaves out, guessed by a pretrained encoder."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import overload

import numpy as np
from torch import Tensor, nn

from daybreak.engine.device import Device
from daybreak.engine.errors import UserError
from daybreak.systems.language.assets import Reader
from daybreak.systems.language.embed import Encoder, windowed
from daybreak.systems.language.finetune import outputs_of
from daybreak.systems.language.model.heads import Pretraining
from daybreak.systems.language.model.rows import Rows
from daybreak.systems.language.tasks.task import Item
from daybreak.systems.language.wordpiece import MASK, encode


@dataclass(frozen=True)
class Piece:
    """A word piece that may stand at a [MASK]; ``##s`` goes on with the word before."""

    text: str
    probability: float


class Guesser(nn.Module):
    """What stands at some places."""

    def __init__(self, net: Pretraining) -> None:
        super().__init__()
        self.net = net

    def forward(self, rows: Rows, places: Tensor) -> Tensor:
        """(M, vocabulary) logits at M places."""
        return self.net.guess(self.net.bert(rows)[places])


class MaskedLM(Encoder):
    """``fill`` in what a text leaves out."""

    what, verb = "a pretrained encoder", "fill"

    def __init__(
        self, name: str, reader: Reader, net: Pretraining, length: int, device: Device, can_fill: bool
    ) -> None:
        super().__init__(name, reader, net.bert, length, device)
        self.net, self.can_fill = net, can_fill

    @overload
    def fill(self, texts: str, count: int = 5) -> list[list[Piece]]: ...  # pyright: ignore[reportOverlappingOverload]
    @overload
    def fill(self, texts: Sequence[str], count: int = 5) -> list[list[list[Piece]]]: ...
    def fill(self, texts: str | Sequence[str], count: int = 5) -> list[list[Piece]] | list[list[list[Piece]]]:
        """The likeliest word pieces at each [MASK] of a text or of several, the likeliest first.

        Several [MASK]s of a text are guessed independently of each other.

        Raises UserError where there is nothing to guess, ``count`` is below 1, or a public checkpoint was saved
        without the layer that guesses.

        """
        if isinstance(texts, str):
            return self.fill([texts], count)[0]
        if not self.can_fill:
            raise UserError(f"{self.name} has no layer that guesses words: give a checkpoint for masked words")
        if count < 1:
            raise UserError(f"a count of {count} word pieces cannot be: give at least 1")
        outputs = outputs_of(Guesser(self.net).eval(), [self._with_holes(text) for text in texts], self.device)
        return [self._best(output.softmax(-1), count) for output in outputs]

    def _with_holes(self, text: str) -> Item:
        """A text in word pieces, and where those are that are to be guessed."""
        if MASK not in text:
            raise UserError(f"{text[:40]!r} leaves nothing out: write {MASK} where a word is to be guessed")
        mask = self.reader.special.mask
        parts = [each.ids for each in encode(self.reader.tokenizer, text.split(MASK))]
        cut = windowed([piece for part in parts for piece in [*part, mask]][:-1], self.reader.special, self.length)
        places = np.flatnonzero(cut.inner & (np.concatenate(cut.rows) == mask))
        return cut.item(len(places), places)

    def _best(self, chances: Tensor, count: int) -> list[list[Piece]]:
        best = chances.topk(min(count, chances.shape[-1]))
        names = [[self.reader.tokenizer.id_to_token(number) or "" for number in row] for row in best.indices.tolist()]
        return [list(map(Piece, *row)) for row in zip(names, best.values.tolist(), strict=True)]

"""Which words, or texts, have vectors like those of others."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import normalize

from daybreak.engine.errors import UserError
from daybreak.systems.language.embed import WordVectors
from daybreak.systems.language.words import Word


@dataclass(frozen=True)
class Neighbour:
    """A text, or a word in it, that is near another."""

    cosine: float
    number: int
    """Of its text, from 0."""
    word: Word | None = None


@dataclass(frozen=True)
class Occurrence:
    """A word in its context, and those nearest to it in other texts."""

    number: int
    """Of its text, from 0."""
    word: Word
    neighbours: list[Neighbour]


def of_texts(vectors: Tensor, count: int) -> list[list[Neighbour]]:
    """The ``count`` texts nearest to each, by the cosines of their vectors (N, D) less the mean of all."""
    towards = centred(vectors)
    cosines = (towards @ towards.T).fill_diagonal_(-torch.inf)
    return [[Neighbour(value, number) for value, number in row] for row in _best(cosines, count)]


def of_word(word: str, read: Sequence[WordVectors], count: int) -> list[Occurrence]:
    """Every occurrence of a word, in whatever case, with the ``count`` words of other texts that are nearest to it.

    Raises UserError where no text has the word.
    """
    places = [(number, each) for number, of_text in enumerate(read) for each in of_text.words]
    asked = [place for place, (_, each) in enumerate(places) if each.text.lower() == word.lower()]
    if not asked:
        raise UserError(f"{word!r} is a word of none of the texts: give texts in which it occurs")
    towards = centred(torch.cat([of_text.vectors for of_text in read]))
    cosines = towards[asked] @ towards.T
    texts = torch.tensor([number for number, _ in places])
    cosines[texts[asked][:, None] == texts] = -torch.inf
    nearest = [[Neighbour(value, *places[place]) for value, place in row] for row in _best(cosines, count)]
    return [Occurrence(*places[place], near) for place, near in zip(asked, nearest, strict=True)]


def centred(vectors: Tensor) -> Tensor:
    """(N, D) of length 1, after the mean of all is taken away: what all have in common tells nothing of them.

    The vectors of one encoder lie in a narrow cone (Ethayarajh 2019), where every cosine is near 1.
    """
    return normalize(vectors - vectors.mean(0), dim=1)


def _best(cosines: Tensor, count: int) -> list[list[tuple[float, int]]]:
    values, places = cosines.topk(min(count, cosines.shape[1]), dim=1)
    pairs = [list(zip(*row, strict=True)) for row in zip(values.tolist(), places.tolist(), strict=True)]
    return [[pair for pair in row if pair[0] > -torch.inf] for row in pairs]

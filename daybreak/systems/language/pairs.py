"""Running text in word pieces, and the pairs of sentences that BERT is pretrained on (Devlin et al. 2018, A.2)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from tokenizers import Tokenizer

from daybreak.engine.errors import UserError
from daybreak.systems.language.formats.documents import Document
from daybreak.systems.language.model.rows import Rows, rows_of
from daybreak.systems.language.wordpiece import Special

SHORT = 0.1
"""Share of the rows that are drawn shorter, so that short sentences are no surprise later."""


@dataclass(frozen=True)
class Text:
    """Documents in word pieces, one after the other."""

    pieces: np.ndarray
    """(N,) int32."""
    sentences: np.ndarray
    """(S + 1,) where each sentence begins, in word pieces, and where the last one ends."""
    documents: np.ndarray
    """(K + 1,) where each document begins, in sentences, and where the last one ends."""


def encode(documents: Sequence[Document], tokenizer: Tokenizer) -> Text:
    """Documents in word pieces; sentences and documents without any are left out."""
    pieces: list[np.ndarray] = []
    documents_end, sentences = [0], 0
    for document in documents:
        rows = [np.array(each.ids, np.int32) for each in tokenizer.encode_batch_fast(list(document))]
        kept = [row for row in rows if len(row)]
        pieces += kept
        sentences += len(kept)
        if kept:
            documents_end.append(sentences)
    if not pieces:
        raise UserError("the text is empty: give files with sentences in them")
    ends = np.cumsum([0, *map(len, pieces)])
    return Text(np.concatenate(pieces), ends, np.array(documents_end))


@dataclass(frozen=True)
class Pairs:
    """R pairs of pieces of a text, which make a row each: [CLS] first [SEP] second [SEP]."""

    text: Text
    special: Special
    first: np.ndarray
    """(R, 2) begin and end, in word pieces of the text."""
    second: np.ndarray
    """(R, 2) likewise; begin and end are the same where there is no second sentence."""
    follows: np.ndarray
    """(R,) bool: whether the second follows the first in the text."""

    def __len__(self) -> int:
        return len(self.first)

    @property
    def lengths(self) -> np.ndarray:
        """(R,) word pieces of a row, special ones included."""
        first, second = (np.diff(each)[:, 0] for each in (self.first, self.second))
        return first + second + np.where(second > 0, 3, 2)

    def rows(self, numbers: Sequence[int] | np.ndarray) -> Rows:
        """The rows of these numbers as a batch."""
        tokens: list[np.ndarray] = []
        segments: list[np.ndarray] = []
        begin, end = np.array([self.special.cls], np.int32), np.array([self.special.sep], np.int32)
        for number in numbers:
            first, second = (self.text.pieces[slice(*each[number])] for each in (self.first, self.second))
            row = [begin, first, end] if not len(second) else [begin, first, end, second, end]
            tokens.append(np.concatenate(row))
            segments.append(np.arange(len(tokens[-1])) >= len(first) + 2)
        return rows_of(tokens, segments)


def draw_pairs(text: Text, special: Special, length: int, seed: int) -> Pairs:
    """Cut a text into pairs of up to ``length`` word pieces; half of the second sentences are from another document.

    Raises UserError where there is one document only, and so no other.
    """
    if len(text.documents) < 3:
        raise UserError("the text is one document: give two or more, or --no-next-sentence")
    random = np.random.default_rng([seed, 1])
    rows = [row for number in range(len(text.documents) - 1) for row in _of_document(text, number, length - 3, random)]
    first, second, follows = (np.array(column) for column in zip(*rows, strict=True))
    return Pairs(text, special, first, second, follows)


def _of_document(
    text: Text, number: int, room: int, random: np.random.Generator
) -> list[tuple[tuple[int, int], tuple[int, int], bool]]:
    """The pairs whose first sentences are of one document: (first, second, whether it follows)."""
    starts, rows = text.sentences, []
    at, last = text.documents[number], text.documents[number + 1]
    while at < last:
        goal = room if random.random() >= SHORT else int(random.integers(2, room + 1))
        end = min(_reach(starts, at, goal), last)  # sentences at .. end fill the row
        split = at + 1 if end == at + 1 else int(random.integers(at + 1, end))
        first = (starts[at], starts[split])
        follows = end > at + 1 and random.random() < 0.5
        if follows:
            second = (starts[split], starts[end])
        else:
            second = _elsewhere(text, number, goal - (first[1] - first[0]), random)
        rows.append((*_shorten(first, second, room, random), follows))
        at = end if follows else split  # what was not used comes again
    return rows


def _reach(starts: np.ndarray, at: int, goal: int) -> int:
    """The first sentence after ``at`` that begins ``goal`` pieces or more after it."""
    return max(at + 1, int(starts.searchsorted(starts[at] + goal)))


def _elsewhere(text: Text, number: int, goal: int, random: np.random.Generator) -> tuple[int, int]:
    """About ``goal`` pieces from any sentence of the other documents.

    The longer a document, the likelier: were all documents, a thousand short reviews would follow most of what novels
    say, and that they do not would be told by their kind.
    """
    begin, end = text.documents[number], text.documents[number + 1]
    at = int(random.integers(text.documents[-1] - (end - begin)))
    at += end - begin if at >= begin else 0
    last = int(text.documents[text.documents.searchsorted(at, side="right")])
    end = min(_reach(text.sentences, at, goal), last)
    return text.sentences[at], text.sentences[end]


def _shorten(
    first: tuple[int, int], second: tuple[int, int], room: int, random: np.random.Generator
) -> tuple[tuple[int, int], tuple[int, int]]:
    """Take from the longer of the two, at both ends, until they fit."""
    lengths = [first[1] - first[0], second[1] - second[0]]
    if sum(lengths) <= room:
        return first, second
    shorter = min(*lengths, room // 2)
    goal = [shorter, room - shorter] if lengths[0] <= lengths[1] else [room - shorter, shorter]
    cut: list[tuple[int, int]] = []
    for (begin, _), length, wanted in zip((first, second), lengths, goal, strict=True):
        front = int(random.binomial(max(length - wanted, 0), 0.5))
        cut.append((begin + front, begin + front + min(wanted, length)))
    return cut[0], cut[1]


def running_rows(text: Text, special: Special, length: int) -> Pairs:
    """Cut a text into rows of up to ``length`` word pieces without second sentences (RoBERTa's DOC-SENTENCES)."""
    begins: list[np.ndarray] = []
    ends: list[np.ndarray] = []
    for first, last in zip(text.documents[:-1], text.documents[1:], strict=True):
        begin, end = text.sentences[[first, last]]
        begins.append(np.arange(begin, end, length - 2))
        ends.append(np.minimum(begins[-1] + length - 2, end))
    first = np.stack([np.concatenate(begins), np.concatenate(ends)], 1)
    return Pairs(text, special, first, np.zeros_like(first), np.zeros(len(first), bool))

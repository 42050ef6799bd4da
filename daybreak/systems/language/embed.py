"""What an encoder makes of a text: a vector for each word in its context, or one for all of it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal, TypeVar, overload

import numpy as np
import torch
from torch import Tensor, nn

from daybreak.engine.device import Device
from daybreak.engine.errors import UserError
from daybreak.systems.language.assets import Reader
from daybreak.systems.language.finetune import outputs_of
from daybreak.systems.language.model.bert import Bert
from daybreak.systems.language.model.rows import Rows
from daybreak.systems.language.model.spans import widest, windows
from daybreak.systems.language.tasks.task import Item
from daybreak.systems.language.wordpiece import Special, encode
from daybreak.systems.language.words import Word, words_of

AT_ONCE = 1_000
"""Texts whose hidden states are kept at a time."""
Made = TypeVar("Made")


@dataclass(frozen=True)
class WordVectors:
    """The words of a text that were read, and a vector (W, D) for each."""

    words: tuple[Word, ...]
    vectors: Tensor


@dataclass(frozen=True)
class Windows:
    """A text cut into rows that overlap, so that every word piece has some context in one of them."""

    rows: tuple[np.ndarray, ...]
    """[CLS] pieces [SEP] of each."""
    taken: np.ndarray
    """(N,) bool over all rows: each [CLS] and [SEP], and each word piece in the row that shows most around it."""
    inner: np.ndarray
    """(N,) bool: the same, without [CLS] and [SEP]; as many as the text has word pieces, and in their order."""

    def item(self, outputs: int, places: np.ndarray | None = None) -> Item:
        """For a network that gives so many outputs."""
        segments = tuple(np.zeros(len(row), bool) for row in self.rows)
        return Item(self.rows, segments, outputs, places=places)


def windowed(ids: Sequence[int], special: Special, longest: int) -> Windows:
    """Cut word pieces into rows of at most ``longest``, each beginning half a row after the one before."""
    pieces = windows(0, len(ids), longest + 1, max((longest - 2) // 2, 1))  # one [SEP] fewer than with a question
    wide = widest(pieces)
    rows = tuple(np.array([special.cls, *ids[first:end], special.sep], np.int32) for first, end in pieces)
    taken, inner = (np.concatenate([np.r_[ends, each, ends] for each in wide]) for ends in (True, False))
    return Windows(rows, taken, inner)


class Layer(nn.Module):
    """The hidden states of one layer; 0 is the embeddings."""

    def __init__(self, bert: Bert, number: int) -> None:
        super().__init__()
        self.bert, self.number = bert, number

    def forward(self, rows: Rows, places: Tensor) -> Tensor:
        """(N, D)."""
        return self.bert.hidden_states(rows)[self.number]


class Encoder:
    """``embed`` texts.

    Args:
        name: what a mistake calls it.
        reader: how it reads.
        bert: the network, at its device.
        length: word pieces of the longest row.
        device: where it computes.

    """

    what, verb = "an encoder", "embed"

    def __init__(self, name: str, reader: Reader, bert: Bert, length: int, device: Device) -> None:
        self.name, self.reader, self.bert, self.length, self.device = name, reader, bert, length, device

    @overload  # a str is a sequence of strings, too
    def embed(self, texts: str, *, layer: int = -1, pooling: Literal["words"]) -> WordVectors: ...  # pyright: ignore[reportOverlappingOverload]
    @overload
    def embed(self, texts: Sequence[str], *, layer: int = -1, pooling: Literal["words"]) -> list[WordVectors]: ...
    @overload
    def embed(
        self, texts: str | Sequence[str], *, layer: int = -1, pooling: Literal["mean", "cls"] = "mean"
    ) -> Tensor: ...
    def embed(
        self, texts: str | Sequence[str], *, layer: int = -1, pooling: Literal["mean", "cls", "words"] = "mean"
    ) -> Tensor | WordVectors | list[WordVectors]:
        """Vectors of a text, or of many: (D,) or (N, D) in fp32; with ``words``, one for each word, and where it is.

        A text of more than ``length`` word pieces is read in rows that overlap by half, and of each word piece that
        row counts which shows most around it.

        Args:
            texts: one or several.
            layer: 0 for the embeddings, 1 to L for the layers; -1 for the last, -2 for the one before.
            pooling: ``mean`` of all word pieces with [CLS] and [SEP], as sentence-transformers has it; ``cls`` for
                [CLS] alone, the mean of them where there are several rows; ``words`` for the mean of each word's
                pieces. Words of which reading leaves nothing have no vector.

        Raises UserError for another pooling, and for a layer that is not there.

        """
        if isinstance(texts, str):
            return self.embed([texts], layer=layer, pooling=pooling)[0]
        if pooling == "words":
            return self._made(texts, layer, _of_words)
        if pooling not in ("mean", "cls"):
            raise UserError(f"there is no pooling {pooling!r}: give mean, cls or words")
        vectors = self._made(texts, layer, _mean if pooling == "mean" else _cls)
        return torch.stack(vectors) if vectors else torch.empty(0, self.reader.shape.hidden_size)

    def _made(
        self, texts: Sequence[str], layer: int, make: Callable[[str, Windows, list[tuple[int, int]], Tensor], Made]
    ) -> list[Made]:
        """What ``make(text, windows, offsets of its pieces, hidden states)`` makes of each text."""
        net = Layer(self.bert, self._number_of(layer)).train(self.bert.training)
        found: list[Made] = []
        for begin in range(0, len(texts), AT_ONCE):
            some = texts[begin : begin + AT_ONCE]
            read = encode(self.reader.tokenizer, list(some))
            cut = [windowed(each.ids, self.reader.special, self.length) for each in read]
            hidden = outputs_of(net, [each.item(len(each.taken)) for each in cut], self.device)
            offsets = [list(each.offsets) for each in read]
            found += [make(*each) for each in zip(some, cut, offsets, hidden, strict=True)]
        return found

    def _number_of(self, layer: int) -> int:
        layers = self.reader.shape.num_layers
        if not -layers - 1 <= layer <= layers:
            raise UserError(
                f"there is no layer {layer}: {self.name} has 0, its embeddings, to {layers}, or -1, the last, and so on"
            )
        return layer % (layers + 1)


def _mean(text: str, cut: Windows, offsets: list[tuple[int, int]], hidden: Tensor) -> Tensor:
    return hidden[torch.from_numpy(cut.taken)].mean(0)


def _cls(text: str, cut: Windows, offsets: list[tuple[int, int]], hidden: Tensor) -> Tensor:
    begins = np.cumsum([0, *(len(row) for row in cut.rows[:-1])])
    return hidden[torch.from_numpy(begins)].mean(0)


def _of_words(text: str, cut: Windows, offsets: list[tuple[int, int]], hidden: Tensor) -> WordVectors:
    words, pieces = words_of(text), hidden[torch.from_numpy(cut.inner)]  # (P, D)
    owners = word_of_each_piece(words, offsets)
    owned = torch.from_numpy(owners >= 0)
    sums = pieces.new_zeros(len(words), pieces.shape[1]).index_add(0, torch.from_numpy(owners)[owned], pieces[owned])
    counts = np.bincount(owners[owners >= 0], minlength=len(words))
    read = np.flatnonzero(counts)
    vectors = sums[torch.from_numpy(read)] / torch.from_numpy(counts[read])[:, None]
    return WordVectors(tuple(words[place] for place in read), vectors)


def word_of_each_piece(words: Sequence[Word], offsets: Sequence[tuple[int, int]]) -> np.ndarray:
    """(P,) the number of the first word that a word piece shares a character with; -1 where it shares none."""
    starts, ends = (np.array([getattr(word, side) for word in words], np.int64) for side in ("start", "end"))
    begins, stops = np.array(offsets, np.int64).reshape(-1, 2).T
    owners = ends.searchsorted(begins, side="right")  # the first that ends after the piece begins
    inside = owners < len(words)
    inside[inside] = starts[owners[inside]] < stops[inside]
    return np.where(inside, owners, -1)

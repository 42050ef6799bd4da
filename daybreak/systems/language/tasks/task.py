"""What a use of BERT consists of: how examples become rows, what stands on the encoder, and what its numbers mean."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import gelu, normalize

from daybreak.systems.language.assets import Reader
from daybreak.systems.language.config import FinetuneConfig
from daybreak.systems.language.model.bert import Bert
from daybreak.systems.language.model.compare import Compare
from daybreak.systems.language.model.rows import Rows, rows_of
from daybreak.systems.language.wordpiece import encode


@dataclass(frozen=True)
class Item:
    """One example in word pieces."""

    tokens: tuple[np.ndarray, ...]
    """(length,) int32 of each of its rows: one, or as many as there are options or windows."""
    segments: tuple[np.ndarray, ...]
    """(length,) of each row: whether a word piece is of the second sentence; tags and answers have their own."""
    outputs: int
    """How many numbers, or rows of numbers, the network gives for it."""
    target: np.ndarray | None = None
    """What it should say; None where that is not known."""
    places: np.ndarray | None = None
    """(outputs,) of a tagger: the first word piece of each word, counted over all rows."""
    cut: Any = None
    """What ``tell`` has to know of how it was cut into rows."""

    @property
    def length(self) -> int:
        """Word pieces of all its rows."""
        return sum(map(len, self.tokens))


@dataclass
class Batch:
    """Several items: their rows, and where to look."""

    rows: Rows
    places: Tensor
    """(W,) of a tagger: the first word piece of each word among all N; else empty."""
    counts: list[int]
    """Outputs of each item."""
    targets: Tensor
    """What they should say, one item after the other."""


def collate(items: Sequence[Item]) -> Batch:
    """Lay the rows of items one after the other."""
    rows = rows_of([row for item in items for row in item.tokens], [row for item in items for row in item.segments])
    begins = np.cumsum([0, *(item.length for item in items)])
    places = [item.places + begin for item, begin in zip(items, begins, strict=False) if item.places is not None]
    targets = [item.target for item in items if item.target is not None]
    return Batch(
        rows,
        torch.from_numpy(np.concatenate([*places, np.empty(0, np.int64)])),
        [item.outputs for item in items],
        torch.from_numpy(np.concatenate(targets) if targets else np.empty(0)),
    )


class TaskNet(nn.Module):
    """The encoder with one layer on it. A task's own says in ``forward(rows, places)`` what it gives."""

    def __init__(self, bert: Bert, outputs: int, dropout: float, *, compare: bool = False) -> None:
        super().__init__()
        self.bert = bert
        self.dropout = nn.Dropout(dropout)
        width = bert.shape.hidden_size
        self.compare = Compare(width) if compare else None
        if compare:
            self.join = nn.Linear(3 * width, width)
        self.head = nn.Linear(width, outputs)
        nn.init.normal_(self.head.weight, std=0.02)
        nn.init.zeros_(self.head.bias)

    def of_rows(self, rows: Rows) -> Tensor:
        """(B, outputs): what the layer says of each row, by its [CLS], and by its two sentences' words if compared."""
        pooled = self.bert.pool(self.bert(rows), rows)
        if self.compare is not None:
            told = torch.cat([self.compare(by_themselves(self.bert, rows), rows), pooled], -1)
            pooled = gelu(self.join(self.dropout(told)))
        return self.head(self.dropout(pooled))

    def of_pieces(self, rows: Rows) -> Tensor:
        """(N, outputs): what the layer says of each word piece."""
        return self.head(self.dropout(self.bert(rows)))

    def settle(self, batch: Batch) -> None:
        """Begin with weights that suit training examples, given before any training."""
        if self.compare is not None:
            self.compare.settle(by_themselves(self.bert, batch.rows))


def read_segments_as(bert: Bert, sentences: Sequence[int]) -> None:
    """Let rows have another kind of segments, each beginning as that of the first (0) or the second sentence (1)."""
    weights = bert.embeddings.segments.weight.detach()[list(sentences)]
    bert.embeddings.segments = nn.Embedding.from_pretrained(weights, freeze=False)


def by_themselves(bert: Bert, rows: Rows) -> Tensor:
    """(N, D) of length 1, in fp32: word pieces without place, sentence and context, which blur what is alike."""
    return normalize(bert.embeddings.tokens(rows.tokens).float(), dim=-1)


@dataclass(frozen=True)
class Task:
    """A use of BERT, as functions. ``labels`` are the names of classes or tags; () where there are none."""

    labels: Callable[[Sequence[Any]], tuple[str, ...]]
    """All labels of training examples, in order."""
    items: Callable[[Sequence[Any], Reader, tuple[str, ...], FinetuneConfig], list[Item]]
    """Examples in word pieces."""
    net: Callable[[Bert, tuple[str, ...], bool, FinetuneConfig], TaskNet]
    """The network on the encoder, for labels, and for pairs of sentences or single ones."""
    loss: Callable[[TaskNet, Tensor, Batch], Tensor]
    """Of the network's outputs for a batch."""
    tell: Callable[[TaskNet, list[Tensor], list[Item], Sequence[Any], tuple[str, ...]], list[Any]]
    """What the outputs of each item mean: a label and its probability, a similarity, tags, an answer."""
    scores: Callable[[Sequence[Any], list[Any]], dict[str, float]]
    """Official metrics of what was told, in percent; the first is the one to choose by."""


def pair_rows(
    reader: Reader, firsts: Sequence[str], seconds: Sequence[str | None], length: int
) -> list[tuple[np.ndarray, np.ndarray]]:
    """Rows [CLS] first [SEP] second [SEP], cut to a length: the longer of the two loses its end first."""
    special = reader.special
    encoded = [encode(reader.tokenizer, list(firsts)), encode(reader.tokenizer, [text or "" for text in seconds])]
    rows: list[tuple[np.ndarray, np.ndarray]] = []
    for first, second, text in zip(*encoded, seconds, strict=True):
        parts = [first.ids] if text is None else shortened(first.ids, second.ids, length - 3)
        if text is None:
            parts[0] = parts[0][: length - 2]
        tokens = [special.cls, *parts[0], special.sep]
        begin = len(tokens)
        if text is not None:
            tokens += [*parts[1], special.sep]
        rows.append((np.array(tokens, np.int32), np.arange(len(tokens)) >= begin))
    return rows


def shortened(first: list[int], second: list[int], room: int) -> list[list[int]]:
    """Both, cut at their ends to fit together; the shorter one is cut only where both are over half of the room."""
    if len(first) + len(second) > room:
        shorter = min(len(first), len(second), room // 2)
        if len(first) <= len(second):
            first, second = first[:shorter], second[: room - shorter]
        else:
            first, second = first[: room - shorter], second[:shorter]
    return [first, second]

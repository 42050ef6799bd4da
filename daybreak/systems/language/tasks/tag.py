"""Every word has a tag, told from the hidden state of its first word piece (Devlin et al. 2018, figure 4 d).

A vocabulary in lower case loses what tells a name best: how it is written. A tagger reads that where other tasks read
which sentence a word piece is of.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import cross_entropy
from torch.nn.utils.rnn import pad_sequence

from daybreak.metrics.agreement import accuracy
from daybreak.metrics.entities import entity_scores
from daybreak.systems.language.assets import Reader
from daybreak.systems.language.config import FinetuneConfig
from daybreak.systems.language.examples import Tagged
from daybreak.systems.language.model.bert import Bert
from daybreak.systems.language.model.crf import CRF, iob2_penalties
from daybreak.systems.language.model.rows import Rows
from daybreak.systems.language.tasks.task import Batch, Item, Task, TaskNet, read_segments_as
from daybreak.systems.language.wordpiece import Special, encode_words

AT_ONCE = 256
"""Sentences whose best tags a CRF looks for at a time."""


WAYS_TO_WRITE = 4
"""Without a capital, with one at the beginning, all in capitals, and any other."""


class Tagger(TaskNet):
    """Tags from the first word piece of each word."""

    def __init__(self, bert: Bert, outputs: int, dropout: float, crf: CRF | None = None) -> None:
        super().__init__(bert, outputs, dropout)
        self.crf = crf

    def forward(self, rows: Rows, places: Tensor) -> Tensor:
        """(W, tags)."""
        return self.head(self.dropout(self.bert(rows)[places]))


def labels(examples: Sequence[Tagged]) -> tuple[str, ...]:
    """The tags, sorted. A type of entity has both B and I, whichever was seen."""
    tags = {tag for example in examples for tag in example.tags or ()}
    types = {tag[2:] for tag in tags if tag[:2] in ("B-", "I-")}
    return tuple(sorted(tags | {f"{prefix}-{kind}" for kind in types for prefix in "BI"}))


def items(examples: Sequence[Tagged], reader: Reader, labels: tuple[str, ...], config: FinetuneConfig) -> list[Item]:
    """A row a sentence, or several where it is too long for one."""
    numbers = {label: number for number, label in enumerate(labels)}
    found: list[Item] = []
    for example in examples:
        pieces, of = encode_words(reader.tokenizer, example.words)
        written = [way_to_write(word) if reader.lowercase else 0 for word in example.words]
        both = np.array([pieces, [written[word] for word in of]], np.int32).T  # (N, 2)
        rows, places = split_words(both, np.array(of), config.length - 2)
        tokens, segments = zip(*(_between(row, reader.special) for row in rows), strict=True)
        known = example.tags is not None and all(tag in numbers for tag in example.tags)
        target = np.array([numbers[tag] for tag in example.tags or ()], np.int64) if known else None
        found.append(Item(tokens, segments, len(example.words), target, places))
    return found


def _between(row: np.ndarray, special: Special) -> tuple[np.ndarray, np.ndarray]:
    """Word pieces between [CLS] and [SEP], and how they are written: (N, 2) -> twice (N + 2,)."""
    whole = np.concatenate([[[special.cls, 0]], row, [[special.sep, 0]]]).astype(np.int32)
    return whole[:, 0], whole[:, 1]


def way_to_write(word: str) -> int:
    """Which of the ways a word is written in; a single capital begins a word."""
    capitals = [letter.isupper() for letter in word if letter.isalpha()]
    if not any(capitals):
        return 0
    if capitals[0] and not any(capitals[1:]):
        return 1
    return 2 if all(capitals) else 3


def split_words(pieces: np.ndarray, words: np.ndarray, room: int) -> tuple[list[np.ndarray], np.ndarray]:
    """Rows of up to ``room`` word pieces that begin with a word, and where in them every word begins.

    A word of more pieces than that loses those that do not fit. Places count all rows, with two special word pieces
    each.

    Args:
        pieces: (N, ...) word pieces, and what else is known of each.
        words: (N,) the number of the word that each is of.
        room: word pieces of a row.

    """
    starts = np.flatnonzero(np.diff(words, prepend=-1))
    ends = np.append(starts, len(pieces))[1:]
    rows: list[list[np.ndarray]] = [[]]
    places, length, done = [], 0, 1  # of this row, and of those before it and the [CLS] of this
    for start, end in zip(starts, np.minimum(ends, starts + room), strict=True):
        if length + end - start > room:
            rows.append([])
            length, done = 0, done + length + 2
        places.append(done + length)
        rows[-1].append(pieces[start:end])
        length += end - start
    joined = [np.concatenate([pieces[:0], *row]) for row in rows]
    return joined, np.array(places, np.int64)


def net(bert: Bert, labels: tuple[str, ...], pairs: bool, config: FinetuneConfig) -> TaskNet:
    """The network."""
    read_segments_as(bert, [0] * WAYS_TO_WRITE)
    crf = CRF(len(labels), iob2_penalties(labels) if is_iob2(labels) else None) if config.crf else None
    return Tagger(bert, len(labels), config.dropout, crf)


def loss(net: TaskNet, outputs: Tensor, batch: Batch) -> Tensor:
    """Cross entropy of each tag, or of whole sentences by the CRF, per word."""
    crf = net.crf
    if not isinstance(crf, CRF):
        return cross_entropy(outputs.float(), batch.targets)
    counts = [count for count in batch.counts if count]
    emissions, mask = _padded(outputs.split(counts))
    tags = pad_sequence(list(batch.targets.split(counts)), batch_first=True)
    return -crf.log_likelihood(emissions, tags, mask).sum() / len(outputs)


def tell(
    net: TaskNet, outputs: list[Tensor], items: list[Item], examples: Sequence[Tagged], labels: tuple[str, ...]
) -> list[tuple[str, ...]]:
    """A tag for each word."""
    crf = net.crf
    numbers = decode(crf, outputs) if isinstance(crf, CRF) else [output.argmax(-1).tolist() for output in outputs]
    return [tuple(labels[number] for number in row) for row in numbers]


def decode(crf: CRF, outputs: Sequence[Tensor]) -> list[list[int]]:
    """The CRF's best tags by the scores (words, tags) of each sentence: those of like length at once, on its device."""
    found: list[list[int]] = [[] for _ in outputs]
    order = sorted((number for number, each in enumerate(outputs) if len(each)), key=lambda n: len(outputs[n]))
    for begin in range(0, len(order), AT_ONCE):
        some = order[begin : begin + AT_ONCE]
        emissions, mask = _padded([outputs[number].to(crf.start.device) for number in some])
        for number, row in zip(some, crf.decode(emissions, mask), strict=True):
            found[number] = row
    return found


def _padded(scores: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
    """Scores (words, tags) of sentences as a table (B, T, tags), and its mask (B, T), True at words."""
    table = pad_sequence(list(scores), batch_first=True)
    counts = torch.tensor([len(each) for each in scores])
    return table, (torch.arange(table.shape[1]) < counts[:, None]).to(table.device)


def scores(examples: Sequence[Tagged], told: list[tuple[str, ...]]) -> dict[str, float]:
    """Strict F1 of entities where tags are IOB2; and the accuracy of the tags."""
    true = [example.tags or () for example in examples]
    flat = [[tag for row in rows for tag in row] for rows in (true, told)]
    numbers = {"accuracy": accuracy(*flat)}
    if not is_iob2(flat[0]):
        return numbers
    found = entity_scores(true, told)
    return {"f1": found.f1, "precision": found.precision, "recall": found.recall, **numbers}


def is_iob2(tags: Sequence[str]) -> bool:
    """Whether tags name entities, rather than what a word is."""
    return all(tag == "O" or tag[:2] in ("B-", "I-") for tag in tags)


TAG = Task(labels, items, net, loss, tell, scores)

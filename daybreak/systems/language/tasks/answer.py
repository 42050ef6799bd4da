"""The answer to a question is a span of its context (Devlin et al. 2018, section 4.2 and figure 4 c).

An answer stands near the question's words. A small encoder learns too late to look for them, so they are marked, in the
question and in the context: rows are read with four kinds of segments where other tasks have two.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from daybreak.metrics.squad import answer_scores
from daybreak.systems.language.assets import Reader
from daybreak.systems.language.config import FinetuneConfig
from daybreak.systems.language.examples import Question
from daybreak.systems.language.model.bert import Bert
from daybreak.systems.language.model.rows import Rows
from daybreak.systems.language.model.spans import Answer, Window, best_spans, widest, windows
from daybreak.systems.language.tasks.task import Batch, Item, Task, TaskNet, read_segments_as
from daybreak.systems.language.wordpiece import Special, encode

NO_ANSWER = "no answer"
"""The label of a data set in which some questions have none."""
BEST = 5
"""Answers that are told of each question."""
LONGEST = 30
"""Word pieces of the longest answer, as in run_squad."""


class Answerer(TaskNet):
    """Where an answer begins and ends."""

    def forward(self, rows: Rows, places: Tensor) -> Tensor:
        """(N, 2): scores of beginning and of ending at each word piece."""
        return self.of_pieces(rows)


@dataclass(frozen=True)
class Cut:
    """How a context was cut into rows."""

    before: int
    """Word pieces of a row before the context's: [CLS] question [SEP]."""
    pieces: list[tuple[int, int]]
    """First word piece of the context in each row, and the one after the last."""
    offsets: list[tuple[int, int]]
    """Characters of the context that each of its word pieces stands for."""


def labels(examples: Sequence[Question]) -> tuple[str, ...]:
    """Whether questions may have no answer."""
    return () if all(each.answers for each in examples) else (NO_ANSWER,)


def items(examples: Sequence[Question], reader: Reader, labels: tuple[str, ...], config: FinetuneConfig) -> list[Item]:
    """As many rows as the windows of the context; the question loses what is over half of a row."""
    questions = encode(reader.tokenizer, [each.question for each in examples])
    contexts = encode(reader.tokenizer, [each.context for each in examples])
    found: list[Item] = []
    for example, asked, read in zip(examples, questions, contexts, strict=True):
        question = asked.ids[: config.length // 2]
        begin = [reader.special.cls, *question, reader.special.sep]
        cut = Cut(len(begin), windows(len(question), len(read.ids), config.length, config.stride), list(read.offsets))
        tokens = tuple(
            np.array([*begin, *read.ids[first:end], reader.special.sep], np.int32) for first, end in cut.pieces
        )
        segments = tuple(marked(row, len(begin), reader.special) for row in tokens)
        found.append(Item(tokens, segments, sum(map(len, tokens)), target(example, cut), cut=cut))
    return found


def marked(row: np.ndarray, before: int, special: Special) -> np.ndarray:
    """(length,) int32 of a row whose context begins after ``before`` pieces: its sentence, and 2 where it is in both.

    Whether a word of the context is one of the question's is the exact match of Chen et al. 2017, "Reading Wikipedia to
    Answer Open-Domain Questions", section 3.2.
    """
    sentence = (np.arange(len(row)) >= before).astype(np.int32)
    shared = np.setdiff1d(np.intersect1d(row[:before], row[before:]), [special.cls, special.sep])
    return sentence + 2 * np.isin(row, shared).astype(np.int32)


def target(example: Question, cut: Cut) -> np.ndarray:
    """(2 windows,): the first and the last word piece of the answer in each row; [CLS] where it is not in there."""
    places = np.zeros((len(cut.pieces), 2), np.int64)
    if example.answers:
        answer = example.answers[0]
        inside = [
            number
            for number, (start, end) in enumerate(cut.offsets)
            if start < answer.start + len(answer.text) and end > answer.start
        ]
        for row, (first, end) in zip(places, cut.pieces, strict=True):
            if inside and first <= inside[0] and inside[-1] < end:
                row[:] = inside[0] - first + cut.before, inside[-1] - first + cut.before
    return places.ravel()


def net(bert: Bert, labels: tuple[str, ...], pairs: bool, config: FinetuneConfig) -> TaskNet:
    """The network."""
    read_segments_as(bert, [0, 1, 0, 1])
    return Answerer(bert, 2, config.dropout)


def loss(net: TaskNet, outputs: Tensor, batch: Batch) -> Tensor:
    """Mean of the cross entropies of beginning and end, over the places of a row."""
    scores, mask = batch.rows.table(outputs.float()), batch.rows.mask()  # (B, T, 2)
    if mask is not None:
        scores = scores.masked_fill(~mask[..., None], -torch.inf)
    return cross_entropy(scores, batch.targets.unflatten(0, (-1, 2)))


def tell(
    net: TaskNet, outputs: list[Tensor], items: list[Item], examples: Sequence[Question], labels: tuple[str, ...]
) -> list[list[Answer]]:
    """The best answers to each question, the best first."""
    threshold = 0.0 if NO_ANSWER in labels else None
    told: list[list[Answer]] = []
    for output, item, example in zip(outputs, items, examples, strict=True):
        seen = windows_of(output.float(), item)
        told.append(best_spans(seen, example.context, count=BEST, longest=LONGEST, threshold=threshold))
    return told


def windows_of(output: Tensor, item: Item) -> list[Window]:
    """What the network's outputs (N, 2) say of each row of a question."""
    cut: Cut = item.cut
    found: list[Window] = []
    rows = output.split([len(row) for row in item.tokens])
    for row, (first, end), is_widest in zip(rows, cut.pieces, widest(cut.pieces), strict=True):
        in_context = torch.zeros(len(row), dtype=torch.bool)
        in_context[cut.before : -1] = True
        wide = torch.zeros_like(in_context)
        wide[cut.before : -1] = torch.from_numpy(is_widest)
        offsets = [(0, 0)] * cut.before + cut.offsets[first:end] + [(0, 0)]
        start, stop = row.log_softmax(0).unbind(1)
        found.append(Window(start, stop, in_context, wide, offsets))
    return found


def scores(examples: Sequence[Question], told: list[list[Answer]]) -> dict[str, float]:
    """SQuAD's F1 and exact match."""
    best = [answers[0].text if answers else "" for answers in told]
    found = answer_scores(best, [[answer.text for answer in each.answers] for each in examples])
    return {"f1": found.f1, "exact_match": found.exact_match}


ANSWER = Task(labels, items, net, loss, tell, scores)

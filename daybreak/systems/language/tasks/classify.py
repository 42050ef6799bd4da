"""A sentence, or a pair of them, belongs to a class (Devlin et al. 2018, figure 4 a and b)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from torch import Tensor
from torch.nn.functional import cross_entropy

from daybreak.metrics.agreement import accuracy, binary_f1, macro_f1, matthews
from daybreak.systems.language.assets import Reader
from daybreak.systems.language.config import FinetuneConfig
from daybreak.systems.language.examples import Pair
from daybreak.systems.language.model.bag import Bag
from daybreak.systems.language.model.bert import Bert
from daybreak.systems.language.model.rows import Rows
from daybreak.systems.language.tasks.task import Batch, Item, Task, TaskNet, pair_rows


@dataclass(frozen=True)
class Class:
    """The class of a sentence or a pair."""

    label: str
    probability: float
    others: dict[str, float]
    """Probability of every class, the likeliest first."""


class Classifier(TaskNet):
    """Classes of rows; of single sentences also by a bag of their word pieces."""

    def __init__(self, bert: Bert, outputs: int, dropout: float, *, compare: bool = False, bag: bool = False) -> None:
        super().__init__(bert, outputs, dropout, compare=compare)
        self.bag = Bag(bert.shape.vocabulary, outputs) if bag else None

    def forward(self, rows: Rows, places: Tensor) -> Tensor:
        """(B, classes)."""
        return self.of_rows(rows)

    def of_rows(self, rows: Rows) -> Tensor:
        """(B, classes)."""
        scores = super().of_rows(rows)
        return scores if self.bag is None else scores.float() + self.bag(rows)


def labels(examples: Sequence[Pair]) -> tuple[str, ...]:
    """The classes, sorted."""
    return tuple(sorted({str(example.label) for example in examples}))


def items(examples: Sequence[Pair], reader: Reader, labels: tuple[str, ...], config: FinetuneConfig) -> list[Item]:
    """A row each."""
    numbers = {label: np.array([number]) for number, label in enumerate(labels)}
    rows = pair_rows(reader, [each.first for each in examples], [each.second for each in examples], config.length)
    return [
        Item((tokens,), (segments,), 1, numbers.get(str(example.label)))
        for (tokens, segments), example in zip(rows, examples, strict=True)
    ]


def net(bert: Bert, labels: tuple[str, ...], pairs: bool, config: FinetuneConfig) -> TaskNet:
    """The network."""
    compare, bag = config.compare and pairs, config.bag and not pairs
    return Classifier(bert, len(labels), config.dropout, compare=compare, bag=bag)


def loss(net: TaskNet, outputs: Tensor, batch: Batch) -> Tensor:
    """Cross entropy."""
    return cross_entropy(outputs.float(), batch.targets)


def tell(
    net: TaskNet, outputs: list[Tensor], items: list[Item], examples: Sequence[Pair], labels: tuple[str, ...]
) -> list[Class]:
    """The likeliest class, and the others."""
    told: list[Class] = []
    for output in outputs:
        shares = dict(zip(labels, output[0].float().softmax(-1).tolist(), strict=True))
        ranked = dict(sorted(shares.items(), key=lambda each: -each[1]))
        best = next(iter(ranked))
        told.append(Class(best, ranked[best], ranked))
    return told


def scores(examples: Sequence[Pair], told: list[Class]) -> dict[str, float]:
    """Accuracy and the mean F1 of several classes; or of two, F1 of the second for pairs, and Matthews' correlation.

    These are GLUE's metrics: of MRPC, whose second class is ``paraphrase``, and of CoLA, where F1 says little.
    """
    true, guessed = [str(each.label) for each in examples], [each.label for each in told]
    classes = sorted({*true, *guessed})
    numbers = {"accuracy": accuracy(true, guessed)}
    if len(classes) > 2:
        return {**numbers, "macro_f1": macro_f1(true, guessed)}
    if any(each.second is not None for each in examples):
        return {**numbers, "f1": binary_f1(true, guessed, classes[-1])}
    return {**numbers, "matthews": matthews(true, guessed)}


CLASSIFY = Task(labels, items, net, loss, tell, scores)

"""Which of several options goes with a context and a question: one softmax over the scores of all options."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import cross_entropy
from torch.nn.utils.rnn import pad_sequence

from daybreak.metrics.agreement import accuracy
from daybreak.systems.language.assets import Reader
from daybreak.systems.language.config import FinetuneConfig
from daybreak.systems.language.examples import Choice
from daybreak.systems.language.model.bert import Bert
from daybreak.systems.language.model.rows import Rows
from daybreak.systems.language.tasks.task import Batch, Item, Task, TaskNet, pair_rows


@dataclass(frozen=True)
class Chosen:
    """One of the options."""

    option: str
    number: int
    probabilities: tuple[float, ...]
    """Of all options, in order."""


class Chooser(TaskNet):
    """A score of context, question and option."""

    def forward(self, rows: Rows, places: Tensor) -> Tensor:
        """(B,), where B is the number of all options."""
        return self.of_rows(rows)[:, 0]


def labels(examples: Sequence[Choice]) -> tuple[str, ...]:
    """There are none."""
    return ()


def items(examples: Sequence[Choice], reader: Reader, labels: tuple[str, ...], config: FinetuneConfig) -> list[Item]:
    """A row an option: [CLS] context [SEP] question option [SEP]; of what is too long the context loses its end."""
    ends = [f"{each.question} {option}".strip() for each in examples for option in each.options]
    contexts = [each.context for each in examples for _ in each.options]
    rows = iter(pair_rows(reader, contexts, ends, config.length))
    found: list[Item] = []
    for example in examples:
        tokens, segments = zip(*(next(rows) for _ in example.options), strict=True)
        target = None if example.label is None else np.array([example.label])
        found.append(Item(tokens, segments, len(example.options), target))
    return found


def net(bert: Bert, labels: tuple[str, ...], pairs: bool, config: FinetuneConfig) -> TaskNet:
    """The network."""
    return Chooser(bert, 1, config.dropout, compare=config.compare)


def loss(net: TaskNet, outputs: Tensor, batch: Batch) -> Tensor:
    """Cross entropy over the options of each example."""
    options = outputs.float().split(batch.counts)
    return cross_entropy(pad_sequence(list(options), batch_first=True, padding_value=-torch.inf), batch.targets)


def tell(
    net: TaskNet, outputs: list[Tensor], items: list[Item], examples: Sequence[Choice], labels: tuple[str, ...]
) -> list[Chosen]:
    """The likeliest option."""
    told: list[Chosen] = []
    for output, example in zip(outputs, examples, strict=True):
        shares = output.float().softmax(-1)
        best = int(shares.argmax())
        told.append(Chosen(example.options[best], best, tuple(shares.tolist())))
    return told


def scores(examples: Sequence[Choice], told: list[Chosen]) -> dict[str, float]:
    """Accuracy."""
    return {"accuracy": accuracy([str(each.label) for each in examples], [str(each.number) for each in told])}


CHOOSE = Task(labels, items, net, loss, tell, scores)

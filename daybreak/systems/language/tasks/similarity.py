"""How alike two sentences are: read together (a cross-encoder), or apart and compared (Reimers and Gurevych 2019)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import cosine_similarity, mse_loss

from daybreak.metrics.agreement import pearson, spearman
from daybreak.systems.language.assets import Reader
from daybreak.systems.language.config import FinetuneConfig
from daybreak.systems.language.examples import Pair
from daybreak.systems.language.model.bert import Bert
from daybreak.systems.language.model.pool import weighted_mean
from daybreak.systems.language.model.rows import Rows
from daybreak.systems.language.model.whiten import NORM, whiten
from daybreak.systems.language.tasks.task import Batch, Item, Task, TaskNet, by_themselves, pair_rows


class CrossEncoder(TaskNet):
    """A number for both sentences."""

    def forward(self, rows: Rows, places: Tensor) -> Tensor:
        """(B,), where B is the number of pairs."""
        return self.of_rows(rows)[:, 0]


CONTEXT = 0.1
"""Of a vector, what its states begin with beside its word pieces: before training they only blur them."""


SHARPNESS = 10.0
"""By which the layer that says how much a word piece counts learns faster: its vectors are of length 1."""


class BiEncoder(TaskNet):
    """The cosine between the vectors of two sentences, which its head scales and shifts.

    A vector is a layer of the mean of a sentence's word pieces by themselves, and one of the mean of their last states,
    added up. How much each of them counts in the means is learned too: all alike at first. Arora et al. 2017 ("A Simple
    but Tough-to-Beat Baseline for Sentence Embeddings") take its rarity.
    """

    def __init__(self, bert: Bert, outputs: int, dropout: float) -> None:
        super().__init__(bert, outputs, dropout)
        self.words = torch.nn.Linear(bert.shape.hidden_size, bert.shape.hidden_size)
        self.context = torch.nn.Linear(bert.shape.hidden_size, bert.shape.hidden_size)
        self.weigh = torch.nn.Linear(bert.shape.hidden_size, 1)
        torch.nn.init.zeros_(self.weigh.weight)
        torch.nn.init.zeros_(self.weigh.bias)
        self.head = torch.nn.Linear(1, 1)
        torch.nn.init.ones_(self.head.weight)
        torch.nn.init.zeros_(self.head.bias)

    def forward(self, rows: Rows, places: Tensor) -> Tensor:
        """(B / 2,): rows are first and second sentences in turn."""
        return self.head(self.cosines(rows)[:, None])[:, 0]

    def cosines(self, rows: Rows) -> Tensor:
        """(B / 2,): the same, before it is scaled."""
        first, second = self.vectors(rows).unflatten(0, (-1, 2)).unbind(1)
        return cosine_similarity(first.float(), second.float())

    def vectors(self, rows: Rows) -> Tensor:
        """(B, D): of each sentence by itself."""
        pieces, states = self.means(rows)
        return self.words(pieces) + self.context(states)

    def means(self, rows: Rows) -> tuple[Tensor, Tensor]:
        """Each (B, D): the mean of a sentence's word pieces by themselves, and of its last states."""
        pieces, states = by_themselves(self.bert, rows), self.bert(rows)
        weights = (SHARPNESS * self.weigh(pieces))[:, 0].float().exp()
        return weighted_mean(pieces, weights, rows), weighted_mean(states, weights, rows)

    def settle(self, batch: Batch) -> None:
        """Begin with layers that whiten, and with the line that suits the targets best."""
        pieces, states = self.means(batch.rows)
        whiten(self.words, pieces)
        whiten(self.context, states, NORM * CONTEXT)
        known = torch.stack([cosines := self.cosines(batch.rows), torch.ones_like(cosines)], 1)  # (B / 2, 2)
        line = torch.linalg.lstsq(known, batch.targets[:, None], driver="gelsd").solution
        self.head.weight.copy_(line[:1])
        self.head.bias.copy_(line[1])


def labels(examples: Sequence[Pair]) -> tuple[str, ...]:
    """The lowest and the highest similarity of the training examples: the network says 0 and 1 for them."""
    values = [float(each.label) for each in examples if each.label is not None]
    return str(min(values)), str(max(values))


def items(examples: Sequence[Pair], reader: Reader, labels: tuple[str, ...], config: FinetuneConfig) -> list[Item]:
    """One row for both sentences, or one for each."""
    firsts, seconds = [each.first for each in examples], [each.second or "" for each in examples]
    if config.encoder == "cross":
        rows = [[row] for row in pair_rows(reader, firsts, seconds, config.length)]
    else:
        alone = [pair_rows(reader, texts, [None] * len(texts), config.length) for texts in (firsts, seconds)]
        rows = [list(both) for both in zip(*alone, strict=True)]
    low, high = map(float, labels)
    found: list[Item] = []
    for of, each in zip(rows, examples, strict=True):
        tokens, segments = zip(*of, strict=True)
        target = None if each.label is None else _scaled(float(each.label), low, high)
        found.append(Item(tokens, segments, 1, target))
    return found


def _scaled(value: float, low: float, high: float) -> np.ndarray:
    return np.array([(value - low) / (high - low or 1.0)], np.float32)


def net(bert: Bert, labels: tuple[str, ...], pairs: bool, config: FinetuneConfig) -> TaskNet:
    """The network."""
    if config.encoder == "bi":
        return BiEncoder(bert, 1, config.dropout)
    return CrossEncoder(bert, 1, config.dropout, compare=config.compare)


def loss(net: TaskNet, outputs: Tensor, batch: Batch) -> Tensor:
    """Mean squared error."""
    return mse_loss(outputs.float(), batch.targets)


def tell(
    net: TaskNet, outputs: list[Tensor], items: list[Item], examples: Sequence[Pair], labels: tuple[str, ...]
) -> list[float]:
    """Similarities on the scale of the training examples."""
    low, high = map(float, labels)
    return [low + (high - low) * output.item() for output in outputs]


def scores(examples: Sequence[Pair], told: list[float]) -> dict[str, float]:
    """Pearson's and Spearman's correlations, in percent."""
    true = [float(each.label) for each in examples if each.label is not None]
    return {"pearson": pearson(true, told), "spearman": spearman(true, told)}


SIMILARITY = Task(labels, items, net, loss, tell, scores)

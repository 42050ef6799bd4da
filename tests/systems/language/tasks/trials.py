"""What the tests of the tasks share: examples that a small network learns by heart, and how it does."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from daybreak.engine.device import Device
from daybreak.systems.language.assets import Reader
from daybreak.systems.language.config import FinetuneConfig
from daybreak.systems.language.examples import Choice, Example, Pair, Question, Span, Tagged
from daybreak.systems.language.finetune import outputs_of
from daybreak.systems.language.model.bert import Bert
from daybreak.systems.language.tasks.answer import ANSWER
from daybreak.systems.language.tasks.choose import CHOOSE
from daybreak.systems.language.tasks.similarity import SIMILARITY
from daybreak.systems.language.tasks.task import Item, Task, TaskNet, collate

CPU = Device(torch.device("cpu"), bf16=False)


def question(text: str, context: str, *answers: str) -> Question:
    return Question(text, context, tuple(Span(each, context.index(each)) for each in answers))


SENTENCES = [
    Pair("a fine film", label="good"),
    Pair("the plot is dull", label="bad"),
    Pair("dull , dull , dull", label="bad"),
    Pair("a fine plot and a fine end", label="good"),
    Pair("so so", label="neither"),
]
PAIRS = [
    Pair("a man sleeps", "a man is awake", "contradicts"),
    Pair("a man sleeps", "someone sleeps", "follows"),
    Pair("the cat sat", "something sat", "follows"),
    Pair("the cat sat", "the cat is awake", "contradicts"),
]
ALIKE = [
    Pair("a man sleeps", "a man sleeps", 5.0),
    Pair("a man sleeps", "someone sleeps", 3.8),
    Pair("the cat sat", "a man sleeps", 0.4),
    Pair("the cat sat", "the plot is dull", 0.0),
]
CHOICES = [
    Choice("the cat sat on the mat", "who sat ?", ("the man", "the cat"), 1),
    Choice("the man sleeps", "what does he do ?", ("he sleeps", "he sat", "he is awake", "he ate"), 0),
    Choice("the man ate and sleeps", "what did he do first ?", ("he sleeps", "he sat", "he ate"), 2),
]
ENTITIES = [
    Tagged(("Ann", "Lee", "of", "Rome", "sleeps"), ("B-PER", "I-PER", "O", "B-LOC", "O")),
    Tagged(("Rome", "is", "dull"), ("B-LOC", "O", "O")),
    Tagged(("the", "cat", "of", "Ann", "sat"), ("O", "O", "O", "B-PER", "O")),
]
WORDS = [
    Tagged(("the", "cat", "sat"), ("DET", "NOUN", "VERB")),
    Tagged(("Ann", "sleeps"), ("PROPN", "VERB")),
]
CONTEXT = (
    "the cat of Ann Lee sat on the mat and ate . the man is awake and the film is dull . he did so in Rome , where "
    "someone sleeps on the end of a mat and is so fine"
)
QUESTIONS = [
    question("who sat ?", CONTEXT, "the cat", "the cat of Ann Lee"),
    question("where ?", CONTEXT, "Rome"),
    question("who sleeps ?", CONTEXT, "someone"),
    question("what is dull ?", "the film is dull", "the film"),
]
UNANSWERABLE = [*QUESTIONS, question("who is he ?", CONTEXT)]


def settled(**changes: Any) -> FinetuneConfig:
    return FinetuneConfig(**({"length": 28, "stride": 6, "dropout": 0.0} | changes))


def made(task: Task, examples: Sequence[Example], reader: Reader, config: FinetuneConfig) -> TaskNet:
    torch.manual_seed(0)
    pairs = any(isinstance(each, Pair) and each.second is not None for each in examples)
    return task.net(Bert(reader.shape, config.dropout), task.labels(examples), pairs, config)


@dataclass
class Trained:
    """A network after training on one batch, and its last loss."""

    net: TaskNet
    labels: tuple[str, ...]
    loss: float


def overfit(
    task: Task, examples: Sequence[Example], reader: Reader, config: FinetuneConfig, enough: float = 0.03
) -> Trained:
    """Up to 600 steps on one batch; fewer where the loss is ``enough`` before."""
    labels = task.labels(examples)
    batch = collate(task.items(examples, reader, labels, config))
    net = made(task, examples, reader, config)
    optimizer = torch.optim.AdamW(net.parameters(), lr=1e-3)
    value, steps = torch.inf, 0
    while value > enough and steps < 600:
        loss = task.loss(net, net(batch.rows, batch.places), batch)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        value, steps = loss.item(), steps + 1
    return Trained(net, labels, value)


def tell(
    task: Task, trained: Trained, examples: Sequence[Example], reader: Reader, config: FinetuneConfig
) -> list[Any]:
    items = task.items(examples, reader, trained.labels, config)
    return task.tell(trained.net, outputs_of(trained.net, items, CPU), items, examples, trained.labels)


def untrained(task: Task, examples: Sequence[Example], reader: Reader, config: FinetuneConfig) -> Trained:
    labels = task.labels(examples)
    return Trained(made(task, examples, reader, config), labels, torch.inf)


def perfect(task: Task, item: Item, labels: tuple[str, ...]) -> Tensor:
    """What a network would give that knows the target."""
    assert item.target is not None
    target = torch.from_numpy(item.target)
    if task is SIMILARITY:
        return target
    if task is ANSWER:
        places = target.unflatten(0, (-1, 2)) + torch.tensor([0, *map(len, item.tokens)])[:-1].cumsum(0)[:, None]
        return torch.zeros(item.outputs, 2).scatter(0, places, 50.0)
    if task is CHOOSE:
        return torch.zeros(item.outputs).index_fill(0, target, 50.0)
    return torch.zeros(item.outputs, len(labels)).scatter(1, target[:, None], 50.0)

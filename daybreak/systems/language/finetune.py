"""The loop that makes a pretrained encoder good at one task."""

from __future__ import annotations

import copy
import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from daybreak.data.buckets import Buckets, in_order
from daybreak.engine.device import Device
from daybreak.engine.errors import UserError
from daybreak.engine.optim import Schedule, decay_groups, warmup_cosine
from daybreak.engine.run import Run
from daybreak.engine.rundir import write_json
from daybreak.systems.language import datasets
from daybreak.systems.language.assets import Learned, Reader, write_learned, write_reader
from daybreak.systems.language.config import FinetuneConfig
from daybreak.systems.language.encoders import open_encoder
from daybreak.systems.language.examples import Pair, text_of
from daybreak.systems.language.model.bert import Bert
from daybreak.systems.language.shape import shape_of
from daybreak.systems.language.tasks.table import TASKS
from daybreak.systems.language.tasks.task import Item, TaskNet, collate
from daybreak.systems.language.wordpiece import learn_wordpiece

SETTLED, SETTLED_PIECES = 2_048, 65_536
"""Training examples that a network's first weights are made to suit, and word pieces of theirs, at most."""


def finetune(config: FinetuneConfig) -> Path:
    """Fine-tune an encoder on a task. Returns the run directory; run again, it resumes."""
    with Run(config) as run:
        data_set = datasets.load(config)
        task = TASKS[data_set.task]
        write_json(run.assets / "data.json", {"digest": data_set.digest})
        start = beginning(config, data_set.train)
        labels = task.labels(data_set.train)
        write_reader(run.folder, start.reader)
        pairs = any(isinstance(each, Pair) and each.second is not None for each in data_set.train)
        write_learned(run.folder, Learned(data_set.task, list(labels), pairs))
        items, val_items = (task.items(each, start.reader, labels, config) for each in (data_set.train, data_set.val))
        if (longest := max(item.length for item in items)) > config.tokens:
            raise UserError(f"an example has {longest} word pieces in all its rows: give --tokens {longest} or more")
        net = task.net(start.bert(config.dropout), labels, pairs, config)
        settle(net, to_settle(items))
        model = run.device.wrap(net)
        optimizer = torch.optim.AdamW(groups_of(net, config), lr=0.0, fused=True)
        schedule = Schedule(optimizer, lr=warmup_cosine(config.lr, config.steps, warmup=config.warmup_steps))
        data = Buckets(torch.tensor([[item.length] for item in items]), config.tokens, config.seed)
        best = Best(net)
        for _ in run.steps(model=model, optimizer=optimizer, schedule=schedule, data=data, best=best):
            rows = next(data)
            shares = run.device.world if len(rows) >= run.device.world else 1  # too few: each rank has all
            batch = run.device.place(collate([items[i] for i in rows[run.device.rank % shares :: shares].tolist()]))
            with run.device.autocast():
                outputs = model(batch.rows, batch.places)
            loss = task.loss(net, outputs, batch)
            run.update(optimizer, loss, clip=config.clip or None)
            schedule.step()
            run.log(loss=loss, tokens=len(batch.rows.tokens))
            if run.every(config.eval_every):
                told = task.tell(net, outputs_of(net, val_items, run.device), val_items, data_set.val, labels)
                scores = task.scores(data_set.val, told)
                best.offer(net, next(iter(scores.values())))
                run.log(
                    epoch=data.epochs,
                    val_score=next(iter(scores.values())),
                    **{f"val_{name}": value for name, value in scores.items()},
                )
        run.save_weights(best.net)
    return run.folder


def groups_of(net: TaskNet, config: FinetuneConfig) -> list[dict[str, Any]]:
    """The parameters of the encoder and the others, each in a group that decays and one that does not.

    A smaller rate for what is pretrained than for what begins anew keeps what it has learned (Howard and Ruder 2018,
    section 3.2). With a rate of 0 it takes no gradients.
    """
    net.bert.requires_grad_(config.encoder_lr > 0)
    encoder = set(net.bert.parameters())
    return [
        {**group, "params": [each for each in group["params"] if (each in encoder) == inside], "lr_scale": scale}
        for group in decay_groups(net, config.weight_decay)
        for inside, scale in ((True, config.encoder_lr), (False, 1.0))
    ]


@dataclass(frozen=True)
class Beginning:
    """Where fine-tuning begins."""

    reader: Reader
    weights: dict[str, Tensor] | None
    """Of the encoder; None where nothing is pretrained."""

    def bert(self, dropout: float) -> Bert:
        """The encoder; a pooler that the checkpoint does not have is as new."""
        bert = Bert(self.reader.shape, dropout)
        if self.weights is not None:
            bert.load_state_dict(bert.state_dict() | self.weights)
        return bert


def beginning(config: FinetuneConfig, examples: Sequence[Any]) -> Beginning:
    """Open what ``config.pretrained`` names; without one, learn word pieces from the examples."""
    if not config.pretrained:
        lines = (text for example in examples for text in text_of(example))
        tokenizer = learn_wordpiece(lines, config.vocabulary, lowercase=True)
        return Beginning(Reader(tokenizer, True, shape_of(config.size, tokenizer.get_vocab_size())), None)
    reader, weights = open_encoder(Path(config.pretrained))
    if reader.shape.positions < config.length:
        raise UserError(
            f"{config.pretrained} reads rows of {reader.shape.positions} word pieces: give a --length of no more"
        )
    return Beginning(reader, None if config.from_scratch else weights)


def to_settle(items: Sequence[Item]) -> list[Item]:
    """The first examples, as many as are enough and fit into memory at once; one at least."""
    pieces = itertools.accumulate(item.length for item in items[:SETTLED])
    return [item for item, so_far in zip(items, pieces, strict=False) if item is items[0] or so_far <= SETTLED_PIECES]


@torch.no_grad()
def settle(net: TaskNet, items: Sequence[Item]) -> None:
    """Let a network begin with weights that suit training examples; a run that resumes has weights of its own."""
    net.eval()
    net.settle(collate(items))
    net.train()


class Best:
    """The weights of the best validation so far: a long fine-tuning forgets."""

    def __init__(self, net: nn.Module) -> None:
        self.net, self.score = copy.deepcopy(net), torch.tensor(-torch.inf)

    def offer(self, net: nn.Module, score: float) -> None:
        """Keep these weights where they are better than those before."""
        if score > self.score:
            self.score.fill_(score)
            self.net.load_state_dict(net.state_dict())

    def state_dict(self) -> dict[str, Any]:
        """Weights and score."""
        return {"net": self.net.state_dict(), "score": self.score}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Undo :meth:`state_dict`."""
        self.net.load_state_dict(state["net"])
        self.score = state["score"]


@torch.no_grad()
def outputs_of(net: nn.Module, items: Sequence[Item], device: Device, tokens: int = 4_096) -> list[Tensor]:
    """What the network says of each item, on the CPU, in batches of items of like length; its mode is what it was."""
    found: list[Tensor] = [torch.empty(0)] * len(items)
    if not items:
        return found
    training = net.training
    net.eval()
    for rows in in_order(torch.tensor([[item.length] for item in items]), tokens):
        batch = device.place(collate([items[i] for i in rows.tolist()]))
        with device.autocast():
            outputs = net(batch.rows, batch.places).float().cpu()
        for row, output in zip(rows.tolist(), outputs.split(batch.counts), strict=True):
            found[row] = output
    net.train(training)
    return found

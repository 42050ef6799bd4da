# /// script
# requires-python = ">=3.11"
# dependencies = ["transformers==5.23.0"]
# ///
"""Pretraining BERT-mini: our loop against the public library's ``BertForMaskedLM``.

Both read the same rows of the same text with the same vocabulary, masked as BERT was (15 %), in bf16 with AdamW. The
peer's loop is the one of its users: batches of as many rows as ours have on average, drawn at random, padded to the
longest, labels of -100 where nothing is to be guessed. The two take turns, some steps each; real word pieces (no
padding) are counted over seconds. Ours also learns whether sentences follow each other, which the peer's class does
not. Then the masked losses of both on held-out rows are compared, after as many steps.

    python3 dev.py bench bert_pretraining_vs_transformers
    python3 dev.py bench bert_pretraining_vs_transformers --vocabulary 8192
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import transformers
from torch import nn

from daybreak.data.buckets import Buckets
from daybreak.engine.device import Device
from daybreak.engine.optim import decay_groups
from daybreak.report.records import Measurement, Record, write
from daybreak.systems.language import datasets
from daybreak.systems.language.config import PretrainConfig, mini
from daybreak.systems.language.masking import Guess, Masking
from daybreak.systems.language.model.heads import Pretraining
from daybreak.systems.language.pairs import Pairs
from daybreak.systems.language.pretrain import ASKED, Quiz, learn_to_read, mark, masking_of, pairs_of, quiz_of
from daybreak.systems.language.shape import to_public

TURN, TURNS, LR, CLIP = 8, 12, 5e-4, 1.0
"""Steps of a turn, turns, a learning rate that both can begin with, and the largest norm of a gradient."""


@dataclass
class Material:
    """What both sides read."""

    config: PretrainConfig
    pairs: Pairs
    masking: Masking
    quiz: Quiz
    shape: dict[str, int]


def main() -> None:
    """Time both sides, print the figures, and write ``results/language/pretraining-vs-transformers[-V].json``."""
    arguments = argparse.ArgumentParser(description="Pretraining speed against BertForMaskedLM.")
    arguments.add_argument("--vocabulary", type=int, default=30_522, help="word pieces; the public BERT's are 30,522")
    arguments.add_argument("--threads", type=int, default=torch.get_num_threads())
    arguments.add_argument("--results", type=Path, default=Path("results"))
    given = arguments.parse_args()
    torch.set_num_threads(given.threads)
    started = time.monotonic()
    material, net = read(given.vocabulary)
    ours, peer = Ours(material, net), Peer(material)
    speeds = take_turns({"ours": ours.steps(), "peer": peer.steps()})
    losses = {"ours": ours.quiz_loss(), "peer": peer.quiz_loss()}
    print(write(record(given, speeds, losses, time.monotonic() - started), given.results))


def read(vocabulary: int) -> tuple[Material, Pretraining]:
    """Text, word pieces and rows of the preset ``mini``, with another vocabulary, and as many masked as in BERT."""
    config = mini()
    config.vocabulary, config.precision, config.masked = vocabulary, "bf16", ASKED
    text = datasets.corpus(config.corpus)
    reader = learn_to_read(text.train, config)
    masking = masking_of(reader, config.masked)
    quiz = quiz_of(pairs_of(text.held_out, reader, config), reader, config.tokens, config.held_out)
    pairs = pairs_of(text.train, reader, config)
    torch.manual_seed(0)
    return Material(config, pairs, masking, quiz, to_public(reader.shape)), Pretraining(reader.shape)


def take_turns(sides: dict[str, Iterator[int]]) -> dict[str, list[float]]:
    """Real word pieces a second of each turn; the first is not counted."""
    speeds: dict[str, list[float]] = {name: [] for name in sides}
    for turn in range(TURNS + 1):
        for name, steps in sides.items():
            started = time.monotonic()
            pieces = sum(next(steps) for _ in range(TURN))
            if turn:
                speeds[name].append(pieces / (time.monotonic() - started))
        print({name: f"{statistics.median(each or [0]):,.0f} pieces/s" for name, each in speeds.items()}, flush=True)
    return speeds


class Side:
    """A model and its optimizer: the same on both sides."""

    def __init__(self, material: Material, model: nn.Module) -> None:
        self.material, self.device = material, Device.pick(material.config)
        self.model = self.device.wrap(model)
        groups = decay_groups(model, material.config.weight_decay)
        self.optimizer = torch.optim.AdamW(groups, lr=LR, betas=(0.9, 0.98), fused=True)
        self.lengths = torch.from_numpy(material.pairs.lengths)[:, None]

    def update(self, loss: torch.Tensor) -> None:
        """One step."""
        self.optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(self.model.parameters(), CLIP)
        self.optimizer.step()

    def masked(self, rows: np.ndarray, step: int) -> Guess:
        """The rows with holes."""
        return self.material.masking.mask(self.material.pairs.rows(rows), np.random.default_rng(step))


class Ours(Side):
    """The loop of ``language pretrain``."""

    def steps(self) -> Iterator[int]:
        """Train; yields the real word pieces of each step."""
        for step, rows in enumerate(Buckets(self.lengths, self.material.config.tokens, 0)):
            guess = self.masked(rows.numpy(), step)
            follows = torch.from_numpy(self.material.pairs.follows[rows.numpy()])
            marks = mark(self.model, guess, follows, self.device)
            self.update(marks.loss + marks.follows_loss)
            yield len(guess.rows.tokens)

    def quiz_loss(self) -> float:
        """Masked loss on held-out rows."""
        return self.material.quiz.ask(self.model, self.device, follows=False)["masked_loss"]


class Peer(Side):
    """The loop of the public library's users."""

    def __init__(self, material: Material) -> None:
        torch.manual_seed(0)
        config = transformers.BertConfig(**material.shape, hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0)
        super().__init__(material, transformers.BertForMaskedLM(config))

    def steps(self) -> Iterator[int]:
        """Train; yields the real word pieces of each step."""
        size = round(len(self.lengths) / len(Buckets(self.lengths, self.material.config.tokens, 0).of_epoch()))
        order = np.random.default_rng(0).permutation(len(self.lengths))
        for step, start in enumerate(range(0, len(order), size)):
            guess = self.masked(order[start : start + size], step)
            self.update(self.loss(guess))
            yield len(guess.rows.tokens)

    def loss(self, guess: Guess) -> torch.Tensor:
        """What the model's own ``forward`` returns for labels."""
        rows = guess.rows
        labels = torch.zeros_like(rows.tokens).index_copy(0, guess.places, guess.answers + 100)  # padding is 0 too
        padding = torch.ones_like(rows.tokens, dtype=torch.bool)
        with self.device.autocast():
            return self.model(
                input_ids=rows.table(rows.tokens),
                token_type_ids=rows.table(rows.segments),
                attention_mask=rows.table(padding),
                labels=rows.table(labels) - 100,
            ).loss

    @torch.no_grad()
    def quiz_loss(self) -> float:
        """Masked loss on held-out rows."""
        self.model.eval()
        guesses = self.material.quiz.guesses
        total = sum(self.loss(guess).item() * len(guess.answers) for guess in guesses)
        return total / sum(len(guess.answers) for guess in guesses)


def record(
    given: argparse.Namespace, speeds: dict[str, list[float]], losses: dict[str, float], seconds: float
) -> Record:
    """The ratio turn by turn, and what it is made of."""
    ratios = [a / b for a, b in zip(speeds["ours"], speeds["peer"], strict=True)]
    print(f"{statistics.median(ratios):.2f} times the real word pieces a second; losses {losses}")
    how = f"{TURNS} interleaved turns of {TURN} steps, {given.threads} threads, bf16, {given.vocabulary:,} word pieces"
    after = f"after {TURN * (TURNS + 1)} steps"
    return Record(
        system="language",
        name="pretraining-vs-transformers" + (f"-{given.vocabulary}" if given.vocabulary != 30_522 else ""),
        claim="pretraining BERT-mini reads 4 times the real word pieces a second of the public BertForMaskedLM's loop",
        commands=[f"python3 dev.py bench bert_pretraining_vs_transformers --vocabulary {given.vocabulary}"],
        attempts="one call, all turns are listed",
        measurements=[
            Measurement(
                "pretraining_speed_ratio", "x", ratios, 4.0, peer=f"transformers {transformers.__version__}", how=how
            ),
            Measurement("pieces_per_second", "pieces/s", speeds["ours"], how=how),
            Measurement("peer_pieces_per_second", "pieces/s", speeds["peer"], how=how),
            Measurement("masked_loss", "nats", [losses["ours"]], better="lower", how=after),
            Measurement("peer_masked_loss", "nats", [losses["peer"]], better="lower", how=after),
        ],
        seconds=seconds,
    )


if __name__ == "__main__":
    main()

# /// script
# requires-python = ">=3.11"
# dependencies = []
# ///
"""Training a Transformer on Multi30k: our loop against a plain one with ``torch.nn.Transformer``.

Both train the preset's sizes on the same sentences with the same vocabulary, dropout and label smoothing, both with
AdamW at the Transformer's usual rate (the preset's own optimizer is Muon, which ``nn.Transformer`` is not timed with).
The plain loop is the one of tutorials: shuffled batches of as many sentences as ours have on average, padded to the
longest, ``nn.Transformer`` with masks, cross entropy over all places with ``ignore_index``. It computes in fp32 or in
bf16, whichever is faster for it here. The two take turns, some steps each; real (unpadded) tokens of both languages are
counted over seconds. In the end both have seen as many epochs, and their losses on the validation sentences are
compared.

    python3 dev.py bench translation_vs_nn_transformer
"""

from __future__ import annotations

import argparse
import dataclasses
import itertools
import math
import statistics
import time
from collections.abc import Iterable, Iterator
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy
from torch.utils.data import DataLoader

from daybreak.data.buckets import Buckets
from daybreak.data.text import PAD
from daybreak.engine.device import Device
from daybreak.engine.optim import Schedule, decay_groups
from daybreak.report.records import Measurement, Record, write
from daybreak.systems.translation.config import Config, transformer
from daybreak.systems.translation.data import Batch, Pairs, learn_vocabulary, train_and_val
from daybreak.systems.translation.model import network
from daybreak.systems.translation.model.transformer import sinusoids
from daybreak.systems.translation.train import learning_rate, loss_of, losses_of

EPOCHS, TURN = 2, 12


def main() -> None:
    """Time both sides, print the figures, and write ``results/translation/vs-nn-transformer.json``."""
    arguments = argparse.ArgumentParser(description="Training speed against a plain loop with nn.Transformer.")
    arguments.add_argument("--threads", type=int, default=torch.get_num_threads())
    arguments.add_argument("--results", type=Path, default=Path("results"))
    given = arguments.parse_args()
    torch.set_num_threads(given.threads)
    started = time.monotonic()
    config = dataclasses.replace(transformer(), optimizer="adamw", lr=1.5e-3, warmup_steps=400)
    corpus, val = train_and_val(config)
    vocabulary = learn_vocabulary(corpus, config)
    pairs, val_pairs = vocabulary.encode(corpus).up_to(config.longest), vocabulary.encode(val)
    ours, plain = Ours(config, pairs, vocabulary.sizes), faster_plain(config, pairs, vocabulary.sizes)
    speeds = take_turns(ours, plain)
    losses = {"ours": ours.loss(val_pairs), "plain": plain.loss(val_pairs)}
    ratios = [a / b for a, b in zip(speeds["ours"], speeds["plain"], strict=True)]
    print(f"{statistics.median(ratios):.2f} times the tokens a second; losses {losses}")
    arithmetic = f"ours in {ours.device.precision}, the plain loop in {plain.device.precision}"
    how = f"{len(ratios)} interleaved turns of {TURN} steps, {given.threads} threads, {arithmetic}"
    record = Record(
        system="translation",
        name="vs-nn-transformer",
        claim="training reads 1.5 times the real tokens a second of a plain padded loop with nn.Transformer",
        commands=[f"python3 dev.py bench translation_vs_nn_transformer --threads {given.threads}"],
        attempts="one call, all turns are listed",
        measurements=[
            Measurement(
                "training_tokens_ratio", "x", ratios, 1.5, peer=f"nn.Transformer, torch {torch.__version__}", how=how
            ),
            Measurement("tokens_per_second", "tokens/s", speeds["ours"], how=how),
            Measurement("plain_tokens_per_second", "tokens/s", speeds["plain"], how=how),
            Measurement("val_loss", "nats", [losses["ours"]], better="lower", how=f"after {EPOCHS} epochs"),
            Measurement("plain_val_loss", "nats", [losses["plain"]], better="lower", how=f"after {EPOCHS} epochs"),
        ],
        seconds=time.monotonic() - started,
    )
    print(write(record, given.results))


def faster_plain(config: Config, pairs: Pairs, sizes: tuple[int, int]) -> Plain:
    """The plain loop in the arithmetic that is faster for it, from its beginning."""
    seconds: dict[str, float] = {}
    for precision in ("fp32", "auto"):
        steps = Plain(dataclasses.replace(config, precision=precision), pairs, sizes).steps()
        next(steps)
        started = time.monotonic()
        list(itertools.islice(steps, TURN))
        seconds[precision] = time.monotonic() - started
    return Plain(dataclasses.replace(config, precision=min(seconds, key=seconds.__getitem__)), pairs, sizes)


def take_turns(ours: Ours, plain: Plain) -> dict[str, list[float]]:
    """Real tokens a second of each turn, until both have done their epochs; the first turn is not counted."""
    sides, speeds = {"ours": ours.steps(), "plain": plain.steps()}, {"ours": [], "plain": []}
    while True:
        for name, steps in sides.items():
            started = time.monotonic()
            tokens = [n for n, _ in zip(steps, range(TURN), strict=False)]
            if len(tokens) < TURN:
                for rest in sides.values():
                    list(rest)
                return {name: each[1 : min(map(len, speeds.values()))] for name, each in speeds.items()}
            speeds[name].append(sum(tokens) / (time.monotonic() - started))
        print({name: f"{statistics.median(each):,.0f} tokens/s" for name, each in speeds.items()}, flush=True)


class Side:
    """A model, its optimizer and its schedule: the same on both sides."""

    def __init__(self, config: Config, pairs: Pairs, model: nn.Module) -> None:
        self.config, self.pairs, self.device = config, pairs, Device.pick(config)
        self.model = self.device.wrap(model)
        self.optimizer = torch.optim.AdamW(decay_groups(model, 0.0), lr=0.0, betas=(0.9, 0.98), fused=True)
        self.schedule = Schedule(self.optimizer, lr=learning_rate(config))
        batches = Buckets(pairs.lengths, config.tokens // config.strata, config.seed, config.strata).of_epoch()
        self.per_epoch = len(batches) / config.strata  # steps

    def update(self, losses: Iterable[Tensor]) -> None:
        """One step down the gradient of their sum."""
        self.optimizer.zero_grad()
        for loss in losses:
            loss.backward()
        nn.utils.clip_grad_norm_(self.model.parameters(), self.config.clip)
        self.optimizer.step()
        self.schedule.step()


class Ours(Side):
    """The loop of ``translation train``."""

    def __init__(self, config: Config, pairs: Pairs, sizes: tuple[int, int]) -> None:
        torch.manual_seed(config.seed)
        super().__init__(config, pairs, network(config, *sizes))

    def steps(self) -> Iterator[int]:
        """Train for ``EPOCHS``; yields the real tokens of each step."""
        strata = self.config.strata
        data = Buckets(self.pairs.lengths, self.config.tokens // strata, self.config.seed, strata)
        while data.epochs < EPOCHS:
            parts = [next(data) for _ in range(strata)]
            losses = losses_of(self.model, self.pairs, parts, self.config.label_smoothing, self.device)
            self.update(loss / strata for loss in losses)
            yield int(self.pairs.lengths[torch.cat(parts)].sum())

    @torch.no_grad()
    def loss(self, pairs: Pairs) -> float:
        """Cross entropy a word."""
        self.model.eval()
        losses = [
            loss_of(self.model, pairs.batch(rows), 0.0, self.device) for rows in torch.arange(len(pairs)).split(64)
        ]
        return sum(losses).item() / int(pairs.lengths[:, 1].sum())


class Plain(Side):
    """The loop of tutorials."""

    def __init__(self, config: Config, pairs: Pairs, sizes: tuple[int, int]) -> None:
        torch.manual_seed(config.seed)
        super().__init__(config, pairs, PlainTransformer(config, sizes[1]))

    def steps(self) -> Iterator[int]:
        """Train for ``EPOCHS``; yields the real tokens of each step."""
        size = round(len(self.pairs) / self.per_epoch)
        rows = DataLoader(range(len(self.pairs)), size, shuffle=True, collate_fn=torch.tensor)
        for _ in range(EPOCHS):
            for some in rows:
                self.update([self.loss_of(self.pairs.batch(some), self.config.label_smoothing)])
                yield int(self.pairs.lengths[some].sum())

    def loss_of(self, batch: Batch, label_smoothing: float, reduction: str = "mean") -> Tensor:
        """Cross entropy over all places but padding."""
        with self.device.autocast():
            logits = self.model(batch.source, batch.target_in).flatten(0, 1)
        labels = batch.target_out.flatten()
        return cross_entropy(
            logits.float(), labels, ignore_index=PAD, label_smoothing=label_smoothing, reduction=reduction
        )

    @torch.no_grad()
    def loss(self, pairs: Pairs) -> float:
        """Cross entropy a word."""
        self.model.eval()
        rows = torch.arange(len(pairs)).split(64)
        losses = [self.loss_of(pairs.batch(some), 0.0, "sum") for some in rows]
        return sum(losses).item() / int(pairs.lengths[:, 1].sum())


class PlainTransformer(nn.Module):
    """``nn.Transformer`` between shared embeddings and a tied output layer."""

    def __init__(self, config: Config, size: int) -> None:
        super().__init__()
        width = config.hidden_size
        self.embedding = nn.Embedding(size, width)
        nn.init.normal_(self.embedding.weight, std=width**-0.5)
        self.transformer = nn.Transformer(
            width, config.num_heads, config.num_layers, config.num_layers, config.ff_size, config.dropout,
            batch_first=True, norm_first=config.norm == "pre",
        )  # fmt: skip
        self.dropout = nn.Dropout(config.dropout)
        self.register_buffer("places", sinusoids(torch.arange(512), width))

    def embed(self, tokens: Tensor) -> Tensor:
        """(B, T) -> (B, T, D)."""
        scaled = self.embedding(tokens) * math.sqrt(self.embedding.embedding_dim)
        return self.dropout(scaled + self.places[: tokens.shape[1]])

    def forward(self, source: Tensor, target_in: Tensor) -> Tensor:
        """Logits (B, T, V)."""
        causal = nn.Transformer.generate_square_subsequent_mask(target_in.shape[1], dtype=torch.bool)
        padding, target_padding = source == PAD, target_in == PAD
        features = self.transformer(
            self.embed(source), self.embed(target_in), tgt_mask=causal, src_key_padding_mask=padding,
            tgt_key_padding_mask=target_padding, memory_key_padding_mask=padding,
        )  # fmt: skip
        return nn.functional.linear(features, self.embedding.weight)


if __name__ == "__main__":
    main()

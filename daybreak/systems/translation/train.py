"""The loop that turns pairs of sentences into a translator."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy
from torch.optim.swa_utils import AveragedModel

from daybreak.data.buckets import Buckets, in_order
from daybreak.data.text import PAD, save_tokenizer
from daybreak.engine.device import Device, unwrap
from daybreak.engine.files import write_atomic
from daybreak.engine.muon import adamw_or_muon
from daybreak.engine.optim import Curve, Schedule, warmup_cosine, warmup_inverse_sqrt
from daybreak.engine.run import Run
from daybreak.engine.rundir import write_json
from daybreak.metrics.bleu import bleu, exact_match
from daybreak.systems.translation.config import Config
from daybreak.systems.translation.data import Batch, Pairs, learn_vocabulary, train_and_val
from daybreak.systems.translation.model import Network, network
from daybreak.systems.translation.predict import SOURCE_TOKENS, TARGET_TOKENS, Translator


def train(config: Config) -> Path:
    """Train a translator. Returns the run directory; run again, it resumes."""
    with Run(config) as run:
        corpus, val = train_and_val(config)
        write_json(run.assets / "data.json", {"digest": corpus.digest})
        vocabulary = learn_vocabulary(corpus, config)
        write_atomic(run.assets / SOURCE_TOKENS, save_tokenizer(vocabulary.source))
        write_atomic(run.assets / TARGET_TOKENS, save_tokenizer(vocabulary.target))
        pairs, val_pairs = (vocabulary.encode(sentences).up_to(config.longest) for sentences in (corpus, val))
        net = network(config, *vocabulary.sizes)
        model = run.device.wrap(net)
        optimizer = adamw_or_muon(net, config.optimizer, config.weight_decay, run.device)
        schedule = Schedule(optimizer, lr=learning_rate(config))
        data = Buckets(pairs.lengths, config.tokens // config.strata, config.seed, config.strata)
        average = AveragedModel(net)
        for step in run.steps(model=model, optimizer=optimizer, schedule=schedule, data=data, average=average):
            parts = [next(data) for _ in range(config.strata)]
            losses: list[Tensor] = []
            for loss in losses_of(model, pairs, parts, config.label_smoothing, run.device):
                run.update(optimizer, loss, clip=config.clip or None, accumulate=config.strata)
                losses.append(loss.detach())
            schedule.step()
            run.log(loss=torch.stack(losses).mean(), tokens=int(pairs.lengths[torch.cat(parts)].sum()))
            if run.every(config.eval_every):
                if step + 1 > config.steps - config.average * config.eval_every:
                    average.update_parameters(net)
                better = cast(Network, average.module) if average.n_averaged else net
                translated = Translator(config, better, vocabulary, run.device).translate(val.source, beam=1)
                run.log(
                    epoch=data.epochs,
                    val_loss=mean_loss(better, val_pairs, config, run.device),
                    val_bleu=bleu(translated, val.target)[0],
                    val_exact=exact_match(translated, val.target),
                )
        run.save_weights(average.module if average.n_averaged else net)
    return run.folder


def learning_rate(config: Config) -> Curve:
    """The learning rate by steps done."""
    if config.schedule == "cosine":
        return warmup_cosine(config.lr, config.steps, warmup=config.warmup_steps)
    return warmup_inverse_sqrt(config.lr, config.warmup_steps)


def share(rows: Tensor, device: Device) -> tuple[Tensor, int]:
    """The rows of a batch that this rank takes, and among how many ranks they are shared: too few, and each has all."""
    shares = device.world if len(rows) >= device.world else 1
    return rows[device.rank % shares :: shares], shares


def losses_of(
    model: nn.Module, pairs: Pairs, parts: list[Tensor], label_smoothing: float, device: Device
) -> Iterator[Tensor]:
    """A loss for each part of a step, so that their mean is the cross entropy over all its words, whatever the part."""
    words = int(pairs.lengths[torch.cat(parts), 1].sum())
    for rows in parts:
        mine, shares = share(rows, device)
        loss = loss_of(model, device.place(pairs.batch(mine)), label_smoothing, device)
        yield loss * shares * len(parts) / words


def loss_of(model: nn.Module, batch: Batch, label_smoothing: float, device: Device) -> Tensor:
    """Cross entropy with smoothed labels, summed over the batch's words; padding is not even given logits."""
    words = batch.target_out != PAD  # (B, T)
    with device.autocast():
        features = model(batch.source, batch.target_in)[words]  # (words, D)
        network: Network = unwrap(model)
        logits = network.logits(features)
    return cross_entropy(logits.float(), batch.target_out[words], reduction="sum", label_smoothing=label_smoothing)


@torch.no_grad()
def mean_loss(net: Network, pairs: Pairs, config: Config, device: Device) -> float:
    """Cross entropy a word, in nats, labels not smoothed; the network's mode is what it was."""
    training = net.training
    net.eval()
    batches = in_order(pairs.lengths, config.tokens)
    total = sum(loss_of(net, device.place(pairs.batch(rows)), 0.0, device).item() for rows in batches)
    net.train(training)
    return total / int(pairs.lengths[:, 1].sum())

# /// script
# requires-python = ">=3.11"
# dependencies = ["transformers==5.23.0"]
# ///
"""Classifying sentences with BERT-base: ours without padding against the public library's padded batches of 32.

Both have the same (random) weights and number format, and read the same word pieces: the first 1,000 phrases of SST-2's
training set, and the 872 sentences of its development set. The peer takes them in their order, padded to the longest of
each batch; ours sorts them by length and computes nothing for padding but in the attention. The two take turns, and
their logits are compared.

    python3 dev.py bench bert_inference_vs_transformers
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import torch
import transformers
from torch import Tensor

from daybreak.data import where
from daybreak.engine.config import RunConfig
from daybreak.engine.device import Device
from daybreak.report.records import Measurement, Record, write
from daybreak.systems.language.assets import Reader
from daybreak.systems.language.config import FinetuneConfig
from daybreak.systems.language.finetune import outputs_of
from daybreak.systems.language.formats.pairs import read_sst2
from daybreak.systems.language.model.bert import Bert
from daybreak.systems.language.model.public import from_public_weights
from daybreak.systems.language.shape import Shape, shape_of, to_public
from daybreak.systems.language.tasks.classify import Classifier, items
from daybreak.systems.language.tasks.task import Item
from daybreak.systems.language.wordpiece import learn_wordpiece

VOCABULARY, BATCH, TURNS = 8_192, 32, 5
SETS = {"phrases": ("train.tsv", 1_000, 2.0), "sentences": ("dev.tsv", 872, 1.5)}
"""File, how many of it, and the ratio to reach."""


def main() -> None:
    """Time both sides, print the figures, and write ``results/language/inference-vs-transformers-PRECISION.json``."""
    arguments = argparse.ArgumentParser(description="Inference speed against padded batches.")
    arguments.add_argument("--precision", choices=["bf16", "fp32"], default="bf16")
    arguments.add_argument("--threads", type=int, default=torch.get_num_threads())
    arguments.add_argument("--results", type=Path, default=Path("results"))
    given = arguments.parse_args()
    torch.set_num_threads(given.threads)
    started = time.monotonic()
    device = Device.pick(RunConfig(device="cpu", precision=given.precision))
    folder = where.root() / "glue" / "SST-2"
    examples = {name: read_sst2(folder / file)[:count] for name, (file, count, _) in SETS.items()}
    tokenizer = learn_wordpiece((each.first for each in read_sst2(folder / "train.tsv")), VOCABULARY)
    shape = shape_of("base", tokenizer.get_vocab_size())
    torch.manual_seed(0)
    peer = transformers.BertForSequenceClassification(transformers.BertConfig(**to_public(shape))).eval()
    net = same_weights(peer, shape)
    measurements: list[Measurement] = []
    for name, (_, _, target) in SETS.items():
        read = items(examples[name], Reader(tokenizer, True, shape), (), FinetuneConfig())
        sides = {"ours": partial(ours, net, read, device), "peer": partial(padded, peer, read, device)}
        seconds, logits = take_turns(sides)
        difference = (logits["ours"] - logits["peer"]).abs().max().item()
        ratios = [b / a for a, b in zip(seconds["ours"], seconds["peer"], strict=True)]
        print(f"{name}: {statistics.median(ratios):.2f} times as fast; logits differ by at most {difference:.2g}")
        how = f"{TURNS} interleaved turns, {given.threads} threads, {given.precision}, batches of {BATCH} for the peer"
        measurements += [
            Measurement(f"{name}_ratio", "x", ratios, target, peer=f"transformers {transformers.__version__}", how=how),
            Measurement(f"{name}_seconds", "s", seconds["ours"], better="lower", how=how),
            Measurement(f"{name}_peer_seconds", "s", seconds["peer"], better="lower", how=how),
            Measurement(f"{name}_largest_difference", "logits", [difference], better="lower", how=how),
        ]
    record = Record(
        system="language",
        name=f"inference-vs-transformers-{given.precision}",
        claim="BERT-base classifies short texts of mixed lengths at 1.5 to 2 times the speed of padded batches",
        commands=[f"python3 dev.py bench bert_inference_vs_transformers --precision {given.precision}"],
        attempts="one call, all turns are listed",
        measurements=measurements,
        seconds=time.monotonic() - started,
    )
    print(write(record, given.results))


def same_weights(peer: transformers.BertForSequenceClassification, shape: Shape) -> Classifier:
    """Our classifier with the peer's weights."""
    net = Classifier(Bert(shape), peer.config.num_labels, 0.0)
    weights = from_public_weights(peer.state_dict(), net.bert.shape)
    net.bert.load_state_dict({name.removeprefix("bert."): each for name, each in weights.items()})
    net.head.load_state_dict(peer.classifier.state_dict())
    return net.eval()


def ours(net: Classifier, read: list[Item], device: Device) -> Tensor:
    """Logits, batches by length."""
    return torch.cat(outputs_of(net, read, device))


@torch.inference_mode()
def padded(peer: transformers.BertForSequenceClassification, read: list[Item], device: Device) -> Tensor:
    """Logits, batches in order."""
    found: list[Tensor] = []
    for start in range(0, len(read), BATCH):
        rows = [torch.from_numpy(item.tokens[0]).long() for item in read[start : start + BATCH]]
        tokens = torch.nn.utils.rnn.pad_sequence(rows, batch_first=True)
        lengths = torch.tensor([len(row) for row in rows])
        with device.autocast():
            mask = torch.arange(tokens.shape[1]) < lengths[:, None]
            found.append(peer(input_ids=tokens, attention_mask=mask.long()).logits.float())
    return torch.cat(found)


def take_turns(sides: dict[str, Callable[[], Tensor]]) -> tuple[dict[str, list[float]], dict[str, Tensor]]:
    """Seconds of each turn, the first not counted, and the logits."""
    seconds: dict[str, list[float]] = {name: [] for name in sides}
    logits: dict[str, Tensor] = {}
    for turn in range(TURNS + 1):
        for name, run in sides.items():
            started = time.monotonic()
            logits[name] = run()
            if turn:
                seconds[name].append(time.monotonic() - started)
    return seconds, logits


if __name__ == "__main__":
    main()

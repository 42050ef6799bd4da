# /// script
# requires-python = ">=3.11"
# dependencies = []
# ///
"""What each part of the fast recipe is worth: leave one out, add one; held-out accuracy and CPU seconds.

The recipe of `cifar10-94` with a quarter of the channels, on 15,000 images of CIFAR-10's training set, tested on
10,000 others of it (never on the test set). Every variant is trained with the same seeds, in turns, so that a busy
machine is busy for all of them alike. Stopped, and called again with the same ``--rows``, it goes on.

    python3 dev.py bench dawnbench_parts --seeds 0 1 2 --rows rows.jsonl
"""

from __future__ import annotations

import argparse
import tempfile
import time
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from statistics import mean
from typing import Any

from daybreak.engine.device import Device
from daybreak.engine.rundir import is_finished
from daybreak.report.records import Mark, Measurement, Record, write
from daybreak.report.records.rows import Rows
from daybreak.systems.dawnbench import cifar10_94, load, train
from daybreak.systems.dawnbench.config import Config
from daybreak.systems.dawnbench.data import training_sets
from daybreak.systems.dawnbench.predict import accuracy, predictions

TRAINED, TESTED, EPOCHS = 15_000, 10_000, 8


@dataclass(frozen=True)
class Variant:
    """A name, and the fields in which its config differs from the recipe's."""

    name: str
    fields: dict[str, Any] = field(default_factory=dict)


SGD = {"optimizer": "sgd", "lr": 1.5, "bias_scale": 64.0, "head_scale": 1.0, "momentum": 0.85, "weight_decay": 1e-4}
LEFT_OUT = [
    Variant("no whitening", {"whiten": False}),
    Variant("no dirac start", {"dirac": False}),
    Variant("random flip, not alternating", {"flip": "random"}),
    Variant("no flip", {"flip": "off"}),
    Variant("no crop", {"crop": 0}),
    Variant("no label smoothing", {"label_smoothing": 0.0}),
    Variant("one view at the test", {"views": False}),
    Variant("SGD, not Muon", SGD),
    Variant("SGD, biases no faster", SGD | {"bias_scale": 1.0}),
    Variant("decay off norms and biases", {"decay_all": False}),
    Variant("no decay", {"weight_decay": 0.0}),
    Variant("batch norm over the whole batch", {"micro_batch": 0}),
    Variant("step schedule, not linear", {"schedule": "steps"}),
    Variant("no progressive resizing", {"smallest": 0}),
]
ADDED = [
    Variant("1cycle with inverse momentum", {"schedule": "one-cycle"}),
    Variant("trained scales of norms", {"norm_scale": True}),
    Variant("ghost batches of 50", {"ghost": 50}),
    Variant("averaged weights (EMA)", {"ema": 0.98}),
    Variant("SAM", {"sam": 0.05, "micro_batch": 0, "ghost": 125}),
    Variant("selective backprop, half", {"keep": 0.5, "micro_batch": 0, "ghost": 125}),
    Variant("cutout", {"cutout": 8}),
    Variant("mixup", {"mixup": 0.2}),
    Variant("cutmix", {"cutmix": 1.0}),
    Variant("blurpool", {"blurpool": True}),
    Variant("bf16", {"precision": "bf16"}),
]
VARIANTS = [Variant("the recipe"), *LEFT_OUT, *ADDED]


def main() -> None:
    """Train every variant with every seed, print the table, and write ``results/dawnbench/parts.json``."""
    arguments = argparse.ArgumentParser(description="What each part of the fast recipe is worth.")
    arguments.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    arguments.add_argument("--only", nargs="+", help="names of variants")
    arguments.add_argument("--rows", type=Path, help="file that keeps what was measured, to go on after a stop")
    arguments.add_argument("--results", type=Path, default=Path("results"))
    given = arguments.parse_args()
    chosen = [variant for variant in VARIANTS if not given.only or variant.name in given.only]
    done = Rows(given.rows)
    results: dict[str, list[dict[str, float]]] = {variant.name: [] for variant in chosen}
    for seed in given.seeds:
        for variant in chosen:
            row = done.get(variant.name, seed, partial(measure, variant, seed))
            results[variant.name].append(row)
            print(f"{seed} {variant.name:<34}{row['accuracy']:8.2f} % {row['seconds']:8.1f} CPU s", flush=True)
    if not given.only:
        print(write(record(results, given.seeds), given.results))


def measure(variant: Variant, seed: int) -> dict[str, float]:
    """Held-out ``accuracy`` in percent, the CPU ``seconds`` of training, and the ``wall`` seconds of all."""
    started = time.monotonic()
    config = configured(variant, seed)
    six_views, config.views = config.views, False  # training ends with a validation, which is not what is timed
    with tempfile.TemporaryDirectory() as folder:
        config.out = f"{folder}/run"
        before = time.process_time()
        if not is_finished(train(config), config.steps):
            raise SystemExit("stopped: nothing is measured of a training that was not finished")
        seconds = time.process_time() - before
        held_out = training_sets(config)[1]
        assert held_out is not None
        logits = predictions(load(Path(config.out)).model, held_out, Device.pick(config), six_views=six_views)
    right, wall = accuracy(logits, held_out.labels), time.monotonic() - started
    return {"accuracy": right, "seconds": seconds, "wall": wall}


def configured(variant: Variant, seed: int) -> Config:
    """The small recipe with the variant's fields."""
    config = cifar10_94()
    config.seed, config.width = seed, 16
    config.held_out, config.train_on = TESTED, TRAINED
    config.batch_size, config.micro_batch, config.lr = 500, 125, 0.16
    for name in ("bias_scale", "head_scale", "weight_decay"):
        setattr(config, name, getattr(config, name) / 2)  # they go with the batch
    config.steps = EPOCHS * TRAINED // config.batch_size
    config.eval_every = 10 * config.steps  # once, at the end
    for name, value in variant.fields.items():
        setattr(config, name, value)
    return config


def record(results: dict[str, list[dict[str, float]]], seeds: list[int]) -> Record:
    """Accuracy and CPU seconds of every variant, the recipe's beside them."""
    whole, whole_seconds = (mean(row[name] for row in results["the recipe"]) for name in ("accuracy", "seconds"))
    measurements: list[Measurement] = []
    for name, rows in results.items():
        accuracies, times = ([row[number] for row in rows] for number in ("accuracy", "seconds"))
        slug = name.replace(",", "").replace("(", "").replace(")", "").replace(" ", "_").lower()
        of = Mark("the recipe", round(whole, 2))
        measurements.append(Measurement(f"{slug}_accuracy", "%", accuracies, anchor=of, how=name))
        took = Mark("the recipe", round(whole_seconds, 1))
        measurements.append(Measurement(f"{slug}_seconds", "CPU s", times, anchor=took, how=name, better="lower"))
    return Record(
        system="dawnbench",
        name="parts",
        claim=f"what each part of the recipe is worth on {TRAINED:,} images of CIFAR-10 in {EPOCHS} epochs",
        commands=["python3 dev.py bench dawnbench_parts --seeds " + " ".join(map(str, seeds))],
        attempts="all seeds are listed; --rows keeps what is measured, to go on in another call",
        measurements=measurements,
        seeds=seeds,
        seconds=sum(row["wall"] for rows in results.values() for row in rows),
    )


if __name__ == "__main__":
    main()

# /// script
# requires-python = ">=3.11"
# dependencies = []
# ///
"""What each part of BERT-mini's pretraining is worth in its first million word pieces: change one, keep the others.

Every variant is pretrained with the same seeds, in turns, for 300 steps of 4,096 word pieces, and asked about the same
held-out text. Stopped, and called again with the same ``--rows``, it goes on.

    python3 dev.py bench bert_pretraining_parts --seeds 0 1 --rows rows.jsonl
"""

from __future__ import annotations

import argparse
import tempfile
import time
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from statistics import mean
from typing import Any
from unittest.mock import patch

from daybreak.engine.rundir import is_finished, log_series
from daybreak.report.records import Mark, Measurement, Record, write
from daybreak.report.records.rows import Rows
from daybreak.systems.language.config import PretrainConfig, mini
from daybreak.systems.language.pretrain import pretrain

STEPS = 300


@dataclass(frozen=True)
class Variant:
    """A name, the fields in which its config differs from the preset's, and the names in the code."""

    name: str
    fields: dict[str, Any] = field(default_factory=dict)
    code: dict[str, Any] = field(default_factory=dict)


def nothing(*_: object) -> None:
    """Leave first weights as they are drawn."""


VARIANTS = [
    Variant("the recipe"),
    Variant("heads begin anywhere", code={"model.bert.look_beside": nothing}),
    Variant("all word pieces alike at first", code={"pretrain.expect_frequencies": nothing}),
    Variant("AdamW, not Muon", {"optimizer": "adamw"}),
    Variant("matrices no faster", {"matrix_lr": 1.0}),
    Variant("15 % are guessed", {"masked": 0.15}),
    Variant("the gradient clipped at 0.5", {"clip": 0.5}),
    Variant("what follows weighs as much", code={"pretrain.FOLLOWS": 1.0}),
    Variant("steps of 8,192 word pieces", {"tokens": 8_192, "steps": STEPS // 2, "eval_every": STEPS // 2}),
    Variant("BERT's own way", {"optimizer": "adamw", "masked": 0.15, "clip": 0.5, "lr": 5e-4}, {
        "model.bert.look_beside": nothing, "pretrain.expect_frequencies": nothing, "pretrain.FOLLOWS": 1.0,
    }),
]  # fmt: skip


def main() -> None:
    """Train every variant with every seed, print the table, and write ``results/language/pretraining-parts.json``."""
    arguments = argparse.ArgumentParser(description="What each part of the pretraining is worth.")
    arguments.add_argument("--seeds", type=int, nargs="+", default=[0, 1])
    arguments.add_argument("--rows", type=Path, help="file that keeps what was measured, to go on after a stop")
    arguments.add_argument("--results", type=Path, default=Path("results"))
    given = arguments.parse_args()
    done = Rows(given.rows)
    results: dict[str, list[dict[str, float]]] = {variant.name: [] for variant in VARIANTS}
    for seed in given.seeds:
        for variant in VARIANTS:
            row = done.get(variant.name, seed, partial(measure, variant, seed))
            results[variant.name].append(row)
            print(f"{seed} {variant.name:<34}{row['accuracy']:8.2f} % {row['seconds']:8.1f} CPU s", flush=True)
    print(write(record(results, given.seeds), given.results))


def measure(variant: Variant, seed: int) -> dict[str, float]:
    """Masked ``accuracy`` in percent on held-out text, the CPU ``seconds`` of all, and its ``wall`` seconds."""
    started, before = time.monotonic(), time.process_time()
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        for name, value in variant.code.items():
            stack.enter_context(patch(f"daybreak.systems.language.{name}", value))
        config = configured(variant, seed, folder)
        run = pretrain(config)
        if not is_finished(run, config.steps):
            raise SystemExit("stopped: nothing is measured of a training that was not finished")
        _, accuracies = log_series(run, "val_masked_accuracy")
    seconds = time.process_time() - before
    return {"accuracy": accuracies[-1], "seconds": seconds, "wall": time.monotonic() - started}


def configured(variant: Variant, seed: int, folder: str) -> PretrainConfig:
    """The preset in few steps, with the variant's fields."""
    config = mini()
    config.seed, config.out = seed, f"{folder}/run"
    config.steps, config.warmup_steps, config.eval_every = STEPS, STEPS // 20, STEPS
    for name, value in variant.fields.items():
        setattr(config, name, value)
    return config


def record(results: dict[str, list[dict[str, float]]], seeds: list[int]) -> Record:
    """Accuracy and CPU seconds of every variant, the recipe's beside them."""
    whole, whole_seconds = (mean(row[name] for row in results["the recipe"]) for name in ("accuracy", "seconds"))
    measurements: list[Measurement] = []
    for name, rows in results.items():
        accuracies, times = ([row[number] for row in rows] for number in ("accuracy", "seconds"))
        slug = name.translate(str.maketrans(" ", "_", ",%'.")).lower()
        of = Mark("the recipe", round(whole, 2))
        measurements.append(Measurement(f"{slug}_masked_accuracy", "%", accuracies, anchor=of, how=name))
        took = Mark("the recipe", round(whole_seconds, 1))
        measurements.append(Measurement(f"{slug}_seconds", "CPU s", times, anchor=took, how=name, better="lower"))
    return Record(
        system="language",
        name="pretraining-parts",
        claim=f"what each part of BERT-mini's pretraining is worth in its first {STEPS * 4_096:,} word pieces",
        commands=["python3 dev.py bench bert_pretraining_parts --seeds " + " ".join(map(str, seeds))],
        attempts="all seeds are listed; --rows keeps what is measured, to go on in another call",
        measurements=measurements,
        seeds=seeds,
        seconds=sum(row["wall"] for rows in results.values() for row in rows),
    )


if __name__ == "__main__":
    main()

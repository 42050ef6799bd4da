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

import tempfile
import time
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Any
from unittest.mock import patch

from daybreak.engine.rundir import is_finished, log_series
from daybreak.report.records import write
from daybreak.report.records.parts import Numbers, measure_parts, parts_arguments, parts_record
from daybreak.systems.language.config import PretrainConfig, mini
from daybreak.systems.language.pretrain import pretrain

STEPS = 300


@dataclass(frozen=True)
class Variant:
    """The fields in which a config differs from the preset's, and what stands for which name in the code."""

    fields: dict[str, Any] = field(default_factory=dict)
    code: dict[str, Any] = field(default_factory=dict)


def nothing(*_: object) -> None:
    """Leave first weights as they are drawn."""


VARIANTS = {
    "the recipe": Variant(),
    "heads begin anywhere": Variant(code={"model.bert.look_beside": nothing}),
    "all word pieces alike at first": Variant(code={"pretrain.expect_frequencies": nothing}),
    "AdamW, not Muon": Variant({"optimizer": "adamw"}),
    "matrices no faster": Variant({"matrix_lr": 1.0}),
    "15 % are guessed": Variant({"masked": 0.15}),
    "the gradient clipped at 0.5": Variant({"clip": 0.5}),
    "what follows weighs as much": Variant(code={"pretrain.FOLLOWS": 1.0}),
    "steps of 8,192 word pieces": Variant({"tokens": 8_192, "steps": STEPS // 2, "eval_every": STEPS // 2}),
    "BERT's own way": Variant({"optimizer": "adamw", "masked": 0.15, "clip": 0.5, "lr": 5e-4}, {
        "model.bert.look_beside": nothing, "pretrain.expect_frequencies": nothing, "pretrain.FOLLOWS": 1.0,
    }),
}  # fmt: skip


def main() -> None:
    """Train every variant with every seed, print the table, and write ``results/language/pretraining-parts.json``."""
    given = parts_arguments("What each part of the pretraining is worth.", list(VARIANTS), seeds=[0, 1]).parse_args()
    results = measure_parts(given.only or list(VARIANTS), given.seeds, given.rows, measure)
    if not given.only:
        claim = f"what each part of BERT-mini's pretraining is worth in its first {STEPS * 4_096:,} word pieces"
        print(
            write(
                parts_record("language", "pretraining-parts", claim, "bert_pretraining_parts", results, given.seeds),
                given.results,
            )
        )


def measure(name: str, seed: int) -> Numbers:
    """Masked ``accuracy`` in percent on held-out text, the CPU ``seconds`` of all, and its ``wall`` seconds."""
    started, before = time.monotonic(), time.process_time()
    variant = VARIANTS[name]
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        for place, value in variant.code.items():
            stack.enter_context(patch(f"daybreak.systems.language.{place}", value))
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


if __name__ == "__main__":
    main()

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

import tempfile
import time
from pathlib import Path
from typing import Any

from daybreak.engine.device import Device
from daybreak.engine.rundir import is_finished
from daybreak.report.records import write
from daybreak.report.records.parts import Numbers, measure_parts, parts_arguments, parts_record
from daybreak.systems.dawnbench import cifar10_94, load, train
from daybreak.systems.dawnbench.config import Config
from daybreak.systems.dawnbench.data import training_sets
from daybreak.systems.dawnbench.predict import accuracy, predictions

TRAINED, TESTED, EPOCHS = 15_000, 10_000, 8


SGD = {"optimizer": "sgd", "lr": 1.5, "bias_scale": 64.0, "head_scale": 1.0, "momentum": 0.85, "weight_decay": 1e-4}
LEFT_OUT: dict[str, dict[str, Any]] = {
    "no whitening": {"whiten": False},
    "no dirac start": {"dirac": False},
    "random flip, not alternating": {"flip": "random"},
    "no flip": {"flip": "off"},
    "no crop": {"crop": 0},
    "no label smoothing": {"label_smoothing": 0.0},
    "one view at the test": {"views": False},
    "SGD, not Muon": SGD,
    "SGD, biases no faster": SGD | {"bias_scale": 1.0},
    "decay off norms and biases": {"decay_all": False},
    "no decay": {"weight_decay": 0.0},
    "batch norm over the whole batch": {"micro_batch": 0},
    "step schedule, not linear": {"schedule": "steps"},
    "no progressive resizing": {"smallest": 0},
}
ADDED: dict[str, dict[str, Any]] = {
    "1cycle with inverse momentum": {"schedule": "one-cycle"},
    "trained scales of norms": {"norm_scale": True},
    "ghost batches of 50": {"ghost": 50},
    "averaged weights (EMA)": {"ema": 0.98},
    "SAM": {"sam": 0.05, "micro_batch": 0, "ghost": 125},
    "selective backprop, half": {"keep": 0.5, "micro_batch": 0, "ghost": 125},
    "cutout": {"cutout": 8},
    "mixup": {"mixup": 0.2},
    "cutmix": {"cutmix": 1.0},
    "blurpool": {"blurpool": True},
    "bf16": {"precision": "bf16"},
}
VARIANTS: dict[str, dict[str, Any]] = {"the recipe": {}} | LEFT_OUT | ADDED


def main() -> None:
    """Train every variant with every seed, print the table, and write ``results/dawnbench/parts.json``."""
    given = parts_arguments("What each part of the fast recipe is worth.", list(VARIANTS), seeds=[0, 1, 2]).parse_args()
    results = measure_parts(given.only or list(VARIANTS), given.seeds, given.rows, measure)
    if not given.only:
        claim = f"what each part of the recipe is worth on {TRAINED:,} images of CIFAR-10 in {EPOCHS} epochs"
        print(write(parts_record("dawnbench", "parts", claim, "dawnbench_parts", results, given.seeds), given.results))


def measure(name: str, seed: int) -> Numbers:
    """Held-out ``accuracy`` in percent, the CPU ``seconds`` of training, and the ``wall`` seconds of all."""
    started = time.monotonic()
    config = configured(name, seed)
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


def configured(variant: str, seed: int) -> Config:
    """The small recipe with the variant's fields."""
    config = cifar10_94()
    config.seed, config.width = seed, 16
    config.held_out, config.train_on = TESTED, TRAINED
    config.batch_size, config.micro_batch, config.lr = 500, 125, 0.16
    for name in ("bias_scale", "head_scale", "weight_decay"):
        setattr(config, name, getattr(config, name) / 2)  # they go with the batch
    config.steps = EPOCHS * TRAINED // config.batch_size
    config.eval_every = 10 * config.steps  # once, at the end
    for name, value in VARIANTS[variant].items():
        setattr(config, name, value)
    return config


if __name__ == "__main__":
    main()

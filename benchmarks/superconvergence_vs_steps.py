# /// script
# requires-python = ">=3.11"
# dependencies = []
# ///
"""Super-convergence: 1cycle in k epochs against step decay in k and in 3 k, same net, data and batch.

Smith and Topin, "Super-Convergence" (2017), section 4, at a size that fits: a ResNet-9 of width 16 on 1,000 images of
CIFAR-10's training set (the paper, section 5: the fewer the images, the more it gains), tested on 10,000 others of it.
The weight decay is the paper's, 1e-4, and each schedule has the peak learning rate that did best for it on seed 9,
which is not among the measured ones (``--search``). Beside it stands the same with the decay that did best for each.

With the best decay, whether 1cycle keeps up depends on the number of updates. On seed 9, 1cycle in k epochs against
step decay in 3 k: 15,000 images, k = 6: 80.2 against 83.7 %; 5,000, k = 20: 78.8 against 79.1 %, k = 40: 80.8 against
81.0 %; 2,500, k = 80: 75.4 against 75.9 %; 1,000, k = 120: 65.3 against 65.6 %, k = 240: 66.8 against 67.1 %.

    python3 dev.py bench superconvergence_vs_steps --search
    python3 dev.py bench superconvergence_vs_steps --seeds 0 1 2 --rows rows.jsonl
"""

from __future__ import annotations

import argparse
import tempfile
import time
from dataclasses import dataclass
from functools import partial
from itertools import product
from pathlib import Path

from daybreak.engine.device import Device
from daybreak.engine.rundir import is_finished
from daybreak.report.records import Measurement, Record, write
from daybreak.report.records.rows import Rows
from daybreak.systems.dawnbench import Config, load, train
from daybreak.systems.dawnbench.data import training_sets
from daybreak.systems.dawnbench.predict import accuracy, predictions

TRAINED, TESTED, EPOCHS, BATCH = 1_000, 10_000, 120, 128
DECAY = 1e-4


@dataclass(frozen=True)
class Training:
    """One side of the comparison."""

    schedule: str
    epochs: int
    lr: float
    decay: float = DECAY


TRAININGS = {
    "one_cycle": Training("one-cycle", EPOCHS, 0.4),
    "steps_as_long": Training("steps", EPOCHS, 0.1),
    "steps_three_times": Training("steps", 3 * EPOCHS, 0.1),
    "best_decay_one_cycle": Training("one-cycle", EPOCHS, 0.4, 5e-3),
    "best_decay_steps_three_times": Training("steps", 3 * EPOCHS, 0.1, 5e-3),
}


def main() -> None:
    """Train, print the figures, and write ``results/dawnbench/super-convergence.json``."""
    arguments = argparse.ArgumentParser(description="Super-convergence: 1cycle against step decay.")
    arguments.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    arguments.add_argument("--search", action="store_true", help="try rates and decays on seed 9 instead")
    arguments.add_argument("--rows", type=Path, help="file that keeps what was measured, to go on after a stop")
    arguments.add_argument("--results", type=Path, default=Path("results"))
    given = arguments.parse_args()
    if given.search:
        for schedule, epochs in (("one-cycle", EPOCHS), ("steps", 3 * EPOCHS)):
            for lr, decay in product((0.05, 0.1, 0.2, 0.35, 0.4, 0.8, 1.6, 3.0), (DECAY, 2e-3, 5e-3, 1e-2)):
                training = Training(schedule, epochs, lr, decay)
                print(training, measure(training, 9)["accuracy"], flush=True)
        return
    rows = Rows(given.rows)
    results: dict[str, list[dict[str, float]]] = {name: [] for name in TRAININGS}
    for seed in given.seeds:
        for name, training in TRAININGS.items():
            results[name].append(rows.get(name, seed, partial(measure, training, seed)))
            print(name, seed, results[name][-1], flush=True)
    print(write(record(results, given.seeds), given.results))


def measure(training: Training, seed: int) -> dict[str, float]:
    """Held-out ``accuracy`` in percent, the CPU ``seconds`` of training, and the ``wall`` seconds of all."""
    started = time.monotonic()
    config = Config(data="cifar10", width=16, batch_size=BATCH, lr=training.lr, crop=4, flip="random", seed=seed)
    config.held_out, config.train_on = TESTED, TRAINED
    config.schedule, config.weight_decay = training.schedule, training.decay
    config.momentum = 0.85 if training.schedule == "one-cycle" else 0.9
    config.steps = training.epochs * (TRAINED // BATCH)
    config.save_every = config.eval_every = 10 * config.steps
    with tempfile.TemporaryDirectory() as folder:
        config.out = f"{folder}/run"
        before = time.process_time()
        if not is_finished(train(config), config.steps):
            raise SystemExit("stopped: nothing is measured of a training that was not finished")
        seconds = time.process_time() - before
        held_out = training_sets(config)[1]
        assert held_out is not None
        logits = predictions(load(Path(config.out)).model, held_out, Device.pick(config))
    right, wall = accuracy(logits, held_out.labels), time.monotonic() - started
    return {"accuracy": right, "seconds": seconds, "wall": wall}


def margins(results: dict[str, list[dict[str, float]]], side: str) -> list[float]:
    """How many points 1cycle is ahead of the longer training, seed by seed."""
    short, long = (results[f"{side}{name}"] for name in ("one_cycle", "steps_three_times"))
    return [a["accuracy"] - b["accuracy"] for a, b in zip(short, long, strict=True)]


def record(results: dict[str, list[dict[str, float]]], seeds: list[int]) -> Record:
    """The margins over the longer training, of which the paper's has to be 0 or more, and every accuracy and time."""
    how = f"accuracy of 1cycle in {EPOCHS} epochs less that of step decay in {3 * EPOCHS}, the same seed"
    peer = "step decay, three times as long"
    measurements = [
        Measurement("margin", "points", margins(results, ""), 0.0, peer=peer, how=how),
        Measurement("best_decay_margin", "points", margins(results, "best_decay_"), peer=peer, how=how),
    ]
    for name, rows in results.items():
        measurements.append(Measurement(f"{name}_accuracy", "%", [row["accuracy"] for row in rows]))
        measurements.append(Measurement(f"{name}_seconds", "CPU s", [row["seconds"] for row in rows], better="lower"))
    return Record(
        system="dawnbench",
        name="super-convergence",
        claim=f"1cycle in {EPOCHS} epochs reaches step decay's accuracy in {3 * EPOCHS}, at the paper's weight decay",
        commands=["python3 dev.py bench superconvergence_vs_steps --seeds " + " ".join(map(str, seeds))],
        attempts="all seeds are listed; learning rates and the best decays were chosen before, on seed 9",
        measurements=measurements,
        seeds=seeds,
        seconds=sum(row["wall"] for rows in results.values() for row in rows),
    )


if __name__ == "__main__":
    main()

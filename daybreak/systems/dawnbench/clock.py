"""What a finished run took, as an entry of DAWNBench. Imports no torch.

The clock is the run's own: ``Run`` starts it before the training function has read anything, so that reading and
preparing the data and compilation lie on it.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from daybreak.engine import rundir
from daybreak.engine.errors import UserError
from daybreak.engine.strict import build, read_object
from daybreak.systems.dawnbench.entries import TASKS, Entry, Task

CIFAR10_IMAGES = 50_000
"""What a run that holds none out is trained on."""
EPOCH = "epoch"
"""What a training loop logs with every evaluation: epochs done, a fraction allowed."""
LOGGED = {"top1Accuracy": "val_accuracy", "top5Accuracy": "val_top5"}
"""The contest's columns, and what a training loop logs for them (percent)."""
EVALUATED = {"top1Accuracy": "test_accuracy"}
"""The same of ``evaluation.json``, for a run that trained on every image and held none out."""
LATENCY = f"{rundir.ASSETS}/latency.json"
"""What ``daybreak dawnbench latency`` leaves in a run directory."""
CLOCK = (
    "wall-clock time from the opening of the run: reading and preparing the data, compilation, training, evaluations "
    "and checkpoints, over all sessions; without starting Python, and without work that a killed session lost"
)
FREE = ("seed", "out", "minutes", "log_every", "save_every", "price_per_hour")  # what runs of one entry may differ in


@dataclass(frozen=True)
class Latency:
    """What ``daybreak dawnbench latency`` measured: milliseconds to classify one image."""

    images: int
    mean_ms: float
    median_ms: float
    p95_ms: float
    p99_ms: float
    test_accuracy: float
    """Percent, of the same answers."""
    weights: str
    """SHA-256 of the run's weights."""
    environment: dict[str, Any]
    """Of the measurement, which need not be that of the training."""


def submission(run: Path, author: str, cost_per_hour: float | None = None) -> Entry:
    """The training entry of a finished run: its time, its curve, its machine.

    ``cost_per_hour``: dollars; without it, the price that the run was given counts.
    Raises UserError for a run that is unfinished, was not evaluated, or whose machine is unknown.
    """
    stored, result, session = read_run(run)
    task = task_of(stored, run)
    held_out = stored["config"].get("held_out")
    curve = _logged_curve(run, task)
    seen = f"{held_out:,} training images held out" if held_out else "the validation images"
    if len(curve) == 1:
        curve = _final_row(run, task, stored["config"], result["seconds"])
        seen = "the test images, read once after training"
    values = {
        **about(stored["preset"], session, author),
        "costPerHour": _price(stored, cost_per_hour),
        "misc": {
            "clock": CLOCK,
            "accuracy": f"measured on {seen}",
            "seed": stored["config"].get("seed"),
            "torch threads": session.get("threads"),
            "precision": session.get("precision"),
            "config": {name: value for name, value in stored["config"].items() if name not in FREE},
        },
    }
    return Entry(_file(stored, run, "train", author), values, curve)


def inference_submission(run: Path, author: str, cost_per_hour: float | None = None) -> Entry:
    """The inference entry of a run: its latency as measured by ``daybreak dawnbench latency``.

    Raises UserError where that was not measured, or of other weights than the run has now.
    """
    stored, _, _ = read_run(run)
    path = run / LATENCY
    if not path.exists():
        raise UserError(f"{run} has no measured latency: run daybreak dawnbench latency {run}")
    measured = build(Latency, read_object(path), str(path))
    refuse_unknown_machine(measured.environment, path)
    if measured.weights != digest(run / rundir.WEIGHTS):
        raise UserError(f"{path} was measured of other weights: run again daybreak dawnbench latency {run}")
    price = _price(stored, cost_per_hour)
    values = {
        **about(stored["preset"], measured.environment, author),
        "latency": measured.mean_ms,
        "cost": None if price is None else measured.mean_ms / 3.6e6 * price,
        "top1Accuracy": measured.test_accuracy,
        "misc": {
            "images": measured.images,
            "median": measured.median_ms,
            "p95": measured.p95_ms,
            "p99": measured.p99_ms,
        },
    }
    return Entry(_file(stored, run, "inference", author), values)


def read_run(run: Path) -> tuple[dict[str, Any], dict[str, Any], dict[str, Any]]:
    """What config.json, result.json and the last session of environment.json say of a finished dawnbench run.

    Raises UserError for another system's run, one that is unfinished or altered, or whose machine is unknown.
    """
    stored = rundir.read_config(run)
    if stored["system"] != "dawnbench":
        raise UserError(f"{run} is a run of {stored['system']}: give runs of dawnbench")
    if not (run / rundir.RESULT).exists():
        raise UserError(f"{run} is unfinished: finish its training first")
    result = rundir.read_json(run / rundir.RESULT)
    if result.get("log_sha256") != rundir.log_digest(run) or not isinstance(result.get("seconds"), (int, float)):
        raise UserError(f"{run / rundir.LOG} is not what {rundir.RESULT} was written with: train the run again")
    path = run / rundir.ENVIRONMENT
    sessions = rundir.read_sessions(run) if path.exists() else [{}]
    for session in sessions:
        refuse_unknown_machine(session, path)
    return stored, result, sessions[-1]


def refuse_unknown_machine(environment: dict[str, Any], where: Path) -> None:
    """Raise UserError unless a result comes with the machine and the software that it was measured on."""
    for name in ("device", "processor", "cores", "torch", "started"):
        if not environment.get(name):
            raise UserError(f"{where} does not name the {name}: a result without its environment counts for nothing")


def task_of(stored: dict[str, Any], where: Path) -> Task:
    """The contest's task that a run was trained for. Raises UserError where it is none of them."""
    config = stored["config"]
    if config.get("data") == "cifar10":
        return TASKS["cifar10"]
    if stored["loop"] == "train-imagenet" and config.get("images") == "folder":
        return TASKS["imagenet"]
    data = config.get("images") or config.get("data")
    raise UserError(f"{where} was trained on {data}, which is no task of DAWNBench: give a run on cifar10 or imagenet")


def hardware(environment: dict[str, Any]) -> str:
    """The machine in words."""
    device, processor = environment["device"], environment["processor"]
    world = environment.get("world") or 1
    cores = f"{processor}, {environment['cores']} cores"
    return cores if device == "cpu" else f"{world} x {device} ({cores})"


def digest(path: Path) -> str:
    """SHA-256 of a file."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def about(preset: str, environment: dict[str, Any], author: str) -> dict[str, Any]:
    """What an entry says first: who, with what, on what, when."""
    commit = environment.get("commit")
    return {
        "version": "v1.0",
        "author": author,
        "framework": f"daybreak {environment.get('daybreak')}, PyTorch {environment['torch']}",
        **({"commitHash": commit} if commit else {}),
        "model": f"daybreak {preset}",
        "hardware": hardware(environment),
        "timestamp": str(environment["started"])[:10],
    }


def _logged_curve(run: Path, task: Task) -> list[list[str]]:
    """Header and a row for every evaluation in the log; the header alone where nothing was evaluated on the way."""
    lines = [line for line in rundir.read_log(run) if line.get(LOGGED[task.measure]) is not None]
    columns = {name: ours for name, ours in LOGGED.items() if any(ours in line for line in lines)}
    rows = [
        [_epoch(line, run), str(line["seconds"] / 3600), *(str(line.get(ours)) for ours in columns.values())]
        for line in lines
    ]
    return [["epoch", "hours", *columns], *rows]


def _final_row(run: Path, task: Task, config: dict[str, Any], seconds: float) -> list[list[str]]:
    """Header and the one evaluation after training."""
    if not (run / rundir.EVALUATION).exists():
        raise UserError(f"{run} was not evaluated: run daybreak dawnbench evaluate {run}")
    measured = cast(dict[str, Any], rundir.read_json(run / rundir.EVALUATION).get("metrics") or {})
    accuracy = measured.get(EVALUATED.get(task.measure, ""))
    if not isinstance(accuracy, (int, float)):
        raise UserError(f"{run / rundir.EVALUATION} has no accuracy on the test images: evaluate the run again")
    images = config.get("train_on") or CIFAR10_IMAGES
    epochs = config["steps"] / (images // config["batch_size"])
    return [["epoch", "hours", task.measure], [f"{epochs:g}", str(seconds / 3600), str(accuracy)]]


def _epoch(line: dict[str, Any], run: Path) -> str:
    if EPOCH not in line:
        raise UserError(f"{run / rundir.LOG} does not say the epoch of its evaluations: train the run again")
    return f"{line[EPOCH]:g}"


def _price(stored: dict[str, Any], cost_per_hour: float | None) -> float | None:
    return cost_per_hour or stored["config"].get("price_per_hour") or None


def _file(stored: dict[str, Any], run: Path, kind: str, author: str) -> str:
    words = (author, stored["preset"], f"seed{stored['config'].get('seed')}")
    name = "_".join(re.sub(r"[^A-Za-z0-9+-]+", "-", word).strip("-") for word in words)
    return f"{task_of(stored, run).folder}/{kind}/{name}.json"

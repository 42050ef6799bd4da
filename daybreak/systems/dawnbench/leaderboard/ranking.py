"""Our runs among DAWNBench's historical entries, ranked by the contest's rule. Imports no torch.

The contest let one lucky run count. Here a folder of seeds is one entry, and the rule is applied to the mean over
its seeds: of the accuracies to tell when the threshold is reached, of the times to rank.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from typing import Any

from daybreak.engine import rundir
from daybreak.engine.errors import UserError
from daybreak.engine.strict import read_object
from daybreak.metrics.statistics import interval
from daybreak.systems.dawnbench import clock
from daybreak.systems.dawnbench.config import PRESETS
from daybreak.systems.dawnbench.entries import TASKS, Entry, Task, latency, read

BY = {
    "time": ("train", "speed"),
    "cost": ("train", "cost"),
    "latency": ("inference", "speed"),
    "inference-cost": ("inference", "cost"),
}
"""What can be ranked by: the kind of entry, and the field of a standing."""
HISTORY = "frameworks/dawnbench"
"""Where the contest's entries lie under the data root: as entries.jsonl, or as its repository has them."""
REPOSITORY = "https://github.com/stanford-futuredata/dawn-bench-entries"


@dataclass(frozen=True)
class Measured:
    """A mean over seeds, and half the width of its 95 % interval (None of a single value)."""

    mean: float
    half: float | None = None


@dataclass(frozen=True)
class Standing:
    """One line of the leaderboard."""

    entry: Entry
    """The contest's, or the first seed's of ours."""
    speed: Measured | None
    """Seconds to the threshold, or milliseconds an image."""
    cost: Measured | None
    """Dollars of training to the threshold, or an image."""
    seeds: int = 0
    """How many runs of ours it is the mean of; 0 for the contest's entries."""


def history(root: Path) -> list[Entry]:
    """The contest's entries under the data root. Raises UserError that says how to get them."""
    folder = root / HISTORY
    if (folder / "entries.jsonl").exists():
        return read(folder / "entries.jsonl")
    if folder.is_dir():
        return read(folder)
    raise UserError(f"the contest's entries are not in {folder}: get them with git clone {REPOSITORY} {folder}")


def rank(groups: Iterable[list[Entry]], ours: Iterable[list[Entry]], task: Task, by: str) -> list[Standing]:
    """Standings, best first, of all that reached the task's threshold and are known by what is ranked by.

    Every group is one line: of the contest's a single entry, of ours one entry a seed.
    """
    kind, field = BY[by]
    standings = [
        standing(group, seeds)
        for some, mine in ((groups, False), (ours, True))
        for group in some
        if group[0].task == task and group[0].kind == kind
        for seeds in [len(group) if mine else 0]
    ]
    ranked = [each for each in standings if getattr(each, field) is not None]
    return sorted(ranked, key=lambda each: (getattr(each, field).mean, each.entry.date))


def standing(group: list[Entry], seeds: int = 0) -> Standing:
    """One line out of one entry, or of one a seed."""
    speeds = [latency(e) for e in group] if group[0].kind == "inference" else seconds_to_threshold(group)
    costs = [_cost(entry, speed) for entry, speed in zip(group, speeds, strict=False)]
    return Standing(group[0], mean_of(speeds), mean_of([c for c in costs if c is not None]), seeds)


def seconds_to_threshold(group: list[Entry]) -> list[float]:
    """Every seed's seconds up to the first evaluation at which the mean accuracy is there; empty if it never is.

    Of a single entry this is the contest's rule.
    """
    curves = [entry.points for entry in group]
    if len({len(curve) for curve in curves}) > 1:
        raise UserError(f"the seeds of {group[0].file} were not evaluated equally often: train them with one config")
    for rows in zip(*curves, strict=True):
        if fmean(value for _, value in rows) >= group[0].task.threshold:
            return [3600 * hours for hours, _ in rows]
    return []


def _cost(entry: Entry, speed: float) -> float | None:
    if entry.kind == "inference":
        return entry.values.get("cost")
    price = entry.values.get("costPerHour")
    return None if price is None else speed / 3600 * price


def mean_of(values: list[float]) -> Measured | None:
    """The mean of the seeds with its interval; None of nothing."""
    if not values:
        return None
    span = interval(values)
    return Measured(fmean(values), None if span is None else (span[1] - span[0]) / 2)


# ------------------------------------------------------------------------------- our own


def own(paths: Iterable[Path], submit: Callable[[Path], Entry]) -> list[list[Entry]]:
    """The entries of runs, one group a path: a run directory, or a folder of seed_* runs, which count together.

    ``submit`` makes a run's entry. Raises UserError for one seed of several, and for seeds that differ in more.
    """
    return [_alike([submit(run) for run in _seeds(path)], path) for path in paths]


def _seeds(path: Path) -> list[Path]:
    if not path.is_dir():
        raise UserError(f"there is no folder {path}: give run directories, or folders of seed_* runs")
    beside = _runs_in(path.resolve().parent) if re.fullmatch(r"seed_\d+", path.resolve().name) else []
    if len(beside) > 1:
        raise UserError(f"{path} is one of {len(beside)} seeds: give {path.parent}, so that all of them count")
    return _runs_in(path) or [path]


def _runs_in(folder: Path) -> list[Path]:
    seeds = [path for path in folder.glob("seed_*") if (path / rundir.CONFIG).is_file()]
    return sorted(seeds, key=lambda path: (len(path.name), path.name))


def _alike(group: list[Entry], path: Path) -> list[Entry]:
    def settings(entry: Entry) -> dict[str, Any]:
        return {**entry.values["misc"].get("config", {}), "hardware": entry.values["hardware"]}

    for entry in group[1:]:
        for name, value in settings(entry).items():
            if settings(group[0]).get(name) != value:
                raise UserError(f"the seeds in {path} differ in their {name}: give folders of one config and machine")
    return group


def recorded(folder: Path, cost_per_hour: float | None = None) -> list[list[Entry]]:
    """The records in ``folder`` (results/dawnbench) of a preset's accuracy and time, one group a record.

    Raises UserError for a record that does not tell its machine.
    """
    from daybreak.systems.dawnbench.verbs import CLAIMS  # the verbs import this module, when they are called

    groups: list[list[Entry]] = []
    for path in sorted(folder.glob("*.json")):
        claim = CLAIMS.get(path.stem)
        if claim and claim.preset in PRESETS:
            data = claim.flags.get("data", PRESETS[claim.preset]().data)
            if data in TASKS:
                groups.append(_entries_of_record(path, data, claim.preset, cost_per_hour))
    if not groups:
        raise UserError(f"{folder} has no record of a task of DAWNBench: give a folder such as results/dawnbench")
    return groups


def _entries_of_record(path: Path, data: str, preset: str, cost_per_hour: float | None) -> list[Entry]:
    record, task = read_object(path), TASKS[data]
    environment = {**(record.get("environment") or {}), "started": record.get("date"), "commit": record.get("commit")}
    clock.refuse_unknown_machine(environment, path)
    about = {
        **clock.about(preset, environment, "daybreak"),
        "costPerHour": cost_per_hour,
        "misc": {"record": path.stem},
    }
    measured = {each["metric"]: each["values"] for each in record["measurements"]}
    pairs = zip(measured["training_seconds"], measured[clock.EVALUATED[task.measure]], strict=True)
    curves = [[["hours", task.measure], [str(seconds / 3600), str(accuracy)]] for seconds, accuracy in pairs]
    return [Entry(f"{task.folder}/train/{path.stem}.json", about, curve) for curve in curves]


def why_not(group: list[Entry], task: Task, by: str) -> str:
    """What keeps a group of our own off the board, or nothing."""
    kind, field = BY[by]
    name = group[0].values["model"]
    if group[0].task != task:
        return f"{name} was trained for {group[0].task.about}"
    if group[0].kind != kind:
        return f"{name} is known by its training, not by its {by}"
    if kind == "train" and not seconds_to_threshold(group):
        best = max(fmean(value for _, value in rows) for rows in zip(*(e.points for e in group), strict=True))
        return f"{name} does not reach {task.threshold:g}: the mean accuracy of its seeds is {best:.4g}"
    return f"{name} has no price: give --cost-per-hour" if getattr(standing(group), field) is None else ""

"""Finished runs side by side; a run whose figures cannot be trusted is refused."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from daybreak.engine import rundir
from daybreak.engine.errors import UserError
from daybreak.report.quantity import metrics


def find_runs(paths: Sequence[Path]) -> tuple[list[Path], list[Path]]:
    """Run directories among ``paths``, folders of seeds opened, and the paths that are no run.

    Raises UserError for a path that is not there.
    """
    runs: list[Path] = []
    others: list[Path] = []
    for path in map(Path, paths):
        if not path.exists():
            raise UserError(f"there is no {path}: give run directories")
        seeds = [seed for seed in path.glob("seed_*") if (seed / rundir.CONFIG).is_file()]
        if (path / rundir.CONFIG).exists():
            runs.append(path)
        elif seeds:
            runs += sorted(seeds, key=lambda seed: (len(seed.name), seed.name))  # seed_9 before seed_10
        else:
            others.append(path)
    return list(dict.fromkeys(runs)), others


def compare(run_dirs: Sequence[Path]) -> list[dict[str, Any]]:
    """One row a run: run, system, preset, seed, steps, seconds, cost and metrics (a dict).

    Raises UserError for a run that is unfinished or without a seed, whose machine is unknown, or whose log is
    not the one that its result was written with.
    """
    return [_row(Path(folder)) for folder in run_dirs]


def _row(folder: Path) -> dict[str, Any]:
    about = rundir.read_config(folder)
    _refuse_unfinished(folder)
    _refuse_unknown_machine(folder)
    result = rundir.read_json(folder / rundir.RESULT)
    if result.get("log_sha256") != rundir.log_digest(folder):
        raise UserError(
            f"{folder / rundir.LOG} is not the log that {rundir.RESULT} was written with: train the run again"
        )
    seed = (about.get("config") or {}).get("seed")
    if seed is None:
        raise UserError(f"{folder / rundir.CONFIG} names no seed, so the run cannot be compared: train it again")
    return {
        "run": str(folder),
        "system": about.get("system"),
        "preset": about.get("preset"),
        "seed": seed,
        "steps": result.get("steps"),
        "seconds": result.get("seconds"),
        "cost": result.get("cost"),
        "metrics": metrics(result, folder / rundir.RESULT),
    }


def _refuse_unfinished(folder: Path) -> None:
    if not (folder / rundir.RESULT).exists():
        raise UserError(f"{folder} is unfinished: resume it, or leave it out of the comparison")


def _refuse_unknown_machine(folder: Path) -> None:
    path = folder / rundir.ENVIRONMENT
    if not path.exists():
        raise UserError(f"{folder} has no {rundir.ENVIRONMENT}, so its machine is unknown: train it again")
    sessions = rundir.read_sessions(folder)
    for key in ("device", "cores"):
        if any(not session.get(key) for session in sessions):
            raise UserError(
                f"{path} does not name the {key} of every session, so the machine is unknown: train the run again"
            )

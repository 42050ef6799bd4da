"""``daybreak <system> evaluate``: the official numbers of one run or of several, and the record of them."""

from __future__ import annotations

import hashlib
import json
import shlex
import sys
from dataclasses import dataclass, make_dataclass
from pathlib import Path
from typing import Any

from tyro.conf import OmitArgPrefixes, Positional

from daybreak.cli import parse, unknown
from daybreak.commands import cell, table
from daybreak.engine import rundir
from daybreak.engine.claim import Claim, Target
from daybreak.engine.errors import UserError
from daybreak.report.page import page
from daybreak.report.records import Mark, Measurement, Record, write

SECONDS = "training_seconds"


@dataclass
class Call:
    """What is evaluated, and where it is written down."""

    runs: Positional[tuple[Path, ...]]
    """Run directories; several are seeds of one config."""
    record: str = ""
    """Name of the claim to write into results/ as measured by these runs."""


def run(system: str, arguments: Any, claims: dict[str, Claim], words: list[str]) -> None:
    """``daybreak <system> evaluate RUN ... [--record NAME]``: a table, and ``evaluation.json`` in each run."""
    both = make_dataclass("Flags", [("call", OmitArgPrefixes[Call]), ("own", OmitArgPrefixes[arguments])])
    both.__doc__ = arguments.__doc__
    flags = parse(both, words, f"daybreak {system} evaluate")
    call: Call = flags.call
    if not call.runs:
        raise UserError(
            f"daybreak {system} evaluate needs a run directory, as in: daybreak {system} evaluate runs/NAME"
        )
    if call.record and call.record not in claims:
        raise UserError(unknown(f"claim of {system}", call.record, claims))
    for folder in call.runs:
        if (found := rundir.read_config(folder)["system"]) != system:
            raise UserError(f"{folder} is a run of {found}: use daybreak {found} evaluate")
    numbers = [evaluate_one(folder, flags.own) for folder in call.runs]
    names = list(dict.fromkeys(name for each in numbers for name in each))
    rows = [[str(f), *(cell(each.get(name)) for name in names)] for f, each in zip(call.runs, numbers, strict=True)]
    table(["run", *names], rows)
    if call.record:
        print(write(record_of(claims[call.record], call, numbers)), file=sys.stderr)


def evaluate_one(folder: Path, evaluate: Any) -> dict[str, float]:
    """Numbers of one run, kept in its directory and on its page."""
    numbers = evaluate(folder)
    rundir.write_json(folder / rundir.EVALUATION, {"format": rundir.FORMAT, "metrics": numbers})
    page(folder)
    return numbers


def record_of(claim: Claim, call: Call, numbers: list[dict[str, float]]) -> Record:
    """The record of a claim. Raises UserError for runs left out, unfinished, or of different configs or machines."""
    refuse_a_choice(call.runs)
    results = [rundir.read_json(folder / rundir.RESULT) for folder in call.runs]
    stored = [rundir.read_config(folder) for folder in call.runs]
    sessions = [session for f in call.runs for session in rundir.read_sessions(f)]
    measured = [{**each, SECONDS: result["seconds"]} for each, result in zip(numbers, results, strict=True)]
    digests = {config_digest(each["config"]) for each in stored}
    if len(digests) > 1:
        raise UserError("these runs differ in more than their seed: record runs of one config")
    trainings = dict.fromkeys("daybreak " + shlex.join(session["command"][1:]) for session in sessions)
    command = ["daybreak", *sys.argv[1:]]
    return Record(
        system=stored[0]["system"],
        name=call.record,
        claim=claim.text,
        commands=[*trainings, shlex.join(command)],
        attempts=f"{len(call.runs)} runs were started in {call.runs[0].parent}, all are listed",
        measurements=[measurement(n, t, [each[n] for each in measured]) for n, t in claim.metrics.items()],
        seeds=[each["config"]["seed"] for each in stored],
        seconds=sum(result["seconds"] for result in results),
        config_digest=digests.pop(),
        data_digest=data_digest(call.runs[0]),
        headline=claim.headline,
        environment=sessions[-1],
    )


def refuse_a_choice(runs: tuple[Path, ...]) -> None:
    """Raise UserError when a run beside these was left out: a record lists every run that was started."""
    for folder in runs:
        if not (folder / rundir.RESULT).exists():
            raise UserError(f"{folder} is unfinished: finish it before recording")
        for other in sorted(folder.resolve().parent.glob("seed_*")):
            if folder.name.startswith("seed_") and other not in [each.resolve() for each in runs]:
                raise UserError(f"{other} was started as well: a record lists every run")


def measurement(name: str, target: Target, values: list[float]) -> Measurement:
    """A metric's values beside its marks."""
    floor, anchor = (Mark(*mark) if mark else None for mark in (target.floor, target.anchor))
    return Measurement(name, target.unit, values, target.target, floor, anchor, better=target.better)


def config_digest(config: dict[str, Any]) -> str:
    """SHA-256 of a config without what may differ between seeds."""
    same = {name: value for name, value in sorted(config.items()) if name not in ("seed", "out")}
    return hashlib.sha256(json.dumps(same).encode()).hexdigest()


def data_digest(folder: Path) -> str | None:
    """Digest of the training data where the system notes one in its assets."""
    path = folder / rundir.ASSETS / "data.json"
    return rundir.read_json(path)["digest"] if path.exists() else None

"""``daybreak <system> evaluate``: the official numbers of one run or of several, and the record of them."""

from __future__ import annotations

import hashlib
import json
import re
import shlex
import sys
from dataclasses import dataclass, make_dataclass
from pathlib import Path
from typing import Any

from tyro.conf import OmitArgPrefixes, Positional

from daybreak.cli import parse
from daybreak.engine import rundir
from daybreak.engine.claim import Claim, Curve, Target
from daybreak.engine.config import to_json
from daybreak.engine.errors import UserError, unknown
from daybreak.report.page import page
from daybreak.report.records import Mark, Measurement, Record, write
from daybreak.systems import verbs
from daybreak.tables import cell, table

SECONDS, CPU_SECONDS = "training_seconds", "training_cpu_seconds"


@dataclass
class Call:
    """What is evaluated, and where it is written down."""

    runs: Positional[tuple[Path, ...]]
    """Run directories; several are seeds of one config."""
    record: str = ""
    """Name of the claim to write into results/ as measured by these runs."""


def run(system: str, arguments: Any, claims: dict[str, Claim], words: list[str]) -> None:
    """``daybreak <system> evaluate RUN ... [--record NAME]``: a line a number, and ``evaluation.json`` in each run."""
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
    table(["", *map(str, call.runs)], [[name, *(cell(each.get(name)) for each in numbers)] for name in names])
    if call.record:
        print(write(record_of(claims[call.record], call, numbers)), file=sys.stderr)


def evaluate_one(folder: Path, evaluate: Any) -> dict[str, float]:
    """Numbers of one run, kept in its directory and on its page."""
    numbers = evaluate(folder)
    rundir.write_json(folder / rundir.EVALUATION, {"format": rundir.FORMAT, "metrics": numbers})
    page(folder)
    return numbers


def record_of(claim: Claim, call: Call, numbers: list[dict[str, float]]) -> Record:
    """The record of a claim. Raises UserError for runs that cannot show it: see the three refusals."""
    refuse_a_choice(call.runs)
    stored = [rundir.read_config(folder) for folder in call.runs]
    sessions = [session for folder in call.runs for session in rundir.read_sessions(folder)]
    refuse_another_config(claim, call.runs, stored)
    refuse_several_machines(sessions)
    results = [rundir.read_json(folder / rundir.RESULT) for folder in call.runs]
    measured = [
        {**each, SECONDS: result["seconds"], CPU_SECONDS: result["cpu_seconds"]}
        for each, result in zip(numbers, results, strict=True)
    ]
    trainings = dict.fromkeys(rundir.command_line(session) for session in sessions)
    return Record(
        system=stored[0]["system"],
        name=call.record,
        claim=claim.text,
        commands=[*(command or "" for command in trainings), shlex.join(["daybreak", *sys.argv[1:]])],
        attempts=f"every run in {call.runs[0].parent} is listed: {len(call.runs)}",
        measurements=[measurement(n, t, [each[n] for each in measured]) for n, t in claim.metrics.items()],
        seeds=[each["config"]["seed"] for each in stored],
        seconds=sum(result["seconds"] for result in results),
        config_digest=config_digest(stored[0]["config"]),
        data_digest=data_digest(call.runs[0]),
        headline=claim.headline,
        curves=curves(call.runs),
        environment=sessions[-1],
    )


def curves(runs: tuple[Path, ...]) -> list[Curve]:
    """The curves that ``evaluate`` left in the run directories, where it leaves any."""
    left = [rundir.read_json(path) for folder in runs if (path := folder / rundir.CURVES).exists()]
    names = left[0] if left else {}
    return [Curve(name, [each[name]["x"] for each in left], [each[name]["y"] for each in left]) for name in names]


def refuse_a_choice(runs: tuple[Path, ...]) -> None:
    """Raise UserError unless these are all the runs of one folder, by seed, and all are finished."""
    given = {folder.resolve() for folder in runs}
    for folder in given:
        if not re.fullmatch(r"seed_\d+", folder.name):
            raise UserError(f"{folder} cannot be recorded: train with --seeds, and record all runs of the folder")
        for run in sorted(folder.parent.glob("seed_*")):
            if run not in given:
                raise UserError(f"{run} was started as well: a record lists every run")
    for folder in runs:
        steps = rundir.read_config(folder)["config"]["steps"]
        if not rundir.is_finished(folder, steps):
            raise UserError(f"{folder} is unfinished: finish it before recording")


def refuse_another_config(claim: Claim, runs: tuple[Path, ...], stored: list[dict[str, Any]]) -> None:
    """Raise UserError unless every run is of the claim's preset with the claim's flags, unchanged but for the seed."""
    for folder, run in zip(runs, stored, strict=True):
        what = f"is of the preset {run['preset']!r}"
        if run["preset"] == claim.preset:
            wanted = comparable({**to_json(verbs(run["system"])[0][run["loop"]][claim.preset]()), **claim.flags})
            differing = [name for name, value in comparable(run["config"]).items() if wanted.get(name, ...) != value]
            if not differing:
                continue
            what = f"has another {differing[0]}"
        flags = "".join(f" --{name.replace('_', '-')} {value}" for name, value in claim.flags.items()) or " as it is"
        raise UserError(f"{folder} {what}: this claim is shown by the preset {claim.preset!r}{flags}")


def refuse_several_machines(sessions: list[dict[str, Any]]) -> None:
    """Raise UserError unless one machine and one state of the code, from the command line, did all of it."""
    for session in sessions:
        if rundir.command_line(session) is None:
            raise UserError("a run that was trained from Python cannot be recorded: train it on the command line")
        for name in ("device", "processor", "cores", "threads", "precision", "torch", "commit", "dirty"):
            if session.get(name) != sessions[0].get(name):
                raise UserError(
                    f"these runs differ in their {name} ({sessions[0].get(name)}, {session.get(name)}): "
                    "record runs of one machine and one commit"
                )


def measurement(name: str, target: Target, values: list[float]) -> Measurement:
    """A metric's values beside its marks."""
    floor, anchor = (Mark(*mark) if mark else None for mark in (target.floor, target.anchor))
    return Measurement(name, target.unit, values, target.target, floor, anchor, better=target.better)


def comparable(config: dict[str, Any]) -> dict[str, Any]:
    """A stored config without what changes no result."""
    free = {"seed", "out", "device", "minutes", "log_every", "save_every", "price_per_hour"}
    return {name: value for name, value in sorted(config.items()) if name not in free}


def config_digest(config: dict[str, Any]) -> str:
    """SHA-256 of what results depend on in a config, besides the seed."""
    return hashlib.sha256(json.dumps(comparable(config)).encode()).hexdigest()


def data_digest(folder: Path) -> str | None:
    """Digest of the training data where the system notes one in its assets."""
    path = folder / rundir.ASSETS / "data.json"
    return rundir.read_json(path)["digest"] if path.exists() else None

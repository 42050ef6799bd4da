"""One record: what was claimed, how it was measured, on what, and the values. Written by commands, never by hand."""

from __future__ import annotations

import dataclasses
import json
import math
import os
import re
import sys
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from pathlib import Path
from statistics import fmean, median
from typing import Any, Literal

from daybreak.engine import rundir
from daybreak.engine.claim import Curve
from daybreak.engine.errors import UserError
from daybreak.engine.files import write_atomic
from daybreak.engine.strict import build, read_object
from daybreak.metrics.statistics import interval

NAME = re.compile(r"[a-z0-9][a-z0-9._-]*")
COMMIT = re.compile(r"[0-9a-f]{7,64}")


@dataclass(frozen=True)
class Mark:
    """A value to be compared with, and what it is: a floor (guessing), an anchor (a published figure)."""

    what: str
    value: float


@dataclass(frozen=True)
class Measurement:
    """One metric: a value for every declared seed, or for every pair of runs where there is a ``peer``."""

    metric: str
    unit: str
    values: list[float]
    target: float | None = None
    floor: Mark | None = None
    anchor: Mark | None = None
    peer: str | None = None
    how: str | None = None
    better: Literal["higher", "lower"] = "higher"

    @property
    def mean(self) -> float:
        """The values' mean."""
        return fmean(self.values)

    @property
    def summary(self) -> dict[str, Any]:
        """Mean, median and the mean's 95 % interval (None of a single value)."""
        return {"mean": self.mean, "median": median(self.values), "interval": interval(self.values)}

    def reaches(self, mark: float) -> bool:
        """Whether the mean is as good as ``mark`` or better."""
        return self.mean >= mark if self.better == "higher" else self.mean <= mark


@dataclass(frozen=True)
class Record:
    """A claim with its measurements. ``attempts`` tells what became of every run started.

    Date, commit, dirty and environment are filled in by :func:`write` where they are left empty. One record of a
    system may be its ``headline``: its first measurement is what ``daybreak list`` shows.
    """

    system: str
    name: str
    claim: str
    commands: list[str]
    attempts: str
    measurements: list[Measurement]
    seeds: list[int] | None = None
    seconds: float | None = None
    config_digest: str | None = None
    data_digest: str | None = None
    headline: bool = False
    curves: list[Curve] = field(default_factory=list[Curve])
    environment: dict[str, Any] = field(default_factory=dict)
    date: str = ""
    commit: str | None = None
    dirty: bool | None = None


MUST_HAVE = {f.name for f in dataclasses.fields(Record)} - {"headline", "curves"}


def write(record: Record, root: Path = Path("results")) -> Path:
    """Write ``root/<system>/<name>.json`` and return its path.

    What was measured elsewhere brings that machine's ``environment`` (a session of ``environment.json``, whose
    commit then counts); without one the record is of this process on this machine. Raises UserError for a record
    that contradicts itself.
    """
    record = _filled(record)
    path = root / record.system / f"{record.name}.json"
    _check(record, str(path))
    write_atomic(path, (json.dumps(_to_json(record), indent=1, ensure_ascii=False, allow_nan=False) + "\n").encode())
    return path


def read(path: Path) -> Record:
    """Read a record. Raises UserError for an unknown, missing or mistyped key, or figures that disagree."""
    values = read_object(path)
    missing = sorted(MUST_HAVE - set(values))
    if missing:
        raise UserError(f"{path} lacks the key {missing[0]!r}: write the record anew")
    stated = _take_summaries(values["measurements"], path)
    record = build(Record, values, str(path))
    _check(record, str(path))
    if (path.parent.name, path.stem) != (record.system, record.name):
        raise UserError(f"{path} holds the record {record.system}/{record.name}: give it that name")
    for measurement, summary in zip(record.measurements, stated, strict=True):
        _compare(summary, measurement, path)
    return record


# ------------------------------------------------------------------------------- to and from JSON


def _to_json(record: Record) -> dict[str, Any]:
    values = {name: value for name, value in dataclasses.asdict(record).items() if name in MUST_HAVE or value}
    values["measurements"] = [_measurement_to_json(measurement) for measurement in record.measurements]
    return values


def _measurement_to_json(measurement: Measurement) -> dict[str, Any]:
    given = {name: value for name, value in dataclasses.asdict(measurement).items() if value is not None}
    if measurement.better == "higher":
        del given["better"]
    head = {name: given.pop(name) for name in ("metric", "unit", "values")}
    return {**head, **measurement.summary, **given}


def _take_summaries(measurements: Any, path: Path) -> list[dict[str, Any]]:
    """Take the stated mean, median and interval out of the measurements: they are recomputed, not believed."""
    stated: list[dict[str, Any]] = []
    for i, values in enumerate(measurements if isinstance(measurements, list) else []):
        for key in ("mean", "median", "interval"):
            if not isinstance(values, dict) or key not in values:
                raise UserError(f"{path}: measurements[{i}] lacks the key {key!r}: write the record anew")
        stated.append({key: values.pop(key) for key in ("mean", "median", "interval")})
    return stated


def _compare(stated: dict[str, Any], measurement: Measurement, path: Path) -> None:
    for key, computed in measurement.summary.items():
        if not _close(stated[key], computed):
            raise UserError(
                f"{path}: the {key} of {measurement.metric} is stated as {stated[key]}, its values give {computed}: "
                "write the record anew"
            )


def _close(stated: Any, computed: Any) -> bool:
    if isinstance(computed, list):
        return isinstance(stated, list) and len(stated) == 2 and all(map(_close, stated, computed))
    if computed is None or not isinstance(stated, (int, float)):
        return stated is computed
    return math.isclose(stated, computed, rel_tol=1e-9, abs_tol=1e-12)


# ------------------------------------------------------------------------------- what must hold


def _check(record: Record, where: str) -> None:
    """Raise UserError naming the first thing in the record that cannot be so."""
    for wrong, sentence in (
        (not NAME.fullmatch(record.system), f"{record.system!r} is no system's name: use a-z, 0-9, '-'"),
        (not NAME.fullmatch(record.name), f"{record.name!r} is no name of a record: use a-z, 0-9, '-'"),
        (not record.claim.strip(), "the claim is empty: say in one line what was reached"),
        (not record.attempts.strip(), "attempts is empty: say what became of every run started"),
        (not record.commands, "there are no commands: give those that repeat the measurement"),
        (not record.measurements, "there are no measurements: give at least one"),
        (record.commit is not None and not COMMIT.fullmatch(record.commit), f"{record.commit!r} is no commit"),
        (not _is_date(record.date), f"{record.date!r} is no date: write it as 2026-11-30"),
        (len(set(record.seeds or [])) != len(record.seeds or []), "a seed is listed twice: list each once"),
        (record.seeds == [], "the list of seeds is empty: name them, or leave it null where nothing is random"),
    ):
        if wrong:
            raise UserError(f"{where}: {sentence}")
    for key in ("device", "cores"):
        if not record.environment.get(key):
            raise UserError(f"{where}: the environment names no {key}: a figure of an unknown machine is no record")
    for curve in record.curves:
        _check_curve(curve, record.seeds, f"{where}: {curve.name}")
    for measurement in record.measurements:
        _check_measurement(measurement, record.seeds, f"{where}: {measurement.metric}")


def _check_measurement(m: Measurement, seeds: list[int] | None, where: str) -> None:
    marks = [
        *m.values,
        *(v for v in (m.target, m.floor and m.floor.value, m.anchor and m.anchor.value) if v is not None),
    ]
    ratio = m.metric.endswith("_ratio")
    for wrong, sentence in (
        (not m.metric.strip(), "a metric has no name: give it one"),
        (not m.values, "has no values: give one a seed"),
        (not all(map(math.isfinite, marks)), "has a value that is not finite: a run that failed belongs into attempts"),
        (ratio != (m.unit == "x"), "of a ratio the name ends in _ratio and the unit is 'x', of nothing else"),
        (ratio and not m.peer, "is a ratio without a peer: name what it was measured against"),
        (ratio and m.better == "lower", "is a ratio where lower is better: turn it round, above 1 is ahead"),
        (m.unit == "%" and not all(0 <= v <= 100 for v in marks), "is in percent, which lies within 0 and 100"),
        (
            seeds is not None and not m.peer and len(m.values) != len(seeds),
            f"has {len(m.values)} values for {len(seeds or [])} declared seeds: give one a seed, none left out",
        ),
        (
            m.floor is not None and m.target is not None and (m.target < m.floor.value) == (m.better == "higher"),
            f"has a target that is worse than its floor, where {m.better} is better: correct target, floor or better",
        ),
    ):
        if wrong:
            raise UserError(f"{where} {sentence}")


def _check_curve(curve: Curve, seeds: list[int] | None, where: str) -> None:
    if not len(curve.x) == len(curve.y) == len(seeds or [0]):
        raise UserError(f"{where} is not one curve a seed: give one for each, none left out")
    for x, y in zip(curve.x, curve.y, strict=True):
        if len(x) != len(y) or not all(map(math.isfinite, [*x, *y])):
            raise UserError(f"{where} has other places than values, or one that is not finite: write the record anew")


def _is_date(text: str) -> bool:
    try:
        return date.fromisoformat(text).isoformat() == text
    except ValueError:
        return False


# ------------------------------------------------------------------------------- the machine


def _filled(record: Record) -> Record:
    environment = dict(record.environment) or _this_machine()
    commit, dirty = environment.pop("commit", None), environment.pop("dirty", None)
    for key in ("started", "command"):  # of one session, with this machine's paths; the record has its own commands
        environment.pop(key, None)
    return dataclasses.replace(
        record,
        environment=environment,
        date=record.date or datetime.now(UTC).date().isoformat(),
        commit=record.commit or commit,
        dirty=dirty if record.dirty is None else record.dirty,
    )


def _this_machine() -> dict[str, Any]:
    """The machine of this process; a torch that is loaded tells device and threads, and is not loaded for that."""
    torch = sys.modules.get("torch")
    device = torch.cuda.get_device_name() if torch and torch.cuda.is_available() else "cpu"
    threads = torch.get_num_threads() if torch else int(os.environ.get("OMP_NUM_THREADS") or rundir.cores())
    environment = rundir.environment(device, "", threads, world=1)
    return {key: value for key, value in environment.items() if key != "precision"}

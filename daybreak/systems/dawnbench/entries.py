"""DAWNBench's own entries: read, written, and judged by the contest's rule. Imports no torch.

The contest's repository holds, for each task, ``train/NAME.json`` with its curve ``train/NAME.tsv``, and
``inference/NAME.json``. ``entries.jsonl`` holds the same, one entry a line. Whatever else an entry says is kept.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Any, cast

from daybreak.engine.errors import UserError
from daybreak.engine.files import write_atomic

FILE = re.compile(r"(CIFAR10|ImageNet|SQuAD)/(train|inference)/[^./\\\0-\x1f][^/\\\0-\x1f]*\.json")
DATE = re.compile(r"\d{4}-\d{1,2}-\d{1,2}")
PLACE = ("task", "kind", "file")  # what a line of entries.jsonl says first, and the folders say in the repository


@dataclass(frozen=True)
class Task:
    """One of the contest's tasks: its folder, what is measured, and what has to be reached."""

    folder: str
    measure: str
    threshold: float
    about: str


TASKS = {
    "cifar10": Task("CIFAR10", "top1Accuracy", 94.0, "CIFAR-10 to 94 %"),
    "imagenet": Task("ImageNet", "top5Accuracy", 93.0, "ImageNet to 93 % top-5"),
    "squad": Task("SQuAD", "f1Score", 0.75, "SQuAD to 0.75 F1"),
}


@dataclass(frozen=True)
class Entry:
    """What one team submitted."""

    file: str
    """Its place in the contest's repository, as CIFAR10/train/NAME.json."""
    values: dict[str, Any]
    """The JSON file as it stands, in its order."""
    curve: list[list[str]] = field(default_factory=list[list[str]])
    """The TSV file of a training entry, cell by cell, its header first; the contest's columns come in any order."""

    @property
    def task(self) -> Task:
        """What it was trained for."""
        return next(task for task in TASKS.values() if task.folder == self.file.split("/")[0])

    @property
    def kind(self) -> str:
        """Either train or inference."""
        return self.file.split("/")[1]

    @property
    def date(self) -> date:
        """When it was submitted."""
        return date(*map(int, self.values["timestamp"].split("-")))

    @property
    def points(self) -> list[tuple[float, float]]:
        """(hours, what the task measures) after every evaluation of a training entry."""
        column = _columns(self.curve[0])
        hours, measure = column["hours"], column[self.task.measure]
        return [(float(row[hours]), float(row[measure])) for row in self.curve[1:]]


# ------------------------------------------------------------------------------- the contest's rule


def time_to_accuracy(entry: Entry) -> float | None:
    """Seconds of training till the first evaluation at or above the threshold; None where that was not reached."""
    reached = (3600 * hours for hours, value in entry.points if value >= entry.task.threshold)
    return next(reached, None)


def cost(entry: Entry) -> float | None:
    """Dollars: of training to the threshold, or of classifying one image; None where nobody said."""
    if entry.kind == "inference":
        return entry.values.get("cost")
    seconds, price = time_to_accuracy(entry), entry.values.get("costPerHour")
    return None if seconds is None or price is None else seconds / 3600 * price


def latency(entry: Entry) -> float:
    """Milliseconds to classify one image, of an inference entry."""
    return entry.values["latency"]


# ------------------------------------------------------------------------------- reading


def read(place: Path) -> list[Entry]:
    """Entries from a .jsonl file, or from a folder as the contest's repository is one.

    Raises UserError naming file and line of what is no entry.
    """
    return _read_repository(place) if place.is_dir() else _read_lines(place)


def _read_lines(path: Path) -> list[Entry]:
    entries: list[Entry] = []
    for number, line in enumerate(_text(path).split("\n"), start=1):  # not splitlines: text may hold others' ends
        if line.strip():
            where = f"{path}:{number}"
            values = _object(line, where)
            place = [values.pop(name, None) for name in PLACE]
            curve = values.pop("curve", [])
            entry = Entry(str(place[2]), values, curve)
            if not FILE.fullmatch(entry.file) or entry.file.split("/")[:2] != place[:2]:
                raise UserError(f"{where} has the file {place[2]!r}: name it TASK/KIND/NAME.json by its task and kind")
            _check(entry, where, lambda row, where=where: f"{where}: row {row} of the curve")
            entries.append(entry)
    return entries


def _read_repository(folder: Path) -> list[Entry]:
    paths = sorted(path for path in folder.glob("*/*/*.json") if FILE.fullmatch(path.relative_to(folder).as_posix()))
    if not paths:
        raise UserError(f"{folder} holds no entries: give a folder with TASK/train/NAME.json as the contest's has them")
    return [_read_files(path, path.relative_to(folder).as_posix()) for path in paths]


def _read_files(path: Path, name: str) -> Entry:
    table = path.with_suffix(".tsv")
    rows: list[list[str]] = []
    if name.split("/")[1] == "train":
        rows = [line.split("\t") for line in _text(table).rstrip("\n").split("\n")]
    entry = Entry(name, _object(_text(path), str(path)), rows)
    _check(entry, str(path), lambda row: f"{table}:{row}")
    return entry


def _text(path: Path) -> str:
    try:
        return path.read_bytes().decode()  # bytes: ends of lines and a byte order mark stay what they are
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"{path} cannot be read ({error}): restore it, or leave the entry out") from error


def _object(text: str, where: str) -> dict[str, Any]:
    try:
        values = json.loads(text)
        _packed(values)  # what cannot be written again (infinities, half a character) is refused at once
    except json.JSONDecodeError as error:
        line = f"line {error.lineno}, " if error.lineno > 1 else ""
        raise UserError(f"{where} is no JSON ({line}{error.msg}): restore it, or leave the entry out") from error
    except (ValueError, RecursionError) as error:
        raise UserError(f"{where} is no JSON that can be written again ({error}): mend its values") from error
    if not isinstance(values, dict):
        raise UserError(f"{where} is no JSON object: restore it, or leave the entry out")
    return cast(dict[str, Any], values)


# ------------------------------------------------------------------------------- checking


def _check(entry: Entry, where: str, where_row: Callable[[int], str]) -> None:
    for name in ("author", "model", "hardware", "timestamp"):
        if not isinstance(entry.values.get(name), str):
            raise UserError(f"{where} has {name} = {entry.values.get(name)!r}: give text")
    if not _is_date(entry.values["timestamp"]):
        raise UserError(f"{where} has timestamp = {entry.values['timestamp']!r}: give a date as 2018-04-20")
    for name in ("costPerHour", "cost", "latency"):
        value = entry.values.get(name)
        if value is None and not (name == "latency" and entry.kind == "inference"):
            continue
        if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 <= value < 1e150:
            raise UserError(f"{where} has {name} = {value!r}: give a number of 0 or more")
    if taken := {*PLACE, "curve"} & set(entry.values):
        raise UserError(f"{where} has the key {taken.pop()!r}, which the contest's entries have not: rename it")
    if entry.kind == "train":
        _check_curve(entry, where, where_row)
    elif entry.curve != []:
        raise UserError(f"{where} is an inference entry with a curve: remove it")


def _check_curve(entry: Entry, where: str, where_row: Callable[[int], str]) -> None:
    curve: Any = entry.curve
    if not isinstance(curve, list) or not curve:
        raise UserError(f"{where} has no curve: give rows of cells, the header first")
    for number, row in enumerate(cast(list[Any], curve), start=1):
        if not _is_row(row) or len(row) != len(entry.curve[0]):
            raise UserError(f"{where_row(number)} has not one cell of text for each column of the header: {row!r}")
    column = _columns(entry.curve[0])
    for name in ("hours", entry.task.measure):
        if name not in column:
            raise UserError(f"{where_row(1)} has no column {name!r}: name one in the header")
        for number, row in enumerate(entry.curve[1:], start=2):
            if not _is_number(row[column[name]]):
                raise UserError(f"{where_row(number)} has {name} = {row[column[name]]!r}: give a number of 0 or more")


def _is_row(row: Any) -> bool:
    cells = cast(list[Any], row) if isinstance(row, list) else [None]
    return all(isinstance(cell, str) and not set(cell) & {"\t", "\n"} for cell in cells)


def _columns(header: list[str]) -> dict[str, int]:
    return {cell.strip("\ufeff \r"): number for number, cell in enumerate(header)}


def _is_date(text: str) -> bool:
    try:
        return bool(DATE.fullmatch(text) and date(*map(int, text.split("-"))))
    except ValueError:
        return False


def _is_number(cell: str) -> bool:
    try:
        return 0 <= float(cell) < math.inf
    except ValueError:
        return False


# ------------------------------------------------------------------------------- writing


def write_lines(entries: list[Entry], path: Path) -> None:
    """Write ``entries.jsonl``: one entry a line."""
    lines = [_packed({**dict(zip(PLACE, (*e.file.split("/")[:2], e.file), strict=True)), **_line(e)}) for e in entries]
    write_atomic(path, "".join(f"{line}\n" for line in lines).encode())


def write_files(entry: Entry, folder: Path) -> Path:
    """Write ``TASK/KIND/NAME.json``, and the TSV file beside it where there is a curve, as the contest has them."""
    path = folder / entry.file
    if entry.curve:
        rows = "".join("\t".join(row) + "\n" for row in entry.curve)
        write_atomic(path.with_suffix(".tsv"), rows.encode())
    write_atomic(path, f"{_packed(entry.values, indent=4)}\n".encode())
    return path


def _line(entry: Entry) -> dict[str, Any]:
    return {**entry.values, "curve": entry.curve} if entry.curve else entry.values


def _packed(values: Any, indent: int | None = None) -> str:
    text = json.dumps(values, ensure_ascii=False, allow_nan=False, indent=indent)
    text.encode()
    return text

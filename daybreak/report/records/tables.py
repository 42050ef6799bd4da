"""Tables and short texts that are generated from records, and what has come out of step with them."""

from __future__ import annotations

import json
import os
import re
import subprocess
from collections.abc import Iterator
from fnmatch import fnmatchcase
from pathlib import Path

from daybreak.engine.errors import UserError
from daybreak.engine.files import write_atomic
from daybreak.report.quantity import number, spread, words
from daybreak.report.records.record import Mark, Measurement, Record, read

RESULTS = "results"
BEST = Path("daybreak", "systems", "best.json")
OPEN, CLOSE = re.compile(r"<!-- records: (\S+) -->"), "<!-- /records -->"
HEADER = ("metric", "measured", "target", "floor", "anchor or peer")
FOOT = "_± is the 95 % interval of the mean (Student's t). Generated from the records under `results/`._"
NO_SOURCES = {"runs", "dist", "site", "build", "node_modules", "__pycache__"}
SHARED_CODE = ("engine", "data", "augment", "nn", "metrics", "games", "scenes")
"""What any system may stand on; a folder that does not exist yet never differs."""


def check(root: Path) -> list[str]:
    """One sentence for every record that does not hold and every generated file that is out of step."""
    records, problems = _load(root)
    if problems:
        return problems
    try:
        outdated = _outdated(root, records)
    except UserError as error:
        return [str(error)]
    return [f"{path} is out of step: run python -m daybreak.report.records tables" for path, _ in outdated]


def tables(root: Path) -> list[Path]:
    """Write all generated tables and ``best.json`` anew; returns the files that changed.

    Raises UserError for a record that does not hold, or a marker without its end.
    """
    records, problems = _load(root)
    if problems:
        raise UserError(problems[0])
    changed = _outdated(root, records)
    for path, text in changed:
        write_atomic(path, text.encode())
    return [path for path, _ in changed]


def stale(root: Path) -> list[str]:
    """One line for every record whose code is, or may be, another one than it measured."""
    records, problems = _load(root)
    reasons = ((name, _why_stale(record, root)) for name, record in records.items())
    return [*problems, *(f"{name}: {reason}" for name, reason in reasons if reason)]


def _load(root: Path) -> tuple[dict[str, Record], list[str]]:
    """The records as "system/name", in order, and a sentence for each that cannot be read."""
    records: dict[str, Record] = {}
    problems: list[str] = []
    for path in sorted((root / RESULTS).rglob("*.json")):
        try:
            record = read(path)
        except UserError as error:
            problems.append(str(error))
        else:
            records[f"{record.system}/{record.name}"] = record
    return records, problems


# ------------------------------------------------------------------------------- generated files


def _outdated(root: Path, records: dict[str, Record]) -> list[tuple[Path, str]]:
    """Every generated file whose text is not what the records give, with the text that it should have."""
    texts = {path: path.read_text(encoding="utf-8") for path in _markdown_files(root)}
    wanted = [(path, _rewritten(path, text, records, root / RESULTS)) for path, text in texts.items()]
    wanted.append((root / BEST, json.dumps(_best(records), indent=1, ensure_ascii=False) + "\n"))
    return [(path, text) for path, text in wanted if not path.exists() or path.read_text(encoding="utf-8") != text]


def _markdown_files(root: Path) -> Iterator[Path]:
    for folder, subfolders, files in os.walk(root):
        subfolders[:] = sorted(name for name in subfolders if not name.startswith(".") and name not in NO_SOURCES)
        yield from (Path(folder, name) for name in sorted(files) if name.endswith(".md"))


def _rewritten(path: Path, text: str, records: dict[str, Record], results: Path) -> str:
    """The text with the table of every marker made anew. Markers in fenced code are examples and stay."""
    kept: list[str] = []
    pattern = fenced = None
    for line in text.split("\n"):
        if pattern is None:
            kept.append(line)
            if line.lstrip().startswith("```"):
                fenced = not fenced
            elif not fenced and (opened := OPEN.fullmatch(line.strip())):
                pattern = opened[1]
        elif line.strip() == CLOSE:
            kept += [*_table(pattern, records, os.path.relpath(results, path.parent)), line]
            pattern = None
    if pattern is not None:
        raise UserError(f"{path} opens a table of records ({pattern}) that never ends: close it with {CLOSE}")
    return "\n".join(kept)


def _table(pattern: str, records: dict[str, Record], results: str) -> list[str]:
    """A block for every record whose name fits; ``results`` leads from the file to the folder of the records."""
    chosen = {name: record for name, record in records.items() if fnmatchcase(name, pattern)}
    if not chosen:
        return ["", "_No record yet._", ""]
    return [
        "",
        *(line for name, record in chosen.items() for line in _block(record, f"{results}/{name}.json")),
        FOOT,
        "",
    ]


def _block(record: Record, link: str) -> list[str]:
    claim = _plain(" ".join(record.claim.split()))
    return [
        f"**{claim}** ([record]({Path(link).as_posix()}): {_machine(record)}, {record.date})",
        "",
        *(_grid(record) or _list(record)),
        "",
        *(f"    {command}".replace("\n", " ") for command in record.commands),
        "",
    ]


def _list(record: Record) -> list[str]:
    """A row for each measurement."""
    return [_row(HEADER), _row(["---"] * len(HEADER)), *(_row(_cells(record, m)) for m in record.measurements)]


def _grid(record: Record) -> list[str]:
    """A row for each of several things of which the same is measured: ``THING_accuracy``, ``THING_seconds``.

    Empty where the record is not of that kind, or anything else stands beside its measurements than one of the things.
    """
    things: dict[str, dict[str, Measurement]] = {}
    for m in record.measurements:
        thing, _, what = m.metric.rpartition("_")
        things.setdefault(thing, {})[what] = m
    columns, named = {tuple(each) for each in things.values()}, {words(thing) for thing in things}
    if len(things) < 2 or len(columns) > 1 or any(_stands_beside(m, named) for m in record.measurements):
        return []
    head = ["", *columns.pop()]
    rows = ([_plain(words(thing)), *(_measured(record, m) for m in each.values())] for thing, each in things.items())
    return [_row(head), _row(["---"] * len(head)), *map(_row, rows)]


def _stands_beside(m: Measurement, named: set[str]) -> bool:
    return m.target is not None or bool(m.floor or m.peer) or (m.anchor is not None and m.anchor.what not in named)


def _row(cells: list[str] | tuple[str, ...]) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|").replace("\n", " ") for cell in cells) + " |"


def _cells(record: Record, m: Measurement) -> list[str]:
    floor = (
        "" if m.floor is None else _mark(m.floor, m.unit) + ("" if m.reaches(m.floor.value) else ", **not cleared**")
    )
    target = (
        ""
        if m.target is None
        else f"{_with_unit(number(m.target), m.unit)}, " + ("met" if m.reaches(m.target) else "**missed**")
    )
    beside = [_mark(m.anchor, m.unit)] if m.anchor else []
    beside += [_plain(f"{m.peer} ({m.how})" if m.how else m.peer)] if m.peer else []
    return [_plain(words(m.metric)), _measured(record, m), target, floor, "; ".join(beside)]


def _measured(record: Record, m: Measurement) -> str:
    bounds = m.summary["interval"]
    mean = spread(m.mean, (bounds[1] - bounds[0]) / 2) if bounds else number(m.mean)
    return f"{_with_unit(mean, m.unit)} ({_count(record, m)})"


def _count(record: Record, m: Measurement) -> str:
    what = "pair" if m.peer else "value" if record.seeds is None else "seed"
    return f"{len(m.values)} {what}" + ("s" if len(m.values) > 1 else "")


def _with_unit(text: str, unit: str) -> str:
    return f"{text} {'×' if unit == 'x' else _plain(unit)}".rstrip()


def _mark(mark: Mark, unit: str) -> str:
    return f"{_plain(mark.what)} {_with_unit(number(mark.value), unit)}"


def _machine(record: Record) -> str:
    about = record.environment
    versions = f", torch {about['torch']}" if about.get("torch") else ""
    cores = about["cores"]
    return _plain(f"{about['device']}, {cores} core{'s' if cores != 1 else ''}{versions}")


def _plain(text: str) -> str:
    """Text that Markdown and HTML leave alone."""
    return re.sub(r"([\\`*_{}\[\]<>])", r"\\\1", text)


def _best(records: dict[str, Record]) -> dict[str, str]:
    """System -> its headline in a few words. Raises UserError where a system has two."""
    best: dict[str, str] = {}
    for record in records.values():
        if record.headline and record.system in best:
            raise UserError(f"{record.system} has two records marked as its headline, {record.name} is one: leave one")
        if record.headline:
            first = record.measurements[0]
            mean = number(float(f"{first.mean:.4g}"))
            best[record.system] = f"{words(first.metric)} {mean} {first.unit} ({_count(record, first)})"
    return best


# ------------------------------------------------------------------------------- staleness


def _why_stale(record: Record, root: Path) -> str:
    if record.commit is None:
        return "its commit is unknown"
    if record.dirty is not False:
        return "it was measured with changes that were not committed"
    folders = [f"daybreak/{name}" for name in SHARED_CODE]
    # documentation changes with every record and measures nothing
    paths = [f"daybreak/systems/{record.system}", *folders, ":(exclude)*.md"]
    done = subprocess.run(
        ["git", "-C", str(root), "diff", "--quiet", record.commit, "HEAD", "--", *paths],
        capture_output=True,
        check=False,
    )
    if done.returncode == 0:
        return ""
    short = record.commit[:10]
    return f"its code changed since {short}" if done.returncode == 1 else f"its commit {short} is unknown here"

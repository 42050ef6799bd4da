"""Rows and JSON from a user's files: every mistake is told with the file and the line."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from daybreak.data.text import read_lines
from daybreak.engine.errors import UserError

T = TypeVar("T", str, int, list[Any])
KINDS = {str: "text", int: "whole number", list: "list"}


@dataclass(frozen=True)
class Row:
    """One row of a table."""

    where: str
    """File and line, as a mistake begins."""
    cells: dict[str, Any]
    """By the names of the columns; text, but for what JSON lines have."""

    def column(self, *names: str) -> str:
        """The first of these names that is a column here. Raises UserError where none is."""
        for name in names:
            if name in self.cells:
                return name
        raise UserError(f"{self.where}: there is no column {' or '.join(names)}: name one so")

    def text(self, *names: str) -> str:
        """The text in the first of these columns that is there. Raises UserError where none is, or it is no text."""
        return member(self.cells, self.column(*names), str, self.where)

    def number(self, name: str) -> float:
        """The number in a column. Raises UserError for what is none, and for NaN and infinity."""
        value = self.cells[name]
        try:
            if type(value) in (str, int, float) and abs(found := float(value)) < float("inf"):
                return found
        except (ValueError, OverflowError):
            pass
        raise UserError(f"{self.where}: {name} {value!r} is no number: give one")


def read_tsv(path: Path, names: Sequence[str] = ()) -> Iterator[Row]:
    """Rows of tab-separated text in which quotes are characters like any other. Spaces around a cell are left out.

    Args:
        path: the file.
        names: of the columns; without them the first line has the names.

    """
    lines = [(number, line) for number, line in enumerate(read_lines(path), 1) if line.strip()]
    if not names and lines:
        names = [name.strip() for name in lines.pop(0)[1].split("\t")]
    for number, line in lines:
        yield _row(f"{path}, line {number}", names, line.split("\t"))


def read_csv(path: Path) -> Iterator[Row]:
    """Rows of comma-separated text; what is in double quotes may hold commas and line ends (RFC 4180)."""
    reader = csv.reader((f"{line}\n" for line in read_lines(path)), strict=True)
    names: list[str] = []
    while True:
        try:
            cells = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            raise UserError(f"{path}, line {reader.line_num}: {error}: mend this line, or its quotes") from error
        if any(cell.strip() for cell in cells):
            if names:
                yield _row(f"{path}, line {reader.line_num}", names, cells)
            else:
                names = [cell.strip() for cell in cells]


def read_jsonl(path: Path) -> Iterator[Row]:
    """Rows of a file that has a JSON object on each line."""
    for number, line in enumerate(read_lines(path), 1):
        if line.strip():
            where = f"{path}, line {number}"
            value = _parsed(line, where)
            if type(value) is not dict:
                raise UserError(f"{where} is not a JSON object: write it as {{...}}")
            yield Row(where, value)


def read_json(path: Path) -> Any:
    """What is in a JSON file. Raises UserError with the line of a mistake."""
    return _parsed("\n".join(read_lines(path)), str(path))


def member(value: Any, name: str, kind: type[T], where: str) -> T:
    """``value[name]``, where ``value`` is an object that has it and it is of that kind; else raises UserError."""
    found = value.get(name) if isinstance(value, dict) else None
    if not isinstance(found, kind) or isinstance(found, bool):  # which Python takes for a number
        raise UserError(f"{where}: there is no {name!r} that is a {KINDS[kind]}: add it, or mend it")
    return found


def _row(where: str, names: Sequence[str], cells: Sequence[str]) -> Row:
    if len(cells) != len(names):
        raise UserError(f"{where} has {len(cells)} columns, and not {len(names)} ({', '.join(names)}): mend this line")
    return Row(where, {name: cell.strip() for name, cell in zip(names, cells, strict=True)})


def _parsed(text: str, where: str) -> Any:
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        line = f", line {error.lineno}" if "\n" in text else ""
        raise UserError(f"{where}{line}: this is no JSON ({error.msg} at character {error.colno}): mend it") from error
    except (ValueError, RecursionError) as error:  # a number of 5,000 digits, a thousand brackets in brackets
        raise UserError(f"{where}: this JSON cannot be read ({error}): mend it") from error

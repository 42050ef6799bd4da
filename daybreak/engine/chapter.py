"""A system's chapter of the demo: text, numbers and pictures in a folder of their own, shown by ``daybreak.report``."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from daybreak.engine.errors import UserError
from daybreak.engine.rundir import write_json
from daybreak.engine.strict import build, read_object

FILE = "chapter.json"


@dataclass(frozen=True)
class Number:
    """One measured number with what it has to clear: ``floor`` (guessing) and ``target`` (what was aimed at)."""

    name: str
    value: float | None
    unit: str = ""
    floor: float | None = None
    target: float | None = None
    note: str = ""
    better: Literal["higher", "lower"] = "higher"

    @property
    def met(self) -> bool | None:
        """Whether the target was met; None without a target or a value."""
        if self.target is None or self.value is None:
            return None
        return self.value >= self.target if self.better == "higher" else self.value <= self.target


@dataclass(frozen=True)
class Picture:
    """A picture beside ``chapter.json``: its file name and one line that says what is seen."""

    file: str
    caption: str


@dataclass(frozen=True)
class Chapter:
    """What a system's ``demo.py`` tells: ``commands`` are what to try next; ``error`` says why the chapter failed."""

    system: str
    title: str
    text: str = ""
    numbers: list[Number] = field(default_factory=list[Number])
    pictures: list[Picture] = field(default_factory=list[Picture])
    commands: list[str] = field(default_factory=list[str])
    seconds: float | None = None
    error: str = ""


def write(chapter: Chapter, folder: Path) -> Path:
    """Write ``folder/chapter.json``; its pictures lie there already. Non-finite numbers become null.

    Raises UserError for a picture that is not in the folder.
    """
    for picture in chapter.pictures:
        _inside(picture, folder)
        if not (folder / picture.file).is_file():
            raise UserError(
                f"the chapter of {chapter.system} names {picture.file}, which is not in {folder}: draw it there first"
            )
    write_json(folder / FILE, dataclasses.asdict(chapter))
    return folder / FILE


def read(folder: Path) -> Chapter:
    """Read a folder's chapter. Raises UserError naming what is missing or wrong."""
    path = folder / FILE
    chapter = build(Chapter, read_object(path), str(path))
    for picture in chapter.pictures:
        _inside(picture, folder)
    return chapter


def _inside(picture: Picture, folder: Path) -> None:
    if picture.file in ("", ".", "..") or set(picture.file) & {"/", "\\", "\0"}:
        raise UserError(f"{folder / FILE} names the picture {picture.file!r}: give a plain file name inside the folder")

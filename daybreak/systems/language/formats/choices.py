"""Multiple choice: DREAM's dialogues, SWAG's endings, and the user's own questions."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from daybreak.engine.errors import UserError
from daybreak.systems.language.examples import Choice
from daybreak.systems.language.formats.files import Row, member, read_csv, read_json, read_jsonl

ENDINGS = ("ending0", "ending1", "ending2", "ending3")


def read_dream(path: Path) -> list[Choice]:
    """DREAM's JSON (Sun et al. 2019): a list of [turns, questions, id]. A context is its turns, one a line.

    Raises UserError naming the dialogue that is not so, or whose answer is none of its choices.
    """
    dialogues = read_json(path)
    if type(dialogues) is not list:
        raise UserError(f"{path} is not a JSON list of dialogues: give a file of DREAM's")
    return [choice for number, dialogue in enumerate(dialogues, 1) for choice in _of_dialogue(path, number, dialogue)]


def read_swag(path: Path) -> list[Choice]:
    """SWAG's csv (Zellers et al. 2018): which ending goes on with sent2, after sent1; its test file has no labels."""
    return [_of_swag(row) for row in read_csv(path)]


def read_own(path: Path) -> list[Choice]:
    """A user's JSON lines with question, options and, if there are any, context and label (0 for the first option)."""
    return [_own(row) for row in read_jsonl(path)]


def _of_dialogue(path: Path, number: int, dialogue: Any) -> Iterator[Choice]:
    if type(dialogue) is not list or len(dialogue) != 3 or not all(type(part) is list for part in dialogue[:2]):
        raise UserError(f"{path}, dialogue {number} is not [turns, questions, id]: give a file of DREAM's")
    turns, questions, name = dialogue
    where = f"{path}, dialogue {number} ({name})"
    context = "\n".join(_texts(turns, "turns", where))
    for asked in questions:
        options = _options(asked, "choice", where)
        answer = member(asked, "answer", str, where)
        if answer not in options:
            raise UserError(f"{where}: the answer {answer!r} is none of the choices: mend it")
        yield Choice(context, member(asked, "question", str, where), options, options.index(answer))


def _of_swag(row: Row) -> Choice:
    label = int(row.number("label")) if row.cells.get("label") else None
    options = tuple(row.text(name) for name in ENDINGS)
    return _checked(Choice(row.text("sent1"), row.text("sent2"), options, label), row.where)


def _own(row: Row) -> Choice:
    context = row.text("context") if "context" in row.cells else ""
    label = None if row.cells.get("label") is None else member(row.cells, "label", int, row.where)
    options = _options(row.cells, "options", row.where)
    return _checked(Choice(context, row.text("question"), options, label), row.where)


def _checked(choice: Choice, where: str) -> Choice:
    if choice.label is not None and not 0 <= choice.label < len(choice.options):
        raise UserError(f"{where}: label {choice.label} is no option: they are 0 to {len(choice.options) - 1}")
    return choice


def _options(value: Any, name: str, where: str) -> tuple[str, ...]:
    options = _texts(member(value, name, list, where), name, where)
    if len(options) < 2:
        raise UserError(f"{where}: {len(options)} in {name!r} leave nothing to choose: give two or more")
    return options


def _texts(values: list[Any], name: str, where: str) -> tuple[str, ...]:
    if wrong := [value for value in values if type(value) is not str]:
        raise UserError(f"{where}: {wrong[0]!r} in {name!r} is no text: mend it")
    return tuple(values)

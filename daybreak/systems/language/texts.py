"""What the verbs are asked about: texts from arguments, from a file, or from the standard input. Imports no torch."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from daybreak.data.text import decode_lines, read_lines
from daybreak.engine.errors import UserError

AT_ONCE = 2_000
"""Lines that are answered before the first of them is printed: many, so that lines of like length meet."""
STDIN = "standard input"


def given(texts: Sequence[str], file: Path | None, prompt: str) -> Iterator[list[str]]:
    """The arguments; else the lines of a file; else those of the standard input, at a terminal as they are typed.

    Raises UserError at once where both are given, the file cannot be read, or an argument is not UTF-8.
    """
    if texts and file:
        raise UserError("both texts and --file are given: leave one of them out")
    if texts:
        return iter([checked(texts)])
    if file:
        return _parts(read_lines(file))
    if sys.stdin.isatty():
        return _typed(prompt)
    return _parts(decode_lines(sys.stdin.buffer.read(), STDIN))


def given_pairs(texts: Sequence[str], file: Path | None) -> Iterator[list[tuple[str, str]]]:
    """Two arguments; else pairs parted by a tab, as :func:`given`. Raises UserError naming a line that is no pair."""
    if texts and file is None:
        if len(texts) != 2:
            raise UserError(f"{len(texts)} texts are no pair: give two, or --file with a tab between the two of a line")
        first, second = checked(texts)
        return iter([[(first, second)]])
    lines = given(texts, file, "type two sentences with a tab between them")
    return _pairs(lines, str(file or STDIN))


def whole(file: Path | None, text: str | None) -> str:
    """One text: as given, a file's, or what comes through a pipe.

    Raises UserError where both are given, or neither and nothing comes.
    """
    if file and text is not None:
        raise UserError("both --context and --text are given: leave one of them out")
    if text is not None:
        return checked([text])[0]
    if file:
        return "\n".join(read_lines(file))
    if sys.stdin.isatty():
        raise UserError("there is no context: give --context FILE or --text TEXT, or send one through a pipe")
    return "\n".join(decode_lines(sys.stdin.buffer.read(), STDIN))


def checked(texts: Sequence[str]) -> list[str]:
    """The arguments as they are. Raises UserError for one that is not UTF-8, of which Python makes half characters."""
    for text in texts:
        if any("\ud800" <= character <= "\udfff" for character in text):
            raise UserError(f"the argument {text!a} is not UTF-8: give it so, or in a file")
    return list(texts)


def _parts(lines: list[str]) -> Iterator[list[str]]:
    return (lines[begin : begin + AT_ONCE] for begin in range(0, len(lines), AT_ONCE))


def _typed(prompt: str) -> Iterator[list[str]]:
    print(f"{prompt} (Ctrl-D ends)", file=sys.stderr)
    for line in sys.stdin.buffer:
        yield decode_lines(line, STDIN)


def _pairs(parts: Iterator[list[str]], name: str) -> Iterator[list[tuple[str, str]]]:
    number = 0
    for lines in parts:
        pairs: list[tuple[str, str]] = []
        for line in lines:
            number += 1
            first, *others = line.split("\t")
            if len(others) != 1:
                raise UserError(f"{name}, line {number} has {len(others)} tabs: put one between its two sentences")
            pairs.append((first, others[0]))
        yield pairs

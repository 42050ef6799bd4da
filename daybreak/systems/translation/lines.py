"""Many lines in, as many lines out: the work behind the verb ``translate``."""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from daybreak.data.text import decode_lines, read_lines
from daybreak.engine.errors import UserError
from daybreak.engine.files import disk_errors, write_atomic
from daybreak.engine.progress import Progress
from daybreak.systems.translation.predict import Translator

AT_ONCE = 4_000
"""Lines translated before the first of them is printed: many, so that lines of like length meet."""


def translate_file(translator: Translator, file: Path, out: Path | None, beam: int, length_penalty: float) -> None:
    """Translate a file's lines, and print them or write them to ``out``, which is whole or not there."""
    lines = read_lines(file)
    if out is None:
        show(translate(translator, lines, beam, length_penalty, bar=not sys.stdout.isatty()))
        return
    _check_place(out)
    translated = translate(translator, lines, beam, length_penalty, bar=True)
    write_atomic(out, "".join(f"{line}\n" for line in translated).encode())
    print(f"{out}: {len(lines):,} lines", file=sys.stderr)


def translate_input(translator: Translator, beam: int, length_penalty: float) -> None:
    """Translate what comes through the standard input; at a terminal each line when it is typed."""
    if sys.stdin.isatty():
        print("type a sentence (Ctrl-D ends)", file=sys.stderr)
        for typed in sys.stdin.buffer:
            lines = decode_lines(typed, "standard input")
            show(translate(translator, lines, beam, length_penalty))
    else:
        lines = decode_lines(sys.stdin.buffer.read(), "standard input")
        show(translate(translator, lines, beam, length_penalty, bar=not sys.stdout.isatty()))


def translate(
    translator: Translator, lines: Sequence[str], beam: int, length_penalty: float, *, bar: bool = False
) -> Iterator[str]:
    """The lines' translations, in order; a bar at the terminal tells how far it is, where it is wanted."""
    done = end = 0
    shown = Progress("translating", 0, len(lines), show=bar, unit="lines")

    def progress(pieces: int) -> None:  # a long line has several, so this is a little ahead
        nonlocal done
        done = min(done + pieces, end)
        shown.update(done)

    try:
        while end < len(lines):
            some = lines[end : end + AT_ONCE]
            end += len(some)
            yield from translator.translate(some, beam=beam, length_penalty=length_penalty, progress=progress)
            done = end
    finally:
        shown.close(done)


def show(lines: Iterable[str]) -> None:
    """Print lines as they come, in UTF-8 as they were read."""
    out = sys.stdout.buffer  # while a bar is there, sys.stdout is rich's and prints to the terminal of the bar
    for line in lines:
        out.write(f"{line}\n".encode())
    out.flush()


def _check_place(out: Path) -> None:
    """Raise UserError where no file can be written, before the work that would be lost."""
    if out.is_dir():
        raise UserError(f"{out} is a folder: give --out a file")
    with disk_errors(out):
        out.parent.mkdir(parents=True, exist_ok=True)
        tempfile.TemporaryFile(dir=out.parent).close()

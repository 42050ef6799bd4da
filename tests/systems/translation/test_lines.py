"""As many lines out as come in, whole or not at all, through files, pipes and terminals."""

from __future__ import annotations

import contextlib
import errno
import io
import os
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest

from daybreak.engine.errors import UserError
from daybreak.systems.translation import lines


class Upper:
    """Translates into capitals; a line is told as two pieces, an empty one as none; fails where it is asked to."""

    def __init__(self, fail_at: str = "\0") -> None:
        self.fail_at = fail_at
        self.calls: list[int] = []

    def translate(
        self, sentences: Sequence[str], *, beam: int, length_penalty: float, progress: Callable[[int], None]
    ) -> list[str]:
        assert (beam, length_penalty) == (3, 0.5)
        self.calls.append(len(sentences))
        if self.fail_at in sentences:
            raise RuntimeError("out of memory")
        for sentence in sentences:
            if sentence:
                progress(2)
        return [sentence.upper() for sentence in sentences]


def translate_file(file: Path, out: Path | None = None, translator: Upper | None = None) -> None:
    lines.translate_file(translator or Upper(), file, out, 3, 0.5)  # type: ignore[arg-type]


@pytest.fixture
def typed(monkeypatch: pytest.MonkeyPatch) -> Callable[[bytes, bool], None]:
    """Make these bytes the standard input, of a pipe or of a terminal."""

    def make(content: bytes, terminal: bool) -> None:
        stdin = io.TextIOWrapper(io.BytesIO(content))
        stdin.isatty = lambda: terminal  # type: ignore[method-assign]
        monkeypatch.setattr(sys, "stdin", stdin)

    return make


CONTENT = "eins\n\n  \nä\u2028b\x0bc\r\nlast".encode()
UPPER = "EINS\n\n  \nÄ\u2028B\x0bC\nLAST\n"


def test_a_file_is_printed_with_as_many_lines_as_it_has(
    tmp_path: Path, capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    (tmp_path / "in").write_bytes(CONTENT)
    translate_file(tmp_path / "in")
    assert capfdbinary.readouterr().out == UPPER.encode()
    translate_file(tmp_path / "in", tmp_path / "new" / "out")
    assert (tmp_path / "new" / "out").read_bytes() == UPPER.encode()
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["out"]
    assert capfdbinary.readouterr().out == b""


@pytest.mark.parametrize("content", [b"", b"\xef\xbb\xbf"])
def test_an_empty_file_has_an_empty_translation(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "in").write_bytes(content)
    translate_file(tmp_path / "in", tmp_path / "out")
    assert (tmp_path / "out").read_bytes() == b""


def test_a_long_file_keeps_its_order_and_comes_in_parts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lines, "AT_ONCE", 3)
    (tmp_path / "in").write_text("".join(f"x{i}\n" for i in range(8)))
    upper = Upper()
    translate_file(tmp_path / "in", tmp_path / "in", upper)
    assert (tmp_path / "in").read_text() == "".join(f"X{i}\n" for i in range(8)), "--out may be the file itself"
    assert upper.calls == [3, 3, 2]


def test_out_is_whole_or_not_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lines, "AT_ONCE", 2)
    (tmp_path / "in").write_text("1\n2\n3\n4\n")
    with pytest.raises(RuntimeError, match="out of memory"):
        translate_file(tmp_path / "in", tmp_path / "out", Upper(fail_at="3"))
    assert [path.name for path in tmp_path.iterdir()] == ["in"]
    (tmp_path / "out").write_text("older")
    with pytest.raises(RuntimeError):
        translate_file(tmp_path / "in", tmp_path / "out", Upper(fail_at="4"))
    assert (tmp_path / "out").read_text() == "older"


def test_a_place_that_cannot_be_written_is_told_before_the_work(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*, dir: Path) -> None:
        raise PermissionError(errno.EACCES, "Permission denied")

    (tmp_path / "in").write_text("eins\n")
    for out, told in ((tmp_path, "is a folder: give --out a file"), (tmp_path / "in" / "out", "could not be written")):
        upper = Upper()
        with pytest.raises(UserError, match=told):
            translate_file(tmp_path / "in", out, upper)
        assert upper.calls == []
    assert (tmp_path / "in").read_text() == "eins\n"
    monkeypatch.setattr(tempfile, "TemporaryFile", refuse)
    with pytest.raises(UserError, match=r"out could not be written \(Permission denied\)"):
        translate_file(tmp_path / "in", tmp_path / "out", upper)
    assert upper.calls == []


def test_a_pipe_is_translated_line_by_line(
    typed: Callable[[bytes, bool], None], capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    typed(CONTENT, False)
    lines.translate_input(Upper(), 3, 0.5)  # type: ignore[arg-type]
    assert capfdbinary.readouterr().out == UPPER.encode()
    typed(b"eins\nf\xfcnf\n", False)
    with pytest.raises(UserError, match="standard input, line 2: byte 2"):
        lines.translate_input(Upper(), 3, 0.5)  # type: ignore[arg-type]
    assert capfdbinary.readouterr().out == b""


def test_at_a_terminal_each_line_is_translated_when_it_is_typed(
    typed: Callable[[bytes, bool], None], capfd: pytest.CaptureFixture[str]
) -> None:
    typed("eins\n\nfünf\n".encode(), True)
    upper = Upper()
    lines.translate_input(upper, 3, 0.5)  # type: ignore[arg-type]
    told = capfd.readouterr()
    assert told.out == "EINS\n\nFÜNF\n" and "Ctrl-D" in told.err
    assert upper.calls == [1, 1, 1], "and nothing of the line's end is in them"
    typed(b"f\xfcnf\n", True)
    with pytest.raises(UserError, match="standard input, line 1: byte 2"):
        lines.translate_input(upper, 3, 0.5)  # type: ignore[arg-type]


def test_progress_counts_lines_and_ends_at_their_number(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lines, "AT_ONCE", 4)
    seen: list[tuple[str, int, bool]] = []

    class Bar:
        def __init__(self, title: str, done: int, total: int, show: bool, unit: str) -> None:
            seen.append((unit, total, show))

        def update(self, done: int) -> None:
            seen.append(("update", done, True))

        def close(self, done: int) -> None:
            seen.append(("close", done, True))

    monkeypatch.setattr(lines, "Progress", Bar)
    assert len(list(lines.translate(Upper(), [*"abcd", "", ""], 3, 0.5, bar=True))) == 6  # type: ignore[arg-type]
    counts = [done for what, done, _ in seen if what == "update"]
    assert seen[0] == ("lines", 6, True) and seen[-1] == ("close", 6, True)
    assert counts == sorted(counts) == [2, 4, 4, 4]


@contextlib.contextmanager
def terminal() -> Iterator[tuple[int, list[bytes]]]:
    """A terminal to write to, and what arrives there."""
    import pty

    ours, theirs = pty.openpty()
    shown: list[bytes] = []

    def read() -> None:
        with contextlib.suppress(OSError):  # the other end is closed
            while chunk := os.read(ours, 65_536):
                shown.append(chunk)

    thread = threading.Thread(target=read)
    thread.start()
    try:
        yield theirs, shown
    finally:
        os.close(theirs)
        thread.join()
        os.close(ours)


@pytest.mark.skipif(sys.platform == "win32", reason="there are no pseudo-terminals")
def test_a_bar_at_the_terminal_does_not_catch_what_is_printed_into_a_pipe(
    tmp_path: Path, capfdbinary: pytest.CaptureFixture[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "in").write_bytes(CONTENT)
    monkeypatch.setenv("TERM", "xterm")
    with (
        terminal() as (descriptor, shown),
        open(descriptor, "w", closefd=False) as stderr,
        contextlib.redirect_stderr(stderr),
    ):
        translate_file(tmp_path / "in")
    assert b"translating" in b"".join(shown)
    assert capfdbinary.readouterr().out == UPPER.encode()

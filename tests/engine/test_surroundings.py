"""Machines as they are: odd locales and paths, no home, no terminal or one, jumping clocks, no GPU."""

from __future__ import annotations

import itertools
import os
import pty
import re
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
import toys
from forks import Forks
from outcome import outcome
from toys import LOOPS, ToyConfig

from daybreak.engine import rundir
from daybreak.engine.config import RunConfig
from daybreak.engine.errors import UserError, need
from daybreak.engine.run import Run


def start_anew(out: str, **env: str) -> tuple[int, bytes, bytes]:
    """Exit code, stdout and stderr of the supervised toy in a fresh interpreter, without a terminal."""
    plain = {name: value for name, value in os.environ.items() if not name.startswith(("LC_", "LANG", "PYTHON"))}
    words = [sys.executable, toys.__file__, "supervised", out]
    done = subprocess.run(words, env={**plain, **env}, capture_output=True, check=False)
    return done.returncode, done.stdout, done.stderr


def test_an_ascii_locale_an_odd_path_and_no_home(undisturbed: Callable[..., Path], tmp_path: Path) -> None:
    out = tmp_path / "mein Lauf, größer 走"
    found = start_anew(str(out), LC_ALL="C", HOME="/proc/self/nowhere")
    assert found == (0, b"", b"")  # without a terminal not a word
    assert outcome(out) == outcome(undisturbed("supervised"))


def test_a_name_that_the_locale_cannot_write_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "getfilesystemencoding", lambda: "ascii")
    with pytest.raises(
        UserError, match=r"gr\\xf6\\xdfer' needs a UTF-8 locale: set PYTHONUTF8=1, or give an --out in ASCII"
    ):
        LOOPS["supervised"](ToyConfig(out=str(tmp_path / "größer")))
    LOOPS["supervised"](ToyConfig(out=str(tmp_path / "groesser"), steps=1))


@pytest.mark.slow
def test_an_ascii_locale_without_utf8_mode(undisturbed: Callable[..., Path], tmp_path: Path) -> None:
    plain, odd = tmp_path / "ein Lauf", tmp_path / "größer"
    assert start_anew(str(plain), LC_ALL="C", PYTHONUTF8="0") == (0, b"", b"")
    assert outcome(plain) == outcome(undisturbed("supervised"))
    code, _, errors = start_anew(str(odd), LC_ALL="C", PYTHONUTF8="0")
    assert code == 2 and b"needs a UTF-8 locale" in errors


def test_a_terminal_gets_a_bar(forks: Forks, undisturbed: Callable[..., Path], tmp_path: Path) -> None:
    ours, theirs = pty.openpty()
    try:
        child = forks.start("supervised", tmp_path / "run", pause=0.02, tty=os.ttyname(theirs))
        shown = b""
        while b"60/60" not in shown:
            shown += os.read(ours, 65536)
        os.set_blocking(ours, False)
        assert child.wait() == 0
    finally:
        os.close(ours)
        os.close(theirs)
    text = re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", shown.decode())
    assert "toy" in text and "loss" in text and "steps/s" in text
    assert outcome(tmp_path / "run") == outcome(undisturbed("supervised"))


def test_a_clock_that_jumps_does_no_harm(
    undisturbed: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    jumps = itertools.cycle([1e9, 0.0, 3e9, -5.0])
    monkeypatch.setattr(time, "time", lambda: next(jumps))
    LOOPS["supervised"](ToyConfig(out=str(tmp_path), minutes=5))
    monkeypatch.undo()
    assert outcome(tmp_path) == outcome(undisturbed("supervised"))
    seconds = [line["seconds"] for line in rundir.read_log(tmp_path)]
    assert seconds == sorted(seconds) and 0 < seconds[-1] < 300


@pytest.mark.parametrize("device", ["cuda", "mps"])
def test_a_device_that_is_not_there_is_refused(device: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    with (
        pytest.raises(UserError, match=rf"^--device {device}: torch sees no .*; use --device cpu or auto$"),
        Run(RunConfig(out=str(tmp_path / "run"), device=device)),
    ):
        pytest.fail("opened")
    assert not (tmp_path / "run").exists()


def test_a_missing_package_names_the_extra() -> None:
    need("torch", "never")
    with pytest.raises(
        UserError, match=r"^no_such_thing is not installed; get it with: pip install 'daybreak\[search\]'$"
    ):
        need("no_such_thing", "search")

"""C is compiled once, kept whole, and done without where it cannot be had."""

from __future__ import annotations

import ctypes
import shutil
from pathlib import Path

import pytest

from daybreak.nn import native

needs_gcc = pytest.mark.skipif(shutil.which("gcc") is None, reason="no gcc on this machine: nothing is compiled")
SOURCE = "int answer(void) { return 42; }"


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    native.build.cache_clear()
    return tmp_path / "daybreak" / "native"


@needs_gcc
def test_a_library_is_compiled_once_and_then_taken(own_cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    library = native.build(SOURCE)
    assert isinstance(library, ctypes.CDLL) and library.answer() == 42
    (kept,) = own_cache.iterdir()
    monkeypatch.setattr(native, "compile_to", lambda *_: pytest.fail("compiled again"))
    native.build.cache_clear()
    again = native.build(SOURCE)
    assert again is not None and again.answer() == 42 and kept.suffix == ".so"


@needs_gcc
def test_another_processor_gets_a_library_of_its_own(own_cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    native.build(SOURCE)
    monkeypatch.setattr(native, "processor", lambda: "another")
    native.build.cache_clear()
    native.build(SOURCE)
    assert len(list(own_cache.iterdir())) == 2


@needs_gcc
@pytest.mark.parametrize("trouble", ["no C", "no place"])
def test_what_cannot_be_built_is_done_without(trouble: str, own_cache: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO", logger="daybreak")
    if trouble == "no place":
        own_cache.parent.mkdir()
        own_cache.write_text("a file where the folder should be")
    assert native.build("this is no C" if trouble == "no C" else SOURCE) is None
    assert "convolutions on the CPU" in caplog.text
    assert trouble == "no place" or not list(own_cache.iterdir())


def test_without_a_compiler_nothing_is_built(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO", logger="daybreak")
    monkeypatch.setattr(shutil, "which", lambda name: None)
    assert native.build(SOURCE) is None and "no gcc was found" in caplog.text

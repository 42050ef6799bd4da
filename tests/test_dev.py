"""dev.py on a machine of its own: a folder, a home, and a uv and a Python environment that only pretend."""

from __future__ import annotations

import os
import runpy
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent

# Notes what it is asked to do, and where a real uv would install puts programs that say their own name.
FAKE_UV = f"""#!{sys.executable}
import os, pathlib, sys, time
words = sys.argv[1:]
here = pathlib.Path(os.environ["FAKE"])
if words == ["--version"]:
    sys.exit(print(os.environ.get("UV_SAYS", "uv 0.13.9")))
with (here / "log").open("a") as log:
    log.write(" ".join(words[:2]) + chr(10))
if (here / "fail").exists() and words[:2] == ["pip", "sync"]:
    sys.exit((here / "fail").read_text())
if words[0] == "venv":
    bin = pathlib.Path(words[-1]) / "bin"
    bin.mkdir(parents=True)
    time.sleep(float(os.environ.get("SLOW", "0")))
    for name in ("python", "daybreak", "ruff", "pyright", "zensical"):
        (bin / name).write_text(f"#!/bin/sh\\necho {{name}} \\"$@\\"\\ntest ! -e '{{here}}/broken-{{name}}'\\n")
        (bin / name).chmod(0o755)
"""


class Machine:
    """A clone of the project with blanks in its name, and a uv on PATH that pretends."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.clone = folder / "a clone"
        self.clone.mkdir()
        for name in ("dev.py", "pyproject.toml", "requirements.txt"):
            shutil.copy(ROOT / name, self.clone)
        self.tools = folder / "bin"
        self.tools.mkdir()
        (self.tools / "uv").write_text(FAKE_UV)
        (self.tools / "uv").chmod(0o755)
        self.environment = {"PATH": f"{self.tools}:{os.defpath}", "HOME": str(folder), "FAKE": str(folder)}

    def start(self, *words: str, **variables: str) -> subprocess.Popen[str]:
        command = [sys.executable, str(self.clone / "dev.py"), *words]
        pipe = subprocess.PIPE
        return subprocess.Popen(command, env=self.environment | variables, stdout=pipe, stderr=pipe, text=True)

    def dev(self, *words: str, **variables: str) -> tuple[int, str, str]:
        process = self.start(*words, **variables)
        out, err = process.communicate(timeout=60)
        assert "Traceback" not in err
        return process.returncode, out, err

    def asked(self) -> list[str]:
        """What uv was asked to do since the last question."""
        log = self.folder / "log"
        lines = log.read_text().splitlines() if log.exists() else []
        log.unlink(missing_ok=True)
        return lines

    def replace_in_dev(self, old: str, new: str) -> None:
        script = self.clone / "dev.py"
        assert old in script.read_text()
        script.write_text(script.read_text().replace(old, new))


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    machine = Machine(tmp_path)
    machine.replace_in_dev("FREE_GB = 8", "FREE_GB = 0")  # so that the tests need no large disk
    return machine


WHOLE = ["venv --quiet", "pip sync", "pip install"]


def test_the_first_call_sets_up_and_the_second_starts_at_once(machine: Machine) -> None:
    assert machine.dev("demo", "--only", "dawnbench")[:2] == (0, "daybreak demo --only dawnbench\n")
    assert machine.asked() == WHOLE
    assert machine.dev("demo") == (0, "daybreak demo\n", "")
    assert machine.asked() == []


def test_an_interrupted_set_up_is_made_afresh(machine: Machine) -> None:
    (machine.folder / "fail").write_text("killed half-way")
    assert machine.dev("demo")[0] == 2
    (machine.folder / "fail").unlink()
    assert machine.asked() == WHOLE[:2]
    assert machine.dev("demo")[0] == 0
    assert machine.asked() == WHOLE


def test_a_set_up_killed_while_it_brings_the_environment_in_step_is_made_afresh(machine: Machine) -> None:
    machine.dev("demo")
    with (machine.clone / "requirements.txt").open("a") as pins:
        pins.write("# one more\n")
    (machine.folder / "fail").write_text("killed half-way")
    assert machine.dev("demo")[0] == 2
    (machine.folder / "fail").unlink()
    machine.asked()
    assert machine.dev("demo")[0] == 0
    assert machine.asked() == WHOLE


def test_changed_pins_are_brought_in_step_without_starting_afresh(machine: Machine) -> None:
    machine.dev("demo")
    machine.asked()
    with (machine.clone / "requirements.txt").open("a") as pins:
        pins.write("# one more\n")
    assert machine.dev("demo")[0] == 0
    assert machine.asked() == WHOLE[1:]


def test_a_clone_that_moved_is_set_up_afresh(machine: Machine) -> None:
    machine.dev("demo")
    machine.asked()
    machine.clone = machine.clone.rename(machine.folder / "elsewhere")
    assert machine.dev("demo")[0] == 0
    assert machine.asked() == WHOLE


def test_two_calls_at_once_set_up_once(machine: Machine) -> None:
    calls = [machine.start("demo", SLOW="0.5") for _ in range(3)]
    answers = [call.communicate(timeout=60)[0] for call in calls]
    assert answers == ["daybreak demo\n"] * 3
    assert machine.asked() == WHOLE


def test_after_a_kill_the_next_call_waits_for_the_orphaned_installer_and_sets_up_afresh(machine: Machine) -> None:
    process = machine.start("demo", SLOW="1")
    while not (machine.clone / ".venv").exists():
        assert process.poll() is None
        time.sleep(0.01)
    process.kill()
    process.communicate()
    status, out, err = machine.dev("demo")
    assert (status, out) == (0, "daybreak demo\n")
    assert "waiting for it" in err
    assert machine.asked() == [WHOLE[0], *WHOLE]


@pytest.mark.parametrize(
    ("said", "told"),
    [
        ("error: Failed to write: No space left on device (os error 28)", "the disk is full"),
        ("error: error sending request for url", "check the network"),
        ("error: Hash mismatch for `torch==2.15.0`", "pins by digest"),
        ("error: something new", "its own words stand above"),
    ],
)
def test_a_failed_installation_says_in_one_sentence_what_is_missing(machine: Machine, said: str, told: str) -> None:
    (machine.folder / "fail").write_text(said)
    status, _, err = machine.dev("test")
    assert status == 2
    assert told in err.splitlines()[-1]


def test_too_small_a_disk_is_refused_before_anything_is_downloaded(machine: Machine) -> None:
    machine.replace_in_dev("FREE_GB = 0", "FREE_GB = 10**9")
    status, _, err = machine.dev("demo")
    assert status == 2
    assert "GB free" in err
    assert machine.asked() == []


@pytest.mark.parametrize("found", ["absent", "too old", "broken"])
def test_without_a_good_uv_and_without_pip_the_sentence_names_pip(machine: Machine, found: str) -> None:
    if found == "absent":
        (machine.tools / "uv").unlink()
    machine.replace_in_dev('(PYTHON, "-m", "pip",', '(PYTHON, "-c", "import sys; sys.exit(\'No module named pip\')",')
    status, _, err = machine.dev("demo", UV_SAYS="uv 0.4.1" if found == "too old" else "?")
    assert status == 2
    assert "apt install python3-pip" in err.splitlines()[-1]


def test_the_pin_of_uv_is_found_with_its_digests(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    dev = runpy.run_path(str(ROOT / "dev.py"))
    asked: list[str] = []
    monkeypatch.setitem(dev["find_uv"].__globals__, "TOOLS", tmp_path)
    monkeypatch.setitem(dev["find_uv"].__globals__, "fetch_uv", lambda pin, folder: asked.append(pin))
    monkeypatch.setenv("PATH", "")
    uv = Path(dev["find_uv"]())
    assert uv.parts[-2:] == ("bin", "uv")
    lines = [line.strip(" \\") for line in asked[0].splitlines()]
    assert lines[0] == uv.parts[-3].replace("-", "==")
    assert len(lines) > 10
    assert all(line.startswith("--hash=sha256:") for line in lines[1:])


def test_lint_runs_every_check_and_names_those_that_failed(machine: Machine) -> None:
    (machine.folder / "broken-ruff").touch()
    status, out, err = machine.dev("lint")
    assert status == 1
    assert "pyright" in out
    assert "test_structure.py" in out
    assert err.splitlines()[-1] == "dev.py: failed: ruff check; ruff format --check"


def test_several_doors_go_in_turn_and_stop_at_the_first_that_fails(machine: Machine) -> None:
    assert machine.dev("demo", "test")[1].splitlines() == [
        "daybreak demo",
        "python -m pytest -n 2 --dist loadgroup -m not slow",
    ]
    (machine.folder / "broken-daybreak").touch()
    assert machine.dev("demo", "test")[:2] == (1, "daybreak demo\n")


@pytest.mark.parametrize(
    ("words", "pytest_gets"),
    [
        (["test"], "-n 2 --dist loadgroup -m not slow"),
        (["test", "--all"], "-n 2 --dist loadgroup"),
        (["test", "--", "-k", "resume", "--all"], "-n 2 --dist loadgroup -m not slow -k resume --all"),
    ],
)
def test_words_after_two_dashes_go_to_pytest(machine: Machine, words: list[str], pytest_gets: str) -> None:
    assert machine.dev(*words)[1] == f"python -m pytest {pytest_gets}\n"


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["tset"], "did you mean test?"),
        (["test", "--weel"], "did you mean --wheel?"),
        (["lint", "--fix"], "known here: nothing"),
        (["bench", "speed_vs_light"], "what is 'speed_vs_light'?"),
    ],
)
def test_a_mistyped_word_is_answered_in_one_sentence_before_any_set_up(
    machine: Machine, words: list[str], told: str
) -> None:
    status, out, err = machine.dev(*words)
    assert (status, out, len(err.splitlines())) == (2, "", 1)
    assert told in err
    assert machine.asked() == []


def test_a_python_that_is_too_old_is_told_so_in_one_sentence() -> None:
    pretend = f"import sys, runpy; sys.version_info = (3, 8, 1); runpy.run_path({str(ROOT / 'dev.py')!r})"
    answer = subprocess.run([sys.executable, "-c", pretend], capture_output=True, text=True)
    assert answer.returncode == 1
    assert answer.stderr == "dev.py: daybreak needs Python 3.11 or newer, and this is 3.8.\n"


def test_dev_py_has_only_grammar_that_python_3_8_reads() -> None:
    import ast

    with pytest.raises(SyntaxError):
        ast.parse("match x:\n    case 1: pass", feature_version=(3, 8))
    ast.parse((ROOT / "dev.py").read_text(), feature_version=(3, 8))


def test_the_wheel_holds_the_package_and_nothing_else(tmp_path: Path) -> None:
    from zipfile import ZipFile

    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path)]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
    (wheel,) = tmp_path.glob("*.whl")
    names = ZipFile(wheel).namelist()
    assert {name.split("/")[0].partition("-")[0] for name in names} == {"daybreak"}
    assert "daybreak/py.typed" in names
    assert [name for name in names if name.endswith("/LICENSE")]

#!/usr/bin/env python3
"""The doors of the project, for a person who has just cloned it and for CI alike.

    python3 dev.py demo            every system for a few seconds; ends in one HTML report
    python3 dev.py test            the tests; --all: the slow ones too; --wheel: of the built wheel; -- ARGS: for pytest
    python3 dev.py lint            style, types, structure, and tables in step with their records
    python3 dev.py bench           lists the benchmarks; NAME runs one, --stale lists records older than their code
    python3 dev.py docs            writes the generated tables anew and builds the site
    python3 dev.py lock            writes requirements.txt anew from pyproject.toml; --upgrade takes newer versions

Several in a row are fine: python3 dev.py lint test --all. Needs git and Python 3.11 with pip, nothing else: the first
call fetches uv, makes .venv and installs what requirements.txt pins; later calls start at once.
"""

from __future__ import annotations

import sys

if sys.version_info < (3, 11):  # noqa: UP036 - an older Python must get as far as this sentence
    sys.exit("dev.py: daybreak needs Python 3.11 or newer, and this is %d.%d." % sys.version_info[:2])  # noqa: UP031
if sys.platform == "win32":
    sys.exit("dev.py: daybreak is for Linux and macOS; on Windows run it inside WSL.")

import contextlib
import difflib
import fcntl
import hashlib
import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parent
REQUIREMENTS = ROOT / "requirements.txt"
TOOLS = ROOT / ".tools"
VENV = ROOT / ".venv"
BIN = VENV / "bin"
STAMP = VENV / "daybreak-setup"
PYTHON = Path(sys.executable if sys.prefix == sys.base_prefix else os.path.realpath(sys.executable))

OLDEST_UV = (0, 8)
FREE_GB = 8  # torch with its CUDA libraries is 6 GB on Linux, and the downloads lie beside it for a while
WHEEL_LEAVES_OUT = ("test_structure.py", "test_dev.py", "test_docs.py")  # they read the checkout


class Stop(Exception):
    """Nothing more can be done; the text is one sentence that says what is missing."""


def say(text: str) -> None:
    """Say in one line what happens; on standard error, which leaves standard output to the doors."""
    print(f"dev.py: {text}", file=sys.stderr, flush=True)


# ----------------------------------------------------------------------------- running other programs


def environment(venv: Path) -> dict[str, str]:
    """Variables for a child: the caller's, without those that lead Python out of its environment, over our defaults."""
    ours = {
        "UV_SYSTEM_CERTS": "1",  # as pip does on a machine with certificates of its own
        "UV_PYTHON_DOWNLOADS": "never",
        "PYRIGHT_PYTHON_GLOBAL_NODE": "0",  # the pinned node, whatever else is installed
        "PYRIGHT_PYTHON_IGNORE_WARNINGS": "1",  # no question to the network whether a newer one exists
    }
    misleading = ("PYTHONPATH", "PYTHONHOME", "VIRTUAL_ENV")
    theirs = {name: value for name, value in os.environ.items() if name not in misleading}
    return {**ours, **theirs, "PATH": f"{venv / 'bin'}{os.pathsep}{os.environ.get('PATH', os.defpath)}"}


def run(*command: str | Path, folder: Path = ROOT, venv: Path = VENV, **variables: str) -> int:
    """Run a command in an environment, its output shown; returns its exit status."""
    parts = [str(part) for part in command]
    with subprocess.Popen(parts, cwd=folder, env={**environment(venv), **variables}) as process:
        try:
            return process.wait()
        except KeyboardInterrupt:
            process.wait()  # the terminal told it too: let it end in its own way
            raise


def install(what: str, *command: str | Path) -> None:
    """Run an installer and show its large downloads; raises Stop with the likely cause if it fails."""
    parts = [str(part) for part in command]
    said = ""
    with subprocess.Popen(
        parts,
        cwd=ROOT,
        env=environment(VENV),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        close_fds=False,  # it keeps the lock of one_at_a_time, should it outlive a dev.py that was killed
        text=True,
        errors="replace",
    ) as process:
        for line in process.stdout or ():
            said += line
            if re.match(r" *Downloading .*(\d{3}\.\d+MiB|GiB)", line):
                say(line.strip())
    if process.returncode:
        raise Stop(f"{what} failed: {cause(said)}")


def cause(said: str) -> str:
    """What an installer's output says went wrong, as half a sentence."""
    known = {
        "No module named pip": "pip is missing: apt install python3-pip (or install uv yourself), then run this again.",
        "No space left|Disk quota": f"the disk is full: about {FREE_GB} GB are needed, the download cache included.",
        "(?i)hash mismatch|do not match the hashes": "a download is not the file that requirements.txt pins by digest.",
        "(?i)error sending request|dns error|timed out|connection (broken|refused|reset)|unreachable|"
        "name resolution|Failed to establish": "no package index answers: check the network, then run this again.",
    }
    for pattern, sentence in known.items():
        if re.search(pattern, said):
            return sentence
    print(said, file=sys.stderr)
    return "its own words stand above."


# ----------------------------------------------------------------------------- set-up


def wanted() -> list[str]:
    """The two lines of the stamp: where the environment stands and for which Python; and what is to be in it."""
    place = os.fsencode(f"{sys.version_info.major}.{sys.version_info.minor} {ROOT}")
    content = REQUIREMENTS.read_bytes() + (ROOT / "pyproject.toml").read_bytes()
    return [hashlib.sha256(part).hexdigest() for part in (place, content)]


def found() -> list[str]:
    """The stamp of the set-up that was finished last; nothing when there is none, or it was interrupted."""
    return STAMP.read_text().split() if STAMP.is_file() and (BIN / "python").exists() else []


def ready() -> None:
    """Make .venv hold what requirements.txt pins, and the checkout itself; does nothing when it already does."""
    if found() == wanted():
        return
    with one_at_a_time():
        if found() != wanted():
            set_up()


@contextlib.contextmanager
def one_at_a_time() -> Iterator[None]:
    """A lock on the checkout; the system frees it when this process and its installer have ended, however they end."""
    TOOLS.mkdir(exist_ok=True)
    with (TOOLS / "lock").open("w") as lock:
        os.set_inheritable(lock.fileno(), True)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say("another set-up of this checkout is running: waiting for it")
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def set_up() -> None:
    """Make .venv, or bring it in step; the stamp that says so is taken away first and written last."""
    uv = find_uv()
    in_place = found()[:1] == wanted()[:1]
    STAMP.unlink(missing_ok=True)  # from here on an interruption leaves no stamp, so the next call starts afresh
    if not in_place:
        check_space(ROOT)
        if VENV.exists():
            say("removing .venv: half made, moved, or made for another Python")
            shutil.rmtree(VENV)
        install("making .venv", uv, "venv", "--quiet", "--python", PYTHON, VENV)
    install_into(VENV, uv, "--editable", ROOT)
    STAMP.write_text("\n".join(wanted()) + "\n")


def install_into(venv: Path, uv: str, *daybreak: str | Path) -> None:
    """Bring an environment in step with requirements.txt, then install daybreak itself into it."""
    count = len(re.findall(r"^[\w.-]+==", REQUIREMENTS.read_text("utf-8"), re.M))
    say(f"installing {count} packages into {venv} (6 GB on Linux): seconds if already downloaded, else some minutes")
    python = ("--python", venv / "bin" / "python")
    install("installing packages", uv, "pip", "sync", *python, "--require-hashes", REQUIREMENTS)
    install("installing daybreak", uv, "pip", "install", *python, "--no-deps", "--no-build-isolation", *daybreak)


def check_space(folder: Path) -> None:
    """Raise Stop before a download that would fill the disk."""
    free = shutil.disk_usage(folder).free / 1e9
    if free < FREE_GB:
        raise Stop(f"set-up needs about {FREE_GB} GB of disk, downloads included, and {folder} has {free:.1f} GB free.")


def find_uv() -> str:
    """The uv on PATH if it is recent enough, else the one requirements.txt pins, fetched with pip into .tools."""
    on_path = shutil.which("uv")
    if on_path and uv_version(on_path) >= OLDEST_UV:
        return on_path
    pin = re.search(r"^uv==(\S+).*\n(?: +--hash=.*\n)+", REQUIREMENTS.read_text("utf-8"), re.M)
    if pin is None:
        raise Stop("requirements.txt pins no uv: install uv yourself, or restore that file.")
    folder = TOOLS / f"uv-{pin[1]}"
    if not folder.exists():
        fetch_uv(pin[0], folder)
    return str(folder / "bin" / "uv")


def uv_version(uv: str) -> tuple[int, ...]:
    """The first two numbers of a uv's version; empty when it does not run."""
    answer = subprocess.run([uv, "--version"], capture_output=True, text=True)
    version = re.match(r"uv (\d+)\.(\d+)", answer.stdout)
    return tuple(map(int, version.groups())) if version else ()


def fetch_uv(pin: str, folder: Path) -> None:
    """Fetch uv, checked against the digests of its pin; the folder appears when it is whole."""
    say("fetching uv (25 MB): some seconds")
    TOOLS.mkdir(exist_ok=True)
    half = folder.with_suffix(".half")
    shutil.rmtree(half, ignore_errors=True)
    half.mkdir()
    (half / "pin.txt").write_text(pin)
    pip = (PYTHON, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-deps", "--require-hashes")
    install("fetching uv", *pip, "--target", half, "--requirement", half / "pin.txt")
    half.rename(folder)


# ----------------------------------------------------------------------------- the doors


def demo(args: list[str]) -> int:
    """Run `daybreak demo`, with whatever words follow."""
    ready()
    return run(BIN / "daybreak", "demo", *args)


def test(args: list[str]) -> int:
    """Run the tests against the checkout, or against the wheel."""
    args, extra = split(args, "--")
    choose(args, "--all", "--wheel")
    ready()
    selection = [] if "--all" in args else ["-m", "not slow"]
    options = [*selection, *extra]
    return test_wheel(options) if "--wheel" in args else pytest(VENV, ROOT, options)


def pytest(venv: Path, folder: Path, options: list[str]) -> int:
    """Run pytest in a folder, with two workers of one thread each."""
    say("running the tests: a few minutes on two cores")
    return run(
        venv / "bin" / "python",
        "-m",
        "pytest",
        "-n",
        "2",
        "--dist",
        "loadgroup",
        *options,
        folder=folder,
        venv=venv,
        OMP_NUM_THREADS="1",
    )


def test_wheel(options: list[str]) -> int:
    """The suite against the wheel, in an environment and a folder that know nothing of the checkout."""
    uv = find_uv()
    with tempfile.TemporaryDirectory(prefix="daybreak-wheel-") as name:
        folder = Path(name)
        folder.chmod(0o755)  # a test runs as a user without rights, who has to be able to import
        install("building the wheel", BIN / "python", "-m", "hatchling", "build", "-t", "wheel", "-d", folder)
        (wheel,) = folder.glob("*.whl")
        venv = folder / "venv"
        install("making an environment", uv, "venv", "--quiet", "--python", PYTHON, venv)
        install_into(venv, uv, wheel)
        say(f"testing {wheel.name} without {', '.join(WHEEL_LEAVES_OUT)}, which read the checkout")
        leave_out = shutil.ignore_patterns(*WHEEL_LEAVES_OUT, "__pycache__")
        shutil.copytree(ROOT / "tests", folder / "tests", ignore=leave_out)
        shutil.copy(ROOT / "pyproject.toml", folder)  # pytest's settings
        return pytest(venv, folder, options)


def lint(args: list[str]) -> int:
    """Run every check and name those that failed."""
    choose(args)
    ready()
    checks = (
        (BIN / "ruff", "check"),
        (BIN / "ruff", "format", "--check"),
        (BIN / "pyright",),
        (BIN / "python", "-m", "daybreak.report.records", "check"),
        (BIN / "python", "-m", "pytest", "--quiet", "tests/test_structure.py"),
    )
    failed = [" ".join((command[0].name, *command[1:])) for command in checks if run(*command)]
    if failed:
        say(f"failed: {'; '.join(failed)}")
    return 1 if failed else 0


def bench(args: list[str]) -> int:
    """List the benchmarks, run one in an environment of its own, or list stale records."""
    if args == ["--stale"]:
        ready()
        return run(BIN / "python", "-m", "daybreak.report.records", "stale")
    scripts = {path.stem: path for path in sorted((ROOT / "benchmarks").glob("*.py"))}
    if not args:
        print("\n".join(scripts))
        return 0
    choose(args[:1], *scripts, "--stale")  # a script's header names its peers; our own side comes from the checkout
    ours = ("--with-requirements", REQUIREMENTS, "--with-editable", ROOT)
    ready()
    return run(find_uv(), "run", "--python", PYTHON, *ours, "--script", scripts[args[0]], *args[1:])


def docs(args: list[str]) -> int:
    """Write the generated tables anew and build the site."""
    choose(args)
    ready()
    return run(BIN / "python", "-m", "daybreak.report.records", "tables") or run(BIN / "zensical", "build", "--strict")


def lock(args: list[str]) -> int:
    """Write requirements.txt anew; versions stay where they can, unless told otherwise."""
    choose(args, "--upgrade")
    with one_at_a_time():
        uv = find_uv()
    # A universal list with digests and without addresses: one file for every Python, system and package index.
    shape = ("--universal", "--python-version", "3.11", "--generate-hashes", "--no-emit-index-url")
    source = ("pyproject.toml", "--group", "dev", "--custom-compile-command", "python3 dev.py lock")
    install("locking", uv, "pip", "compile", *shape, *source, *args, "--output-file", REQUIREMENTS.name)
    if "://" in REQUIREMENTS.read_text("utf-8"):
        raise Stop("requirements.txt has an address in it, and it must install from any package index.")
    return 0


DOORS: dict[str, Callable[[list[str]], int]] = {
    "demo": demo,
    "test": test,
    "lint": lint,
    "bench": bench,
    "docs": docs,
    "lock": lock,
}


# ----------------------------------------------------------------------------- the command line


def split(words: list[str], at: str) -> tuple[list[str], list[str]]:
    """The words before and after the first `at`."""
    here = words.index(at) if at in words else len(words)
    return words[:here], words[here + 1 :]


def choose(words: list[str], *allowed: str) -> None:
    """Raise Stop for a word that is not allowed, with the nearest one that is."""
    for word in words:
        if word not in allowed:
            near = difflib.get_close_matches(word, allowed, n=1)
            hint = f"did you mean {near[0]}?" if near else f"known here: {', '.join(allowed) or 'nothing'}."
            raise Stop(f"what is '{word}'? {hint}")


def calls(words: list[str]) -> list[tuple[str, list[str]]]:
    """The doors of `lint test --all -- -k run`, each with its words; those from `--` on are the last's."""
    before, after = split(words, "--")
    doors: list[tuple[str, list[str]]] = []
    for word in before:
        if word in DOORS:
            doors.append((word, []))
        elif doors:
            doors[-1][1].append(word)
        else:
            choose([word], *DOORS)
    if after:
        doors[-1][1].extend(["--", *after])
    return doors


def main(words: list[str]) -> int:
    """Go through the doors; returns 0, or 1 when a check failed, or 2 when it could not run."""
    if not words or words[0] in ("-h", "--help", "--"):
        print(__doc__)
        return 0 if words else 2
    try:
        for door, args in calls(words):
            if status := DOORS[door](args):
                return status
    except Stop as stop:
        say(str(stop))
        return 2
    except OSError as error:
        say(f"stopped by the system: {error}.")
        return 2
    except KeyboardInterrupt:
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

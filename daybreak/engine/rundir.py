"""The run directory: the names in it, its lock, its log, and what it says of the machine."""

from __future__ import annotations

import hashlib
import json
import math
import os
import platform
import shlex
import shutil
import subprocess
import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import IO, Any, cast

from daybreak.engine.config import C, RunConfig, changed_fields, from_json, to_json
from daybreak.engine.errors import UserError
from daybreak.engine.files import disk_errors, sweep, write_atomic

FORMAT = 1
CONFIG, ENVIRONMENT, LOG = "config.json", "environment.json", "log.jsonl"
RESULT, EVALUATION, CURVES = "result.json", "evaluation.json", "curves.json"
WEIGHTS, CHECKPOINTS, SAMPLES, ASSETS, TENSORBOARD = (
    "weights.safetensors",
    "checkpoints",
    "samples",
    "assets",
    "tensorboard",
)
LOCK, REPORT = ".lock", "report.html"
RESULTS = (RESULT, EVALUATION, CURVES, WEIGHTS)  # there when training is finished, or evaluated
FILES = (CONFIG, ENVIRONMENT, LOG, *RESULTS, REPORT)
FOLDERS = (CHECKPOINTS, SAMPLES, ASSETS, TENSORBOARD)
MEASURED = ("daybreak", "benchmarks", ":!*.md", ":!daybreak/systems/best.json")  # what figures depend on


# ------------------------------------------------------------------------------- JSON files


def write_json(path: Path, value: Any) -> None:
    """Write strict JSON (non-finite numbers become null) as a whole or not at all."""
    write_atomic(path, (json.dumps(strict(value), indent=1, allow_nan=False) + "\n").encode())


def read_json(path: Path) -> dict[str, Any]:
    """Read a JSON object. Raises UserError naming a missing or damaged file."""
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, NotADirectoryError) as error:
        raise UserError(f"{path} is not there: {path.parent} is no run directory of daybreak") from error
    except (ValueError, RecursionError, OSError) as error:
        raise UserError(f"{path} cannot be read ({error}): restore or delete it, or give another --out") from error
    if not isinstance(value, dict):
        raise UserError(f"{path} is not a JSON object: restore or delete it, or give another --out")
    return cast(dict[str, Any], value)


def strict(value: Any) -> Any:
    """Replace infinities and NaN, which JSON has not, by null."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {str(key): strict(item) for key, item in cast(Mapping[Any, Any], value).items()}
    if isinstance(value, (list, tuple)):
        return [strict(item) for item in cast(list[Any], value)]
    return value


def read_config(folder: Path) -> dict[str, Any]:
    """The stored ``config.json``: format, system, preset, loop and the config's fields under "config"."""
    stored = read_json(folder / CONFIG)
    if stored.get("format") != FORMAT:
        raise UserError(f"{folder} has run format {stored.get('format')}, not {FORMAT}: use the daybreak that wrote it")
    for name, kind in {"system": str, "preset": str, "loop": str, "config": dict}.items():
        if not isinstance(stored.get(name), kind):
            raise UserError(f"{folder / CONFIG} has no {name!r}: restore or delete it, or give another --out")
    return stored


def config_of(cls: type[C], folder: Path) -> C:
    """The config of a run, as it is stored. Raises UserError where it is of another system or loop, or damaged."""
    stored = read_config(folder)
    if stored["system"] != cls.system:
        raise UserError(f"{folder} is a run of {stored['system']}: give a run of {cls.system}")
    if stored["loop"] != cls.loop:
        raise UserError(f"{folder} is a run of {cls.system} {stored['loop']}: give a run of {cls.system} {cls.loop}")
    try:
        return from_json(cls, stored["config"])
    except UserError as error:
        raise UserError(f"{folder / CONFIG}: {error}") from error


def open_folder(folder: Path, config: RunConfig, *, begun: bool) -> None:
    """Make a run directory ready and store its config. Raises UserError where it is not for a run of this config.

    Args:
        folder: the run directory, which is there and locked.
        config: of the run that is to begin, or to go on.
        begun: whether the run has a checkpoint. Until then nothing is lost, and the config may change.

    """
    check_name(folder)
    if not (folder / CONFIG).exists():
        refuse_foreign(folder)
    else:
        before = read_config(folder)
        if before["system"] != config.system or before["loop"] != config.loop:
            raise UserError(f"{folder} holds a run of {before['system']} {before['loop']}: give another --out")
        if is_finished(folder, config.steps):
            raise UserError(f"{folder} is finished: give another --out, or start over with --fresh")
        for name in changed_fields(before["config"], config)[: 1 if begun else 0]:
            old, new = before["config"].get(name), to_json(config).get(name)
            raise UserError(f"{folder} was begun with {name} = {old}, not {new}: give another --out, or use --fresh")
    sweep(folder)
    if not begun:
        (folder / ENVIRONMENT).unlink(missing_ok=True)  # of a start that came to nothing
    about = {"format": FORMAT, "system": config.system, "preset": config.preset, "loop": config.loop}
    write_json(folder / CONFIG, {**about, "config": to_json(config)})


def check_name(folder: Path) -> None:
    """Raise UserError for a name that TensorBoard would write in other bytes than Python."""
    if not str(folder).isascii() and sys.getfilesystemencoding() != "utf-8":
        raise UserError(f"{str(folder)!a} needs a UTF-8 locale: set PYTHONUTF8=1, or give an --out in ASCII")


def is_finished(folder: Path, steps: int) -> bool:
    """Whether a run of ``steps`` steps has ended here and left its result."""
    done = read_json(folder / RESULT).get("steps") if (folder / RESULT).exists() else None
    return isinstance(done, int) and done >= steps


def refuse_foreign(folder: Path) -> None:
    """Raise UserError for a folder that is to begin a run and holds something else already."""
    foreign = sorted(p.name for p in folder.iterdir() if p.name != LOCK and not p.name.startswith(".tmp_config"))
    if foreign:
        raise UserError(f"{folder} holds {foreign[0]!r} and no {CONFIG} of a run: give another --out")


def clear(folder: Path) -> None:
    """Delete what a run left in its directory, to start over. Refuses a folder that holds no run."""
    if not folder.exists():
        return
    read_config(folder)
    with Lock(folder), disk_errors(folder):
        sweep(folder)
        for name in (*FILES, *FOLDERS):  # and nothing else: the user may keep notes there
            path = folder / name
            if path.is_dir():
                shutil.rmtree(path)
            else:
                path.unlink(missing_ok=True)
        if not any(path.name != LOCK for path in folder.iterdir()):
            shutil.rmtree(folder)


# ------------------------------------------------------------------------------- lock


class Lock:
    """Only one process trains in a folder; the lock goes with the process, also after kill -9."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / LOCK
        self.file: IO[str] | None = None

    def __enter__(self) -> Lock:
        if self.path.parent.is_file():
            raise UserError(f"{self.path.parent} is a file: give another --out")
        with disk_errors(self.path):
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self.file = self.path.open("a")
        if hasattr(os, "register_at_fork"):  # or a data loader's worker that outlives its killed parent holds the lock
            os.register_at_fork(after_in_child=self.file.close)
        try:
            _lock(self.file.fileno())
        except OSError as error:
            self.file.close()
            raise UserError(
                f"another process is training in {self.path.parent}: wait for it, or give another --out"
            ) from error
        return self

    def __exit__(self, *_: object) -> None:
        if self.file is not None:
            self.file.close()
            self.file = None


def _lock(descriptor: int) -> None:
    if sys.platform == "win32":
        import msvcrt

        msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
    else:
        import fcntl

        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)


# ------------------------------------------------------------------------------- log


class Log:
    """``log.jsonl``: one strict JSON object a line, in steps that only grow, also over resumes."""

    def __init__(self, folder: Path, step: int) -> None:
        self.path = folder / LOG
        with disk_errors(self.path):
            kept = [line for line in read_log(folder) if line["step"] <= step]
            # what a killed run logged after its last checkpoint is about to be logged again
            write_atomic(self.path, "".join(json.dumps(line) + "\n" for line in kept).encode())
            self.file = self.path.open("a", encoding="utf-8")

    def write(self, line: dict[str, Any]) -> None:
        """Append one line; it is on its way to the disk when this returns."""
        with disk_errors(self.path):
            self.file.write(json.dumps(strict(line), allow_nan=False) + "\n")
            self.file.flush()

    def close(self) -> None:
        """Close the file."""
        with disk_errors(self.path):  # what a full disk refused is tried again here
            self.file.close()


class Scalars:
    """The numbers of the log once more, as TensorBoard reads them."""

    def __init__(self, folder: Path, step: int) -> None:
        from torch.utils.tensorboard.writer import SummaryWriter  # slow to import

        self.path = folder / TENSORBOARD
        with disk_errors(self.path):
            self.writer: Any = SummaryWriter(str(self.path), purge_step=step)

    def write(self, step: int, values: dict[str, float]) -> None:
        """Add the values of a step; a thread of TensorBoard's writes them."""
        with disk_errors(self.path):
            for name, value in values.items():
                self.writer.add_scalar(name, value, step)

    def close(self) -> None:
        """Wait for the thread, and close the file."""
        with disk_errors(self.path):
            self.writer.close()


def read_log(folder: Path) -> list[dict[str, Any]]:
    """All whole lines of ``log.jsonl``; the half line of a killed process is left out."""
    path = folder / LOG
    lines: list[dict[str, Any]] = []
    if not path.exists():
        return lines
    for text in path.read_text(encoding="utf-8", errors="replace").splitlines():
        try:
            line = json.loads(text)
        except ValueError:
            continue
        if isinstance(line, dict) and isinstance(cast(dict[str, Any], line).get("step"), int):
            lines.append(cast(dict[str, Any], line))
    return lines


def log_series(folder: Path, name: str) -> tuple[list[int], list[float]]:
    """One logged number over the steps: (steps, values), where it was logged and finite."""
    lines = [line for line in read_log(folder) if line.get(name) is not None]
    return [line["step"] for line in lines], [line[name] for line in lines]


def log_digest(folder: Path) -> str:
    """SHA-256 of ``log.jsonl``: stands in the result, so that an edited log is seen."""
    path = folder / LOG
    return hashlib.sha256(path.read_bytes() if path.exists() else b"").hexdigest()


# ------------------------------------------------------------------------------- environment


def environment(device: str, precision: str, threads: int, world: int) -> dict[str, Any]:
    """What a reader needs to judge or repeat a figure: versions, machine, commit, command."""
    commit, dirty = commit_of(Path(__file__).resolve().parents[2])
    return {
        "daybreak": _version("daybreak"),
        "commit": commit,
        "dirty": dirty,
        "python": platform.python_version(),
        "torch": _version("torch"),
        "numpy": _version("numpy"),
        "platform": platform.platform(),
        "device": device,
        "precision": precision,
        "processor": processor(),
        "cores": cores(),
        "threads": threads,
        "world": world,
    }


def read_sessions(folder: Path) -> list[dict[str, Any]]:
    """The environments a run was trained in, one a session that differs. Raises UserError for a damaged file."""
    sessions: Any = read_json(folder / ENVIRONMENT).get("sessions")
    if (
        not sessions
        or not isinstance(sessions, list)
        or not all(isinstance(session, dict) for session in cast(list[Any], sessions))
    ):
        raise UserError(f"{folder / ENVIRONMENT} has no list of sessions: restore or delete it, or give another --out")
    return cast(list[dict[str, Any]], sessions)


def command_line(session: dict[str, Any]) -> str | None:
    """The ``daybreak ...`` that a session was started with, without --fresh; None where it was started from Python."""
    command = session.get("command")
    if not isinstance(command, list):
        return None
    words = [str(word) for word in cast(list[Any], command)]
    if len(words) < 2 or Path(words[0]).name not in ("daybreak", "daybreak.exe", "__main__.py"):
        return None
    return shlex.join(["daybreak", *(word for word in words[1:] if word != "--fresh")])


def write_environment(folder: Path, now: dict[str, Any]) -> list[str]:
    """Add this session to ``environment.json``; returns what differs from the session before, as sentences."""
    path = folder / ENVIRONMENT
    sessions = read_sessions(folder) if path.exists() else []
    before = sessions[-1] if sessions else None
    changes = (
        [f"{key} was {before.get(key)}, is {value}" for key, value in now.items() if before.get(key) != value]
        if before
        else []
    )
    if not before or changes or before.get("command") != sys.argv:
        stamp = {"started": datetime.now(UTC).isoformat(timespec="seconds"), "command": sys.argv}
        write_json(path, {"sessions": [*sessions, {**now, **stamp}]})
    return changes


def last_precision(folder: Path) -> str | None:
    """The precision of the last session, None before the first."""
    path = folder / ENVIRONMENT
    return read_sessions(folder)[-1].get("precision") if path.exists() else None


def cores() -> int:
    """Processor cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def processor() -> str:
    """The processor's name where the system tells it."""
    info = Path("/proc/cpuinfo")
    if info.exists():
        for line in info.read_text(encoding="utf-8", errors="replace").splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    return platform.processor() or platform.machine()


def commit_of(checkout: Path) -> tuple[str | None, bool | None]:
    """Commit of a checkout and whether it has uncommitted changes; (None, None) outside of one."""
    if not (checkout / ".git").exists() or shutil.which("git") is None:
        return None, None

    def git(*words: str) -> str | None:
        done = subprocess.run(["git", "-C", str(checkout), *words], capture_output=True, text=True, check=False)
        return done.stdout.strip() if done.returncode == 0 else None

    status = git("status", "--porcelain", "--", *MEASURED)
    return git("rev-parse", "HEAD"), None if status is None else bool(status)


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None

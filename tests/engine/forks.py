"""A process that has imported torch once and forks children that train, killed or starved in all ways.

``python forks.py`` reads requests, one JSON object a line; :class:`Forks` is the tests' side of the pipe. A fresh
interpreter with torch costs six CPU seconds, a fork a tenth of one.
"""

from __future__ import annotations

import errno
import io
import json
import os
import resource
import signal
import subprocess
import sys
import tempfile
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

NOBODY = 65534
PATIENCE = 120.0  # seconds


# ----------------------------------------------------------------------------- the tests' side


class Forks:
    """Start children; each is a dictionary's worth of orders for :func:`child`."""

    def __init__(self, scratch: Path) -> None:
        self.scratch = scratch
        self.count = 0
        self.server = subprocess.Popen(
            [sys.executable, __file__], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
            env={**os.environ, "OMP_NUM_THREADS": "1"},
        )  # fmt: skip

    def ask(self, **request: Any) -> Any:
        assert self.server.stdin and self.server.stdout
        print(json.dumps(request), file=self.server.stdin, flush=True)
        return json.loads(self.server.stdout.readline())

    def start(self, loop: str, out: Path, **orders: Any) -> Child:
        """Start ``loop`` of toys.py in ``out``. Orders: see :func:`child`; what it does not know is a config field."""
        self.count += 1
        errors = self.scratch / f"stderr_{self.count}"
        known = {name: orders.pop(name) for name in ("kill_at", "file_limit", "nobody", "env", "tty") if name in orders}
        fields = [f"{name}={value}" for name, value in orders.items()]
        pid = self.ask(start={"words": [loop, str(out), *fields], "errors": str(errors), **known})
        return Child(self, pid, errors)

    def run(self, loop: str, out: Path, **orders: Any) -> tuple[int, str]:
        """Start, wait, and return the exit code (negative: a signal) and what was said on stderr."""
        child = self.start(loop, out, **orders)
        return child.wait(), child.errors.read_text(encoding="utf-8", errors="replace")

    def close(self) -> None:
        assert self.server.stdin and self.server.stdout
        self.server.stdin.close()
        self.server.stdout.close()
        self.server.wait()


class Child:
    """One forked process."""

    def __init__(self, forks: Forks, pid: int, errors: Path) -> None:
        self.forks, self.pid, self.errors = forks, pid, errors

    def send(self, number: signal.Signals) -> None:
        os.kill(self.pid, number)  # not yet waited for, so the id is still its own

    def wait(self) -> int:
        """The exit code; negative for a signal."""
        return self.forks.ask(wait=self.pid)


def wait_until(true: Callable[[], object], seconds: float = 60.0) -> None:
    """Wait for another process to get somewhere."""
    until = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < until, "waited in vain"
        time.sleep(0.002)


# ----------------------------------------------------------------------------- the process that forks


def serve() -> None:
    import toys

    with tempfile.TemporaryDirectory() as folder:  # imports all that training needs, once for all forks
        toys.main("adversarial", folder, "steps=6")
    for line in sys.stdin:
        request = json.loads(line)
        answer = end_of(request["wait"]) if "wait" in request else os.fork() or child(**request["start"])
        print(answer, flush=True)


def end_of(pid: int) -> int:
    """Exit code of a child, negative for a signal; one that hangs is killed."""
    until = time.monotonic() + PATIENCE
    while True:
        done, status = os.waitpid(pid, os.WNOHANG)
        if done:
            return os.waitstatus_to_exitcode(status)
        if time.monotonic() > until:
            os.kill(pid, signal.SIGKILL)
        time.sleep(0.002)


def child(
    words: list[str],
    errors: str,
    kill_at: int | None = None,
    file_limit: int | None = None,
    nobody: bool = False,
    env: dict[str, str] | None = None,
    tty: str = "",
) -> None:
    """Run ``toys.py WORDS`` as a process of its own would, and end.

    ``kill_at``: die of SIGKILL before the n-th operation on files of the third checkpoint. ``file_limit``: no file
    may grow beyond so many bytes. ``nobody``: give up the rights of root. ``tty``: a terminal for stderr.
    """
    import toys

    from daybreak.engine.errors import UserError

    code = 1
    try:
        descriptor = os.open(tty or errors, os.O_WRONLY | os.O_CREAT | os.O_NOCTTY, 0o666)
        os.dup2(os.open(os.devnull, os.O_RDWR), 0)
        os.dup2(os.open(os.devnull, os.O_RDWR), 1)  # the pipe to the tests is not for children
        os.dup2(descriptor, 2)
        os.environ.update(env or {})
        if file_limit is not None:
            resource.setrlimit(resource.RLIMIT_FSIZE, (file_limit, file_limit))
        if nobody and os.getuid() == 0:
            os.setgid(NOBODY)
            os.setuid(NOBODY)
        if kill_at is not None:
            die_in_save(kill_at)
        toys.main(*words)
        code = 0
    except UserError as mistake:
        print(mistake, file=sys.stderr)
        code = 2
    except BaseException:  # noqa: BLE001  this process must end here, not in the server's loop
        traceback.print_exc()
    finally:
        sys.stderr.flush()
        os._exit(code)


# ----------------------------------------------------------------------------- fail-points

OPERATIONS = [(os, "mkdir"), (os, "open"), (os, "fsync"), (os, "replace"), (os, "unlink"), (os, "rmdir"), (io, "open")]


class Faults:
    """While active, ``fault(n)`` is called before the n-th operation on files, n counted from 0."""

    def __init__(self, fault: Callable[[int], None]) -> None:
        self.fault = fault
        self.count = 0
        self.real = [(place, name, getattr(place, name)) for place, name in OPERATIONS]

    def __enter__(self) -> Faults:
        for place, name, real in self.real:
            setattr(place, name, self._wrap(real))
        return self

    def __exit__(self, *_: object) -> None:
        for place, name, real in self.real:
            setattr(place, name, real)

    def _wrap(self, real: Callable[..., Any]) -> Callable[..., Any]:
        def wrapped(*args: Any, **kwargs: Any) -> Any:
            self.count += 1
            self.fault(self.count - 1)
            return real(*args, **kwargs)

        return wrapped


def full_disk(at: int, still: bool) -> Callable[[int], None]:
    """ENOSPC at the operation ``at``, and with ``still`` at all later ones, too."""

    def fault(n: int) -> None:
        if n == at or (still and n > at):
            raise OSError(errno.ENOSPC, "No space left on device")

    return fault


def die_in_save(at: int) -> None:
    """Have the third checkpoint that this process saves end before its ``at``-th operation, as kill -9 ends it."""
    from daybreak.engine import checkpoint

    save, saved = checkpoint.save, []

    def dying(folder: Path, step: int, state: dict[str, Any]) -> Path:
        saved.append(step)
        if len(saved) < 3:
            return save(folder, step, state)
        with Faults(lambda n: os.kill(os.getpid(), signal.SIGKILL) if n == at else None):
            save(folder, step, state)
        os.kill(os.getpid(), signal.SIGKILL)  # after the last operation

    checkpoint.save = dying  # type: ignore[assignment]


if __name__ == "__main__":
    serve()

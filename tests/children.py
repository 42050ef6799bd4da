"""Forks of a process that has imported torch already: importing costs more than the short trainings of tests."""

from __future__ import annotations

import os
import socket
import sys
import traceback
from collections.abc import Callable


def fork(work: Callable[[], object], env: dict[str, str] | None = None) -> int:
    """Do ``work`` in a child process, which then ends; returns its id."""
    sys.stdout.flush()
    child = os.fork()
    if child:
        return child
    code = 1
    try:
        os.environ.update(env or {})
        work()
        code = 0
    except BaseException:  # noqa: BLE001  this process must end here, not in its parent's code
        traceback.print_exc()
    finally:
        sys.stderr.flush()
        os._exit(code)


def end_of(child: int) -> int:
    """Exit code of a child, negative for a signal."""
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def two_ranks(work: Callable[[], object]) -> list[int]:
    """Exit codes of the two processes of one job, started as torchrun starts them."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = str(probe.getsockname()[1])
    job = {"WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port}
    return [end_of(child) for child in [fork(work, {**job, "RANK": str(rank)}) for rank in range(2)]]

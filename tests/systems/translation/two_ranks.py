"""``python two_ranks.py FOLDER``: a short training alone, and the same as two ranks, in forks of one process."""

from __future__ import annotations

import os
import socket
import sys
import traceback
from pathlib import Path

from daybreak.systems.translation.config import Config, tiny
from daybreak.systems.translation.train import train


def config(out: Path) -> Config:
    """Eight steps without noise; batches so small that some have one pair, fewer than there are ranks."""
    short = tiny()
    short.out, short.device, short.precision = str(out), "cpu", "fp32"
    short.pairs, short.held_out, short.dropout = 100, 10, 0.0
    short.hidden_size, short.ff_size, short.longest, short.tokens, short.strata = 16, 16, 40, 160, 2
    short.steps, short.log_every, short.eval_every = 30, 1, 30
    return short


def fork(out: Path, env: dict[str, str]) -> int:
    """Train in a child process; returns its id."""
    child = os.fork()
    if child:
        return child
    code = 1
    try:
        os.environ.update(env)
        train(config(out))
        code = 0
    except BaseException:  # noqa: BLE001  this process must end here, not in its parent's code
        traceback.print_exc()
    finally:
        sys.stderr.flush()
        os._exit(code)


def main(folder: Path) -> None:
    """Train alone, then as two ranks; raises SystemExit when one of them fails."""
    train(config(folder / "one"))
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    job = {"WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
    children = [fork(folder / "two", {**job, "RANK": str(rank)}) for rank in range(2)]
    codes = [os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children]
    if any(codes):
        raise SystemExit(f"ranks ended with {codes}")


if __name__ == "__main__":
    main(Path(sys.argv[1]))

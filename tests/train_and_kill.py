"""``python train_and_kill.py SYSTEM FOLDER``: train ``tiny`` of the first loop undisturbed, and with a kill -9 after
the first checkpoint. One process imports torch; the trainings are forks of it, since importing costs more than
training."""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import torch
from children import end_of, fork

from daybreak.engine.config import RunConfig
from daybreak.engine.rundir import CHECKPOINTS
from daybreak.systems import package, verbs

GIVE_UP = 300.0  # seconds


def main(system: str, folder: Path) -> None:
    torch.set_num_threads(1)
    training(system)  # imports what training needs, once for all forks
    assert end_of(fork(partial(train_tiny, system, folder / "whole"))) == 0
    victim = fork(partial(train_tiny, system, folder / "resumed"))
    checkpoints = folder / "resumed" / CHECKPOINTS
    until = time.monotonic() + GIVE_UP
    while not list(checkpoints.glob("step_*")) and time.monotonic() < until:
        time.sleep(0.002)
    time.sleep(0.02)
    os.kill(victim, signal.SIGKILL)
    if end_of(victim) == -signal.SIGKILL:
        (folder / "resumed" / "killed").touch()
    assert end_of(fork(partial(train_tiny, system, folder / "resumed"))) == 0


def first_loop(system: str) -> tuple[str, dict[str, Callable[[], RunConfig]]]:
    """Name and presets of the loop that a system trains by, or begins with."""
    return next(iter(verbs(system)[0].items()))


def training(system: str) -> Callable[[RunConfig], Path]:
    """The function that runs this loop."""
    return getattr(package(system), first_loop(system)[0])


def train_tiny(system: str, out: Path) -> None:
    config = first_loop(system)[1]["tiny"]()
    config.out = str(out)
    training(system)(config)


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))

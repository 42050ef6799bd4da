"""``python imagenet_runs.py FOLDER``: short trainings on generated pictures, alone, as two ranks, and killed twice.

The first training imports all that training needs; the others are forks of its process, since that costs the most.
"""

from __future__ import annotations

import os
import signal
import socket
import sys
import traceback
from pathlib import Path
from typing import Any

import torch

from daybreak.systems.dawnbench.imagenet import train
from daybreak.systems.dawnbench.imagenet.config import ImagenetConfig, imagenet_tiny
from daybreak.systems.dawnbench.imagenet.data import PhasedBatches
from daybreak.systems.dawnbench.imagenet.train import train_imagenet

PHASE_ENDS = [3, 6, 9]
EVAL_BATCH = 10  # of 80 pictures: whole batches for one process and for two


def config(out: Path) -> ImagenetConfig:
    """Nine steps in three phases, a checkpoint after each second step."""
    short = imagenet_tiny()
    short.out, short.device, short.precision = str(out), "cpu", "fp32"
    short.epochs, short.sizes, short.batch_sizes = (2.0, 1.0, 1.0), (16, 24, 32), (16, 8, 8)
    short.steps, short.log_every, short.save_every, short.eval_every = 9, 1, 2, 9
    return short


def fork(out: Path, env: dict[str, str] | None = None, die_in_step: int = -1) -> int:
    """Train in a child process, which ends by kill -9 in the step asked for; returns its id."""
    child = os.fork()
    if child:
        return child
    code = 1
    try:
        os.environ.update(env or {})
        if die_in_step >= 0:
            die_at(die_in_step)
        train_imagenet(config(out))
        code = 0
    except BaseException:  # noqa: BLE001  this process must end here, not in its parent's code
        traceback.print_exc()
    finally:
        sys.stderr.flush()
        os._exit(code)


def die_at(step: int) -> None:
    next_batches = PhasedBatches.__next__

    def dying(self: PhasedBatches) -> Any:
        if self.done == step:
            os.kill(os.getpid(), signal.SIGKILL)
        return next_batches(self)

    PhasedBatches.__next__ = dying


def end_of(child: int) -> int:
    """Exit code of a child, negative for a signal."""
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def ranks(out: Path) -> list[int]:
    """Both processes of one job, as torchrun starts them."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = str(probe.getsockname()[1])
    env = {"WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port}
    return [fork(out, {**env, "RANK": str(rank)}) for rank in range(2)]


def main(folder: Path) -> None:
    torch.set_num_threads(1)
    train.EVAL_BATCH = EVAL_BATCH
    train_imagenet(config(folder / "one"))
    assert [end_of(rank) for rank in ranks(folder / "two")] == [0, 0]
    assert end_of(fork(folder / "killed", die_in_step=4)) == -signal.SIGKILL  # goes on from 2: into the second phase
    assert end_of(fork(folder / "killed", die_in_step=7)) == -signal.SIGKILL  # goes on from 6: where the third begins
    assert end_of(fork(folder / "killed")) == 0


if __name__ == "__main__":
    main(Path(sys.argv[1]))

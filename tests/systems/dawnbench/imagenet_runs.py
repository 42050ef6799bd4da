"""``python imagenet_runs.py FOLDER``: short trainings on generated pictures, alone, as two ranks, and killed twice.

The first training imports all that training needs; the others are forks of its process, since that costs the most.
"""

from __future__ import annotations

import os
import signal
import sys
from functools import partial
from pathlib import Path
from typing import Any

import torch

from daybreak.systems.dawnbench.imagenet import train
from daybreak.systems.dawnbench.imagenet.config import ImagenetConfig, imagenet_tiny
from daybreak.systems.dawnbench.imagenet.data import PhasedBatches
from daybreak.systems.dawnbench.imagenet.train import train_imagenet

sys.path.append(str(Path(__file__).parents[2]))

from children import end_of, fork, two_ranks

PHASE_ENDS = [3, 6, 9]
EVAL_BATCH = 10  # of 80 pictures: whole batches for one process and for two


def config(out: Path) -> ImagenetConfig:
    """Nine steps in three phases, a checkpoint after each second step."""
    short = imagenet_tiny()
    short.out, short.device, short.precision = str(out), "cpu", "fp32"
    short.epochs, short.sizes, short.batch_sizes = (2.0, 1.0, 1.0), (16, 24, 32), (16, 8, 8)
    short.steps, short.log_every, short.save_every, short.eval_every = 9, 1, 2, 9
    return short


def killed(out: Path, step: int) -> int:
    """Train in a child process that ends by kill -9 in this step; returns its exit code."""

    def work() -> None:
        die_at(step)
        train_imagenet(config(out))

    return end_of(fork(work))


def die_at(step: int) -> None:
    next_batches = PhasedBatches.__next__

    def dying(self: PhasedBatches) -> Any:
        if self.done == step:
            os.kill(os.getpid(), signal.SIGKILL)
        return next_batches(self)

    PhasedBatches.__next__ = dying


def main(folder: Path) -> None:
    torch.set_num_threads(1)
    train.EVAL_BATCH = EVAL_BATCH
    train_imagenet(config(folder / "one"))
    assert two_ranks(partial(train_imagenet, config(folder / "two"))) == [0, 0]
    assert killed(folder / "killed", step=4) == -signal.SIGKILL  # goes on from 2: into the second phase
    assert killed(folder / "killed", step=7) == -signal.SIGKILL  # goes on from 6: where the third begins
    assert end_of(fork(partial(train_imagenet, config(folder / "killed")))) == 0


if __name__ == "__main__":
    main(Path(sys.argv[1]))

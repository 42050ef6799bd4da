"""The recipe's phases: image size, batch size and learning rate, each a function of the step alone. Imports no torch.

That makes resuming exact: nothing has to remember in which phase a run was stopped.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable
from dataclasses import dataclass
from itertools import accumulate

import numpy as np

from daybreak.engine.errors import UserError
from daybreak.systems.dawnbench.imagenet.config import ImagenetConfig

REFERENCE_BATCH = 256
"""Images a step that ``config.lr`` is meant for (Goyal et al. 2017, section 2.1)."""


@dataclass(frozen=True)
class Phase:
    """A stretch of the training: the steps from ``start`` up to, not including, ``stop``."""

    start: int
    stop: int
    first_epoch: float
    epochs: float
    size: int
    """Side of the crops in pixels."""
    batch_size: int
    """Images a step, over all processes."""
    min_scale: float

    def epoch(self, done: int) -> float:
        """Epochs done after ``done`` steps of the training."""
        return self.first_epoch + self.epochs * (done - self.start) / (self.stop - self.start)


def phases_of(config: ImagenetConfig) -> list[Phase]:
    """The phases of a training. Raises UserError for lists that do not fit together."""
    _check(config)
    weights = [n / size for n, size in zip(config.epochs, config.batch_sizes, strict=True)]  # steps, up to a factor
    ends = [round(config.steps * done / sum(weights)) for done in accumulate(weights)]
    starts, first_epochs = [0, *ends[:-1]], [0.0, *accumulate(config.epochs[:-1])]
    if any(start >= end for start, end in zip(starts, ends, strict=True)):
        raise UserError(f"--steps {config.steps} are too few for {len(ends)} phases: give more")
    rows = zip(
        starts, ends, first_epochs, config.epochs, config.sizes, config.batch_sizes, config.min_scales, strict=True
    )
    return [Phase(*row) for row in rows]


def phase_at(phases: list[Phase], step: int) -> Phase:
    """The phase of the step after ``step`` others; after the end, the last one."""
    return phases[min(bisect_right([phase.start for phase in phases], step) - 1, len(phases) - 1)]


def learning_rate(config: ImagenetConfig, phases: list[Phase]) -> Callable[[int], float]:
    """The learning rate by steps done: lines over the epochs (Smith 2018), scaled with the phase's batch size."""

    def curve(done: int) -> float:
        phase = phase_at(phases, done)
        share = np.interp(phase.epoch(done), config.lr_epochs, config.lr_shares)  # at a jump, the value after it
        return config.lr * float(share) * phase.batch_size / REFERENCE_BATCH

    return curve


def _check(config: ImagenetConfig) -> None:
    for name in ("sizes", "batch_sizes", "min_scales"):
        if len(getattr(config, name)) != len(config.epochs):
            raise UserError(
                f"--{name.replace('_', '-')} needs {len(config.epochs)} values, one a phase as --epochs has"
            )
    if not config.epochs or min(config.epochs) <= 0 or min(config.sizes) < 1:
        raise UserError("--epochs and --sizes need values above 0, one a phase")
    if not all(0 < scale <= 1 for scale in config.min_scales):
        raise UserError(f"--min-scales {config.min_scales} cannot be: give shares of a picture above 0, at most 1")
    for size in config.batch_sizes:
        if size % config.shards or size // config.shards < 2:  # batch norm at one pixel needs two images
            raise UserError(f"--batch-sizes {size} cannot be: give multiples of the {config.shards} shards, two each")
    if len(config.blocks) != 4 or min(config.blocks) < 1:
        raise UserError(f"--blocks {config.blocks} cannot be: give four numbers above 0, one a stage")
    rising = all(a <= b for a, b in zip(config.lr_epochs, config.lr_epochs[1:], strict=False))
    if not rising or config.lr_epochs[:1] != (0.0,) or len(config.lr_shares) != len(config.lr_epochs):
        raise UserError("--lr-epochs must rise from 0, and --lr-shares needs as many values")

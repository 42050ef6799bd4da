"""The generator's averaged weights, which are better to sample from than the last ones (Brock et al. 2019, appendix C).

The engine's EMA copies buffers. Here they are averaged too: the statistics of the batch norms then belong to the
averaged weights, those of the last weights do not.
"""

from __future__ import annotations

import copy
from typing import Any, cast

import torch
from torch import Tensor

from daybreak.systems.biggan.model import Generator


class Average:
    """Exponential moving average of all that a generator's state has; ``module`` is the averaged copy.

    Up to the step before ``start``, counted from 1, it is a plain copy: the first weights are not worth keeping.
    """

    def __init__(self, source: Generator, decay: float, start: int = 0) -> None:
        self.source, self.decay, self.start = source, decay, start
        self.updates = 0
        self.module = copy.deepcopy(source).requires_grad_(False).eval()

    @torch.no_grad()
    def update(self) -> None:
        """Move towards the source's present state."""
        self.updates += 1
        weight = 1.0 if self.updates < self.start else 1.0 - self.decay
        mine, theirs = (list(m.state_dict().values()) for m in (self.module, self.source))
        torch._foreach_lerp_(cast(list[Tensor], mine), cast(list[Tensor], theirs), weight)  # pyright: ignore

    def state_dict(self) -> dict[str, Any]:
        """The averaged state and the number of updates."""
        return {"updates": self.updates, "module": self.module.state_dict()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Undo :meth:`state_dict`."""
        self.updates = state["updates"]
        self.module.load_state_dict(state["module"])

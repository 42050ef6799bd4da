# pyright: strict, reportUnknownMemberType=false
"""Schedules, averaged weights and parameter groups: what optimisation needs beyond torch.optim."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from daybreak.engine.device import unwrap

Curve = Callable[[int], float]


class Schedule:
    """Set hyper-parameters of an optimizer by step: ``Schedule(optimizer, lr=one_cycle(...), momentum=...)``.

    Each curve maps the number of steps done (0 before the first) to a value, which multiplies nothing: it *is* the
    value, times the group's ``lr_scale`` for the learning rate (1 where a group has none).
    """

    def __init__(self, optimizer: Optimizer, **curves: Curve) -> None:
        self.optimizer = optimizer
        self.curves = curves
        self.done = 0
        self._apply()

    def step(self) -> None:
        """One optimizer step was done: set the values of the next one."""
        self.done += 1
        self._apply()

    def _apply(self) -> None:
        for name, curve in self.curves.items():
            value = curve(self.done)
            for group in self.optimizer.param_groups:
                if name == "lr":
                    group["lr"] = value * group.get("lr_scale", 1.0)
                elif name == "momentum" and "betas" in group:
                    group["betas"] = (value, *group["betas"][1:])
                else:
                    group[name] = value

    def state_dict(self) -> dict[str, int]:
        """The number of steps done."""
        return {"done": self.done}

    def load_state_dict(self, state: dict[str, int]) -> None:
        """Go to the number of steps done."""
        self.done = state["done"]
        self._apply()


def one_cycle(peak: float, steps: int, *, rise: float = 0.3, div: float = 25.0, final_div: float = 1e4) -> Curve:
    """Cosine from peak/div up to peak over ``rise`` of the steps, then down to peak/div/final_div.

    Smith and Topin, "Super-Convergence" (2017), in fastai's two-phase form; value by value that of
    torch.optim.lr_scheduler.OneCycleLR.
    """
    start, end = peak / div, peak / div / final_div
    return _two_phases(start, peak, end, steps, rise)


def inverse_momentum(high: float, low: float, steps: int, *, rise: float = 0.3) -> Curve:
    """The momentum that goes with :func:`one_cycle`: low where the learning rate is high."""
    return _two_phases(high, low, high, steps, rise)


def warmup_cosine(peak: float, steps: int, *, warmup: int = 0, floor: float = 0.0) -> Curve:
    """Linear from 0 over ``warmup`` steps, then a half cosine to ``floor`` (Loshchilov and Hutter 2017)."""

    def curve(done: int) -> float:
        if done < warmup:
            return peak * (done + 1) / warmup
        return _cosine(peak, floor, min(1.0, (done - warmup) / max(1, steps - warmup)))

    return curve


def warmup_inverse_sqrt(peak: float, warmup: int) -> Curve:
    """Linear from 0 to peak over ``warmup`` steps, then down with the root of the steps (Vaswani et al. 2017, 5.3)."""
    warmup = max(1, warmup)

    def curve(done: int) -> float:
        return peak * min((done + 1) / warmup, (warmup / (done + 1)) ** 0.5)

    return curve


def _two_phases(start: float, middle: float, end: float, steps: int, rise: float) -> Curve:
    top = max(1e-9, rise * steps - 1)  # step number of the middle value, as OneCycleLR counts it
    last = max(top + 1e-9, steps - 1)

    def curve(done: int) -> float:
        if done <= top:
            return _cosine(start, middle, done / top)
        return _cosine(middle, end, min(1.0, (done - top) / (last - top)))

    return curve


def _cosine(start: float, end: float, part: float) -> float:
    return end + (start - end) / 2.0 * (1.0 + math.cos(math.pi * part))


class EMA:
    """Exponential moving average of a module's weights; buffers are copied.

    ``ema.module`` is the averaged copy, for evaluation. The decay is warmed up as min(decay, (1 + n) / (10 + n)).
    """

    def __init__(self, module: nn.Module, decay: float = 0.999) -> None:
        self.source: nn.Module = unwrap(module)
        self.decay = decay
        self.updates = 0
        self.module = copy.deepcopy(self.source).requires_grad_(False).eval()

    @torch.no_grad()
    def update(self) -> None:
        """Move the average towards the source's present weights."""
        self.updates += 1
        decay = min(self.decay, (1 + self.updates) / (10 + self.updates))
        mine, theirs = list(self.module.parameters()), list(self.source.parameters())
        torch._foreach_lerp_(mine, theirs, 1.0 - decay)  # pyright: ignore
        for buffer, source in zip(self.module.buffers(), self.source.buffers(), strict=True):
            buffer.copy_(source)

    def state_dict(self) -> dict[str, Any]:
        """The averaged weights and the number of updates."""
        return {"updates": self.updates, "module": self.module.state_dict()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Undo :meth:`state_dict`."""
        self.updates = state["updates"]
        self.module.load_state_dict(state["module"])


def decay_groups(module: nn.Module, weight_decay: float) -> list[dict[str, Any]]:
    """Two parameter groups: matrices and filters with weight decay, norms and biases (one-dimensional) without."""
    parameters: list[Tensor] = [p for p in module.parameters() if p.requires_grad]
    return [
        {"params": [p for p in parameters if p.dim() > 1], "weight_decay": weight_decay},
        {"params": [p for p in parameters if p.dim() <= 1], "weight_decay": 0.0},
    ]

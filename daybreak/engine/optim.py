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


class Muon(Optimizer):
    """SGD with Nesterov momentum whose steps on filters and matrices are made orthogonal.

    Parameters of two dimensions and more, as (out, everything else), move by ``lr`` times the orthogonal matrix
    nearest to their momentum, and are kept at the norm sqrt(out): the scale of a filter before a norm means nothing.
    Groups with ``orthogonal`` off, and one-dimensional parameters, take plain Nesterov steps with decay towards zero.
    Jordan et al., "Muon" (2024); the norm as in Jordan's airbench for CIFAR-10.
    """

    def __init__(
        self, params: Any, lr: float, *, momentum: float = 0.6, weight_decay: float = 0.0, orthogonal: bool = True
    ) -> None:
        defaults = {"lr": lr, "momentum": momentum, "weight_decay": weight_decay, "orthogonal": orthogonal}
        super().__init__(params, defaults)

    @torch.no_grad()
    def step(self, closure: None = None) -> None:  # pyright: ignore[reportIncompatibleMethodOverride]
        """Move every parameter that has a gradient."""
        for group in self.param_groups:
            for parameter in group["params"]:
                if parameter.grad is not None:
                    self._move(parameter, parameter.grad, group)

    def _move(self, parameter: Tensor, gradient: Tensor, group: dict[str, Any]) -> None:
        orthogonal = group["orthogonal"] and parameter.dim() > 1
        if not orthogonal and group["weight_decay"]:
            gradient = gradient.add(parameter, alpha=group["weight_decay"])
        state = self.state[parameter]
        if not state:
            state["momentum"] = torch.zeros_like(parameter)
        momentum = state["momentum"].mul_(group["momentum"]).add_(gradient)
        ahead = gradient.add(momentum, alpha=group["momentum"])
        if orthogonal:
            ahead = orthogonalise(ahead.flatten(1)).view(parameter.shape)
            parameter.mul_(len(parameter) ** 0.5 / parameter.square().sum().sqrt())
        parameter.add_(ahead, alpha=-group["lr"])


def orthogonalise(matrix: Tensor, steps: int = 3) -> Tensor:
    """(m, n) -> about U V^T of its singular value decomposition, by Newton and Schulz's iteration of degree five.

    The coefficients are Jordan's (2024): after three steps singular values from about 0.03 of the largest on lie
    between 0.5 and 1.3, which is as good for training as exactly 1.
    """
    a, b, c = 3.4445, -4.7750, 2.0315
    wide = matrix.t() if matrix.shape[0] > matrix.shape[1] else matrix
    x: Tensor = wide / (wide.square().sum().sqrt() + 1e-7)
    for _ in range(steps):
        square = x @ x.t()
        x = torch.addmm(x, torch.addmm(square, square, square, beta=b, alpha=c), x, beta=a)
    return x.t() if matrix.shape[0] > matrix.shape[1] else x


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

# pyright: strict, reportUnknownMemberType=false
"""Muon: steps on matrices that are orthogonal (Jordan et al., "Muon", 2024)."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import Any, Literal, cast

import torch
from torch import Tensor, nn
from torch.optim import AdamW, Optimizer
from torch.optim.adamw import adamw

from daybreak.engine.device import Device
from daybreak.engine.optim import decay_groups


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
        ahead = nesterov(self.state[parameter], gradient, group["momentum"])
        if orthogonal:
            ahead = orthogonalise(ahead.flatten(1)).view(parameter.shape)
            parameter.mul_(len(parameter) ** 0.5 / parameter.square().sum().sqrt())
        parameter.add_(ahead, alpha=-group["lr"])


class MuonAdamW(Optimizer):
    """AdamW, but for the groups with ``orthogonal``: their matrices take Muon's steps, with decay as AdamW's.

    Such a step is 0.2 sqrt(max(m, n)) times the orthogonal matrix nearest to the momentum (Nesterov's), which moves a
    weight about as far as a step of Adam's does: one learning rate serves both (Liu et al., "Muon is scalable for LLM
    training", 2025, section 2.2). :func:`matrix_groups` makes the groups. The orthogonal matrix is found in the
    arithmetic of ``autocast``: its entries may be a percent off.
    """

    def __init__(
        self, params: Any, lr: float, *, momentum: float = 0.95, betas: tuple[float, float] = (0.9, 0.98),
        autocast: Callable[[], AbstractContextManager[Any]] = nullcontext,
    ) -> None:  # fmt: skip
        defaults = {"lr": lr, "momentum": momentum, "betas": betas, "weight_decay": 0.0, "orthogonal": False}
        super().__init__(params, defaults)
        self.autocast = autocast

    @torch.no_grad()
    def step(self, closure: None = None) -> None:  # pyright: ignore[reportIncompatibleMethodOverride]
        """Move every parameter that has a gradient."""
        for group in self.param_groups:
            moving = [parameter for parameter in group["params"] if parameter.grad is not None]
            (self._turn if group["orthogonal"] else self._adapt)(moving, group)

    def _turn(self, moving: list[Tensor], group: dict[str, Any]) -> None:
        for parameter in moving:
            ahead = nesterov(self.state[parameter], cast(Tensor, parameter.grad), group["momentum"])
            with self.autocast():
                step = orthogonalise(ahead)
            parameter.mul_(1 - group["lr"] * group["weight_decay"])
            parameter.add_(step, alpha=-0.2 * group["lr"] * max(step.shape) ** 0.5)

    def _adapt(self, moving: list[Tensor], group: dict[str, Any]) -> None:
        states = [self.state[parameter] for parameter in moving]
        for parameter, state in zip(moving, states, strict=True):
            if not state:
                state["step"] = torch.zeros((), device=parameter.device)
                state["exp_avg"], state["exp_avg_sq"] = torch.zeros_like(parameter), torch.zeros_like(parameter)
        means, squares, steps = ([state[name] for state in states] for name in ("exp_avg", "exp_avg_sq", "step"))
        adamw(
            moving, [cast(Tensor, parameter.grad) for parameter in moving], means, squares, [], steps, fused=True,
            amsgrad=False, beta1=group["betas"][0], beta2=group["betas"][1], lr=group["lr"],
            weight_decay=group["weight_decay"], eps=1e-8, maximize=False,
        )  # fmt: skip


def adamw_or_muon(
    module: nn.Module, name: Literal["adamw", "muon"], weight_decay: float, device: Device, *, matrix_lr: float = 1.0
) -> Optimizer:
    """AdamW with the Transformer's second beta, or :class:`MuonAdamW`; a Schedule sets the learning rate.

    With Muon the matrices' learning rate is ``matrix_lr`` times that of the rest.
    """
    if name == "muon":
        return MuonAdamW(matrix_groups(module, weight_decay, matrix_lr), lr=0.0, autocast=device.autocast)
    return AdamW(decay_groups(module, weight_decay), lr=0.0, betas=(0.9, 0.98), fused=True)


def matrix_groups(module: nn.Module, weight_decay: float, matrix_lr: float = 1.0) -> list[dict[str, Any]]:
    """Groups for :class:`MuonAdamW`: matrices; embeddings, which are tables and no maps; and without decay, vectors."""
    tables = {id(each.weight) for each in module.modules() if isinstance(each, nn.Embedding)}
    parameters = [p for p in module.parameters() if p.requires_grad]
    matrices = [p for p in parameters if p.dim() == 2 and id(p) not in tables]
    others = [p for p in parameters if p.dim() > 2 or id(p) in tables]
    return [
        {"params": matrices, "weight_decay": weight_decay, "orthogonal": True, "lr_scale": matrix_lr},
        {"params": others, "weight_decay": weight_decay, "orthogonal": False},
        {"params": [p for p in parameters if p.dim() <= 1], "weight_decay": 0.0, "orthogonal": False},
    ]


def nesterov(state: dict[str, Any], gradient: Tensor, momentum: float) -> Tensor:
    """The gradient, with a look ahead along those before it, which ``state`` keeps."""
    if not state:
        state["momentum"] = torch.zeros_like(gradient)
    sum_of_all = state["momentum"].mul_(momentum).add_(gradient)
    return gradient.add(sum_of_all, alpha=momentum)


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

# pyright: strict, reportUnknownMemberType=false
"""The guard before every optimizer step: what is not finite stops the run while the weights are still good."""

from __future__ import annotations

import math
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from daybreak.engine.device import Device
from daybreak.engine.errors import UserError


class Diverged(UserError):
    """A loss or a gradient is not finite. Raised before the weights move."""


class NotFinite(Exception):
    """What the guard found: ``step`` and, where it is known at once, ``what``."""

    def __init__(self, step: int, what: str) -> None:
        super().__init__(what)
        self.step, self.what = step, what


class Guard:
    """Checks loss and gradients; at once where that is free, latched on the device where a step would wait."""

    def __init__(self, device: Device) -> None:
        self.device = device
        self.latching = device.torch.type == "cuda"  # a step must not wait for the device
        self.nothing, self.scale = torch.zeros(1, device=device.torch), torch.ones(1, device=device.torch)
        self.first_fault = torch.zeros((), device=device.torch)  # 1 + the step of the first fault, 0: none

    def spoilt(self, gradients: list[Tensor]) -> Tensor:
        """0 when every gradient is finite, else 1: a scalar, in one pass over the gradients.

        This is the check of torch's own gradient scaler, with a scale of 1. It costs half as much as the norm.
        """
        found = self.nothing.clone()
        torch._amp_foreach_non_finite_check_and_unscale_(gradients, found, self.scale)  # pyright: ignore
        return found

    def check(self, optimizer: Optimizer, step: int, loss: Tensor, spoilt: Tensor) -> None:
        """Raise NotFinite, or latch: a fused optimizer on a GPU then skips its updates by itself (``found_inf``).

        ``spoilt`` is a scalar that is not 0 when some gradient is not finite.
        """
        if self.latching and getattr(optimizer, "_step_supports_amp_scaling", False):
            self.latch(optimizer, step, torch.isfinite(loss) & (spoilt == 0).all())
            return
        bad_loss, bad_gradient = not math.isfinite(loss.item()), spoilt.item() != 0
        if self.device.largest(float(bad_loss or bad_gradient)):
            raise NotFinite(step, "the loss" if bad_loss else "the gradient")

    def latch(self, optimizer: Optimizer, step: int, finite: Tensor) -> None:
        """Keep the first fault on the device, without waiting for it."""
        first = torch.where(self.first_fault > 0, self.first_fault, float(step + 1))
        self.first_fault = torch.where(finite, self.first_fault, first)
        cast(Any, optimizer).found_inf = (self.first_fault > 0).float()

    def read(self) -> None:
        """Raise NotFinite for a latched fault. Waits for the device."""
        if self.latching and (first := self.device.largest(float(self.first_fault))):
            raise NotFinite(int(first) - 1, "the loss or the gradient")


def first_bad_gradient(parts: dict[str, Any]) -> str | None:
    """Name of the first parameter of any module whose gradient is not finite."""
    for part_name, part in parts.items():
        for name, parameter in part.named_parameters() if isinstance(part, nn.Module) else ():
            if parameter.grad is not None and not bool(torch.isfinite(parameter.grad).all()):
                return f"{part_name}.{name}"
    return None

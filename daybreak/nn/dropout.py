"""Dropout that costs a CPU next to nothing: torch's draws its numbers one by one, a third of a Transformer's step."""

from __future__ import annotations

import ctypes
import functools
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.nn.functional import dropout

from daybreak.nn import native

MOST = 2**32
"""Numbers of a tensor: beyond, places would be hashed alike."""


class Dropout(nn.Dropout):
    """``nn.Dropout``; on a CPU by C of its own, which draws other numbers of the same distribution."""

    def forward(self, input: Tensor) -> Tensor:
        """Set places of ``input`` to 0 while training, and scale the others by 1 / (1 - p)."""
        if not (self.training and pays(input, self.p)):
            return super().forward(input)
        return Drop.apply(input.float(), None, self.p).to(input.dtype)  # pyright: ignore[reportReturnType]

    def beside(self, x: Tensor, input: Tensor) -> Tensor:
        """The sum x + dropout(input), in one pass where that can be."""
        if not (self.training and pays(input, self.p)):
            return x + dropout(input, self.p, self.training)
        return Drop.apply(input.float(), x.float(), self.p).to(torch.result_type(x, input))  # pyright: ignore[reportReturnType]


def pays(x: Tensor, p: float) -> bool:
    """Whether the compiled way can be taken."""
    if x.device.type != "cpu" or x.dtype not in (torch.float32, torch.bfloat16) or not 0 < p < 1 or x.numel() >= MOST:
        return False
    return not (torch.compiler.is_compiling() or torch.onnx.is_in_onnx_export()) and compiled() is not None


class Drop(torch.autograd.Function):
    """Dropout of x, added to ``base`` or by itself. Two numbers of torch's generator decide; none is stored a place."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, base: Tensor | None, p: float) -> Tensor:
        """Keeps the two numbers."""
        first, second = torch.randint(MOST, (2,)).tolist()
        ctx.draw = Draw(x.numel(), first, second, int(p * 2**31), 1 / (1 - p))
        if base is None:
            return drop(x, ctx.draw)
        x, base = x.contiguous(), base.contiguous()
        out = torch.empty_like(x)
        call("drop_and_add", x, base, out, draw=ctx.draw)
        return out

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, Tensor | None, None]:  # pyright: ignore[reportIncompatibleMethodOverride]
        """The same places of the gradient are set to 0."""
        return drop(gradients[0], ctx.draw), gradients[0] if ctx.needs_input_grad[1] else None, None


class Draw(ctypes.Structure):
    """What the C code is told: how many places, and which of them to keep."""

    _fields_ = [
        ("count", ctypes.c_long), ("first", ctypes.c_uint32), ("second", ctypes.c_uint32),
        ("threshold", ctypes.c_int32), ("scale", ctypes.c_float),
    ]  # fmt: skip


@functools.cache
def compiled() -> ctypes.CDLL | None:
    """The C code, or None where it cannot be built."""
    return native.build(Path(__file__).with_suffix(".c").read_text())


def drop(x: Tensor, draw: Draw) -> Tensor:
    """Dropout of x alone."""
    x = x.contiguous()
    out = torch.empty_like(x)
    call("drop", x, out, draw=draw)
    return out


def call(name: str, *tensors: Tensor, draw: Draw) -> None:
    """Run a function of the C code."""
    getattr(compiled(), name)(*(ctypes.c_void_p(tensor.data_ptr()) for tensor in tensors), draw)

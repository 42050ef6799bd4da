"""Cross entropy over a vocabulary, which a CPU computes in bf16 block by block, without a table of fp32."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.autograd import Function
from torch.nn import functional

BLOCK = 2**18
"""Logits of a block: a mebibyte in fp32, which a core's cache holds."""


def cross_entropy(logits: Tensor, classes: Tensor) -> Tensor:
    """Mean cross entropy in nats, fp32: logits (M, V) and the right classes (M,).

    ``torch.nn.functional.cross_entropy`` of ``logits.float()``; but for bf16 on a CPU the gradient is computed along
    with the loss, in blocks of rows that stay in the cache, and rounded to bf16: five times faster for 8,192 classes.
    """
    if logits.device.type != "cpu" or logits.dtype != torch.bfloat16:
        return functional.cross_entropy(logits.float(), classes)
    return _Blocks.apply(logits, classes)  # pyright: ignore[reportReturnType]


class _Blocks(Function):
    @staticmethod
    def forward(ctx: Any, logits: Tensor, classes: Tensor) -> Tensor:
        gradient, losses = torch.empty_like(logits), logits.new_empty(len(classes), 1, dtype=torch.float32)
        rows = max(1, BLOCK // logits.shape[1])
        for part in (slice(begin, begin + rows) for begin in range(0, len(classes), rows)):
            right = classes[part, None]
            log_shares = logits[part].log_softmax(-1, dtype=torch.float32)
            losses[part] = -log_shares.gather(1, right)
            shares = log_shares.exp_()
            gradient[part] = shares.scatter_add_(1, right, shares.new_full(right.shape, -1.0)).div_(len(classes))
        ctx.save_for_backward(gradient)
        return losses.mean()

    @staticmethod
    def backward(ctx: Any, *outer: Tensor) -> tuple[Tensor, None]:  # pyright: ignore[reportIncompatibleMethodOverride]
        (gradient,) = ctx.saved_tensors
        return gradient * outer[0], None

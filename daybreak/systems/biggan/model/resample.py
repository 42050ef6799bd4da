"""Convolutions that double or halve the sides of what they see, in the plain form and in an equal one of less work.

Enlarging by repetition and averaging 2 x 2 pixels are linear, as a convolution is, so the two make one convolution of
4 x 4 pixels with a stride of 2: sixteen products an input pixel in place of thirty-six. One of 1 x 1 pixel can change
places with the resampling, and is then done at the lower resolution. Both are equal to the plain form but for the
rounding, at the edges too: what is averaged or repeated of a border of zeros is zeros.

Where a CPU computes in fp32, Winograd's way does the same with nine products, of wide layers in less time.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

from torch import Tensor
from torch.nn import functional as F

from daybreak.nn.winograd import Winograd, pays

Resample = Literal["none", "up", "down"]
Convolution = Callable[[Tensor, Tensor, Tensor | None], Tensor]
"""(images, weight, bias) -> images."""
WIDE = 128 * 128
"""Inputs times outputs from which on Winograd's way beats a stride, measured: 28 ms for 83 at 256 channels and 8 x 8
pixels, 131 for 152 at 128 and 32 x 32; and the reverse at 64 channels."""


def enlarged(x: Tensor) -> Tensor:
    """(B, C, H, W) -> (B, C, 2 H, 2 W), each pixel repeated."""
    return F.interpolate(x, scale_factor=2)


def halved(x: Tensor) -> Tensor:
    """(B, C, H, W) -> (B, C, H / 2, W / 2), means of 2 x 2 pixels."""
    return F.avg_pool2d(x, 2)


def conv_plain(x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    """Convolution with as much padding as keeps the size."""
    return F.conv2d(x, weight, bias, padding=weight.shape[2] // 2)


def conv_same(x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    """The same, in whatever way is the quickest."""
    if weight.shape[2] != 3 or not pays(x, weight):
        return conv_plain(x, weight, bias)
    y: Tensor = Winograd.apply(x, weight)  # pyright: ignore[reportAssignmentType]
    return y if bias is None else y + bias[:, None, None]


def enlarge_conv(x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    """Enlarge, then convolve with 3 x 3 pixels: one transposed convolution."""
    if _wide(x, weight):
        return conv_same(enlarged(x), weight, bias)
    kernel = summed_over_pairs(weight.flip(2, 3))
    return F.conv_transpose2d(x, kernel.transpose(0, 1), bias, stride=2, padding=1)


def conv_halve(x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    """Convolve with 3 x 3 pixels, then halve: one convolution with a stride."""
    if _wide(x, weight):
        y = halved(conv_same(x, weight, None))
        return y if bias is None else y + bias[:, None, None]
    return F.conv2d(x, summed_over_pairs(weight) / 4, bias, stride=2, padding=1)


def _wide(x: Tensor, weight: Tensor) -> bool:
    return pays(x, weight) and weight.shape[0] * weight.shape[1] >= WIDE


def summed_over_pairs(kernel: Tensor) -> Tensor:
    """(O, I, 3, 3) -> (O, I, 4, 4): the kernel convolved with 2 x 2 ones."""
    padded = F.pad(kernel, (1, 1, 1, 1))
    rows = padded[:, :, 1:] + padded[:, :, :-1]
    return rows[:, :, :, 1:] + rows[:, :, :, :-1]


RESAMPLED: dict[tuple[Resample, int], Convolution] = {
    ("none", 1): conv_same,
    ("none", 3): conv_same,
    ("up", 1): lambda x, weight, bias: enlarged(conv_same(x, weight, bias)),
    ("up", 3): enlarge_conv,
    ("down", 1): lambda x, weight, bias: conv_same(halved(x), weight, bias),
    ("down", 3): conv_halve,
}
RESAMPLED_PLAINLY: dict[tuple[Resample, int], Convolution] = {
    ("none", 1): conv_plain,
    ("none", 3): conv_plain,
    ("up", 1): lambda x, weight, bias: conv_plain(enlarged(x), weight, bias),
    ("up", 3): lambda x, weight, bias: conv_plain(enlarged(x), weight, bias),
    ("down", 1): lambda x, weight, bias: halved(conv_plain(x, weight, bias)),
    ("down", 3): lambda x, weight, bias: halved(conv_plain(x, weight, bias)),
}

"""Differentiable augmentation: D sees real and fake images changed alike, so that it cannot learn few images by heart.

Zhao et al., "Differentiable Augmentation for Data-Efficient GAN Training" (2020). Gradients reach G through it; every
image has draws of its own, from torch's global generator.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor
from torch.nn.functional import pad

from daybreak.augment.images import cutout

Policy = Literal["colour", "translation", "cutout"]
SHIFT = 1 / 8  # of the side: the largest translation
HOLE = 1 / 2  # of the side: the square that is cut out


def augment(images: Tensor, policies: Sequence[Policy]) -> Tensor:
    """(B, C, H, W) in [-1, 1] -> the same shape, changed by each of the policies in turn."""
    for policy in policies:
        if policy == "colour":
            images = recolour(images)
        elif policy == "translation":
            images = translate(images, round(images.shape[3] * SHIFT))
        else:
            images = cutout(images, round(images.shape[3] * HOLE), 0.0)
    return images


def recolour(images: Tensor) -> Tensor:
    """Change brightness by up to 0.5, saturation by a factor of up to 2, contrast by 0.5 to 1.5."""
    brightness, saturation, contrast = torch.rand(3, len(images), 1, 1, 1, device=images.device)
    images = images + (brightness - 0.5)
    grey = images.mean(1, keepdim=True)
    images = torch.lerp(grey, images, 2 * saturation)
    mean = images.mean((1, 2, 3), keepdim=True)
    return torch.lerp(mean, images, contrast + 0.5)


def translate(images: Tensor, furthest: int) -> Tensor:
    """Shift by up to so many pixels each way; zeros come in."""
    batch, _, height, width = images.shape
    padded = pad(images, [furthest] * 4).permute(0, 2, 3, 1)  # (B, H', W', C)
    top, left = torch.randint(0, 2 * furthest + 1, (2, batch, 1), device=images.device)  # (B, 1) each
    rows = top + torch.arange(height, device=images.device)  # (B, H)
    columns = left + torch.arange(width, device=images.device)  # (B, W)
    index = torch.arange(batch, device=images.device)[:, None, None]
    return padded[index, rows[:, :, None], columns[:, None, :]].permute(0, 3, 1, 2)

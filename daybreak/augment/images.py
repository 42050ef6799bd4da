"""Augmentation of image batches (B, C, H, W) of any dtype, on whatever device they lie."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import pad


def random_crop(images: Tensor, padding: int) -> Tensor:
    """Shift every image by up to ``padding`` pixels each way, mirrored edges filling in; (B, C, H, W) -> the same.

    The usual training crop of CIFAR-10 (He et al. 2016, section 4.2), with reflection in place of zeros. Draws from
    torch's global generator. The result lies in channels_last.
    """
    if padding == 0:
        return images
    batch, _, height, width = images.shape
    padded = pad(images.float(), [padding] * 4, mode="reflect").to(images.dtype)
    top, left = torch.randint(0, 2 * padding + 1, (2, batch, 1), device=images.device)  # (B, 1) each
    rows = top + torch.arange(height, device=images.device)  # (B, H)
    columns = left + torch.arange(width, device=images.device)  # (B, W)
    index = torch.arange(batch, device=images.device)[:, None, None]
    return padded.permute(0, 2, 3, 1)[index, rows[:, :, None], columns[:, None, :]].permute(0, 3, 1, 2)


def random_flip(images: Tensor) -> Tensor:
    """Mirror each image left to right with probability one half; (B, C, H, W) -> the same."""
    mirrored = torch.rand(len(images), device=images.device) < 0.5
    return torch.where(mirrored[:, None, None, None], images.flip(3), images)

"""First weights with which heads look at the words beside: what a BERT learns last and needs first.

From random weights a small BERT says the most frequent word pieces for its first million, until a head has found the
word next to a hole. Here places begin as sine waves (Vaswani et al. 2017, section 3.5), and some heads with queries and
keys that turn them by an offset, so that a word looks at the one so many places away; everything is trained on from
there. The idea of weights that begin with the shape of trained ones is Trockman and Kolter's ("Mimetic Initialization
of Self-Attention Layers", 2023).
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

OFFSETS = ((-1, 1, -2, 2), (-1, 1, -4, 4))
"""Of the first heads of the first two layers."""
AMPLITUDE, SHARPNESS = 0.04, 1.0
"""Of the waves, beside embeddings of 0.02; and of the queries and keys that see them."""
FASTEST, SLOWEST = 3.0, 0.05
"""Radians from one place to the next."""


@torch.no_grad()
def look_beside(positions: nn.Embedding, projections: list[nn.Linear], heads: int) -> None:
    """Set a table of places, (P, D), and the queries and keys of the first layers, (3 D, D) each.

    The waves take as many of the D entries as a head is wide. A head's logit is then highest at its offset, and falls
    off on both sides of it.
    """
    places, width = positions.weight.shape
    waves = width // heads // 2
    speeds = torch.logspace(0, 1, waves, base=SLOWEST / FASTEST) * FASTEST  # (waves,)
    angles = torch.arange(places)[:, None] * speeds
    positions.weight.zero_()
    positions.weight[:, : 2 * waves] = AMPLITUDE * torch.cat([angles.sin(), angles.cos()], 1)
    for projection, offsets in zip(projections, OFFSETS, strict=False):
        queries, keys, _ = projection.weight.unflatten(0, (3, heads, -1))  # (H, d, D)
        for head, offset in enumerate(offsets[:heads]):
            queries[head, : 2 * waves, : 2 * waves] += SHARPNESS * turn(offset * speeds)
            keys[head, : 2 * waves, : 2 * waves] += SHARPNESS * torch.eye(2 * waves)


def turn(angles: Tensor) -> Tensor:
    """(waves,) -> (2 waves, 2 waves): what takes (sin a, cos a) to (sin (a + angle), cos (a + angle))."""
    cosines, sines = angles.cos().diag(), angles.sin().diag()
    return torch.cat([torch.cat([cosines, sines], 1), torch.cat([-sines, cosines], 1)])

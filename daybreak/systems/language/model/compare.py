"""Two sentences of a row, compared word by word: what a small encoder does not learn to do by itself."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.functional import gelu, normalize

from daybreak.systems.language.model.rows import Rows
from daybreak.systems.language.model.whiten import centre


class Compare(nn.Module):
    """Decomposable attention (Parikh et al. 2016, section 3) over the vectors of word pieces.

    Each word piece looks at those of the other sentence that are like it, by their cosine, and is compared with what it
    finds there: both, their difference (as Chen et al. 2017, section 3.3), their product, and the largest cosine.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.project = nn.Linear(width, width)
        self.sharpness = nn.Parameter(torch.tensor(10.0))
        self.inner = nn.Linear(3 * width + 1, width)

    def forward(self, pieces: Tensor, rows: Rows) -> Tensor:
        """(N, D) -> (B, 2 D): the mean comparison of the first sentence, and of the second."""
        words = rows.table(self.project(pieces).float())  # (B, T, D)
        sentence = rows.table(rows.segments)
        seen = rows.mask()
        seen = torch.ones_like(sentence, dtype=torch.bool) if seen is None else seen
        other = seen[:, None, :] & (sentence[:, :, None] != sentence[:, None, :])  # (B, T, T)
        unit = normalize(words, dim=-1)
        cosines = (unit @ unit.transpose(1, 2)).float().masked_fill(~other, -1.0)
        weights = (cosines * self.sharpness).masked_fill(~other, -1e4).softmax(-1)
        found = (weights * other) @ words  # zeros in a row of one sentence
        told = torch.cat([words, (words - found).abs(), words * found, cosines.amax(-1, keepdim=True)], -1)
        told = gelu(self.inner(told)).float()
        return torch.cat([_mean(told, seen & (sentence == each)) for each in (0, 1)], -1)

    def settle(self, pieces: Tensor) -> None:
        """Begin with a projection that takes away what these vectors (N, D) have in common."""
        centre(self.project, pieces)


def _mean(table: Tensor, chosen: Tensor) -> Tensor:
    """(B, T, D), (B, T) bool -> (B, D); zeros where none is chosen."""
    weights = chosen[:, :, None].to(table.dtype)
    return (table * weights).sum(1) / weights.sum(1).clamp(min=1.0)

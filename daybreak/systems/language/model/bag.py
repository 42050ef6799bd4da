"""A linear layer over the word pieces of a row, and over pairs of neighbours: what a small encoder finds out late."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from daybreak.systems.language.model.rows import Rows

BUCKETS = 1 << 18
"""Pairs of neighbours have no vocabulary: each has the number of one of so many buckets."""
GAIN = 5.0
"""Each weight counts so many times, and so learns faster than the encoder: most pieces are seen a few times only."""


class Bag(nn.Module):
    """The wide part beside a deep one (Cheng et al. 2016, section 3.1), over pieces and hashed pairs of them.

    The pairs are those of Joulin et al. 2016, "Bag of Tricks for Efficient Text Classification", section 2.2. It begins
    with zeros: at first only the encoder speaks.
    """

    def __init__(self, vocabulary: int, outputs: int) -> None:
        super().__init__()
        self.pieces = nn.Embedding(vocabulary, outputs)
        self.pairs = nn.Embedding(BUCKETS, outputs)
        nn.init.zeros_(self.pieces.weight)
        nn.init.zeros_(self.pairs.weight)

    def forward(self, rows: Rows) -> Tensor:
        """(B, outputs): the sum over a row, in fp32; what [CLS] and [SEP] are given is part of it."""
        tokens = rows.table(rows.tokens)  # (B, T)
        seen = rows.mask()
        seen = torch.ones_like(tokens, dtype=torch.bool) if seen is None else seen
        alone = (self.pieces(tokens).float() * seen[..., None]).sum(1)
        pairs = (tokens[:, :-1] * 8_191 + tokens[:, 1:] * 131) % BUCKETS
        both = (self.pairs(pairs).float() * (seen[:, :-1] & seen[:, 1:])[..., None]).sum(1)
        return GAIN * (alone + both)

"""One vector for a row: the mean of its word pieces."""

from __future__ import annotations

import torch
from torch import Tensor

from daybreak.systems.language.model.rows import Rows


def mean(hidden: Tensor, rows: Rows) -> Tensor:
    """(N, D) -> (B, D), in fp32; [CLS] and [SEP] are counted in, as sentence-transformers does."""
    lengths = rows.starts.diff()
    row = torch.repeat_interleave(torch.arange(len(rows), device=hidden.device), lengths)
    sums = hidden.new_zeros(len(rows), hidden.shape[1], dtype=torch.float32).index_add(0, row, hidden.float())
    return sums / lengths[:, None]

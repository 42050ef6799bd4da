"""One vector for a row: the mean of its word pieces."""

from __future__ import annotations

from torch import Tensor

from daybreak.systems.language.model.rows import Rows


def mean(hidden: Tensor, rows: Rows) -> Tensor:
    """(N, D) -> (B, D), in fp32; [CLS] and [SEP] are counted in, as sentence-transformers does."""
    table, mask = rows.table(hidden.float()), rows.mask()
    if mask is None:
        return table.mean(1)
    weights = mask[:, :, None].float()
    return (table * weights).sum(1) / weights.sum(1)

"""One vector for a row: the mean of its word pieces."""

from __future__ import annotations

from torch import Tensor

from daybreak.systems.language.model.rows import Rows


def weighted_mean(hidden: Tensor, weights: Tensor, rows: Rows) -> Tensor:
    """(N, D), and a positive weight (N,) for each word piece -> (B, D), in fp32."""
    shares, mask = rows.table(weights.float())[:, :, None], rows.mask()  # (B, T, 1)
    if mask is not None:
        shares = shares * mask[:, :, None]
    return (rows.table(hidden.float()) * shares).sum(1) / shares.sum(1)


def mean(hidden: Tensor, rows: Rows) -> Tensor:
    """(N, D) -> (B, D), in fp32; [CLS] and [SEP] are counted in, as sentence-transformers does."""
    table, mask = rows.table(hidden.float()), rows.mask()
    if mask is None:
        return table.mean(1)
    weights = mask[:, :, None].float()
    return (table * weights).sum(1) / weights.sum(1)

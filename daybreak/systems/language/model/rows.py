"""Rows of word pieces without padding: one after the other, and where each begins."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor


@dataclass
class Rows:
    """A batch of B rows, N word pieces in all. Nothing is computed for a place that holds no word piece."""

    tokens: Tensor
    """(N,) int64."""
    segments: Tensor
    """(N,) int64: 0 for the first sentence and 1 for the second; a tagger and an answerer read something else there."""
    positions: Tensor
    """(N,) int64: place of a word piece in its row."""
    starts: Tensor
    """(B + 1,) int32: where each row begins, and where the last one ends."""
    slots: Tensor
    """(N,) int64: place of a word piece in a table of B times ``longest``."""
    longest: int
    """Word pieces of the longest row."""

    def __len__(self) -> int:
        return len(self.starts) - 1

    @property
    def even(self) -> bool:
        """Whether all rows are equally long."""
        return len(self.tokens) == len(self) * self.longest

    def table(self, values: Tensor) -> Tensor:
        """Values (N, ...) as a padded table (B, longest, ...); zeros where there is no word piece."""
        if not self.even:
            padded = values.new_zeros(len(self) * self.longest, *values.shape[1:])
            values = padded.index_copy(0, self.slots, values)
        return values.unflatten(0, (len(self), self.longest))

    def flat(self, table: Tensor) -> Tensor:
        """Undo :meth:`table`: (B, longest, ...) -> (N, ...)."""
        values = table.flatten(0, 1)
        return values if self.even else values[self.slots]

    def mask(self) -> Tensor | None:
        """(B, longest) bool, True at word pieces; None where all rows are equally long."""
        if self.even:
            return None
        return self.table(torch.ones_like(self.tokens, dtype=torch.bool))


def rows_of(tokens: Sequence[np.ndarray], segments: Sequence[np.ndarray]) -> Rows:
    """Lay rows of word pieces one after the other.

    Args:
        tokens: of each row, (length,) integers.
        segments: of each row, (length,) integers.

    Raises ValueError for a row without word pieces, of which nothing could be said.

    """
    lengths = np.array([len(row) for row in tokens])
    if not lengths.all():
        raise ValueError(f"row {lengths.argmin()} has no word pieces: a row begins with [CLS]")
    starts = np.concatenate([[0], lengths.cumsum()])
    longest = int(lengths.max())
    positions = np.arange(starts[-1]) - starts[:-1].repeat(lengths)
    slots = positions + (np.arange(len(lengths)) * longest).repeat(lengths)
    joined, of_segments = (torch.from_numpy(np.concatenate(each).astype(np.int64)) for each in (tokens, segments))
    begins = torch.from_numpy(starts.astype(np.int32))
    return Rows(joined, of_segments, torch.from_numpy(positions), begins, torch.from_numpy(slots), longest)

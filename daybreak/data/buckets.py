"""Batches of sequences of like length: little padding, and an order that is a function of the seed."""

from __future__ import annotations

import itertools
import zlib
from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor

from daybreak.engine.errors import UserError

POOL = 512
"""Batches' worth of rows, drawn at random, that are sorted together: more would pad less, and mix less."""


class Buckets:
    """Endless iterator over the rows of batches, epoch after epoch; its state is a position, and whose it is.

    Rows are shuffled by (seed, epoch), sorted by length within pools, and cut into batches of at most ``tokens``
    padded tokens; then the batches are shuffled. No row is left out.

    A batch of one length is a poor sample of the data. Training whose steps add the gradients of ``strata`` batches
    learns more of each: the batches then come in turns, one of the shortest rows, one of longer ones, and so on.

    Args:
        lengths: (N, K) tokens of each row, in each of its K sequences (source and target; or one).
        tokens: most tokens of a batch, padding included, over all K sequences.
        seed: of the order.
        strata: in how many parts, by length, the batches are shuffled; they take turns.

    Raises:
        UserError: there are no rows, or one is longer than a batch.

    """

    def __init__(self, lengths: Tensor, tokens: int, seed: int, strata: int = 1) -> None:
        if not len(lengths):
            raise UserError("the data set is empty: there is nothing to train on")
        longest = int(lengths.sum(1).max())
        if longest > tokens:
            raise UserError(f"a row has {longest} tokens, more than a batch of {tokens}: take larger batches")
        self.lengths, self.tokens, self.seed, self.strata = lengths.numpy(), tokens, seed, strata
        self._of = zlib.crc32(np.append([seed, tokens, strata], self.lengths).astype("<i8").tobytes())
        self._epoch = self._index = 0
        self._batches: list[Tensor] = []  # of the epoch below
        self._cut_epoch = -1

    def __iter__(self) -> Iterator[Tensor]:
        return self

    def __next__(self) -> Tensor:
        """Rows (B,), int64."""
        batches = self.of_epoch()
        rows = batches[self._index]
        self._index += 1
        if self._index == len(batches):
            self._epoch, self._index = self._epoch + 1, 0
        return rows

    @property
    def epochs(self) -> float:
        """Epochs done."""
        return self._epoch + self._index / len(self.of_epoch())

    def of_epoch(self) -> list[Tensor]:
        """The batches of the epoch that the next one belongs to."""
        if self._cut_epoch != self._epoch:
            self._batches, self._cut_epoch = self._cut(np.random.default_rng([self.seed, self._epoch])), self._epoch
        return self._batches

    def _cut(self, random: np.random.Generator) -> list[Tensor]:
        order = random.permutation(len(self.lengths))
        rows_a_pool = max(1, int(POOL * self.tokens / self.lengths.sum(1).mean()))
        strata: list[list[Tensor]] = [[] for _ in range(self.strata)]
        for start in range(0, len(order), rows_a_pool):
            pool = order[start : start + rows_a_pool]
            batches = cut(by_length(pool, self.lengths), self.lengths, self.tokens)
            for stratum, part in zip(strata, np.array_split(np.arange(len(batches)), self.strata), strict=True):
                stratum += [batches[i] for i in part]
        shuffled = [[stratum[i] for i in random.permutation(len(stratum))] for stratum in strata]
        in_turns = itertools.chain.from_iterable(itertools.zip_longest(*shuffled))
        return [batch for batch in in_turns if batch is not None]

    def state_dict(self) -> dict[str, int]:
        """Position of the next batch, and a digest of what the batches are a function of."""
        return {"epoch": self._epoch, "index": self._index, "of": self._of}

    def load_state_dict(self, state: dict[str, int]) -> None:
        """Go on from :meth:`state_dict`. Raises UserError when it is that of other rows, batches or another seed."""
        if state.get("of") != self._of:
            raise UserError(
                f"cannot resume at epoch {state['epoch']}, batch {state['index']}: "
                "the data set, the size of a batch or the seed is not the one that this state was saved with"
            )
        self._epoch, self._index = state["epoch"], state["index"]


def in_order(lengths: Tensor, tokens: int) -> list[Tensor]:
    """Every row once, the longest first, in batches of at most ``tokens`` padded tokens (or of one row)."""
    order = by_length(np.arange(len(lengths)), lengths.numpy())[::-1]
    return cut(order, lengths.numpy(), tokens)


def by_length(rows: np.ndarray, lengths: np.ndarray) -> np.ndarray:
    """Rows by the length of their last sequence, and among equals by the first: up, and down at the next length.

    Down, for a batch that spans two lengths of the last sequence shall not span all lengths of the first.
    """
    first, last = lengths[rows, 0], lengths[rows, -1]
    return rows[np.lexsort((np.where(last % 2, first, -first), last))]


def cut(order: np.ndarray, lengths: np.ndarray, tokens: int) -> list[Tensor]:
    """Cut rows, in the order given, where one more would make a batch of over ``tokens`` padded tokens.

    A row that is longer than that is a batch of its own; no rows make no batches.
    """
    if not len(order):
        return []
    batches: list[Tensor] = []
    first, longest = 0, np.zeros(lengths.shape[1], lengths.dtype)
    for at, row in enumerate(order):
        grown = np.maximum(longest, lengths[row])
        if at > first and int(grown.sum()) * (at + 1 - first) > tokens:
            batches.append(torch.from_numpy(order[first:at].copy()))
            first, grown = at, lengths[row]
        longest = grown
    return [*batches, torch.from_numpy(order[first:].copy())]

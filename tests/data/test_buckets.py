"""Batches by length: every row once an epoch, few padded tokens, an order that is a function of seed and epoch."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from daybreak.data.buckets import Buckets, cut, in_order
from daybreak.data.text import learn_bpe, read_parallel
from daybreak.engine.errors import UserError

pairs = st.lists(st.tuples(st.integers(1, 30), st.integers(1, 30)), min_size=1, max_size=80).map(torch.tensor)
limits = st.integers(60, 300)
seeds = st.integers(0, 2**32 - 1)
strata = st.integers(1, 5)


def padded(rows: Tensor, lengths: Tensor) -> int:
    return len(rows) * int(lengths[rows].max(0).values.sum())


def take(buckets: Buckets, count: int) -> list[list[int]]:
    return [next(buckets).tolist() for _ in range(count)]


def random_lengths(count: int, seed: int = 0) -> Tensor:
    return torch.from_numpy(np.random.default_rng(seed).integers(1, 30, (count, 2)))


@settings(deadline=None)
@given(pairs, limits, seeds, strata)
def test_every_row_comes_once_an_epoch_in_batches_within_the_limit(
    lengths: Tensor, tokens: int, seed: int, strata: int
) -> None:
    buckets = Buckets(lengths, tokens, seed, strata)
    for epoch in range(3):
        assert buckets.epochs == epoch
        batches = [next(buckets) for _ in range(len(buckets.of_epoch()))]
        assert sorted(torch.cat(batches).tolist()) == list(range(len(lengths)))
        assert all(0 < padded(rows, lengths) <= tokens and rows.dtype == torch.int64 for rows in batches)


def test_the_order_is_a_function_of_seed_and_epoch() -> None:
    lengths = random_lengths(300)
    count = len(Buckets(lengths, 200, 1).of_epoch())
    first, again, other = (take(Buckets(lengths, 200, seed), count) for seed in (1, 1, 2))
    assert first == again != other
    buckets = Buckets(lengths, 200, 1)
    epochs = [take(buckets, len(buckets.of_epoch())) for _ in range(3)]
    assert epochs[0] == first and epochs[1] != epochs[0] != epochs[2]
    longest = [int(lengths[rows, 1].max()) for rows in first]
    assert longest != sorted(longest), "long batches come among short ones"


@settings(deadline=None)
@given(pairs, limits, seeds, strata, st.integers(0, 60))
def test_resume_at_any_point_is_exact(lengths: Tensor, tokens: int, seed: int, strata: int, done: int) -> None:
    buckets, resumed = Buckets(lengths, tokens, seed, strata), Buckets(lengths, tokens, seed, strata)
    take(buckets, done)
    resumed.load_state_dict(buckets.state_dict())
    assert resumed.epochs == buckets.epochs
    assert take(resumed, 40) == take(buckets, 40)
    buckets.load_state_dict(Buckets(lengths, tokens, seed, strata).state_dict())
    assert take(buckets, 3) == take(Buckets(lengths, tokens, seed, strata), 3), "back to the beginning"


def test_strata_take_turns_so_that_each_step_sees_short_and_long_rows() -> None:
    lengths = random_lengths(3_000)
    buckets = Buckets(lengths, 200, 0, strata=4)
    for _ in range(20):
        means = [lengths[next(buckets), 1].float().mean().item() for _ in range(4)]
        assert means == sorted(means) and means[0] < 15 < means[-1] - 5


@pytest.mark.parametrize("other", [
    Buckets(random_lengths(300, seed=5), 200, 1), Buckets(random_lengths(301), 200, 1),
    Buckets(random_lengths(300), 201, 1), Buckets(random_lengths(300), 200, 2),
    Buckets(random_lengths(300), 200, 1, strata=2),
])  # fmt: skip
def test_the_state_of_other_batches_is_refused(other: Buckets) -> None:
    buckets = Buckets(random_lengths(300), 200, 1)
    take(buckets, 3)
    expected = take(buckets, 1)
    buckets = Buckets(random_lengths(300), 200, 1)
    take(buckets, 3)
    with pytest.raises(UserError, match="cannot resume at epoch 0, batch 0: the data set, the size of a batch"):
        buckets.load_state_dict(other.state_dict())
    assert take(buckets, 1) == expected, "what is refused changes nothing"


def test_no_rows_and_a_row_longer_than_a_batch_are_refused() -> None:
    with pytest.raises(UserError, match="the data set is empty"):
        Buckets(torch.empty(0, 2, dtype=torch.int64), 100, 0)
    with pytest.raises(UserError, match="a row has 101 tokens, more than a batch of 100"):
        Buckets(torch.tensor([[1, 1], [50, 51]]), 100, 0)
    assert take(Buckets(torch.tensor([[50, 50]]), 100, 0), 2) == [[0], [0]]


@settings(deadline=None)
@given(pairs, st.integers(1, 300), st.booleans())
def test_all_rows_are_there_the_longest_first(lengths: Tensor, tokens: int, one: bool) -> None:
    lengths = lengths[:, :1] if one else lengths
    batches = in_order(lengths, tokens)
    assert sorted(torch.cat(batches).tolist()) == list(range(len(lengths)))
    assert all(padded(rows, lengths) <= tokens or len(rows) == 1 for rows in batches)
    last = lengths[torch.cat(batches), -1]
    assert (last.diff() <= 0).all()


@settings(deadline=None)
@given(pairs, st.integers(1, 300))
def test_rows_are_cut_in_the_order_given_and_no_earlier_than_they_must(lengths: Tensor, tokens: int) -> None:
    order = np.arange(len(lengths))[::-1]
    batches = cut(order, lengths.numpy(), tokens)
    assert torch.cat(batches).tolist() == order.tolist()
    for rows, following in itertools.pairwise(batches):
        assert padded(torch.cat([rows, following[:1]]), lengths) > tokens


def test_no_rows_make_no_batches() -> None:
    assert in_order(torch.empty(0, 2, dtype=torch.int64), 100) == []


@pytest.mark.realdata
def test_one_in_twenty_five_tokens_of_multi30k_is_padding_at_most(real_data: Callable[[str], Path]) -> None:
    folder = real_data("multi30k") / "multi30k"
    both = read_parallel(folder / "train.de", folder / "train.en")
    for size in (400, 4_000):
        bpe = learn_bpe([line for side in both for line in side[:3_000]], size)
        sides = [[len(encoding) + 1 for encoding in bpe.encode_batch_fast(side)] for side in both]
        lengths = torch.tensor(sides).T.contiguous()
        buckets = Buckets(lengths, 4_096, 0)
        share = 1 - int(lengths.sum()) / sum(padded(rows, lengths) for rows in buckets.of_epoch())
        assert share <= 0.04, f"with a vocabulary of {size} tokens"

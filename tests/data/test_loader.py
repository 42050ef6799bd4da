"""The loader: every row once an epoch, an order that is a function of (seed, epoch, index), resume by two integers."""

from __future__ import annotations

import contextlib
import random
import time
import weakref
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from daybreak.data.loader import Loader, batches
from daybreak.engine.errors import UserError

# From Python 3.12 on, forking a worker from a process that has threads warns; torch's loader forks on Linux.
pytestmark = pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")


class Rows:
    """``n`` rows whose content is their number."""

    def __init__(self, n: int) -> None:
        self.n = n

    def __len__(self) -> int:
        return self.n

    def __getitem__(self, indices: Tensor) -> Tensor:
        return indices.clone()


class SlowFirst(Rows):
    """Row 0 takes a while, so that other workers are done first."""

    def __getitem__(self, indices: Tensor) -> Tensor:
        time.sleep(0.02 if 0 in indices else 0)
        return super().__getitem__(indices)


class Bad(Rows):
    """Rows from 6 on cannot be read."""

    def __getitem__(self, indices: Tensor) -> Tensor:
        if int(indices.max()) >= 6:
            raise UserError("photo.png is damaged: get it again")
        return super().__getitem__(indices)


class ThreadCount(Rows):
    def __getitem__(self, indices: Tensor) -> Tensor:
        return torch.tensor([torch.get_num_threads()])


def add_noise(batch: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    return batch, torch.rand(len(batch), generator=generator)


def take(loader: Loader[Any], count: int) -> list[Any]:
    return [next(loader) for _ in range(count)]


def same(left: Any, right: Any) -> bool:
    if isinstance(left, Tensor):
        return torch.equal(left, right)
    return len(left) == len(right) and all(map(same, left, right))


sizes = st.tuples(st.integers(1, 60), st.integers(1, 20)).filter(lambda s: s[0] >= s[1])


@given(sizes, st.integers(0, 2**40), st.integers(0, 3))
def test_every_row_comes_at_most_once_an_epoch_and_only_the_short_batch_is_dropped(size, seed, epoch) -> None:
    n, batch_size = size
    loader = Loader(Rows(n), batch_size, seed)
    loader.load_state_dict({"epoch": epoch, "index": 0})
    rows = torch.cat(take(loader, n // batch_size)).tolist()
    assert len(set(rows)) == len(rows) == n - n % batch_size
    assert set(rows) <= set(range(n))
    assert loader.state_dict() == {"epoch": epoch + 1, "index": 0}


@given(sizes, st.integers(0, 1000), st.integers(0, 40))
def test_resume_after_any_number_of_batches_is_exact(size, seed, done) -> None:
    n, batch_size = size
    straight = Loader(Rows(n), batch_size, seed, transform=add_noise)
    take(straight, done)
    resumed = Loader(Rows(n), batch_size, seed, transform=add_noise)
    resumed.load_state_dict(straight.state_dict())
    assert same(take(straight, 12), take(resumed, 12))


@given(st.integers(1, 4), st.integers(1, 5), st.integers(0, 1000))
def test_shards_together_are_the_rows_of_the_single_process(world, each, seed) -> None:
    n, batch_size = 41, world * each
    whole = take(Loader(Rows(n), batch_size, seed), 5)
    parts = [take(Loader(Rows(n), batch_size, seed, shard=(rank, world)), 5) for rank in range(world)]
    for step, batch in enumerate(whole):
        assert torch.equal(torch.stack([part[step] for part in parts], dim=1).flatten(), batch)


def test_shards_do_not_share_the_draws_of_their_augmentation() -> None:
    noise = [next(Loader(Rows(8), 8, 0, transform=add_noise, shard=(rank, 2)))[1] for rank in range(2)]
    assert not torch.equal(*noise)


def test_each_epoch_has_its_own_order_and_the_seed_decides_it() -> None:
    loader = Loader(Rows(64), 16, 3)
    first, second = torch.cat(take(loader, 4)), torch.cat(take(loader, 4))
    assert not torch.equal(first, second)
    assert torch.equal(first.sort().values, second.sort().values)
    assert not same(take(Loader(Rows(64), 16, 3), 4), take(Loader(Rows(64), 16, 4), 4))


def test_without_shuffle_rows_come_in_order_every_epoch() -> None:
    assert [b.tolist() for b in take(Loader(Rows(5), 2, 0, shuffle=False), 4)] == [[0, 1], [2, 3]] * 2


def test_two_workers_give_the_batches_of_none_also_after_a_resume() -> None:
    alone = Loader(SlowFirst(20), 3, 7, transform=add_noise)
    together = Loader(SlowFirst(20), 3, 7, transform=add_noise, workers=2)
    assert same(take(alone, 9), take(together, 9))
    assert alone.state_dict() == together.state_dict() == {"epoch": 1, "index": 3}, "read ahead is not handed out"
    for loader in (alone, together):
        loader.load_state_dict({"epoch": 0, "index": 4})
    assert same(take(alone, 4), take(together, 4))


def test_workers_leave_the_generators_of_the_training_process_alone() -> None:
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    state = random.getstate()
    take(Loader(Rows(8), 2, 0, workers=1), 2)
    assert torch.equal(torch.rand(3), expected)
    assert random.getstate() == state


def test_a_worker_uses_one_thread() -> None:
    assert next(Loader(ThreadCount(4), 2, 0, workers=1)).tolist() == [1]


@pytest.mark.parametrize("workers", [0, 1])
def test_a_bad_row_is_one_sentence_and_the_position_stays(workers: int) -> None:
    loader = Loader(Bad(8), 2, 0, shuffle=False, workers=workers)
    take(loader, 3)
    for _ in range(2):
        with pytest.raises(UserError, match=r"^photo\.png is damaged: get it again$"):
            next(loader)
    assert loader.state_dict() == {"epoch": 0, "index": 3}
    loader.load_state_dict({"epoch": 0, "index": 1})
    assert next(loader).tolist() == [2, 3]


def test_a_loader_that_failed_is_freed_at_once() -> None:
    loader = Loader(Bad(8), 2, 0, shuffle=False, workers=1)
    with contextlib.suppress(UserError):
        take(loader, 4)
    freed = weakref.ref(loader)
    del loader
    assert freed() is None, "left to the garbage collector, its workers would take seconds to stop"


@pytest.mark.parametrize(
    ("rows", "settings", "words"),
    [
        (0, {"batch_size": 1}, "is empty"),
        (3, {"batch_size": 4}, "has 3 rows, fewer than a batch of 4"),
        (3, {"batch_size": 0}, "batch size is 0"),
        (9, {"batch_size": 3, "shard": (0, 2)}, "that the number of processes divides"),
        (9, {"batch_size": 4, "shard": (2, 2)}, "rank 2 of 2"),
        (9, {"batch_size": 4, "seed": -1}, "must not be negative"),
    ],
)
def test_what_cannot_make_batches_is_refused(rows: int, settings: dict[str, Any], words: str) -> None:
    with pytest.raises(UserError, match=words):
        Loader(Rows(rows), **{"seed": 0, **settings})


@pytest.mark.parametrize("state", [{"epoch": 0, "index": 4}, {"epoch": -1, "index": 0}, {"epoch": 0, "index": -1}])
def test_a_position_that_no_epoch_has_is_refused(state: dict[str, int]) -> None:
    loader = Loader(Rows(8), 2, 0)
    with pytest.raises(UserError, match="cannot resume at epoch"):
        loader.load_state_dict(state)
    assert loader.state_dict() == {"epoch": 0, "index": 0}


@settings(max_examples=30)
@given(st.integers(1, 30), st.integers(1, 12))
def test_batches_give_every_row_once_in_order_with_the_short_last_one(n: int, batch_size: int) -> None:
    found = list(batches(Rows(n), batch_size))
    assert torch.cat(found).tolist() == list(range(n))
    assert all(len(batch) == batch_size for batch in found[:-1])


def test_batches_of_nothing_are_refused() -> None:
    with pytest.raises(UserError, match="empty"):
        next(batches(Rows(0), 4))
    with pytest.raises(UserError, match="batch size"):
        next(batches(Rows(4), 0))

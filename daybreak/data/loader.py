"""Endless, resumable batches: what comes at (epoch, index) is a function of the seed, so the state is two integers."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from typing import Any, Generic, Protocol, TypeVar

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader

from daybreak.engine.errors import UserError

Batch = TypeVar("Batch")
Batch_co = TypeVar("Batch_co", covariant=True)


class Dataset(Protocol[Batch_co]):
    """What :class:`Loader` reads: rows by number, a whole batch at once."""

    def __len__(self) -> int: ...
    def __getitem__(self, indices: Tensor, /) -> Batch_co: ...  # indices: int64 (B,)


Transform = Callable[[Batch, torch.Generator], Batch]


class Loader(Generic[Batch]):
    """Endless iterator over the batches of a data set, epoch after epoch.

    The order of an epoch is a permutation drawn from (seed, epoch); the short last batch is dropped.
    ``transform(batch, generator)`` gets a CPU generator seeded from (seed, epoch, index, rank): random augmentation
    is the same with any number of ``workers`` (processes that read ahead; 0 reads in this one) and after a resume.
    ``batch_size`` counts the rows of the global batch; ``shard`` = (rank, world) takes its rows rank::world.
    Raises UserError for an empty data set, one with fewer rows than a batch, or a batch that ``world`` does not divide.
    """

    def __init__(
        self,
        dataset: Dataset[Batch],
        batch_size: int,
        seed: int,
        *,
        shuffle: bool = True,
        transform: Transform[Batch] | None = None,
        workers: int = 0,
        shard: tuple[int, int] = (0, 1),
    ) -> None:
        _check(len(dataset), batch_size, seed, workers, shard)
        self.batches_per_epoch = len(dataset) // batch_size
        self._plan = _Plan(dataset, batch_size, seed, shuffle, transform, shard)
        self._workers = workers
        self._ahead: Iterator[Any] | None = None  # batches that worker processes have read ahead of (epoch, index)
        self._epoch = 0
        self._index = 0

    def __iter__(self) -> Loader[Batch]:
        return self

    def __next__(self) -> Batch:
        batch = self._from_workers() if self._workers else self._plan[self._epoch, self._index]
        self._epoch, self._index = _after(self._epoch, self._index, self.batches_per_epoch)
        return batch

    def state_dict(self) -> dict[str, int]:
        """Position of the next batch. Batches that workers have read but nobody has taken do not count."""
        return {"epoch": self._epoch, "index": self._index}

    def load_state_dict(self, state: dict[str, int]) -> None:
        """Go on from :meth:`state_dict`. Raises UserError when an epoch of this loader has no such position."""
        epoch, index = state["epoch"], state["index"]
        if epoch < 0 or not 0 <= index < self.batches_per_epoch:
            raise UserError(
                f"cannot resume at epoch {epoch}, batch {index} of {self.batches_per_epoch}: "
                "the data set or the batch size is not the one that this state was saved with"
            )
        self._epoch, self._index = epoch, index
        self._ahead = None

    def _from_workers(self) -> Batch:
        if self._ahead is None:
            self._ahead = self._start_workers()
        batch = next(self._ahead)
        if isinstance(batch, UserError):
            self._ahead = None
            raise UserError(*batch.args)  # a new one: raising batch itself makes a cycle, and workers in it stop late
        return batch

    def _start_workers(self) -> Iterator[Any]:
        positions = _positions(self._epoch, self._index, self.batches_per_epoch)
        loader = DataLoader(
            _InWorker(self._plan),  # pyright: ignore[reportArgumentType]  torch's class asks for more than it uses
            batch_size=None,
            sampler=positions,
            num_workers=self._workers,
            collate_fn=_as_it_is,
            worker_init_fn=_set_up_worker,
            generator=torch.Generator(),  # torch would draw from the global one, and a resumed run would differ
        )
        return iter(loader)


def batches(dataset: Dataset[Batch], batch_size: int) -> Iterator[Batch]:
    """Yield every row once, in order, for evaluation; the last batch may be short. Raises UserError when empty."""
    if len(dataset) == 0:
        raise UserError("the data set is empty: there is nothing to evaluate")
    if batch_size < 1:
        raise UserError(f"the batch size is {batch_size}; it must be at least 1")
    for rows in torch.arange(len(dataset)).split(batch_size):
        yield dataset[rows]


class _Plan(Generic[Batch]):
    """``plan[epoch, index]`` is the batch at that place, the same in this process and in a worker."""

    def __init__(
        self,
        dataset: Dataset[Batch],
        batch_size: int,
        seed: int,
        shuffle: bool,
        transform: Transform[Batch] | None,
        shard: tuple[int, int],
    ) -> None:
        self.dataset = dataset
        self.batch_size = batch_size
        self.seed = seed
        self.shuffle = shuffle
        self.transform = transform
        self.rank, self.world = shard
        self._order = torch.arange(len(dataset))  # of the epoch below; every epoch's when nothing is shuffled
        self._ordered_epoch = -1

    def __getitem__(self, position: tuple[int, int]) -> Batch:
        epoch, index = position
        if self.shuffle and epoch != self._ordered_epoch:
            order = np.random.default_rng([self.seed, epoch]).permutation(len(self.dataset))
            self._order, self._ordered_epoch = torch.from_numpy(order), epoch
        start = index * self.batch_size
        batch = self.dataset[self._order[start + self.rank : start + self.batch_size : self.world]]
        return batch if self.transform is None else self.transform(batch, self._generator(epoch, index))

    def _generator(self, epoch: int, index: int) -> torch.Generator:
        # The rank is part of it, or every process would augment its share with the same draws.
        words = np.random.SeedSequence([self.seed, epoch, index, self.rank]).generate_state(1, np.uint64)
        return torch.Generator().manual_seed(int(words[0] >> np.uint64(1)))


class _InWorker:
    """The plan as a worker sees it: a user's mistake is handed over as a value, for torch would add a traceback."""

    def __init__(self, plan: _Plan[Any]) -> None:
        self.plan = plan

    def __getitem__(self, position: tuple[int, int]) -> Any:
        try:
            return self.plan[position]
        except UserError as error:
            return error


def _after(epoch: int, index: int, batches_per_epoch: int) -> tuple[int, int]:
    return (epoch, index + 1) if index + 1 < batches_per_epoch else (epoch + 1, 0)


def _positions(epoch: int, index: int, batches_per_epoch: int) -> Iterator[tuple[int, int]]:
    while True:
        yield epoch, index
        epoch, index = _after(epoch, index, batches_per_epoch)


def _as_it_is(batch: Any) -> Any:
    return batch


def _set_up_worker(worker: int) -> None:
    torch.set_num_threads(1)  # the processes are the parallelism
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole group; the main process decides


def _check(rows: int, batch_size: int, seed: int, workers: int, shard: tuple[int, int]) -> None:
    rank, world = shard
    if batch_size < 1:
        raise UserError(f"the batch size is {batch_size}; it must be at least 1")
    if rows < batch_size:
        raise UserError(
            f"the data set has {rows} rows, fewer than a batch of {batch_size}: take a smaller batch or more data"
            if rows
            else "the data set is empty: there is nothing to train on"
        )
    if not 0 <= rank < world or batch_size % world:
        raise UserError(
            f"rank {rank} of {world} processes cannot take an equal share of a batch of {batch_size}: "
            "choose a batch size that the number of processes divides"
        )
    if seed < 0 or workers < 0:
        raise UserError(f"seed {seed} and workers {workers} must not be negative")

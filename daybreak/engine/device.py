# pyright: strict, reportUnknownMemberType=false
"""Where a run computes: the device, its arithmetic, its memory format, and its place among the ranks of torchrun."""

from __future__ import annotations

import atexit
import contextlib
import ctypes
import dataclasses
import functools
import os
import sys
import time
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any, TypeVar, cast

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from daybreak.engine.config import RunConfig
from daybreak.engine.errors import UserError

T = TypeVar("T")
WORTH_IT = 1.2  # bf16 rounds: it has to be faster by this factor


@dataclass(frozen=True)
class Device:
    """A place to compute. Make one with :meth:`pick`."""

    torch: torch.device
    bf16: bool
    rank: int = 0
    world: int = 1

    @staticmethod
    def pick(config: RunConfig, last_precision: str | None = None) -> Device:
        """The device the config asks for. Raises UserError when it is not there.

        With precision "auto", a resumed run keeps its ``last_precision``.
        """
        rank, world = int(os.environ.get("RANK", 0)), int(os.environ.get("WORLD_SIZE", 1))
        name = _available() if config.device == "auto" else config.device
        if name == "cuda" and not torch.cuda.is_available():
            raise UserError("--device cuda: torch sees no CUDA device; use --device cpu or auto")
        if name == "mps" and not torch.backends.mps.is_available():
            raise UserError("--device mps: torch sees no Apple GPU; use --device cpu or auto")
        precision = last_precision or "auto" if config.precision == "auto" else config.precision
        place = torch.device(name, int(os.environ.get("LOCAL_RANK", 0))) if name == "cuda" else torch.device(name)
        if name == "cuda":
            torch.cuda.set_device(place)
        elif name == "cpu":
            keep_freed_memory()
        return Device(place, _wants_bf16(precision, name), rank, world)

    @property
    def main(self) -> bool:
        """Whether this rank writes files and talks to the user."""
        return self.rank == 0

    @property
    def shard(self) -> tuple[int, int]:
        """(rank, world): what part of every global batch is this rank's."""
        return self.rank, self.world

    @property
    def precision(self) -> str:
        """Arithmetic of the forward pass, for the record."""
        return "bf16" if self.bf16 else "fp32"

    @property
    def name(self) -> str:
        """The accelerator's name, or its kind."""
        return torch.cuda.get_device_name(self.torch) if self.torch.type == "cuda" else self.torch.type

    def wrap(self, module: nn.Module) -> Any:
        """Move a module here, images' weights into channels_last, and under torchrun into DDP."""
        module = module.to(self.torch)
        module = module.to(memory_format=torch.channels_last)  # pyright: ignore[reportCallIssue]
        if self.world == 1 or not any(p.requires_grad for p in module.parameters()):
            return module
        return DistributedDataParallel(module)

    def place(self, batch: T) -> T:
        """Move the tensors of a batch (tuple, list, dict, dataclass) here, images (B, C, H, W) in channels_last."""
        if isinstance(batch, Tensor):
            if batch.device == self.torch and not batch.is_floating_point():
                return batch
            image = batch.dim() == 4 and batch.is_floating_point()
            return cast(T, self._move(batch, torch.channels_last if image else torch.preserve_format))
        if isinstance(batch, (list, tuple)):
            members = [self.place(item) for item in cast(list[Any], batch)]
            return cast(T, tuple(members) if isinstance(batch, tuple) else members)
        if isinstance(batch, dict):
            return cast(T, {key: self.place(item) for key, item in cast(dict[Any, Any], batch).items()})
        if dataclasses.is_dataclass(batch) and not isinstance(batch, type):
            fields = {f.name: self.place(getattr(batch, f.name)) for f in dataclasses.fields(batch)}
            return cast(T, dataclasses.replace(cast(Any, batch), **fields))
        return batch

    def _move(self, tensor: Tensor, memory_format: torch.memory_format) -> Tensor:
        return tensor.to(self.torch, non_blocking=self.torch.type == "cuda", memory_format=memory_format)

    def autocast(self) -> AbstractContextManager[Any]:
        """Forward passes inside run in bf16 where that is on; weights, losses and updates stay fp32."""
        if not self.bf16:
            return contextlib.nullcontext()
        return torch.autocast(self.torch.type, dtype=torch.bfloat16)

    # --------------------------------------------------------------------------- ranks

    def join(self) -> Device:
        """Meet the other ranks, for the rest of the process, and agree on the precision.

        Control messages never wait for a GPU: they go over gloo.
        """
        if self.world > 1 and not dist.is_initialized():
            dist.init_process_group("cpu:gloo,cuda:nccl" if self.torch.type == "cuda" else "gloo")
            atexit.register(_leave)
        return dataclasses.replace(self, bf16=self.largest(float(self.bf16)) > 0)

    def largest(self, value: float) -> float:
        """The largest of all ranks' values."""
        if self.world == 1:
            return value
        shared = torch.tensor([value], dtype=torch.float64)
        dist.all_reduce(shared, dist.ReduceOp.MAX)
        return float(shared)

    def mean(self, value: Tensor) -> Tensor:
        """The mean of all ranks' tensors, at the same place as ``value``."""
        if self.world == 1:
            return value
        shared = value.detach().clone()
        dist.all_reduce(shared, dist.ReduceOp.SUM)
        return shared / self.world

    def gather(self, value: T) -> list[T]:
        """Every rank's value, by rank."""
        if self.world == 1:
            return [value]
        values: list[Any] = [None] * self.world
        dist.all_gather_object(values, value)
        return values

    def wait(self) -> None:
        """Wait for all ranks."""
        if self.world > 1:
            self.largest(0.0)


def unwrap(part: Any) -> Any:
    """The user's own module inside DDP or torch.compile, so that checkpoints do not depend on either."""
    if isinstance(part, DistributedDataParallel):
        return unwrap(cast(Any, part.module))
    return unwrap(part._orig_mod) if hasattr(part, "_orig_mod") else part


def _leave() -> None:
    # A thread of gloo's may hold the last message still: if it asks for the interpreter after its end, the process is
    # aborted ("terminate called without an active exception"). Asleep, this thread lets it in before.
    time.sleep(0.1)
    dist.destroy_process_group()


@functools.cache
def keep_freed_memory() -> None:
    """Tell glibc on Linux to reuse what a step freed. Elsewhere nothing is done.

    By default it returns arrays above 32 MiB to the system at once, which clears them before the next step has them
    again: a fifth of the time of a step with batches of 512 images.
    """
    if sys.platform != "linux":
        return
    libc = ctypes.CDLL(None)
    if not hasattr(libc, "mallopt"):
        return
    trim_threshold, mmap_threshold, largest = -1, -3, 2**31 - 1  # <malloc.h>: M_TRIM_THRESHOLD, M_MMAP_THRESHOLD
    libc.mallopt(trim_threshold, largest)
    libc.mallopt(mmap_threshold, largest)


def _available() -> str:
    if torch.cuda.is_available():
        return "cuda"
    return "mps" if torch.backends.mps.is_available() else "cpu"


def _wants_bf16(precision: str, device: str) -> bool:
    if precision != "auto":
        return precision == "bf16"
    if device == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    return device == "cpu" and cpu_bf16_speed() > WORTH_IT


@functools.cache
def cpu_bf16_speed() -> float:
    """How many times faster a bf16 matrix product is than an fp32 one here, measured in about 50 ms.

    The processor's flags do not tell: with AVX512-bf16 but without AMX some are twice as fast, some half.
    """
    if not torch.cpu._is_avx512_bf16_supported():  # pyright: ignore
        return 0.0
    products = [torch.ones(768, 768, dtype=dtype) for dtype in (torch.float32, torch.bfloat16)]
    seconds: tuple[list[float], list[float]] = ([], [])
    for _ in range(4):  # in turns, and the best counts: the machine may be busy
        for factor, times in zip(products, seconds, strict=True):
            started = time.perf_counter()
            torch.mm(factor, factor)
            times.append(time.perf_counter() - started)
    return min(seconds[0]) / min(seconds[1])

# pyright: strict, reportUnknownMemberType=false
"""Seeds and the state of every random generator a run uses."""

from __future__ import annotations

import random
from collections.abc import Generator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch


def everything(seed: int, rank: int = 0) -> None:
    """Seed Python, NumPy and torch (all devices). Ranks of one job draw different noise."""
    mixed = np.random.SeedSequence([seed, rank]).generate_state(1)[0]
    random.seed(int(mixed))
    np.random.seed(int(mixed))
    torch.manual_seed(int(mixed))


def state() -> dict[str, Any]:
    """State of all generators, as tensors and plain values that a checkpoint can hold."""
    python = random.getstate()
    numpy = np.random.get_state(legacy=False)
    inner = numpy["state"]
    return {
        "python": python,
        "numpy": {
            "key": torch.from_numpy(inner["key"].astype(np.int64)),
            "pos": int(inner["pos"]),
            "has_gauss": int(numpy["has_gauss"]),
            "gauss": float(numpy["gauss"]),
        },
        "torch": torch.get_rng_state(),
        "cuda": torch.cuda.get_rng_state_all() if torch.cuda.is_available() else [],
    }


def restore(saved: dict[str, Any]) -> None:
    """Undo :func:`state`. A state saved on another number of GPUs restores those that are there."""
    random.setstate(saved["python"])
    numpy = saved["numpy"]
    np.random.set_state(
        {
            "bit_generator": "MT19937",
            "state": {"key": numpy["key"].numpy().astype(np.uint32), "pos": numpy["pos"]},
            "has_gauss": numpy["has_gauss"],
            "gauss": numpy["gauss"],
        }
    )
    torch.set_rng_state(saved["torch"])
    for index, cuda in enumerate(saved["cuda"][: torch.cuda.device_count()]):
        torch.cuda.set_rng_state(cuda, index)


@contextmanager
def untouched() -> Generator[None]:
    """Whatever is drawn inside, by an import for instance, the generators go on as if it had not been."""
    before = state()
    try:
        yield
    finally:
        restore(before)

"""Features of images, the same ones on every machine."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor

Sample = Callable[[int, int, int], Tensor]


@pytest.fixture
def sample() -> Sample:
    """``sample(seed, images, dimensions)`` -> (images, dimensions), fp64, as benchmarks/generative_metrics_vs_peers.py.

    The values that tests call a peer's were printed by that benchmark, of the same seeds and sizes.
    """

    def make(seed: int, images: int, dimensions: int) -> Tensor:
        mix = np.random.RandomState(7).standard_normal((dimensions, dimensions)) / np.arange(1, dimensions + 1) ** 0.5
        drawn = np.random.RandomState(seed).standard_normal((images, dimensions))
        return torch.from_numpy(np.maximum(drawn @ mix / dimensions**0.5 + 0.02 * seed, 0.0))

    return make

"""Kernel distance of two sets of features: squared maximum mean discrepancy; in those of Inception it is the KID.

Binkowski et al., "Demystifying MMD GANs" (2018), section 4. Unlike the Frechet distance its estimate is unbiased: it
does not depend on how many images there are, and of equal distributions it is as often below 0 as above.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from daybreak.metrics.rows import both_rows

SUBSETS, SUBSET_SIZE, SEED = 100, 1_000, 2020
"""The literature's, and the seed with which torch-fidelity draws the same subsets."""
BLOCK = 2**23  # values of the kernel at a time: 64 MB


def kernel_distance(
    real: Tensor, fake: Tensor, *, subsets: int = SUBSETS, subset_size: int = SUBSET_SIZE, seed: int = SEED
) -> tuple[float, float]:
    """Mean and standard deviation over random subsets of both sets, features (N, D) and (M, D).

    Raises ValueError for sets smaller than a subset, of other dimensions, or with values that are not finite.
    """
    real, fake = both_rows(real, fake, max(2, subset_size))
    random = np.random.RandomState(seed)

    def some(features: Tensor) -> Tensor:
        return features[torch.from_numpy(random.choice(len(features), subset_size, replace=False))]

    distances = [_mmd2(some(real), some(fake)) for _ in range(subsets)]
    return float(np.mean(distances)), float(np.std(distances))


def mmd2(real: Tensor, fake: Tensor) -> float:
    """The unbiased estimate from all pairs of all features (N, D) and (M, D): equation 4 of the paper.

    Raises ValueError for sets of fewer than two images, of other dimensions, or with values that are not finite.
    """
    return _mmd2(*both_rows(real, fake, 2))


def _mmd2(real: Tensor, fake: Tensor) -> float:
    n, m = len(real), len(fake)
    within_real = (_kernel_sum(real, real) - _kernel_of_itself(real)) / (n * (n - 1))
    within_fake = (_kernel_sum(fake, fake) - _kernel_of_itself(fake)) / (m * (m - 1))
    return within_real + within_fake - 2.0 * _kernel_sum(real, fake) / (n * m)


def _kernel_sum(a: Tensor, b: Tensor) -> float:
    """Sum of (x y / D + 1)^3 over all pairs of rows (N, D) and (M, D), some rows at a time."""
    parts = a.split(max(1, BLOCK // len(b)))
    return sum(_cubic(part @ b.T, a.shape[1]).sum().item() for part in parts)


def _kernel_of_itself(a: Tensor) -> float:
    return _cubic(a.square().sum(1), a.shape[1]).sum().item()


def _cubic(products: Tensor, dimensions: int) -> Tensor:
    return (products / dimensions + 1.0) ** 3

"""Frechet distance of two sets of features, each taken as a Gaussian; in those of Inception it is the FID.

Heusel et al., "GANs Trained by a Two Time-Scale Update Rule Converge to a Local Nash Equilibrium" (2017), equation 6;
Dowson and Landau, "The Frechet Distance between Multivariate Normal Distributions" (1982).
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from daybreak.metrics.rows import rows


@dataclass
class Moments:
    """Count, mean and covariance of features that come batch by batch; nothing else of them is kept.

    ``a + b`` are the moments of both sets together, so that processes can share the images out.
    """

    count: int
    mean: Tensor
    """(D,), fp64."""
    comoment: Tensor
    """(D, D), fp64: sum over the images of the outer product of their deviation from the mean with itself."""

    @classmethod
    def none(cls, dimensions: int) -> Moments:
        """Those of no images yet."""
        zeros = torch.zeros(dimensions, dimensions, dtype=torch.float64)
        return cls(0, zeros.new_zeros(dimensions), zeros)

    @classmethod
    def of(cls, features: Tensor) -> Moments:
        """Those of features (N, D). Raises ValueError where there are none, or they are not finite."""
        there = rows(features)
        mean = there.mean(0)
        deviations = there - mean
        return cls(len(there), mean, deviations.T @ deviations)

    def __add__(self, other: Moments) -> Moments:
        if self.mean.shape != other.mean.shape:
            raise ValueError(f"features of {len(self.mean)} and {len(other.mean)} dimensions do not add up")
        count = self.count + other.count
        if not count:
            return self
        # Chan, Golub and LeVeque (1979): exact whatever the means, where sums of squares would cancel
        apart = other.mean - self.mean
        mean = self.mean + apart * (other.count / count)
        between = torch.outer(apart, apart) * (self.count * other.count / count)
        return Moments(count, mean, self.comoment + other.comoment + between)

    @property
    def covariance(self) -> Tensor:
        """Unbiased, (D, D). Raises ValueError of fewer than two images."""
        if self.count < 2:
            raise ValueError(f"{self.count} images have no covariance: two are needed")
        return self.comoment / (self.count - 1)


def frechet(a: Moments, b: Moments) -> float:
    """Squared Frechet distance |mean_a - mean_b|^2 + tr(A) + tr(B) - 2 tr (A B)^1/2 of covariances A and B; at least 0.

    Fewer images than dimensions are fine, but the distance is biased upwards the more the fewer there are: compare
    figures of equal counts. Raises ValueError for moments of other dimensions, or of fewer than two images.
    """
    if a.mean.shape != b.mean.shape:
        raise ValueError(f"features of {len(a.mean)} and {len(b.mean)} dimensions do not compare")
    fewer, more = sorted((a, b), key=lambda moments: moments.count)
    covariances = fewer.covariance, more.covariance
    apart = (a.mean - b.mean).square().sum() + covariances[0].trace() + covariances[1].trace()
    return max(0.0, float(apart - 2.0 * trace_of_root(*covariances)))


def trace_of_root(a: Tensor, b: Tensor) -> Tensor:
    """Trace of (A B)^1/2 for covariances (D, D), A the one of lower rank: the sum of the roots of A B's eigenvalues.

    Those are the eigenvalues of RᵀB R too, where R Rᵀ = A: a symmetric matrix, whose eigenvalues are exact and quick.
    """
    root = factor(a)
    return torch.linalg.eigvalsh(root.T @ b @ root).clamp_min(0.0).sqrt().sum()


def factor(a: Tensor) -> Tensor:
    """R of R Rᵀ = A, a covariance (D, D): (D, rank).

    Cholesky's, a twentieth of the work of eigenvectors, where A has full rank. Otherwise directions in which A has no
    variance but rounding are left out: the root of a rounding error is not small.
    """
    negligible = len(a) * torch.finfo(a.dtype).eps
    lower, failed = torch.linalg.cholesky_ex(a)
    pivots = lower.diagonal().square()
    if not failed and pivots.min() > negligible * pivots.max():
        return lower
    variances, directions = torch.linalg.eigh(a)  # ascending, and directions in the columns
    kept = variances > negligible * variances[-1]
    return directions[:, kept] * variances[kept].sqrt()

"""The kernel distance against its formula, torchmetrics, and what torch-fidelity said of the same features."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torchmetrics.image.kid import KernelInceptionDistance

from daybreak.metrics import kernel
from daybreak.metrics.kernel import kernel_distance, mmd2

Sample = Callable[[int, int, int], Tensor]


def by_formula(x: np.ndarray, y: np.ndarray) -> float:
    """Binkowski et al. (2018), equation 4, pair by pair."""

    def k(a: np.ndarray, b: np.ndarray) -> float:
        return (float(a @ b) / len(a) + 1.0) ** 3

    n, m = len(x), len(y)
    within_x = sum(k(x[i], x[j]) for i in range(n) for j in range(n) if i != j) / (n * (n - 1))
    within_y = sum(k(y[i], y[j]) for i in range(m) for j in range(m) if i != j) / (m * (m - 1))
    return within_x + within_y - 2 * sum(k(a, b) for a in x for b in y) / (n * m)


@pytest.mark.parametrize("block", [1, 40, kernel.BLOCK])
def test_the_distance_is_the_formulas_however_many_pairs_are_taken_at_a_time(
    sample: Sample, monkeypatch: pytest.MonkeyPatch, block: int
) -> None:
    monkeypatch.setattr(kernel, "BLOCK", block)
    x, y = sample(1, 30, 8), sample(5, 17, 8)
    assert mmd2(x, y) == pytest.approx(by_formula(x.numpy(), y.numpy()), rel=1e-10)
    assert mmd2(x, y) == pytest.approx(mmd2(y, x), rel=1e-10)


def test_the_distance_of_equal_distributions_is_0_on_average_and_sometimes_below(sample: Sample) -> None:
    rows = sample(2, 4_000, 6).split(100)
    distances = [mmd2(a, b) for a, b in zip(rows[::2], rows[1::2], strict=True)]
    assert min(distances) < 0 < max(distances)
    assert abs(np.mean(distances)) < 3 * np.std(distances) / len(distances) ** 0.5


@pytest.mark.filterwarnings("ignore:Metric .* will save all extracted features")
def test_a_subset_of_all_images_is_all_of_them_and_torchmetrics_agrees(sample: Sample) -> None:
    real, fake = sample(1, 200, 16), sample(2, 200, 16)
    metric = KernelInceptionDistance(feature=Identity(), subsets=1, subset_size=200)
    metric.update(real, real=True)
    metric.update(fake, real=False)
    mean, deviation = kernel_distance(real, fake, subsets=3, subset_size=200)
    assert mean == pytest.approx(metric.compute()[0].item(), rel=1e-6) == pytest.approx(mmd2(real, fake), rel=1e-9)
    assert deviation < 1e-9 * mean


class Identity(nn.Module):
    num_features = 16

    def forward(self, features: Tensor) -> Tensor:
        return features


@pytest.mark.parametrize(
    ("n", "m", "dimensions", "mean", "deviation"),
    [
        (2_000, 1_500, 64, 0.00045625646926659, 0.00063968594942053),
        (300, 200, 500, 0.0005688072530261, 5.3402554246665e-05),
    ],
)
def test_the_same_subsets_are_drawn_as_by_torch_fidelity(
    sample: Sample, n: int, m: int, dimensions: int, mean: float, deviation: float
) -> None:
    mine = kernel_distance(sample(1, n, dimensions), sample(2, m, dimensions), subsets=5, subset_size=150)
    assert mine == pytest.approx((mean, deviation), rel=1e-6)


def test_the_seed_chooses_the_subsets(sample: Sample) -> None:
    real, fake = sample(1, 200, 16), sample(2, 200, 16)
    first, again, other = (kernel_distance(real, fake, subsets=4, subset_size=50, seed=s) for s in (1, 1, 2))
    assert first == again != other


def test_what_cannot_be_compared_is_refused() -> None:
    three = torch.zeros(3, 2)
    with pytest.raises(ValueError, match="3 images are too few: 1000 are needed"):
        kernel_distance(three, three)
    with pytest.raises(ValueError, match="1 images are too few: 2 are needed"):
        mmd2(three, three[:1])
    with pytest.raises(ValueError, match="dimensions do not compare"):
        mmd2(three, torch.zeros(3, 4))
    with pytest.raises(ValueError, match="not finite"):
        mmd2(three, torch.full((3, 2), torch.inf))

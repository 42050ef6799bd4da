"""The Frechet distance against formulas, torchmetrics, and what other packages said of the same features."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn
from torchmetrics.image.fid import FrechetInceptionDistance

from daybreak.metrics.frechet import Moments, frechet

Sample = Callable[[int, int, int], Tensor]


def moments(mean: list[float], covariance: list[list[float]]) -> Moments:
    return Moments(2, torch.tensor(mean, dtype=torch.float64), torch.tensor(covariance, dtype=torch.float64))


# ------------------------------------------------------------------------------- moments


@settings(max_examples=20, deadline=None)
@given(st.lists(st.integers(1, 40), min_size=1, max_size=6))
def test_batches_of_any_size_give_the_moments_of_the_whole(sizes: list[int]) -> None:
    rows = np.random.RandomState(sum(sizes)).standard_normal((sum(sizes) + 1, 3)) * [1, 10, 0.1] + [5, 0, -3]
    batches = torch.from_numpy(rows).split([*sizes, 1])
    added = sum(map(Moments.of, batches), Moments.none(3))
    assert added.count == len(rows)
    np.testing.assert_allclose(added.mean, rows.mean(0), rtol=1e-12, atol=1e-14)
    np.testing.assert_allclose(added.covariance, np.cov(rows, rowvar=False), rtol=1e-10, atol=1e-13)


def test_a_mean_far_from_zero_costs_no_digits() -> None:
    rows = np.random.RandomState(0).standard_normal((500, 4))
    far = torch.from_numpy(rows + 1e6)
    batches = sum((Moments.of(part) for part in far.split(64)), Moments.none(4))
    np.testing.assert_allclose(batches.covariance, np.cov(rows, rowvar=False), rtol=1e-8, atol=1e-9)


def test_half_precision_is_summed_in_double() -> None:
    rows = torch.randn(200, 3, generator=torch.Generator().manual_seed(0)).half() + 100
    assert torch.equal(Moments.of(rows).mean, Moments.of(rows.double()).mean)


@pytest.mark.parametrize(
    ("features", "complaint"),
    [
        (torch.zeros(0, 3), "0 images are too few"),
        (torch.zeros(3), "are .images, dimensions."),
        (torch.tensor([[1.0, math.nan]]), "not finite"),
        (torch.tensor([[1.0], [math.inf]]), "not finite"),
    ],
)
def test_what_has_no_moments_is_refused(features: Tensor, complaint: str) -> None:
    with pytest.raises(ValueError, match=complaint):
        Moments.of(features)


def test_one_image_has_no_covariance_and_other_dimensions_do_not_compare() -> None:
    one, two, wide = Moments.of(torch.zeros(1, 2)), Moments.of(torch.zeros(2, 2)), Moments.of(torch.zeros(2, 3))
    with pytest.raises(ValueError, match="1 images have no covariance"):
        frechet(one, two)
    with pytest.raises(ValueError, match="2 and 3 dimensions do not compare"):
        frechet(two, wide)
    with pytest.raises(ValueError, match="2 and 3 dimensions do not add up"):
        two + wide


# ------------------------------------------------------------------------------- the distance by formulas


def test_the_distance_of_one_dimension_is_that_of_means_and_deviations() -> None:
    assert frechet(moments([1.0], [[4.0]]), moments([4.0], [[25.0]])) == pytest.approx(3.0**2 + (5.0 - 2.0) ** 2)


def test_the_distance_of_two_dimensions_is_the_closed_form_also_where_covariances_do_not_commute() -> None:
    a, b = np.array([[2.0, 0.3], [0.3, 0.5]]), np.array([[1.0, -0.6], [-0.6, 1.5]])
    root = math.sqrt(np.trace(a @ b) + 2 * math.sqrt(np.linalg.det(a @ b)))  # tr of the root of a 2x2 matrix
    expected = 0.5**2 + np.trace(a) + np.trace(b) - 2 * root
    assert frechet(moments([0, 0], a.tolist()), moments([0, 0.5], b.tolist())) == pytest.approx(expected, rel=1e-12)


def test_a_set_is_at_distance_0_of_itself_and_the_distance_is_symmetric(sample: Sample) -> None:
    a, b = Moments.of(sample(1, 300, 20)), Moments.of(sample(2, 200, 20))
    assert 0.0 <= frechet(a, a) < 1e-12
    assert frechet(a, b) == pytest.approx(frechet(b, a), rel=1e-12)


def test_a_turn_of_all_features_changes_nothing(sample: Sample) -> None:
    a, b = sample(1, 300, 20), sample(2, 300, 20)
    turn = torch.linalg.qr(torch.from_numpy(np.random.RandomState(0).standard_normal((20, 20)))).Q
    turned = frechet(Moments.of(a @ turn), Moments.of(b @ turn))
    assert turned == pytest.approx(frechet(Moments.of(a), Moments.of(b)), rel=1e-11)


@pytest.mark.parametrize(("n", "m"), [(30, 20), (20, 30), (20, 20), (2, 40), (102, 101), (101, 30), (400, 300)])
def test_many_images_and_fewer_than_dimensions_give_the_exact_distance(sample: Sample, n: int, m: int) -> None:
    a, b = sample(1, n, 100), sample(2, m, 100)
    there, here = a - a.mean(0), b - b.mean(0)
    root = torch.linalg.svdvals(there @ here.T).sum() / math.sqrt((n - 1) * (m - 1))  # no root of a rounding error
    spread = there.square().sum() / (n - 1) + here.square().sum() / (m - 1)
    expected = ((a.mean(0) - b.mean(0)).square().sum() + spread - 2 * root).item()
    assert frechet(Moments.of(a), Moments.of(b)) == pytest.approx(expected, rel=1e-11)


def test_features_that_never_vary_or_are_all_the_same_are_fine() -> None:
    varying = torch.from_numpy(np.random.RandomState(0).standard_normal((50, 3)))
    dead = torch.cat([varying, torch.zeros(50, 2)], 1)
    assert frechet(Moments.of(dead), Moments.of(2 * dead)) == pytest.approx(
        frechet(Moments.of(varying), Moments.of(2 * varying)), rel=1e-12
    )
    assert frechet(Moments.of(torch.zeros(5, 2)), Moments.of(torch.ones(5, 2))) == pytest.approx(2.0)


# ------------------------------------------------------------------------------- the distance by others


class AsItIs(nn.Module):
    def __init__(self, num_features: int) -> None:
        super().__init__()
        self.num_features = num_features

    def forward(self, features: Tensor) -> Tensor:
        return features


@pytest.mark.parametrize(("n", "m", "dimensions"), [(400, 300, 32), (40, 60, 100)])
def test_the_distance_is_that_of_torchmetrics(sample: Sample, n: int, m: int, dimensions: int) -> None:
    real, fake = sample(1, n, dimensions), sample(2, m, dimensions)
    metric = FrechetInceptionDistance(feature=AsItIs(dimensions))
    metric.update(real, real=True)
    metric.update(fake, real=False)
    assert frechet(Moments.of(real), Moments.of(fake)) == pytest.approx(metric.compute().item(), rel=1e-6)


@pytest.mark.parametrize(
    ("n", "m", "dimensions", "pytorch_fid", "torch_fidelity"),
    [
        (2_000, 1_500, 64, 0.027696701500986, 0.027696701500987),
        (300, 200, 500, 1.2085741216299, 1.2085741188622),
    ],
)
def test_the_distance_is_that_of_pytorch_fid_and_of_torch_fidelity(
    sample: Sample, n: int, m: int, dimensions: int, pytorch_fid: float, torch_fidelity: float
) -> None:
    mine = frechet(Moments.of(sample(1, n, dimensions)), Moments.of(sample(2, m, dimensions)))
    assert mine == pytest.approx(pytorch_fid, rel=1e-6) == pytest.approx(torch_fidelity, rel=1e-6)

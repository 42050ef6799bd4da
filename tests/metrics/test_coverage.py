"""Precision, recall, density and coverage against their definitions, and what prdc said of the same features."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import astuple

import numpy as np
import pytest
import torch
from torch import Tensor

from daybreak.metrics import coverage as module
from daybreak.metrics.coverage import PRDC, prdc

Sample = Callable[[int, int, int], Tensor]


def by_definition(real: np.ndarray, fake: np.ndarray, k: int) -> PRDC:
    """Kynkaanniemi et al. (2019), equation 2; Naeem et al. (2020), equations 5 and 6."""

    def radius(points: np.ndarray, i: int) -> float:
        others = np.delete(points, i, axis=0)
        return float(np.sort(np.linalg.norm(others - points[i], axis=1))[k - 1])

    apart = np.linalg.norm(real[:, None] - fake[None], axis=2)  # (N, M)
    in_real = apart <= np.array([radius(real, i) for i in range(len(real))])[:, None]
    in_fake = apart <= np.array([radius(fake, j) for j in range(len(fake))])[None]
    return PRDC(
        precision=float(in_real.any(0).mean()),
        recall=float(in_fake.any(1).mean()),
        density=float(in_real.sum(0).mean() / k),
        coverage=float(in_real.any(1).mean()),
    )


@pytest.mark.parametrize("block", [1, 700, module.BLOCK])
@pytest.mark.parametrize("k", [1, 3, 5])
def test_all_four_are_what_the_papers_define_however_many_distances_are_held(
    sample: Sample, monkeypatch: pytest.MonkeyPatch, block: int, k: int
) -> None:
    monkeypatch.setattr(module, "BLOCK", block)
    real, fake = sample(1, 90, 12), sample(9, 70, 12)
    expected = by_definition(real.numpy(), fake.numpy(), k)
    assert astuple(prdc(real, fake, k)) == pytest.approx(astuple(expected), rel=1e-12)
    assert len({*astuple(expected), 0.0, 1.0}) == 6, "the sets are too alike, or too unlike, to tell the four apart"


def test_a_set_covers_itself_and_nothing_of_one_far_away(sample: Sample) -> None:
    real = sample(1, 200, 8)
    itself = prdc(real, real)
    assert (itself.precision, itself.recall, itself.coverage) == (1.0, 1.0, 1.0)
    assert itself.density == pytest.approx(6 / 5, rel=1e-9)  # by symmetry a point lies in its own ball and about k more
    assert prdc(real, real + 1_000.0) == PRDC(0.0, 0.0, 0.0, 0.0)


def test_a_generator_that_makes_one_good_image_is_precise_and_covers_next_to_nothing(sample: Sample) -> None:
    real = sample(1, 300, 8)
    collapsed = prdc(real, real[7].expand(100, -1))
    assert collapsed.precision == 1.0 and collapsed.recall <= 1 / 300 and collapsed.coverage < 0.1


def test_an_outlier_among_the_real_images_spoils_precision_and_not_density(sample: Sample) -> None:
    real, bad = sample(1, 300, 4), sample(2, 300, 4) + 3.0
    with_outlier = torch.cat([real, torch.full((1, 4), 20.0)])
    assert prdc(real, bad).precision < 0.05
    spoilt = prdc(with_outlier, bad)
    assert spoilt.precision > 0.9 and spoilt.density < 0.3


@pytest.mark.parametrize(
    ("n", "m", "dimensions", "precision", "recall", "density", "covered"),
    [
        (2_000, 1_500, 64, 0.81533333333333, 0.9285, 0.69, 0.8805),
        (300, 200, 500, 0.42, 0.96333333333333, 0.136, 0.33333333333333),
    ],
)
def test_all_four_are_those_of_prdc_and_the_first_two_those_of_torch_fidelity(
    sample: Sample, n: int, m: int, dimensions: int, precision: float, recall: float, density: float, covered: float
) -> None:
    mine = prdc(sample(1, n, dimensions), sample(2, m, dimensions))
    assert astuple(mine) == pytest.approx((precision, recall, density, covered), rel=1e-6)


def test_what_cannot_be_compared_is_refused() -> None:
    with pytest.raises(ValueError, match="5 images are too few: 6 are needed"):
        prdc(torch.zeros(9, 2), torch.zeros(5, 2))
    with pytest.raises(ValueError, match="dimensions do not compare"):
        prdc(torch.zeros(9, 2), torch.zeros(9, 3))
    with pytest.raises(ValueError, match="not finite"):
        prdc(torch.full((9, 2), torch.nan), torch.zeros(9, 2))

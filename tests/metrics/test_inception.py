"""The Inception Score against known answers, torchmetrics, and what torch-fidelity said of the same logits."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import one_hot
from torchmetrics.image.inception import InceptionScore

from daybreak.metrics.inception import inception_score

Sample = Callable[[int, int, int], Tensor]


def sure(classes: Tensor, count: int = 10) -> Tensor:
    """Logits of a classifier that has no doubt."""
    return 1_000.0 * one_hot(classes, count)


def test_a_classifier_that_tells_nothing_gives_1() -> None:
    assert inception_score(torch.full((100, 7), 3.0)) == pytest.approx((1.0, 0.0))


def test_sure_answers_evenly_over_all_classes_give_their_number_in_whatever_order_images_come() -> None:
    classes = torch.arange(10).repeat_interleave(2_000)
    assert inception_score(sure(classes), splits=1) == pytest.approx((10.0, 0.0))
    mean, deviation = inception_score(sure(classes))  # splits in the order of the classes would each have one: score 1
    assert 9.9 < mean < 10.0 and deviation < 0.05


def test_sure_answers_that_are_all_the_same_give_1() -> None:
    assert inception_score(sure(torch.full((50,), 3))) == pytest.approx((1.0, 0.0))


@pytest.mark.filterwarnings("ignore:Metric .* will save all", "ignore:std.*degrees of freedom")
def test_the_score_is_that_of_torchmetrics(sample: Sample) -> None:
    logits = 4.0 * sample(2, 300, 20)
    metric = InceptionScore(feature=Identity(), splits=1)
    metric.update(logits)
    assert inception_score(logits, splits=1)[0] == pytest.approx(metric.compute()[0].item(), rel=1e-6)


class Identity(nn.Module):
    num_features = 20

    def forward(self, features: Tensor) -> Tensor:
        return features


@pytest.mark.parametrize(
    ("images", "dimensions", "mean", "deviation"),
    [(1_500, 64, 1.9667572192253, 0.11108898869635), (200, 500, 1.8610221018926, 0.16576874119506)],
)
def test_score_and_splits_are_those_of_torch_fidelity(
    sample: Sample, images: int, dimensions: int, mean: float, deviation: float
) -> None:
    logits = 4.0 * sample(2, images, dimensions)[:, :50]
    assert inception_score(logits) == pytest.approx((mean, deviation), rel=1e-6)


def test_fewer_images_than_splits_are_refused() -> None:
    with pytest.raises(ValueError, match="9 images are too few: 10 are needed"):
        inception_score(torch.zeros(9, 3))

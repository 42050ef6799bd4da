"""Agreement is what scikit-learn and scipy say, in percent, and a number where they warn."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from sklearn import metrics

from daybreak.metrics.agreement import accuracy, binary_f1, macro_f1, matthews, pearson, spearman

pairs_of_labels = st.lists(st.tuples(st.sampled_from("abc"), st.sampled_from("abc")), min_size=1, max_size=20)
numbers = st.integers(-20, 20).map(lambda n: n / 4)
pairs_of_numbers = st.lists(st.tuples(numbers, numbers), min_size=3, max_size=20)
CLASS_METRICS = [accuracy, macro_f1, matthews, lambda gold, predicted: binary_f1(gold, predicted, "yes")]


@settings(deadline=None, max_examples=40)
@given(pairs_of_labels)
def test_scores_of_classes_are_scikit_learns(pairs: list[tuple[str, str]]) -> None:
    gold, predicted = [pair[0] for pair in pairs], [pair[1] for pair in pairs]
    assert accuracy(gold, predicted) == pytest.approx(100 * metrics.accuracy_score(gold, predicted))
    macro = metrics.f1_score(gold, predicted, average="macro", zero_division=0)
    assert macro_f1(gold, predicted) == pytest.approx(100 * macro)
    as_bits = [[label == "b" for label in labels] for labels in (gold, predicted)]
    assert binary_f1(gold, predicted, "b") == pytest.approx(100 * metrics.f1_score(*as_bits, zero_division=0))
    if len({*gold, *predicted}) > 1:
        assert matthews(gold, predicted) == pytest.approx(100 * metrics.matthews_corrcoef(gold, predicted))


@settings(deadline=None, max_examples=40)
@given(pairs_of_numbers)
def test_correlations_are_scipys(pairs: list[tuple[float, float]]) -> None:
    gold, predicted = [pair[0] for pair in pairs], [pair[1] for pair in pairs]
    if len(set(gold)) == 1 or len(set(predicted)) == 1:
        assert pearson(gold, predicted) == spearman(gold, predicted) == 0.0
    else:
        assert pearson(gold, predicted) == pytest.approx(100 * stats.pearsonr(gold, predicted).statistic)
        assert spearman(gold, predicted) == pytest.approx(100 * stats.spearmanr(gold, predicted).statistic)


def test_hand_cases() -> None:
    gold, predicted = ["yes", "yes", "no", "no"], ["yes", "no", "no", "no"]
    assert accuracy(gold, predicted) == 75.0
    assert binary_f1(gold, predicted, "yes") == pytest.approx(100 * 2 / 3)
    assert macro_f1(gold, predicted) == pytest.approx(100 * (2 / 3 + 4 / 5) / 2)
    assert matthews(gold, predicted) == pytest.approx(100 / 3**0.5)
    assert matthews([0, 1], [1, 0]) == -100.0
    assert pearson([1, 2, 3], [2, 4, 6]) == pytest.approx(100.0)
    assert spearman([1, 2, 3], [1, 10, 1000]) == pytest.approx(100.0) != pearson([1, 2, 3], [1, 10, 1000])
    assert pearson([1, 2], [2, 1]) == spearman([1, 2], [2, 1]) == pytest.approx(-100.0)


@pytest.mark.parametrize("predicted", [["yes"] * 4, ["no"] * 4])
@pytest.mark.parametrize("gold", [["yes", "no", "no", "no"], ["yes"] * 4, ["no"] * 4])
def test_the_same_class_for_all_has_no_correlation(gold: list[str], predicted: list[str]) -> None:
    assert matthews(gold, predicted) == 0.0
    right = 100 * np.mean(np.array(gold) == np.array(predicted))
    assert accuracy(gold, predicted) == right
    assert 0.0 <= macro_f1(gold, predicted) <= right
    assert 0.0 <= binary_f1(gold, predicted, "yes") <= 100.0


@pytest.mark.parametrize("constant", [[2.5] * 4, [0.0] * 4, [1.0, 1.0 + 4e-13, 1.0 - 4e-13, 1.0]])
def test_the_same_number_for_all_has_no_correlation(constant: list[float]) -> None:
    assert pearson([1.0, 2.0, 3.0, 5.0], constant) == pearson(constant, [1.0, 2.0, 3.0, 5.0]) == 0.0


def test_ranks_that_are_all_the_same_have_no_correlation() -> None:
    assert spearman([1.0, 2.0, 3.0], [2.5] * 3) == spearman([2.5] * 3, [1.0, 2.0, 3.0]) == 0.0
    assert pearson([3.0], [3.0]) == spearman([3.0], [4.0]) == 0.0


def test_numbers_that_are_none_are_refused() -> None:
    for correlation in (pearson, spearman):
        with pytest.raises(ValueError, match="not finite"):
            correlation([1.0, 2.0, 3.0], [1.0, float("nan"), 2.0])


@pytest.mark.parametrize("metric", [*CLASS_METRICS, pearson, spearman])
def test_what_cannot_be_compared_is_refused(metric) -> None:
    with pytest.raises(ValueError, match="0 predictions cannot be compared with 0 labels"):
        metric([], [])
    with pytest.raises(ValueError, match="1 predictions cannot be compared with 2"):
        metric([1, 2], [1])

"""How far predictions agree with what people said, in percent: what scikit-learn says of classes, and scipy of numbers.

Predictions that are all the same tell nothing: their correlation is 0, where the libraries warn or give no number. All
functions raise ValueError where there is nothing to compare, or not as many of one as of the other.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

Labels = Sequence[str] | Sequence[int]

CONSTANT = 1e-11
"""Spread, over the largest value, below which numbers differ by rounding alone."""


def accuracy(gold: Labels, predicted: Labels) -> float:
    """Percent of predictions that are right."""
    _check(gold, predicted)
    return 100.0 * sum(a == b for a, b in zip(gold, predicted, strict=True)) / len(gold)


def macro_f1(gold: Labels, predicted: Labels) -> float:
    """Mean of the classes' F1, over all that occur in either."""
    return _mean_f1(gold, predicted, None)


def binary_f1(gold: Labels, predicted: Labels, positive: str | int) -> float:
    """F1 of one class; 0 where it occurs in neither."""
    return _mean_f1(gold, predicted, [positive])


def matthews(gold: Labels, predicted: Labels) -> float:
    """Matthews correlation (-100 to 100), of two classes or more."""
    from sklearn.metrics import matthews_corrcoef  # a second that other runs need not spend

    _check(gold, predicted)
    if len(set(gold)) == 1 or len(set(predicted)) == 1:
        return 0.0
    return 100.0 * float(matthews_corrcoef(gold, predicted))


def pearson(gold: Sequence[float], predicted: Sequence[float]) -> float:
    """Correlation of the values (-100 to 100)."""
    _check(gold, predicted)
    return _correlation(np.asarray(gold, np.float64), np.asarray(predicted, np.float64))


def spearman(gold: Sequence[float], predicted: Sequence[float]) -> float:
    """Correlation of the ranks (-100 to 100); equal values share their mean rank."""
    from scipy.stats import rankdata

    _check(gold, predicted)
    return _correlation(np.asarray(rankdata(gold)), np.asarray(rankdata(predicted)))


def _check(gold: Sequence[object], predicted: Sequence[object]) -> None:
    if not len(gold) or len(gold) != len(predicted):
        raise ValueError(f"{len(predicted)} predictions cannot be compared with {len(gold)} labels")


def _mean_f1(gold: Labels, predicted: Labels, classes: list[str | int] | None) -> float:
    from sklearn.metrics import f1_score

    _check(gold, predicted)
    score = f1_score(
        gold,
        predicted,
        labels=classes,
        average="macro",
        zero_division=0.0,  # pyright: ignore[reportArgumentType]
    )
    return 100.0 * float(score)


def _correlation(gold: np.ndarray, predicted: np.ndarray) -> float:
    from scipy.stats import pearsonr

    if _is_constant(gold) or _is_constant(predicted):
        return 0.0
    return 100.0 * float(pearsonr(gold, predicted).statistic)  # pyright: ignore[reportAttributeAccessIssue]


def _is_constant(values: np.ndarray) -> bool:
    if not np.isfinite(values).all():
        raise ValueError("values that are not finite have no correlation")
    return bool(np.ptp(values) <= CONSTANT * np.abs(values).max())

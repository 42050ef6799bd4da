"""The interval of a mean against tables of Student's t."""

from __future__ import annotations

import pytest

from daybreak.metrics.statistics import interval, quantile


@pytest.mark.parametrize(("freedom", "value"), [(1, 12.7062), (4, 2.7764), (30, 2.0423), (60, 2.0003), (120, 1.9799)])
def test_quantiles_are_those_of_the_tables(freedom: int, value: float) -> None:
    assert quantile(freedom) == pytest.approx(value, abs=5e-5)


def test_the_interval_of_three_values() -> None:
    assert interval([1.0, 2.0, 3.0]) == pytest.approx([2 - 4.3027 / 3**0.5, 2 + 4.3027 / 3**0.5])


def test_one_value_has_no_interval() -> None:
    assert interval([1.0]) is None

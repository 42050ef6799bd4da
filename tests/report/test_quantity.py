from __future__ import annotations

import doctest

import pytest

from daybreak.report import quantity


def test_the_examples_in_the_docstrings_hold():
    found = doctest.testmod(quantity)
    assert found.attempted >= 5
    assert found.failed == 0


@pytest.mark.parametrize("value", [None, "3", True, float("nan"), float("inf"), 10**400, [1]])
def test_what_is_no_number_is_written_as_a_dash(value):
    assert quantity.number(value) == quantity.duration(value) == quantity.dollars(value) == "–"


def test_a_minute_is_never_written_as_sixty_seconds():
    assert quantity.duration(59.7) == "1 min 0 s"
    assert quantity.duration(3599.9) == "1 h 0 min"

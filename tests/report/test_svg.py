from __future__ import annotations

import math
import re
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daybreak.report import svg


def pixels(text):
    return [
        tuple(map(float, spot.split(",")))
        for points in re.findall(r'points="([^"]*)"', text)
        for spot in points.split()
    ]


def test_a_falling_loss_falls_from_left_to_right():
    spots = pixels(svg.chart({"loss": [(0, 2.0), (50, 1.0), (100, 0.5)]}, "loss"))
    assert [x for x, _ in spots] == sorted(x for x, _ in spots)
    assert [y for _, y in spots] == sorted(y for _, y in spots)  # down is more


def test_a_loss_over_decades_gets_a_logarithmic_axis():
    spots = pixels(svg.chart({"loss": [(0, 10.0), (1, 1.0), (2, 0.1), (3, 0.01)]}, "loss"))
    falls = [b - a for (_, a), (_, b) in pairwise(spots)]
    assert max(falls) == pytest.approx(min(falls), abs=0.2)


def test_a_long_curve_is_thinned_to_means():
    points = [(i, float(i % 2)) for i in range(10_000)]
    thin = svg.thin(points)
    assert len(thin) <= svg.MOST_POINTS
    assert thin[-1][0] == 9_999
    assert all(abs(y - 0.5) < 0.02 for _, y in thin)


def test_a_seventh_curve_is_dashed():
    text = svg.chart({f"loss_{i}": [(0, 1.0), (1, 2.0)] for i in range(7)}, "loss")
    assert text.count("dashed") == 1


@given(st.lists(st.tuples(st.integers(0, 10**9), st.floats(-1e299, 1e299)), min_size=1, max_size=20))
def test_any_values_stay_inside_the_frame(points):
    spots = pixels(svg.chart({"loss": sorted(points)}, "loss"))
    assert all(svg.LEFT - 1 <= x <= svg.WIDTH and 0 <= y <= svg.HEIGHT for x, y in spots)
    assert not any(math.isnan(value) for spot in spots for value in spot)

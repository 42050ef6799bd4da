"""The 95 % interval of a mean."""

from __future__ import annotations

import math
from collections.abc import Sequence
from statistics import fmean, stdev

# 97.5 % quantiles of Student's t with 1, 2, ... 30 degrees of freedom
# fmt: off
QUANTILES = (
    12.7062, 4.3027, 3.1824, 2.7764, 2.5706, 2.4469, 2.3646, 2.3060, 2.2622, 2.2281,
    2.2010, 2.1788, 2.1604, 2.1448, 2.1314, 2.1199, 2.1098, 2.1009, 2.0930, 2.0860,
    2.0796, 2.0739, 2.0687, 2.0639, 2.0595, 2.0555, 2.0518, 2.0484, 2.0452, 2.0423,
)
# fmt: on
NORMAL = 1.959964


def interval(values: Sequence[float]) -> list[float] | None:
    """The 95 % interval of the mean by Student's t, or None of a single value, which has no spread.

    Student's t and not the bootstrap: of three to five seeds a bootstrap resamples too few values and is too narrow.
    """
    if len(values) < 2:
        return None
    half = quantile(len(values) - 1) * stdev(values) / math.sqrt(len(values))
    return [fmean(values) - half, fmean(values) + half]


def quantile(freedom: int) -> float:
    """The 97.5 % quantile of Student's t; beyond the table by its expansion around the normal one."""
    if freedom <= len(QUANTILES):
        return QUANTILES[freedom - 1]
    return (
        NORMAL
        + (NORMAL**3 + NORMAL) / (4 * freedom)
        + (5 * NORMAL**5 + 16 * NORMAL**3 + 3 * NORMAL) / (96 * freedom**2)
    )

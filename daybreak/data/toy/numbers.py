"""Numbers spelled out in two languages: parallel text with real grammar that needs no network.

German says the units of a number before its tens, and writes all below a million as one word, so a translation into
English has to split words and to cross.
"""

from __future__ import annotations

import functools

import numpy as np
from num2words import num2words

from daybreak.engine.errors import UserError

SETS = {"test": (0,), "val": (1,), "train": tuple(range(2, 10))}
"""Which tenths of all numbers each set is drawn from, so that no number is in two of them."""


def numbers(part: str, count: int) -> list[int]:
    """Numbers below a million for "train", "val" or "test", as many of one digit as of two ... as of six if possible.

    The three sets have no number in common; the same call gives the same numbers. Raises UserError when a set has
    fewer than ``count``.
    """
    drawn: list[int] = []
    for digits in range(1, 7):
        low, high = (10 ** (digits - 1) if digits > 1 else 0), 10**digits - 1
        wanted = (count - len(drawn)) // (7 - digits)  # what a short stratum lacks, the longer ones have
        drawn += _draw(part, low, high, wanted)
    if len(drawn) < count:
        raise UserError(
            f"there are no {count:,} numbers in the {part} set, but {len(drawn):,}: ask for at most so many"
        )
    return drawn


def spelled(language: str, values: list[int]) -> list[str]:
    """The numbers in words: "en" or "de"."""
    return [_words(language, value) for value in values]


def _draw(part: str, low: int, high: int, wanted: int) -> list[int]:
    values = np.arange(low, high + 1)
    tenths = (values * 2_654_435_761 % 2**32 * 10) >> 32  # Knuth's multiplicative hash
    mine = values[np.isin(tenths, SETS[part])]
    if len(mine) > wanted:
        mine = np.random.RandomState(low).permutation(mine)[:wanted]
    return mine.tolist()


@functools.cache
def _words(language: str, value: int) -> str:
    return num2words(value, lang=language)

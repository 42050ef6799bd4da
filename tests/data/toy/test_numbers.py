"""Numbers in words: sets without a number in common, of all lengths, in the grammar of each language."""

from __future__ import annotations

from collections import Counter

import pytest

from daybreak.data.toy.numbers import SETS, numbers, spelled
from daybreak.engine.errors import UserError


def test_no_number_is_in_two_sets_and_every_one_is_in_one() -> None:
    sizes = {"test": 100_000, "val": 100_000, "train": 800_000}
    whole = {part: numbers(part, _most(part)) for part in SETS}
    assert sorted(value for values in whole.values() for value in values) == list(range(1_000_000))
    for part, size in sizes.items():
        assert len(whole[part]) == pytest.approx(size, rel=0.01)


def _most(part: str) -> int:
    """How many numbers a set has: what it says when asked for too many."""
    with pytest.raises(UserError, match=f"in the {part} set") as mistake:
        numbers(part, 10**6)
    return int(str(mistake.value).split("but ")[1].split(":")[0].replace(",", ""))


@pytest.mark.parametrize("part", SETS)
def test_there_are_as_many_of_every_length_as_there_can_be(part: str) -> None:
    drawn = numbers(part, 3_000)
    assert len(drawn) == len(set(drawn)) == 3_000
    of_length = Counter(len(str(value)) for value in drawn)
    assert of_length[1] <= 10 and of_length[2] <= 90
    assert of_length[6] - of_length[5] in (0, 1) and of_length[5] > 600
    if part == "train":
        assert of_length[2] >= 60 and of_length[3] > 500


def test_a_small_set_has_short_numbers_and_long_ones() -> None:
    assert {len(str(value)) for value in numbers("train", 12)} == {1, 2, 3, 4, 5, 6}
    assert [len(numbers("val", count)) for count in range(1, 8)] == list(range(1, 8))


def test_the_same_call_gives_the_same_numbers() -> None:
    assert numbers("train", 500) == numbers("train", 500)
    assert numbers("test", 8) == [5, 94, 678, 8655, 60979, 52871, 343444, 709838]


@pytest.mark.parametrize(("value", "german", "english"), [
    (0, "null", "zero"),
    (1, "eins", "one"),
    (21, "einundzwanzig", "twenty-one"),
    (76, "sechsundsiebzig", "seventy-six"),
    (100, "einhundert", "one hundred"),
    (342, "dreihundertzweiundvierzig", "three hundred and forty-two"),
    (1_001, "eintausendeins", "one thousand and one"),
    (17_016, "siebzehntausendsechzehn", "seventeen thousand and sixteen"),
    (
        654_321,
        "sechshundertvierundfünfzigtausenddreihunderteinundzwanzig",
        "six hundred and fifty-four thousand, three hundred and twenty-one",
    ),
])  # fmt: skip
def test_german_says_the_units_before_the_tens(value: int, german: str, english: str) -> None:
    assert (spelled("de", [value]), spelled("en", [value])) == ([german], [english])


@pytest.mark.parametrize("language", ["de", "en"])
def test_no_two_numbers_have_the_same_words(language: str) -> None:
    values = numbers("val", 1_000)
    assert len(set(spelled(language, values))) == 1_000

"""Held-out phrases share no sentence with those that are trained on."""

from __future__ import annotations

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from daybreak.systems.language.examples import Pair
from daybreak.systems.language.phrases import LONG, Words, hold_out_phrases, sharing

SENTENCE = "it is , for all that , a film about nothing but itself"
PARTS = ["a film about nothing but itself", "nothing but itself", "nothing", "It is, for all that"]
CONTAINS = f"and {SENTENCE} !"
OTHERS = [
    "a film about something",
    "nothing itself",
    "that is",
    "it is for all that a film about nothing but ourselves",
]


def test_parts_of_a_held_out_phrase_and_what_contains_it_are_in_neither_part(
    caplog: pytest.LogCaptureFixture,
) -> None:
    short = [Pair(text, None, "x") for text in [*PARTS, *OTHERS[:3]]]
    rest, held = hold_out_phrases([*short, Pair(SENTENCE, None, "x")], 1, seed=0)
    assert held == [Pair(SENTENCE, None, "x")] and rest == short[len(PARTS) :]
    assert "left out 4 of 8 phrases, which share a sentence with held-out ones" in caplog.text


def test_a_longer_phrase_shares_the_sentence_that_it_contains() -> None:
    is_shared = sharing([words_of(SENTENCE)])
    assert all(is_shared(words_of(text)) for text in [*PARTS, SENTENCE, CONTAINS])
    assert not any(is_shared(words_of(text)) for text in OTHERS)


def test_as_many_are_held_out_as_asked_for_all_of_them_long_and_always_the_same() -> None:
    examples = [Pair(" ".join(f"{'abcdefghijkl'[i]}{n}" for i in range(n % 12 + 1)), None, "x") for n in range(240)]
    rest, held = hold_out_phrases(examples, 30, seed=0)
    assert len(held) == 30 and all(len(each.first.split()) >= LONG for each in held)
    assert sorted(rest + held, key=examples.index) == examples, "none shares a word with another"
    assert hold_out_phrases(examples, 30, seed=0) == (rest, held) != hold_out_phrases(examples, 30, seed=1)
    assert held == sorted(held, key=examples.index)


@settings(deadline=None)
@given(st.randoms(use_true_random=False))
def test_sharing_is_what_comparing_each_with_each_says(source: random.Random) -> None:
    held = [drawn(source, source.randint(LONG, LONG + 4)) for _ in range(3)]
    is_shared = sharing(held)
    for _ in range(20):
        words = drawn(source, source.randint(1, LONG + 6))
        if source.random() < 0.3:
            words = (*drawn(source, 1), *held[0], *drawn(source, source.randint(0, 2)))
        assert is_shared(words) == any(lies_in(words, other) or lies_in(other, words) for other in held)


def drawn(source: random.Random, length: int) -> Words:
    return tuple(source.choice("ab") for _ in range(length))


def words_of(text: str) -> Words:
    return tuple(text.replace(",", "").replace("!", "").lower().split())


def lies_in(some: Words, others: Words) -> bool:
    return any(others[at : at + len(some)] == some for at in range(len(others) - len(some) + 1))

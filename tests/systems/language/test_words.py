from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from daybreak.systems.language.words import words_of


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("They don't know O'Brien's well-known U.S. friend.",
         ["They", "do", "n't", "know", "O'Brien", "'s", "well-known", "U.S.", "friend", "."]),
        ("It’s 3.5 % of 1,000 (or so)!", ["It", "’s", "3.5", "%", "of", "1,000", "(", "or", "so", ")", "!"]),
        ("cafe\u0301 naïve Straße", ["cafe\u0301", "naïve", "Straße"]),
        ("'quoted' text", ["'", "quoted", "'", "text"]),
        ("a\0b \u202e c\n\td", ["a", "b", "c", "d"]),
        ("", []),
    ],
)  # fmt: skip
def test_texts_are_split_into_words_as_treebanks_are(text: str, words: list[str]) -> None:
    assert [word.text for word in words_of(text)] == words


@settings(deadline=None)
@given(st.text())
def test_words_stand_where_they_say_and_leave_out_nothing_that_is_seen(text: str) -> None:
    words, done = words_of(text), 0
    for word in words:
        assert word.text == text[word.start : word.end] and word.text and not any(c.isspace() for c in word.text)
        assert not any(c.isalnum() for c in text[done : word.start])
        done = word.end
    assert not any(c.isalnum() for c in text[done:])

"""Running text as rows: pairs of sentences of which half belong together, and rows that are read on and on."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from daybreak.engine.errors import UserError
from daybreak.systems.language.pairs import Pairs, Text, draw_pairs, encode, running_rows
from daybreak.systems.language.wordpiece import Special, learn_wordpiece

SPECIAL = Special(pad=-1, unk=-2, cls=-3, sep=-4, mask=-5)
"""Numbers that no text below has."""

documents_of_sentences = st.lists(st.lists(st.integers(1, 40), min_size=1, max_size=12), min_size=2, max_size=5)
"""Word pieces of each sentence of each document."""


def text_of(documents: Sequence[Sequence[int]]) -> Text:
    """A text of which every word piece is its own place."""
    sentences = np.cumsum([0, *(length for document in documents for length in document)])
    ends = np.cumsum([0, *map(len, documents)])
    return Text(np.arange(sentences[-1], dtype=np.int32), sentences, ends)


def document_at(text: Text, place: int) -> int:
    """The document that a word piece is of."""
    sentence = int(np.searchsorted(text.sentences, place, side="right")) - 1
    return int(np.searchsorted(text.documents, sentence, side="right")) - 1


def sentences_of(pairs: Pairs, number: int) -> tuple[list[int], list[int]]:
    """The two sentences of a row, as its tokens and segments say: [CLS] first [SEP] second [SEP]."""
    rows = pairs.rows([number])
    tokens, segments = rows.tokens.tolist(), rows.segments.tolist()
    first = [token for token, segment in zip(tokens, segments, strict=True) if segment == 0]
    second = tokens[len(first) :]
    assert len(tokens) == pairs.lengths[number] and segments == sorted(segments)
    assert first[0] == SPECIAL.cls and first[-1] == SPECIAL.sep and (not second or second[-1] == SPECIAL.sep)
    return first[1:-1], second[:-1]


def runs_on(places: list[int]) -> bool:
    """Whether word pieces stand one after the other in the text."""
    return places == list(range(places[0], places[0] + len(places)))


# ----------------------------------------------------------------------------- pairs


@given(documents_of_sentences, st.integers(8, 64), st.integers(0, 3))
@settings(deadline=None)
def test_pairs_fit_and_are_of_one_document_where_they_follow_and_of_two_where_not(
    documents: list[list[int]], length: int, seed: int
) -> None:
    text = text_of(documents)
    pairs = draw_pairs(text, SPECIAL, length, seed)
    assert (pairs.lengths <= length).all() and len(pairs) == len(pairs.follows) >= len(documents)
    for number, follows in enumerate(pairs.follows):
        first, second = sentences_of(pairs, number)
        assert runs_on(first) and runs_on(second)
        of_first = {document_at(text, first[0]), document_at(text, first[-1])}
        of_second = {document_at(text, second[0]), document_at(text, second[-1])}
        assert len(of_first) == len(of_second) == 1 and (of_first == of_second) == follows
        assert not follows or first[-1] < second[0]


def test_what_does_not_follow_is_from_any_sentence_of_the_others() -> None:
    text = text_of([[1] * 3_000, [1] * 3_000, *[[1] * 10] * 100])
    pairs = draw_pairs(text, SPECIAL, 16, 0)
    others = [sentences_of(pairs, number)[1][0] for number in np.flatnonzero(~pairs.follows)[:200]]
    short = np.mean([document_at(text, other) > 1 for other in others])
    assert 0.1 < short < 0.5, "a document of ten sentences is drawn as often as one of 3,000"


@given(st.lists(st.integers(1, 60), min_size=2, max_size=4), st.integers(8, 32), st.integers(0, 3))
@settings(deadline=None)
def test_what_does_not_follow_comes_again_and_no_word_piece_is_lost(sizes: list[int], length: int, seed: int) -> None:
    """Sentences of one word piece fill a row to the place, so none is cut."""
    text = text_of([[1] * size for size in sizes])
    pairs = draw_pairs(text, SPECIAL, length, seed)
    read: list[int] = []
    for number, follows in enumerate(pairs.follows):
        first, second = sentences_of(pairs, number)
        read += first + second if follows else first
    assert read == list(range(sum(sizes)))


@pytest.fixture(scope="module")
def long_ones() -> Pairs:
    """Pairs of four long documents."""
    random = np.random.default_rng(0)
    return draw_pairs(text_of(random.integers(1, 12, (4, 2_000)).tolist()), SPECIAL, 64, 0)


def test_half_of_the_second_sentences_follow(long_ones: Pairs) -> None:
    count = len(long_ones)
    assert count > 800
    assert abs(long_ones.follows.sum() - count / 2) < 3 * math.sqrt(count / 4)


def test_the_others_are_from_all_other_documents_alike(long_ones: Pairs) -> None:
    found = Counter(
        (document_at(long_ones.text, first[0]), document_at(long_ones.text, second[0]))
        for first, second, follows in zip(long_ones.first, long_ones.second, long_ones.follows, strict=True)
        if not follows
    )
    assert set(found) == {(one, other) for one in range(4) for other in range(4) if one != other}
    for one in range(4):
        count = sum(number for (first, _), number in found.items() if first == one)
        sigma = math.sqrt(count * 2 / 9)
        assert all(abs(number - count / 3) < 3 * sigma for (first, _), number in found.items() if first == one)


def test_a_second_sentence_that_follows_does_so_at_once_where_nothing_is_cut() -> None:
    pairs = draw_pairs(text_of([[1] * 500, [1] * 500]), SPECIAL, 32, 0)
    at_once = pairs.first[:, 1] == pairs.second[:, 0]
    assert (at_once >= pairs.follows).all() and pairs.follows.sum() > 10


def test_most_rows_are_full_and_some_are_shorter(long_ones: Pairs) -> None:
    """No row is drawn for its length alone: a tenth of the goals are lower."""
    full = long_ones.lengths > 50
    assert 0.8 < full.mean() < 0.98


def test_both_ends_of_what_is_too_long_are_cut() -> None:
    text = text_of([[100, 100], [100, 100]])
    pairs = [draw_pairs(text, SPECIAL, 23, seed) for seed in range(20)]
    begins = {int(begin) % 100 for each in pairs for begin in each.first[:, 0]}
    ends = {int(end) % 100 for each in pairs for end in each.first[:, 1]}
    assert len(begins) > 10 and len(ends) > 10
    assert all((each.lengths == 23).all() for each in pairs)  # no more than has to


def test_the_same_seed_draws_the_same_pairs_and_another_one_others() -> None:
    text = text_of([[3, 5, 2, 8] * 20] * 3)
    one, again, other = (draw_pairs(text, SPECIAL, 32, seed) for seed in (1, 1, 2))
    assert np.array_equal(one.first, again.first) and np.array_equal(one.second, again.second)
    assert not np.array_equal(one.second[:10], other.second[:10])


def test_one_document_has_no_other() -> None:
    with pytest.raises(UserError, match="one document"):
        draw_pairs(text_of([[3, 4]]), SPECIAL, 32, 0)


# ----------------------------------------------------------------------------- running rows


@given(st.lists(st.lists(st.integers(1, 40), min_size=1, max_size=12), min_size=1, max_size=5), st.integers(8, 64))
@settings(deadline=None)
def test_running_rows_have_every_word_piece_once_and_end_with_their_document(
    documents: list[list[int]], length: int
) -> None:
    text = text_of(documents)
    pairs = running_rows(text, SPECIAL, length)
    read: list[int] = []
    for number in range(len(pairs)):
        first, second = sentences_of(pairs, number)
        assert not second and runs_on(first) and len(first) <= length - 2
        assert document_at(text, first[0]) == document_at(text, first[-1])
        read += first
    assert read == text.pieces.tolist()
    assert len(pairs) == sum(math.ceil(sum(each) / (length - 2)) for each in documents)  # no more than has to
    assert not pairs.follows.any()


# ----------------------------------------------------------------------------- text


def test_text_is_encoded_sentence_by_sentence_and_empty_ones_are_left_out() -> None:
    documents = [["the cat sat", "", "the mat"], ["\u200b", " "], [], ["a cat"]]
    tokenizer = learn_wordpiece([sentence for document in documents for sentence in document] * 2, 100)
    text = encode(documents, tokenizer)
    sentences = [text.pieces[slice(*ends)].tolist() for ends in zip(text.sentences, text.sentences[1:], strict=False)]
    assert sentences == [tokenizer.encode(line).ids for line in ("the cat sat", "the mat", "a cat")]
    assert text.documents.tolist() == [0, 2, 3]
    with pytest.raises(UserError, match="empty"):
        encode([["", " "], []], tokenizer)


def test_a_batch_of_rows_is_the_rows_one_after_the_other() -> None:
    pairs = draw_pairs(text_of([[3, 5, 2, 8] * 5] * 2), SPECIAL, 16, 0)
    batch = pairs.rows([4, 0, 2])
    alone = [pairs.rows([number]) for number in (4, 0, 2)]
    assert batch.tokens.tolist() == [token for row in alone for token in row.tokens.tolist()]
    assert batch.segments.tolist() == [segment for row in alone for segment in row.segments.tolist()]
    assert batch.starts.diff().tolist() == pairs.lengths[[4, 0, 2]].tolist()

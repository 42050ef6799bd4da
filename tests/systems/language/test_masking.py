"""What BERT is asked to guess: how much, where, and what stands there instead."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from daybreak.systems.language.masking import Guess, Masking, begins_words
from daybreak.systems.language.model.rows import Rows, rows_of
from daybreak.systems.language.wordpiece import Special, read_wordpiece, special_tokens

WORDS = [f"word{number}" for number in range(300)]
PIECES = [*WORDS[:3], "[PAD]", "[SEP]", "[MASK]", "[CLS]", "[UNK]", *WORDS[3:], *(f"##end{n}" for n in range(100))]
"""Special word pieces stand where no other vocabulary has them."""
TEXT = np.array([number for number, piece in enumerate(PIECES) if not piece.startswith("[")])
GOES_ON = np.array([piece.startswith("##") for piece in PIECES])


@pytest.fixture(scope="module")
def masking(tmp_path_factory: pytest.TempPathFactory) -> Masking:
    path = tmp_path_factory.mktemp("vocabulary") / "vocab.txt"
    path.write_text("".join(f"{piece}\n" for piece in PIECES))
    tokenizer = read_wordpiece(path, True)
    return Masking(special_tokens(tokenizer), begins_words(tokenizer), 0.15, whole_words=False)


def by_words(masking: Masking, rate: float = 0.15) -> Masking:
    return Masking(masking.special, masking.begins, rate, whole_words=True)


def drawn(special: Special, lengths: list[int], seed: int = 0) -> Rows:
    """Rows [CLS] first [SEP] second [SEP] of random word pieces, so many in each row's sentences."""
    random = np.random.default_rng(seed)
    tokens = [
        np.array([special.cls, *random.choice(TEXT, half), special.sep, *random.choice(TEXT, half), special.sep])
        for half in lengths
    ]
    return rows_of(tokens, [np.arange(len(row)) >= half + 2 for row, half in zip(tokens, lengths, strict=True)])


def words_of(rows: Rows, special: Special) -> list[list[int]]:
    """The places of each word, by a loop: a piece that goes on does so unless a special one stands before it."""
    words: list[list[int]] = []
    before_is_special = True
    for place, token in enumerate(rows.tokens.tolist()):
        if token in (special.cls, special.sep):
            before_is_special = True
            continue
        if not GOES_ON[token] or before_is_special:
            words.append([])
        words[-1].append(place)
        before_is_special = False
    return words


def within(found: float, expected: float, sigma: float) -> bool:
    return abs(found - expected) < 3 * sigma


# ----------------------------------------------------------------------------- how much


def test_fifteen_percent_of_the_text_is_chosen(masking: Masking) -> None:
    rows = drawn(masking.special, [60] * 200)
    chosen = len(masking.choose(rows, np.random.default_rng(0)))
    assert within(chosen, 0.15 * 24_000, math.sqrt(24_000 * 0.15 * 0.85))


def test_fifteen_percent_of_the_text_is_chosen_by_whole_words_too(masking: Masking) -> None:
    rows = drawn(masking.special, [60] * 200)
    squares = sum(len(word) ** 2 for word in words_of(rows, masking.special))
    chosen = len(by_words(masking).choose(rows, np.random.default_rng(0)))
    assert within(chosen, 0.15 * 24_000, math.sqrt(squares * 0.15 * 0.85))


def test_of_the_chosen_eighty_percent_are_masked_and_ten_another_word_piece(masking: Masking) -> None:
    rows = drawn(masking.special, [60] * 400)
    guess = masking.mask(rows, np.random.default_rng(0))
    stands, stood = guess.rows.tokens[guess.places], guess.answers
    masked, kept = stands == masking.special.mask, stands == stood
    size, by_chance = len(stood), 1 / len(PIECES)  # what is drawn may be the mask, or what stood there
    for found, share in (
        (masked, 0.8 + 0.1 * by_chance),
        (kept, 0.1 + 0.1 * by_chance),
        (~masked & ~kept, 0.1 - 0.2 * by_chance),
    ):
        assert within(int(found.sum()), share * size, math.sqrt(size * share * (1 - share)))
    others = stands[~masked & ~kept]
    assert len(others.unique()) > 0.4 * len(PIECES)  # from the whole vocabulary


# ----------------------------------------------------------------------------- where


@given(st.lists(st.integers(1, 12), min_size=1, max_size=4), st.sampled_from([0.01, 0.15, 0.9]), st.booleans())
@settings(deadline=None, max_examples=60)
def test_never_a_special_word_piece_and_always_one_place(
    masking: Masking, lengths: list[int], rate: float, whole_words: bool
) -> None:
    rows = drawn(masking.special, lengths, seed=sum(lengths))
    chooser = Masking(masking.special, masking.begins, rate, whole_words)
    places = chooser.choose(rows, np.random.default_rng(len(lengths)))
    assert len(places) and (np.diff(places) > 0).all()
    assert np.isin(rows.tokens.numpy()[places], TEXT).all()


@given(st.lists(st.integers(1, 12), min_size=1, max_size=4), st.sampled_from([1e-9, 0.15, 0.5]))
@settings(deadline=None, max_examples=60)
def test_whole_words_share_their_fate(masking: Masking, lengths: list[int], rate: float) -> None:
    """Also the one that is chosen where the draw had chosen none."""
    rows = drawn(masking.special, lengths, seed=sum(lengths))
    places = set(by_words(masking, rate).choose(rows, np.random.default_rng(len(lengths))).tolist())
    fates = [len(places.intersection(word)) in (0, len(word)) for word in words_of(rows, masking.special)]
    assert all(fates)


def test_pieces_of_a_word_are_chosen_apart_where_words_are_not_asked_for(masking: Masking) -> None:
    rows = drawn(masking.special, [60] * 50)
    places = set(masking.choose(rows, np.random.default_rng(0)).tolist())
    assert any(0 < len(places.intersection(word)) < len(word) for word in words_of(rows, masking.special))


# ----------------------------------------------------------------------------- and nothing else


def masked(masking: Masking, rows: Rows, seed: int) -> Guess:
    return masking.mask(rows, np.random.default_rng(seed))


def test_the_rows_that_are_given_stay_and_all_other_places_too(masking: Masking) -> None:
    rows = drawn(masking.special, [20, 3, 9])
    before = rows.tokens.clone()
    guess = masked(masking, rows, 0)
    assert torch.equal(rows.tokens, before)
    assert torch.equal(guess.answers, before[guess.places])
    elsewhere = torch.ones(len(before), dtype=torch.bool)
    elsewhere[guess.places] = False
    assert torch.equal(guess.rows.tokens[elsewhere], before[elsewhere])
    assert all(getattr(guess.rows, name) is value for name, value in vars(rows).items() if name != "tokens")
    assert guess.rows.tokens.dtype == guess.places.dtype == guess.answers.dtype == torch.int64


@pytest.mark.parametrize("whole_words", [False, True])
def test_the_same_generator_draws_the_same_and_another_one_another(masking: Masking, whole_words: bool) -> None:
    chooser = Masking(masking.special, masking.begins, 0.15, whole_words)
    rows = drawn(masking.special, [60, 60])
    one, again, other = (masked(chooser, rows, seed) for seed in (7, 7, 8))
    assert torch.equal(one.rows.tokens, again.rows.tokens) and torch.equal(one.places, again.places)
    assert not torch.equal(one.rows.tokens, other.rows.tokens)


def test_pieces_that_go_on_with_a_word_do_not_begin_one(masking: Masking) -> None:
    assert np.array_equal(masking.begins, ~GOES_ON)

"""Windows cover a context, and the best answers of all windows are those that counting out all spans gives."""

from __future__ import annotations

import re
from itertools import pairwise

import numpy as np
import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st

from daybreak.engine.errors import UserError
from daybreak.systems.language.model.spans import (
    SEPARATORS,
    Answer,
    Window,
    best_spans,
    no_answer_score,
    widest,
    windows,
)

CONTEXT = "In 1969 two men, Ann and Bob, walked far — to Zürich and back to Ann."


def tokens_of(context: str) -> list[tuple[int, int]]:
    """Offsets of words and signs."""
    return [match.span() for match in re.finditer(r"\w+|[^\w\s]", context)]


def asked(
    context: str, question: int, longest: int, stride: int, seed: int = 0, sharpness: float = 2.0
) -> list[Window]:
    """What a network with random weights would say: a question of some tokens, then the context's."""
    torch.manual_seed(seed)
    offsets, found = tokens_of(context), []
    pieces = windows(question, len(offsets), longest, stride)
    for (first, end), is_widest in zip(pieces, widest(pieces), strict=True):
        before, size = question + 2, end - first
        logits = sharpness * torch.randn(2, before + size + 1)
        here = torch.zeros(2, logits.shape[1], dtype=torch.bool)
        here[0, before : before + size] = True
        here[1, before : before + size] = torch.from_numpy(is_widest)
        spread = [(0, 0)] * before + offsets[first:end] + [(0, 0)]
        found.append(Window(*logits.log_softmax(1), *here, spread))
    return found


def counted_out(found: list[Window], longest: int) -> list[tuple[float, int, int]]:
    """Score, first and last character of every span there may be, the best first."""
    spans = [
        ((window.start[i] + window.end[j]).item(), window.offsets[i][0], window.offsets[j][1])
        for window in found
        for i in range(len(window.start))
        for j in range(i, min(i + longest, len(window.end)))
        if window.in_context[i] and window.is_widest[i] and window.in_context[j]
    ]
    return sorted(spans, key=lambda span: -span[0])


# ----------------------------------------------------------------------------- windows


@settings(deadline=None)
@given(st.integers(0, 40), st.integers(0, 300), st.integers(1, 60), st.integers(1, 80))
@example(0, 0, 1, 1)
def test_windows_cover_every_token_and_are_no_longer_than_they_may(
    question: int, context: int, room: int, stride: int
) -> None:
    pieces = windows(question, context, question + SEPARATORS + room, stride)
    assert {token for first, end in pieces for token in range(first, end)} == set(range(context))
    assert all(0 <= first <= end <= context and end - first <= room for first, end in pieces)
    steps = [second[0] - first[0] for first, second in pairwise(pieces)]
    assert all(step == min(stride, room) for step in steps)
    assert all(end - first == room for first, end in pieces[:-1]), "only the last is short"
    assert all(end < context for _, end in pieces[:-1]), "nothing comes after the end was reached"


def test_windows_of_a_hand_case() -> None:
    assert windows(4, 10, 12, 3) == [(0, 5), (3, 8), (6, 10)]
    assert windows(4, 5, 12, 3) == [(0, 5)]
    assert windows(4, 6, 12, 3) == [(0, 5), (3, 6)]
    assert windows(4, 6, 12, 100) == [(0, 5), (5, 6)]
    assert windows(4, 0, 12, 3) == [(0, 0)]


def test_windows_without_room_or_stride_are_refused() -> None:
    with pytest.raises(UserError, match="a question of 9 tokens leaves no room for its context among 12: shorten it"):
        windows(9, 10, 12, 3)
    with pytest.raises(ValueError, match="0 tokens apart"):
        windows(4, 10, 12, 0)


@settings(deadline=None)
@given(st.integers(1, 60), st.integers(1, 20), st.integers(1, 30))
def test_every_token_has_its_widest_context_in_one_window(context: int, room: int, stride: int) -> None:
    pieces = windows(0, context, SEPARATORS + room, stride)
    owners = widest(pieces)
    assert [len(owner) for owner in owners] == [end - first for first, end in pieces]
    chosen = [
        token for owner, (first, _) in zip(owners, pieces, strict=True) for token in np.flatnonzero(owner) + first
    ]
    assert sorted(chosen) == list(range(context))
    for owner, (first, end) in zip(owners, pieces, strict=True):
        for token in np.flatnonzero(owner) + first:
            seen = [(min(token - a, b - 1 - token) + 0.01 * (b - a)) for a, b in pieces if a <= token < b]
            assert min(token - first, end - 1 - token) + 0.01 * (end - first) == max(seen)


def test_widest_context_of_a_hand_case() -> None:
    assert [owner.tolist() for owner in widest([(0, 5), (3, 8), (6, 10)])] == [
        [True, True, True, True, False],
        [False, True, True, True, False],
        [False, True, True, True],
    ]
    assert [owner.tolist() for owner in widest([(0, 0)])] == [[]]


def test_a_long_window_is_wider_by_a_hundredth_of_its_length() -> None:
    first, second = widest([(0, 300), (200, 310)])
    assert first[250] and not second[50], "49 tokens and 3.0 against 50 and 1.1"
    assert not first[251] and second[51], "48 tokens and 3.0 against 51 and 1.1"


# ----------------------------------------------------------------------------- the best spans


@settings(deadline=None, max_examples=40)
@given(st.integers(0, 10_000), st.sampled_from([9, 12, 40]), st.sampled_from([2, 3, 50]), st.integers(1, 6))
def test_best_spans_are_those_of_counting_out_all(seed: int, longest_row: int, stride: int, longest: int) -> None:
    found = asked(CONTEXT, 3, longest_row, stride, seed)
    spans = counted_out(found, longest)
    texts = list(dict.fromkeys(CONTEXT[start:end] for _, start, end in spans))
    total = torch.tensor([score for score, _, _ in spans]).logsumexp(0).item()
    answers = best_spans(found, CONTEXT, count=7, longest=longest)
    assert [answer.text for answer in answers] == texts[:7]
    firsts = [next(span for span in spans if CONTEXT[span[1] : span[2]] == text) for text in texts[:7]]
    assert [(answer.start, answer.end) for answer in answers] == [span[1:] for span in firsts]
    assert [answer.score for answer in answers] == pytest.approx([span[0] for span in firsts], abs=1e-5)
    assert [answer.probability for answer in answers] == pytest.approx(
        [np.exp(span[0] - total) for span in firsts], abs=1e-5
    )
    every = best_spans(found, CONTEXT, count=10_000, longest=longest)
    assert [answer.text for answer in every] == texts


def one_window(starts: list[float], ends: list[float], context: str = "one two three four") -> Window:
    """[CLS] question [SEP] one two three four [SEP], and the scores of each."""
    offsets = [(0, 0)] * 3 + tokens_of(context) + [(0, 0)]
    here = torch.tensor([end > 0 for _, end in offsets])
    return Window(torch.tensor(starts), torch.tensor(ends), here, here, offsets)


def test_no_answer_ends_before_it_starts() -> None:
    #                                    one  two  three four
    window = one_window([0, 0, 0, 0.0, 1.0, 0.0, 9.0, 0], [0, 0, 0, 0.0, 9.0, 2.0, 1.0, 0])
    best = best_spans([window], "one two three four")[0]
    assert int(window.start.argmax()) > int(window.end.argmax())
    assert best.text == "two" or best.text == "four"
    assert all(answer.end > answer.start for answer in best_spans([window], "one two three four"))
    assert best.score == 10.0


def test_no_answer_is_longer_than_it_may_or_outside_the_context() -> None:
    window = one_window([9, 9, 9, 5.0, 0.0, 0.0, 0.0, 9], [9, 9, 9, 0.0, 0.0, 0.0, 5.0, 9])
    assert best_spans([window], "one two three four")[0].text == "one two three four"
    short = best_spans([window], "one two three four", longest=3)
    assert "one two three four" not in [answer.text for answer in short] and short[0].score == 5.0
    assert len(short) == 4 + 3 + 2
    assert len(best_spans([window], "one two three four", longest=1)) == 4


def test_a_text_is_given_once_with_its_better_score() -> None:
    window = one_window([0, 0, 0, 1.0, 0.0, 2.0, 0.0, 0], [0, 0, 0, 1.0, 0.0, 2.0, 0.0, 0], "ja no ja no")
    answers = best_spans([window], "ja no ja no", longest=1)
    assert [(answer.text, answer.start, answer.score) for answer in answers] == [("ja", 6, 4.0), ("no", 3, 0.0)]


def test_text_is_cut_from_the_context_as_it_is_written() -> None:
    context = "Émile  lives —\tin ﬁne  Zürich"
    window = one_window([0, 0, 0, 9.0, *[0.0] * 5, 0], [0, 0, 0, *[0.0] * 5, 9.0, 0], context)
    assert best_spans([window], context)[0].text == context


def test_an_empty_context_has_no_spans() -> None:
    window = Window(torch.zeros(3), torch.zeros(3), *torch.zeros(2, 3, dtype=torch.bool), [(0, 0)] * 3)
    assert best_spans([window], "") == []
    assert best_spans([window], "", threshold=0.0) == [Answer("", 0, 0, 0.0, 1.0)]


# ----------------------------------------------------------------------------- no answer


def with_null(null: float) -> Window:
    return one_window([null, 0, 0, 0.0, 3.0, 0.0, 0.0, 0], [0, 0, 0, 0.0, 0.0, 3.0, 0.0, 0])


@pytest.mark.parametrize(("null", "threshold", "text"), [
    (7.0, None, "two three"),
    (7.0, 0.0, ""),
    (5.0, 0.0, "two three"),
    (7.0, 2.0, "two three"),
    (5.0, -2.0, ""),
])  # fmt: skip
def test_no_answer_has_to_beat_the_best_by_the_threshold(null: float, threshold: float | None, text: str) -> None:
    answers = best_spans([with_null(null)], "one two three four", threshold=threshold)
    assert answers[0].text == text
    assert ("" in [answer.text for answer in answers]) == (threshold is not None)
    assert [answer.score for answer in answers] == sorted([answer.score for answer in answers], reverse=True)
    assert sum(answer.probability for answer in answers) == pytest.approx(1.0)


def test_a_window_that_sees_an_answer_speaks_for_all() -> None:
    seen = [with_null(7.0), with_null(2.0), with_null(6.0)]
    assert no_answer_score(seen) == 2.0
    assert best_spans(seen, "one two three four", threshold=0.0)[0].text == "two three"


def test_scores_of_half_precision_are_taken() -> None:
    window = with_null(1.0)
    half = Window(window.start.bfloat16(), window.end.bfloat16(), window.in_context, window.is_widest, window.offsets)
    assert best_spans([half], "one two three four")[0].text == "two three"

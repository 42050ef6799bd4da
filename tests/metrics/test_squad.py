"""SQuAD's scores are torchmetrics'; those of unanswerable questions are what the script of SQuAD 2 defines."""

from __future__ import annotations

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from torchmetrics.functional.text import squad

from daybreak.metrics.squad import answer_scores, exact_match, f1, normalized

PIECES = [
    "a", "an", "the", "The", "AN", "theory", "cat", "Cat,", "cat's", "co-op", "...", "—", "“cat”", "1,000", "$5", "_",
    "É", "é", "ẞ", "İ", "中文", "\u00a0", "\t", "  ", "a.", "the-cat", "x\u200by",
]  # fmt: skip
texts = st.lists(st.sampled_from(PIECES), max_size=5).flatmap(
    lambda pieces: st.sampled_from([" ".join(pieces), "".join(pieces)])
) | st.text(max_size=8)

HAND_CASES = [
    ("Denver Broncos", ["Denver Broncos", "the Denver Broncos!"], 100.0, 100.0),
    ("the Broncos", ["Denver Broncos"], 0.0, 100 * 2 / 3),
    ("a cat, the cat", ["cat"], 0.0, 100 * 2 / 3),
    ("in the 1990s.", ["1990s", "the early 1990s"], 0.0, 100 * 2 / 3),
    ("U.S.", ["us"], 100.0, 100.0),
    ("", ["something"], 0.0, 0.0),
    ("The", ["an"], 100.0, 100.0),
    ("co-op", ["coop"], 100.0, 100.0),
    ("x y", ["z"], 0.0, 0.0),
]


def torchmetrics(predicted: str, answers: list[str]) -> tuple[float, float]:
    told = squad(
        {"prediction_text": predicted, "id": "1"}, {"answers": {"text": answers, "answer_start": [0]}, "id": "1"}
    )
    return told["exact_match"].item(), told["f1"].item()


@pytest.mark.parametrize(("predicted", "answers", "exact", "overlap"), HAND_CASES)
def test_scores_of_hand_cases(predicted: str, answers: list[str], exact: float, overlap: float) -> None:
    scores = answer_scores([predicted], [answers])
    assert (scores.exact_match, scores.f1) == pytest.approx((exact, overlap))
    assert (scores.exact_match, scores.f1) == pytest.approx(torchmetrics(predicted, answers), abs=1e-4)


@settings(deadline=None)
@given(texts, st.lists(texts, min_size=1, max_size=4))
@example("", [""])
@example("the", ["cat", "a"])
def test_scores_are_torchmetrics(predicted: str, answers: list[str]) -> None:
    scores = answer_scores([predicted], [answers])
    assert (scores.exact_match, scores.f1) == pytest.approx(torchmetrics(predicted, answers), abs=1e-4)


def test_scores_of_several_questions_are_means() -> None:
    scores = answer_scores([case[0] for case in HAND_CASES], [case[1] for case in HAND_CASES])
    assert scores.exact_match == pytest.approx(sum(case[2] for case in HAND_CASES) / len(HAND_CASES))
    assert scores.f1 == pytest.approx(sum(case[3] for case in HAND_CASES) / len(HAND_CASES))


@pytest.mark.parametrize(("predicted", "right"), [("", True), ("the .", True), ("Denver", False)])
def test_no_answer_is_right_where_there_is_none(predicted: str, right: bool) -> None:
    assert exact_match(predicted, []) is right
    assert f1(predicted, []) == float(right)
    assert exact_match("", ["Denver"]) is False and f1("", ["Denver"]) == 0.0


def test_articles_are_whole_words_and_go_after_punctuation() -> None:
    assert normalized("The theory, an a.n. (a) “THE”  cat's") == ["theory", "“", "”", "cats"]


def test_what_cannot_be_compared_is_refused() -> None:
    with pytest.raises(ValueError, match="0 answers cannot be compared with those to 0 questions"):
        answer_scores([], [])
    with pytest.raises(ValueError, match="1 answers cannot be compared with those to 2"):
        answer_scores(["x"], [["x"], ["y"]])

"""Entities and their scores are seqeval's in its strict mode, malformed tags included."""

from __future__ import annotations

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from seqeval.metrics.v1 import precision_recall_fscore_support
from seqeval.scheme import IOB2, Entities

from daybreak.metrics.entities import entities, entity_scores

TAGS = ["O", "B-PER", "I-PER", "B-LOC", "I-LOC", "B-work-of-art", "I-work-of-art"]
sentences = st.lists(st.sampled_from(TAGS), max_size=8)
pairs_of_tags = st.lists(st.tuples(st.sampled_from(TAGS), st.sampled_from(TAGS)), max_size=8)


def test_an_entity_is_a_b_and_the_i_of_its_type() -> None:
    tags = ["B-PER", "I-PER", "O", "B-LOC", "B-LOC", "I-LOC", "B-PER", "I-LOC", "I-PER"]
    assert entities(tags) == [("PER", 0, 2), ("LOC", 3, 4), ("LOC", 4, 6), ("PER", 6, 7)]
    assert entities(["I-PER", "I-PER", "O", "I-LOC"]) == []
    assert entities([]) == []


@settings(deadline=None)
@given(sentences)
def test_entities_are_seqevals(tags: list[str]) -> None:
    theirs = [each.to_tuple() for each in Entities([tags], IOB2).entities[0]]
    assert [(0, *each) for each in entities(tags)] == theirs


@settings(deadline=None)
@given(st.lists(pairs_of_tags, min_size=1, max_size=6))
@example([[]])
@example([[("O", "O")]])
@example([[("O", "B-PER")]])
@example([[("B-PER", "I-PER"), ("I-PER", "I-PER")]])
def test_scores_are_seqevals(tagged: list[list[tuple[str, str]]]) -> None:
    gold, predicted = ([[pair[side] for pair in sentence] for sentence in tagged] for side in (0, 1))
    strict = {"mode": "strict", "scheme": IOB2, "zero_division": 0}
    ours = entity_scores(gold, predicted)
    micro = precision_recall_fscore_support(gold, predicted, average="micro", **strict)[:3]
    assert [ours.precision, ours.recall, ours.f1] == pytest.approx([100 * value for value in micro])
    each = precision_recall_fscore_support(gold, predicted, average=None, **strict)[:3]
    by_type = [[scores.precision, scores.recall, scores.f1] for scores in ours.by_type.values()]
    assert by_type == [pytest.approx([100 * value for value in row]) for row in zip(*each, strict=True)]
    assert list(ours.by_type) == sorted({kind for tags in gold + predicted for kind, _, _ in entities(tags)})


def test_half_an_entity_is_none() -> None:
    gold = [["B-PER", "I-PER", "O", "B-LOC"]]
    scores = entity_scores(gold, [["B-PER", "O", "O", "B-LOC"]])
    assert (scores.precision, scores.recall, scores.f1) == (50.0, 50.0, 50.0)
    assert scores.by_type["PER"].f1 == 0.0 and scores.by_type["LOC"].f1 == 100.0
    assert entity_scores(gold, [["I-PER", "I-PER", "O", "I-LOC"]]).f1 == 0.0, "IOB1 is not IOB2"
    assert entity_scores(gold, gold).f1 == 100.0


def test_an_entity_of_another_sentence_is_another_one() -> None:
    assert entity_scores([["B-PER"], ["O"]], [["O"], ["B-PER"]]).f1 == 0.0


@pytest.mark.parametrize("tag", ["B", "B-", "I", "E-PER", "NOUN", "", "b-PER", "O-PER", "PER"])
def test_what_is_no_tag_is_refused(tag: str) -> None:
    with pytest.raises(ValueError, match="is no tag of IOB2"):
        entities(["O", tag])


def test_what_cannot_be_compared_is_refused() -> None:
    with pytest.raises(ValueError, match="0 sentences"):
        entity_scores([], [])
    with pytest.raises(ValueError, match="1 sentences cannot be compared with those of 2"):
        entity_scores([["O"], ["O"]], [["O"]])
    with pytest.raises(ValueError, match="sentence 2 has 2 words and 1 predicted"):
        entity_scores([["O"], ["O", "O"]], [["O"], ["O"]])

"""Answers by their characters, from contexts of one row and of several, and from nothing."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from trials import CONTEXT, QUESTIONS, UNANSWERABLE, made, overfit, perfect, question, settled, tell, untrained

from daybreak.systems.language.assets import Reader
from daybreak.systems.language.examples import Question, Span
from daybreak.systems.language.tasks import answer
from daybreak.systems.language.tasks.answer import ANSWER, Cut
from daybreak.systems.language.wordpiece import encode


@pytest.mark.parametrize("examples", [QUESTIONS, UNANSWERABLE], ids=["answers", "some without"])
def test_answers_are_learned_from_contexts_longer_than_a_row(examples: list[Question], reader: Reader) -> None:
    config = settled()
    rows = [len(item.tokens) for item in ANSWER.items(examples, reader, (), config)]
    assert rows[0] > 3 and rows[3] == 1
    trained = overfit(ANSWER, examples, reader, config)
    told = tell(ANSWER, trained, examples, reader, config)
    assert trained.loss < 0.1
    for answers, example in zip(told, examples, strict=True):
        assert answers[0].text == (example.answers[0].text if example.answers else "")
        assert example.context[answers[0].start : answers[0].end] == answers[0].text
        assert answers[0].probability > 0.5 and len(answers) <= answer.BEST
    assert ANSWER.scores(examples, told) == {"f1": 100, "exact_match": 100}


@st.composite
def contexts(draw: st.DrawFn) -> tuple[str, Span]:
    """A context with accents, capitals, other scripts and odd spaces, and an answer of whole words."""
    words = st.sampled_from(
        ["the", "Émile", "ZOLA", "naïve", "書", "it's", "co-op", "ﬁne", "I\u0307zmir", "cat", ".", "x1"]
    )
    chosen = draw(st.lists(st.tuples(words, st.sampled_from([" ", "  ", "\n", "\u00a0"])), min_size=1, max_size=40))
    begins = np.cumsum([0, *(len(word) + len(space) for word, space in chosen)])
    first = draw(st.integers(0, len(chosen) - 1))
    last = draw(st.integers(first, min(first + 2, len(chosen) - 1)))
    context = "".join(word + space for word, space in chosen)
    start, end = int(begins[first]), int(begins[last]) + len(chosen[last][0])
    return context, Span(context[start:end], start)


@given(contexts())
@settings(deadline=None, max_examples=100)
def test_the_target_of_an_answer_is_its_characters_in_every_row_that_has_it(
    reader: Reader, drawn: tuple[str, Span]
) -> None:
    context, span = drawn
    (item,) = ANSWER.items([Question("who ?", context, (span,))], reader, (), settled(length=40))
    cut: Cut = item.cut
    assert item.target is not None
    found = 0
    for tokens, (first, end), (begin, last) in zip(item.tokens, cut.pieces, item.target.reshape(-1, 2), strict=True):
        whole = cut.offsets[first][0] <= span.start and span.start + len(span.text) <= cut.offsets[end - 1][1]
        assert len(tokens) == cut.before + end - first + 1
        assert (begin > 0) == (last > 0) == whole
        if whole:
            found += 1
            start, stop = cut.offsets[first + begin - cut.before][0], cut.offsets[first + last - cut.before][1]
            assert context[start:stop] == span.text
    assert found or len(encode(reader.tokenizer, [span.text])[0].ids) > 20


@given(contexts())
@settings(deadline=None, max_examples=50)
def test_an_answer_is_told_by_the_characters_that_it_was_marked_by(reader: Reader, drawn: tuple[str, Span]) -> None:
    context, span = drawn
    examples = [Question("who ?", context, (span,))]
    items = ANSWER.items(examples, reader, (), settled(length=63, stride=10))
    net = made(ANSWER, QUESTIONS, reader, settled())
    ((best, *_),) = ANSWER.tell(net, [perfect(ANSWER, items[0], ())], items, examples, ())
    assert best.text == span.text and context[best.start : best.end] == span.text


def test_an_answer_within_a_word_is_the_pieces_that_have_it(reader: Reader) -> None:
    (item,) = ANSWER.items([Question("who ?", "the xyzzy sat", (Span("zz", 6),))], reader, (), settled())
    assert item.target is not None
    pieces = [reader.tokenizer.id_to_token(item.tokens[0][place]) for place in item.target]
    assert pieces == ["##z", "##z"] and item.target[1] == item.target[0] + 1


def test_words_of_the_question_are_marked_in_it_and_in_the_context(reader: Reader) -> None:
    (item,) = ANSWER.items([Question("who sat ?", "the cat sat , sat")], reader, (), settled())
    pieces = [reader.tokenizer.id_to_token(piece) for piece in item.tokens[0]]
    marks = dict(zip(zip(pieces, item.segments[0] % 2, strict=True), item.segments[0] // 2, strict=True))
    assert marks["sat", 0] == marks["sat", 1] == 1
    assert {place for place, mark in marks.items() if mark} == {("sat", 0), ("sat", 1)}
    assert marks["[CLS]", 0] == marks["[SEP]", 0] == marks["[SEP]", 1] == 0


def test_an_answerer_begins_by_reading_marked_words_as_before(reader: Reader) -> None:
    net = made(ANSWER, QUESTIONS, reader, settled())
    weights = net.bert.embeddings.segments.weight
    assert len(weights) == 4 and weights[2:].equal(weights[:2]) and not weights[0].equal(weights[1])


def test_a_question_longer_than_half_a_row_is_cut(reader: Reader) -> None:
    (item,) = ANSWER.items([question("who sat ? " * 20, CONTEXT, "Rome")], reader, (), settled(length=20))
    assert max(map(len, item.tokens)) == 20
    assert all(row.tolist().index(reader.special.sep) == 11 for row in item.tokens)


@pytest.mark.parametrize("examples", [QUESTIONS, UNANSWERABLE], ids=["answers", "some without"])
def test_an_empty_context_has_no_answer(examples: list[Question], reader: Reader) -> None:
    trained = untrained(ANSWER, examples, reader, settled())
    told = tell(ANSWER, trained, [Question("who ?", ""), Question("", " "), Question("", "cat")], reader, settled())
    none = [""] if examples is UNANSWERABLE else []
    assert [[each.text for each in answers] for answers in told[:2]] == [none, none]
    assert "cat" in [each.text for each in told[2]]

"""SQuAD's JSON: answers stand where they should, or the question is named."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from daybreak.engine.errors import UserError
from daybreak.systems.language.examples import Question, Span
from daybreak.systems.language.formats.questions import read_squad

CONTEXT = 'Ada Byron, née 🙂 in London,\nwrote "notes" on the Engine in 1843; London read them.'


def asked(name: str, *answers: tuple[str, int], **more: Any) -> dict[str, Any]:
    given = [{"text": text, "answer_start": start} for text, start in answers]
    return {"id": name, "question": f" Who is {name}? ", "answers": given, **more}


def squad(qas: list[dict[str, Any]], version: str = "1.1", context: str = CONTEXT) -> str:
    return json.dumps(
        {"data": [{"title": "Ada", "paragraphs": [{"context": context, "qas": qas}]}], "version": version}
    )


def write(folder: Path, content: str) -> Path:
    path = folder / "file.json"
    path.write_bytes(content.encode())
    return path


def test_squad_1_is_read_in_order_with_all_answers(tmp_path: Path) -> None:
    london = [("London", CONTEXT.index("London")), ("London", CONTEXT.rindex("London"))]
    paragraphs = [
        {"context": f"{CONTEXT} {n}", "qas": [asked(f"q{n}-{i}", *london) for i in range(5)]} for n in range(10)
    ]
    data = [{"title": "A", "paragraphs": paragraphs[:4]}, {"title": "B", "paragraphs": paragraphs[4:]}]
    read = read_squad(write(tmp_path, "\ufeff" + json.dumps({"data": data, "version": "1.1"})))
    assert [question.name for question in read] == [f"q{n}-{i}" for n in range(10) for i in range(5)]
    spans = tuple(Span(*each) for each in london)
    assert read[11] == Question("Who is q2-1?", f"{CONTEXT} 2", spans, "q2-1")
    assert read[0].context is read[4].context, "a context is there once, however many questions it has"


def test_squad_2_has_questions_without_an_answer(tmp_path: Path) -> None:
    qas = [
        asked("a", ("Ada", 0), is_impossible=False),
        asked("b", is_impossible=True, plausible_answers=[{"text": "Ada", "answer_start": 0}]),
        asked("c"),
    ]
    answers = [question.answers for question in read_squad(write(tmp_path, squad(qas, "v2.0")))]
    assert answers == [(Span("Ada", 0),), (), ()]


def test_positions_are_in_characters_of_python(tmp_path: Path) -> None:
    start = CONTEXT.index("London")
    (question,) = read_squad(write(tmp_path, squad([asked("a", ("London", start))])))
    assert CONTEXT[start : start + 6] == question.answers[0].text and len(CONTEXT[:start].encode()) > start


@pytest.mark.parametrize("answer", [("London", 17), ("them.", -5), ("london", 18), ("", 3), ("Ada", 10**30)])
def test_an_answer_that_is_not_where_it_should_be_names_its_question(tmp_path: Path, answer: tuple[str, int]) -> None:
    qas = [asked("good", ("Ada", 0)), asked("56be4db0acb8000", ("Ada", 0), answer)]
    with pytest.raises(UserError, match=r"file\.json, question 56be4db0acb8000: the answer .* is not in the context"):
        read_squad(write(tmp_path, squad(qas)))


@pytest.mark.parametrize(("content", "told"), [
    ('{"data": [\n{]}', r"file\.json, line 2: this is no JSON"),
    ("[]", "there is no 'data' that is a list"),
    ('{"data": [{"title": "A"}]}', "article 1: there is no 'paragraphs' that is a list"),
    ('{"data": [{"paragraphs": [{"qas": []}]}]}', "article 1: there is no 'context' that is a text"),
    ('{"data": [{"paragraphs": [{"context": "a"}]}]}', "article 1: there is no 'qas' that is a list"),
    (squad([{"question": "Who?", "answers": []}]), "article 1: there is no 'id' that is a text"),
    (squad([{"id": "q1", "answers": []}]), "question q1: there is no 'question' that is a text"),
    (squad([{"id": "q1", "question": "Who?"}]), "question q1: there is no 'answers' that is a list"),
    (squad([{"id": "q1", "question": "Who?", "answers": ["Ada"]}]), "question q1: there is no 'text' that is a text"),
    (squad([{"id": "q1", "question": "Who?", "answers": [{"text": "Ada", "answer_start": "0"}]}]),
     "question q1: there is no 'answer_start' that is a whole number"),
])  # fmt: skip
def test_what_is_not_as_in_squad_is_named(tmp_path: Path, content: str, told: str) -> None:
    with pytest.raises(UserError, match=told) as mistake:
        read_squad(write(tmp_path, content))
    assert "file.json" in str(mistake.value) and "\n" not in str(mistake.value)


@pytest.mark.realdata
def test_the_real_files_have_the_published_counts(real_data: Callable[[str], Path]) -> None:
    folder = real_data("squad") / "squad"
    counts = {
        "squadshifts_new_wiki.json": 7_938, "squadshifts_amazon_reviews.json": 9_885, "squadshifts_reddit.json": 9_803,
        "xquad.en.json": 1_190, "xquad.de.json": 1_190,
    }  # fmt: skip
    read = {name: read_squad(folder / name) for name in counts}
    assert {name: len(questions) for name, questions in read.items()} == counts
    assert all(question.answers for questions in read.values() for question in questions)
    for official, count in (("dev-v1.1.json", 10_570), ("dev-v2.0.json", 11_873)):  # where somebody has them
        if (folder / official).exists():
            assert len(read_squad(folder / official)) == count

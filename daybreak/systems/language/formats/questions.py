"""Questions whose answers are spans of a context: SQuAD's JSON, versions 1.1 and 2.0 (Rajpurkar et al. 2016, 2018)."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from daybreak.engine.errors import UserError
from daybreak.systems.language.examples import Question, Span
from daybreak.systems.language.formats.files import member, read_json


def read_squad(path: Path) -> list[Question]:
    """All questions, in the order of the file; those that are ``is_impossible`` have no answers.

    Raises UserError naming the question whose answer does not stand where it should, and what is not as in SQuAD.
    """
    articles = member(read_json(path), "data", list, str(path))
    return [
        question
        for number, article in enumerate(articles, 1)
        for paragraph in member(article, "paragraphs", list, f"{path}, article {number}")
        for question in _of_paragraph(path, f"{path}, article {number}", paragraph)
    ]


def _of_paragraph(path: Path, where: str, paragraph: Any) -> Iterator[Question]:
    context = member(paragraph, "context", str, where)
    for asked in member(paragraph, "qas", list, where):
        name = member(asked, "id", str, where)
        here = f"{path}, question {name}"
        impossible = asked.get("is_impossible") is True
        answers = [] if impossible else member(asked, "answers", list, here)
        spans = tuple(_span(answer, context, here) for answer in answers)
        yield Question(member(asked, "question", str, here).strip(), context, spans, name)


def _span(answer: Any, context: str, where: str) -> Span:
    text, start = member(answer, "text", str, where), member(answer, "answer_start", int, where)
    if not text or start < 0 or not context.startswith(text, start):
        raise UserError(f"{where}: the answer {text!r} is not in the context at character {start}: mend answer_start")
    return Span(text, start)

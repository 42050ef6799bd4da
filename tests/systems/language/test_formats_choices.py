"""DREAM, SWAG and a user's own multiple choice."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from daybreak.engine.errors import UserError
from daybreak.systems.language.examples import Choice
from daybreak.systems.language.formats.choices import read_dream, read_own, read_swag

DIALOGUES = [
    [
        [f"M: Is there a train at {hour}?", "W: No, sir. \"Never\" before noon.", "M: Oh."],
        [
            {"question": "Where are they?", "choice": ["At home.", f"At {hour}.", "In bed."], "answer": f"At {hour}."},
            {"question": "Who asks?", "choice": ["The man.", "The woman.", "Nobody."], "answer": "The man."},
        ],
        f"5-{hour}",
    ]
    for hour in range(25)
]  # fmt: skip
SWAG = ["", "video-id", "fold-ind", "startphrase", "sent1", "sent2", "gold-source", *(f"ending{i}" for i in range(4))]


def write(folder: Path, content: str, name: str = "file.json") -> Path:
    path = folder / name
    path.write_bytes(content.encode())
    return path


def test_dreams_dialogues_become_contexts_and_answers_numbers(tmp_path: Path) -> None:
    read = read_dream(write(tmp_path, json.dumps(DIALOGUES)))
    assert len(read) == 50
    context = 'M: Is there a train at 0?\nW: No, sir. "Never" before noon.\nM: Oh.'
    assert read[:2] == [
        Choice(context, "Where are they?", ("At home.", "At 0.", "In bed."), 1),
        Choice(context, "Who asks?", ("The man.", "The woman.", "Nobody."), 0),
    ]
    assert read_dream(write(tmp_path, "\ufeff" + json.dumps(DIALOGUES, indent=1).replace("\n", "\r\n"))) == read
    assert read_dream(write(tmp_path, "[]")) == []


def with_question(**changes: Any) -> list[Any]:
    asked = {"question": "Who?", "choice": ["a", "b"], "answer": "a"} | changes
    return [*DIALOGUES[:1], [["M: a."], [{name: value for name, value in asked.items() if value is not None}], "7-1"]]


@pytest.mark.parametrize(("content", "told"), [
    ("[", r"file\.json: this is no JSON"),
    ("[[\n],\n[,\n]", r"file\.json, line 3: this is no JSON"),
    ('{"data": []}', "not a JSON list of dialogues"),
    (json.dumps([["M: a."]]), r"dialogue 1 is not \[turns, questions, id\]"),
    (json.dumps([["M: a.", [], "1"]]), r"dialogue 1 is not \[turns, questions, id\]"),
    (json.dumps([[[5], [], "1-1"]]), r"dialogue 1 \(1-1\): 5 in 'turns' is no text"),
    (json.dumps(with_question(answer="c")), r"dialogue 2 \(7-1\): the answer 'c' is none of the choices"),
    (json.dumps(with_question(answer=None)), r"dialogue 2 \(7-1\): there is no 'answer' that is a text"),
    (json.dumps(with_question(question=3)), r"dialogue 2 \(7-1\): there is no 'question' that is a text"),
    (json.dumps(with_question(choice=["a"])), r"dialogue 2 \(7-1\): 1 in 'choice' leave nothing to choose"),
    (json.dumps(with_question(choice="ab")), r"dialogue 2 \(7-1\): there is no 'choice' that is a list"),
    (json.dumps([[["M: a."], ["Who?"], "1-1"]]), r"dialogue 1 \(1-1\): there is no 'choice'"),
])  # fmt: skip
def test_a_mistake_in_a_dream_file_is_told_with_its_dialogue(tmp_path: Path, content: str, told: str) -> None:
    with pytest.raises(UserError, match=told) as mistake:
        read_dream(write(tmp_path, content))
    assert "file.json" in str(mistake.value) and "\n" not in str(mistake.value)


def swag(rows: int, end: str = "\n", **changes: str) -> str:
    """As the public file: a nameless column of numbers comes first, and the label last."""
    table = io.StringIO(newline="")
    writer = csv.DictWriter(table, [*SWAG, "label"], lineterminator=end)
    writer.writeheader()
    for i in range(rows):
        first = {"": i, "video-id": f"anetv_{i}", "fold-ind": 34, "startphrase": f'Man {i}, "old", sits. He'}
        sentences = {"sent1": f'Man {i}, "old", sits.', "sent2": "He", "gold-source": "gold", "label": i % 4}
        writer.writerow(first | sentences | {f"ending{k}": f"ends, {k}." for k in range(4)} | changes)
    return table.getvalue()


@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_swag_is_read_from_its_csv(tmp_path: Path, end: str) -> None:
    content = swag(50, end)
    assert content.startswith(",video-id,fold-ind,startphrase,sent1,sent2,gold-source,ending0,")
    read = read_swag(write(tmp_path, content, "val.csv"))
    assert len(read) == 50
    assert read[6] == Choice('Man 6, "old", sits.', "He", ("ends, 0.", "ends, 1.", "ends, 2.", "ends, 3."), 2)


def test_swags_test_file_has_no_labels(tmp_path: Path) -> None:
    without = "".join(f"{line.rpartition(',')[0]}\n" for line in swag(3).splitlines())
    assert [choice.label for choice in read_swag(write(tmp_path, without, "test.csv"))] == [None] * 3


@pytest.mark.parametrize(("label", "told"), [("4", "label 4 is no option: they are 0 to 3"), ("x", "label 'x' is no")])
def test_a_label_that_is_no_option_is_told_with_its_line(tmp_path: Path, label: str, told: str) -> None:
    content = swag(2) + swag(1, label=label).splitlines()[1] + "\n"
    with pytest.raises(UserError, match=rf"val\.csv, line 4: {told}"):
        read_swag(write(tmp_path, content, "val.csv"))


TEXT = st.text(max_size=20)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(TEXT, TEXT, st.lists(TEXT, min_size=2, max_size=5)), max_size=4), st.data())
def test_what_is_written_into_an_own_file_is_read_from_it(
    tmp_path_factory: pytest.TempPathFactory, rows: list[tuple[str, str, list[str]]], data: st.DataObject
) -> None:
    labels = [data.draw(st.none() | st.integers(0, len(options) - 1)) for *_, options in rows]
    expected = [Choice(c, q, tuple(o), label) for (c, q, o), label in zip(rows, labels, strict=True)]
    lines = [
        {"context": each.context, "question": each.question, "options": each.options, "label": each.label}
        for each in expected
    ]
    content = "".join(json.dumps(line) + "\n" for line in lines)
    assert read_own(write(tmp_path_factory.getbasetemp(), content, "own.jsonl")) == expected


def test_an_own_question_may_do_without_context_and_label(tmp_path: Path) -> None:
    content = '{"question": "Which?", "options": ["a", "b"]}\r\n'
    assert read_own(write(tmp_path, content)) == [Choice("", "Which?", ("a", "b"))]


@pytest.mark.parametrize(("content", "told"), [
    ('{"question": "Which?"}', "there is no 'options' that is a list"),
    ('{"options": ["a", "b"]}', "there is no column question"),
    ('{"question": "Which?", "options": ["a", 1]}', "1 in 'options' is no text"),
    ('{"question": "Which?", "options": ["a", "b"], "label": "a"}', "there is no 'label' that is a whole number"),
    ('{"question": "Which?", "options": ["a", "b"], "label": true}', "there is no 'label' that is a whole number"),
    ('{"question": "Which?", "options": ["a", "b"], "label": -1}', "label -1 is no option: they are 0 to 1"),
])  # fmt: skip
def test_a_mistake_in_an_own_file_is_told_with_its_line(tmp_path: Path, content: str, told: str) -> None:
    good = '{"question": "Which?", "options": ["a", "b"], "label": 0}\n'
    with pytest.raises(UserError, match=rf"own\.jsonl, line 2: {told}"):
        read_own(write(tmp_path, good + content, "own.jsonl"))


@pytest.mark.realdata
def test_the_real_dream_has_the_published_counts(real_data: Callable[[str], Path]) -> None:
    dream = real_data("dream") / "dream"
    counts = {"train.json": 6_116, "dev.json": 2_040, "test.json": 2_041}
    read = {name: read_dream(dream / name) for name in counts}
    assert {name: len(choices) for name, choices in read.items()} == counts
    assert {len(choice.options) for choices in read.values() for choice in choices} == {3}

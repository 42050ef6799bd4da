"""What all tasks have in common: outputs that say what is known, batches, and empty texts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
import torch
from trials import (
    ALIKE,
    CHOICES,
    CPU,
    ENTITIES,
    PAIRS,
    QUESTIONS,
    SENTENCES,
    UNANSWERABLE,
    WORDS,
    perfect,
    settled,
    tell,
    untrained,
)

from daybreak.systems.language.assets import Reader
from daybreak.systems.language.examples import Choice, Example, Pair, Question, Span, Tagged
from daybreak.systems.language.finetune import outputs_of
from daybreak.systems.language.tasks.answer import ANSWER
from daybreak.systems.language.tasks.choose import CHOOSE
from daybreak.systems.language.tasks.classify import CLASSIFY
from daybreak.systems.language.tasks.similarity import SIMILARITY
from daybreak.systems.language.tasks.tag import TAG
from daybreak.systems.language.tasks.task import Task, collate


def truths(task: Task, examples: Sequence[Any]) -> list[Any]:
    if task is TAG:
        return [each.tags for each in examples]
    if task is ANSWER:
        return [each.answers[0] if each.answers else Span("", 0) for each in examples]
    return [each.label for each in examples]


@pytest.mark.parametrize(
    ("task", "examples", "changes"),
    [
        (CLASSIFY, SENTENCES, {}),
        (SIMILARITY, ALIKE, {"encoder": "cross"}),
        (SIMILARITY, ALIKE, {"encoder": "bi"}),
        (CHOOSE, CHOICES, {}),
        (TAG, ENTITIES, {}),
        (TAG, ENTITIES, {"crf": True}),
        (ANSWER, QUESTIONS, {}),
        (ANSWER, UNANSWERABLE, {}),
    ],
    ids=["classify", "cross", "bi", "choose", "tag", "crf", "answer", "no answer"],
)
def test_a_target_is_told_as_the_label_that_it_was(
    task: Task, examples: list[Example], changes: dict[str, Any], reader: Reader
) -> None:
    config = settled(**changes)
    trained = untrained(task, examples, reader, config)
    items = task.items(examples, reader, trained.labels, config)
    outputs = [perfect(task, item, trained.labels) for item in items]
    told = task.tell(trained.net, outputs, items, examples, trained.labels)
    expected = truths(task, examples)
    if task is SIMILARITY:
        assert told == pytest.approx(expected, abs=1e-5)
    elif task is CLASSIFY:
        assert [each.label for each in told] == expected
    elif task is CHOOSE:
        assert [each.number for each in told] == expected
    elif task is ANSWER:
        assert [Span(each[0].text, each[0].start) for each in told] == expected
    else:
        assert told == expected


@torch.no_grad()
def test_a_perfect_network_loses_nothing_and_one_that_knows_nothing_as_much_as_chance(reader: Reader) -> None:
    windows = [len(row) for item in ANSWER.items(QUESTIONS, reader, (), settled()) for row in item.tokens]
    for task, examples, changes, chance in (
        (CLASSIFY, SENTENCES, {}, np.log(3)),
        (CHOOSE, CHOICES, {}, np.log([2, 4, 3]).mean()),
        (TAG, WORDS, {}, np.log(4)),
        (TAG, WORDS, {"crf": True}, np.log(4)),
        (ANSWER, QUESTIONS, {}, np.log(windows).mean()),
    ):
        config = settled(**changes)
        trained = untrained(task, examples, reader, config)
        items = task.items(examples, reader, trained.labels, config)
        outputs, batch = torch.cat([perfect(task, item, trained.labels) for item in items]), collate(items)
        assert task.loss(trained.net, outputs, batch) < 1e-6
        assert task.loss(trained.net, 0 * outputs, batch).item() == pytest.approx(chance)


@pytest.mark.parametrize(
    ("task", "examples"),
    [(CLASSIFY, PAIRS), (SIMILARITY, ALIKE), (CHOOSE, CHOICES), (TAG, ENTITIES), (ANSWER, QUESTIONS)],
    ids=["classify", "similarity", "choose", "tag", "answer"],
)
def test_what_is_said_of_an_example_does_not_depend_on_the_others(
    task: Task, examples: list[Example], reader: Reader
) -> None:
    config = settled(encoder="bi", length=16)
    trained = untrained(task, examples, reader, config)
    items = task.items(examples, reader, trained.labels, config)
    together = outputs_of(trained.net, items, CPU)
    backwards = outputs_of(trained.net, items[::-1], CPU, tokens=40)[::-1]
    for item, one, other in zip(items, together, backwards, strict=True):
        (alone,) = outputs_of(trained.net, [item], CPU)
        assert len(alone) == item.outputs
        torch.testing.assert_close(one, alone, rtol=0, atol=1e-5)
        torch.testing.assert_close(other, alone, rtol=0, atol=1e-5)


def test_without_labels_all_tasks_still_tell(reader: Reader) -> None:
    for task, examples, bare in (
        (CLASSIFY, SENTENCES, Pair("a fine film")),
        (SIMILARITY, ALIKE, Pair("a fine film", "the plot")),
        (CHOOSE, CHOICES, Choice("the cat sat", "who ?", ("a cat", "a man"))),
        (TAG, ENTITIES, Tagged(("a", "fine", "film"))),
        (ANSWER, QUESTIONS, Question("who sat ?", "the cat sat")),
    ):
        assert len(tell(task, untrained(task, examples, reader, settled()), [bare], reader, settled())) == 1


@pytest.mark.parametrize("crf", [False, True], ids=["softmax", "crf"])
def test_empty_texts_are_defined(crf: bool, reader: Reader) -> None:
    config = settled(crf=crf)
    odd = ("", " ", "\u200b", "\x00", "\u202e")
    for task, examples, empty in (
        (CLASSIFY, SENTENCES, [Pair(text) for text in odd]),
        (CLASSIFY, SENTENCES, [Pair(text, text) for text in odd]),
        (SIMILARITY, ALIKE, [Pair(text, text) for text in odd]),
        (CHOOSE, CHOICES, [Choice(text, text, (text, "the cat")) for text in odd]),
        (TAG, ENTITIES, [Tagged(()), Tagged(odd), Tagged(("the", "\u200b", "cat"))]),
    ):
        trained = untrained(task, examples, reader, config)
        told = tell(task, trained, empty, reader, config)
        outputs = outputs_of(trained.net, task.items(empty, reader, trained.labels, config), CPU)
        assert len(told) == len(empty) and all(each.isfinite().all() for each in outputs)
        if task is TAG:
            assert [len(each) for each in told] == [0, 5, 3]

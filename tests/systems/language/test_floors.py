"""Floors do what they say, seen on examples that can be worked out by hand."""

from __future__ import annotations

import functools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from daybreak.data import where
from daybreak.systems.language.claims import CLAIMS
from daybreak.systems.language.config import FINETUNE
from daybreak.systems.language.datasets import DATASETS, Splits
from daybreak.systems.language.examples import Choice, Pair, Question, Span, Tagged
from daybreak.systems.language.floors import floor, majority

GOOD, BAD = ("a lovely film", "lovely music", "so lovely and bright"), ("a dull film", "dull music", "so dull and grey")
SENTENCES = [*(Pair(text, None, "1") for text in GOOD), *(Pair(text, None, "0") for text in BAD)]


def test_a_sentence_has_the_class_of_its_words() -> None:
    test = [Pair("lovely people", None, "1"), Pair("dull people", None, "0"), Pair("one lovely day", None, "1")]
    what, scores = floor("classify", SENTENCES, test)
    assert "TF-IDF" in what
    assert (scores["accuracy"], scores["matthews"]) == (100.0, pytest.approx(100.0))


def test_most_frequent_class_is_a_floor_too() -> None:
    test = [Pair("lovely", None, "0"), Pair("dull", None, "1"), Pair("grey", None, "1")]
    train = [*SENTENCES, Pair("a film", None, "1")]
    _, scores = floor("classify", train, test)
    assert {each.label for each in majority(train, test)} == {"1"}
    assert scores["majority_accuracy"] == pytest.approx(200 / 3) and scores["majority_matthews"] == 0.0
    assert scores["accuracy"] < scores["majority_accuracy"]


def test_a_single_class_needs_no_words() -> None:
    what, scores = floor("classify", [Pair("a", None, "1"), Pair("b", None, "1")], [Pair("c", None, "1")])
    assert what == "the only class there is" and scores["accuracy"] == 100.0


def test_pairs_are_alike_that_have_words_in_common() -> None:
    train = [
        *(Pair(f"the {one} sat on a mat", f"on a mat sat the {one}", "same") for one in ("cat", "dog", "hen", "cow")),
        *(Pair(f"the {one} sat on a mat", "prices rose again in May", "other") for one in ("cat", "dog", "hen", "cow")),
    ]
    test = [Pair("two boys ran home", "home ran two boys", "same"), Pair("two boys ran home", "nobody came", "other")]
    what, scores = floor("classify", train, test)
    assert "in common" in what and scores["accuracy"] == 100.0 and scores["majority_accuracy"] == 50.0


def test_empty_sentences_have_nothing_in_common() -> None:
    train = [Pair("one two", "one two", "same"), Pair("", "", "other"), Pair("one", "", "other")]
    assert floor("classify", train, [Pair("", "", "other")])[1]["accuracy"] == 100.0


def test_similarity_is_the_cosine_of_rare_words() -> None:
    train = [Pair("the old man walks", "the young man sleeps", 1.0), Pair("the sea shines", "the moon shines", 2.0)]
    test = [
        Pair("the old sea", "the old sea", 5.0),
        Pair("the old sea", "the old moon", 3.0),
        Pair("the old sea", "the young moon", 1.0),
        Pair("the old sea", "", 0.0),
    ]
    what, scores = floor("similarity", train, test)
    assert "TF-IDF" in what and scores["spearman"] == pytest.approx(100.0) and scores["pearson"] > 90


def test_an_option_is_chosen_by_its_words() -> None:
    context = "M: The train leaves at nine.\nW: Then we take the bus."
    test = [
        Choice(context, "How do they go?", ("By plane.", "They take the bus.", "On foot, the two."), 1),
        Choice(context, "When?", ("At nine.", "At noon.", "Never."), 0),
        Choice(context, "Who?", ("Nobody", "...", ""), 0),
        Choice(context, "Where?", ("The train.", "Zürich", "Rome"), 1),
    ]
    assert floor("choose", [], test) == ("the option with the largest share of its words in the context",
                                         {"accuracy": 75.0})  # fmt: skip


def test_a_word_has_its_most_frequent_tag() -> None:
    train = [
        Tagged(("The", "run", "was", "long"), ("DET", "NOUN", "AUX", "ADJ")),
        Tagged(("They", "run", "to", "Rome"), ("PRON", "VERB", "ADP", "PROPN")),
        Tagged(("We", "run"), ("PRON", "VERB")),
        Tagged(("we", "met", "Ann", "Lee"), ("PRON", "VERB", "PROPN", "PROPN")),
        Tagged(("hens", "cats", "dogs"), ("NOUN", "NOUN", "NOUN")),
    ]
    test = [Tagged(("They", "run", "Zoe", "hats"), ("PRON", "VERB", "PROPN", "NOUN")), Tagged(("run",), ("NOUN",))]
    assert floor("tag", train, test) == ("most frequent tag of each word", {"accuracy": 80.0})


def test_entities_are_the_longest_that_training_has() -> None:
    train = [
        Tagged(("Ann", "saw", "New", "York"), ("B-PER", "O", "B-LOC", "I-LOC")),
        Tagged(("New", "York", "Times", "and", "Ann"), ("B-ORG", "I-ORG", "I-ORG", "O", "B-LOC")),
        Tagged(("Ann", "Ann"), ("B-PER", "B-PER")),
    ]
    test = [
        Tagged(("New", "York", "Times", "of", "New", "York"), ("B-ORG", "I-ORG", "I-ORG", "O", "B-LOC", "I-LOC")),
        Tagged(("Ann", "and", "Bob", "New"), ("B-PER", "O", "B-PER", "O")),
    ]
    what, scores = floor("tag", train, test)
    assert "longest match" in what
    assert (scores["precision"], scores["recall"]) == (100.0, 75.0)
    assert floor("tag", [Tagged(("a",), ("O",))], test)[1]["f1"] == 0.0


def test_an_answer_is_the_sentence_with_most_words_of_the_question() -> None:
    context = "Ann came in May. Bob came home late in June! Nobody left."
    test = [
        Question("When did Bob come home?", context, (Span("Bob came home late in June!", 17),)),
        Question("Who left?", context, (Span("Nobody", 45),)),
        Question("Who?", "", ()),
    ]
    what, scores = floor("answer", [], test)
    assert "sentence" in what
    assert scores["exact_match"] == pytest.approx(200 / 3)
    assert scores["f1"] == pytest.approx(100 * (1 + 2 / 3 + 1) / 3)


CLAIMED = [name for name in CLAIMS if name != "pretrain-mini" and not name.endswith("-from-scratch")]


@pytest.mark.realdata
@pytest.mark.parametrize("name", CLAIMED)
def test_the_floors_of_the_claims_are_what_counting_words_reaches(name: str, real_data: Callable[[str], Path]) -> None:
    claim = CLAIMS[name]
    data = {**vars(FINETUNE[claim.preset]()), **claim.flags}["data"]
    real_data(where.find(data).folder)
    splits = splits_of(data)
    floors = {metric: target.floor[1] for metric, target in claim.metrics.items() if target.floor}
    assert floors
    for metric, claimed in floors.items():
        part = next(part for part in splits.test if metric.startswith(f"{part}_"))
        _, numbers = floor(DATASETS[data].task, splits.train, splits.test[part])
        assert numbers[metric.removeprefix(f"{part}_")] == pytest.approx(claimed, abs=0.06), metric


@pytest.mark.realdata
@pytest.mark.parametrize(("folder", "name", "part", "metric", "value"), [
    ("glue/CoLA", "cola", "glue_dev", "matthews", 12.5),
    ("sick", "sick-relatedness", "test", "pearson", 62.1),
    ("wnut17", "wnut17", "test", "f1", 0.0),
])  # fmt: skip
def test_floors_of_the_other_public_sets_stay_what_they_are(
    real_data: Callable[[str], Path], folder: str, name: str, part: str, metric: str, value: float
) -> None:
    real_data(folder)
    dataset, splits = DATASETS[name], splits_of(name)
    assert floor(dataset.task, splits.train, splits.test[part])[1][metric] == pytest.approx(value, abs=0.3)


@functools.cache
def splits_of(name: str) -> Splits[Any]:
    return DATASETS[name].read()

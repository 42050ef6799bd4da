"""What each task yields to counting words and looking them up: a network that does not beat it has learned nothing."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Any

import numpy as np

from daybreak.metrics.entities import entities
from daybreak.systems.language.examples import Choice, Pair, Question, Tagged
from daybreak.systems.language.model.spans import Answer
from daybreak.systems.language.tasks.choose import Chosen
from daybreak.systems.language.tasks.classify import Class
from daybreak.systems.language.tasks.table import TASKS
from daybreak.systems.language.tasks.tag import is_iob2

WORD = re.compile(r"\w+")
SENTENCE_END = re.compile(r"(?<=[.!?])\s+")
REGULARISATION = 4.0
"""Logistic regression's C for TF-IDF: its values are small, and 1 would hold the weights back."""


def floor(task: str, train: Sequence[Any], test: Sequence[Any]) -> tuple[str, dict[str, float]]:
    """What is done without a network, in a line, and what the task's own metrics say of it, in percent.

    Classes have also ``majority_...``: the scores of saying the most frequent class of the training examples.

    Args:
        task: classify, similarity, choose, tag or answer.
        train: labelled examples to count words in.
        test: labelled examples.

    """
    what, told = FLOORS[task](train, test)
    scores = TASKS[task].scores
    numbers = scores(test, told)
    if task == "classify":
        numbers |= {f"majority_{name}": value for name, value in scores(test, majority(train, test)).items()}
    return what, numbers


def majority(train: Sequence[Pair], test: Sequence[Pair]) -> list[Class]:
    """The most frequent class for everything."""
    label, _ = Counter(str(each.label) for each in train).most_common(1)[0]
    return [Class(label, 1.0, {})] * len(test)


def classify(train: Sequence[Pair], test: Sequence[Pair]) -> tuple[str, list[Class]]:
    """Logistic regression, of a sentence's words or of what a pair has in common."""
    from sklearn.linear_model import LogisticRegression

    classes = [str(each.label) for each in train]
    if len(set(classes)) == 1:
        return "the only class there is", majority(train, test)
    if train[0].second is None:
        what = "logistic regression of TF-IDF of words and pairs of words"
        known, asked = _tf_idf([each.first for each in train], [each.first for each in test])
        model = LogisticRegression(C=REGULARISATION, max_iter=1_000)
    else:
        what = "logistic regression of the share of words and pairs of words that two sentences have in common"
        known, asked = (np.array([_in_common(each) for each in examples]) for examples in (train, test))
        model = LogisticRegression(max_iter=1_000)
    labels = model.fit(known, classes).predict(asked)
    return what, [Class(str(label), 1.0, {}) for label in labels]


def similarity(train: Sequence[Pair], test: Sequence[Pair]) -> tuple[str, list[float]]:
    """The cosine of two sentences' TF-IDF vectors."""
    from sklearn.feature_extraction.text import TfidfVectorizer

    vectorizer = TfidfVectorizer(sublinear_tf=True)
    vectorizer.fit([text or "" for each in train for text in (each.first, each.second)])
    first = vectorizer.transform([each.first for each in test])
    second = vectorizer.transform([each.second or "" for each in test])
    return "cosine of TF-IDF vectors", np.asarray(first.multiply(second).sum(1)).ravel().tolist()


def choose(train: Sequence[Choice], test: Sequence[Choice]) -> tuple[str, list[Chosen]]:
    """The option with the largest share of its words in the context; the first of equals."""
    told: list[Chosen] = []
    for example in test:
        context = set(_words(example.context))
        shares = [np.mean([word in context for word in _words(option)] or [0.0]) for option in example.options]
        best = int(np.argmax(shares))
        told.append(Chosen(example.options[best], best, ()))
    return "the option with the largest share of its words in the context", told


def tag(train: Sequence[Tagged], test: Sequence[Tagged]) -> tuple[str, list[tuple[str, ...]]]:
    """The most frequent tag of each word, or the training entities wherever their words stand."""
    if is_iob2([tag for example in train for tag in example.tags or ()]):
        known = _gazetteer(train)
        return "entities of the training examples, longest match", [_look_up(example.words, known) for example in test]
    guess = _most_frequent_tags(train)
    return "most frequent tag of each word", [tuple(map(guess, example.words)) for example in test]


def answer(train: Sequence[Question], test: Sequence[Question]) -> tuple[str, list[list[Answer]]]:
    """The sentence of the context that has most words of the question."""
    told: list[list[Answer]] = []
    for example in test:
        asked = set(_words(example.question))
        sentences = SENTENCE_END.split(example.context)
        best = max(sentences, key=lambda sentence: len(asked.intersection(_words(sentence))))
        start = example.context.index(best)
        told.append([Answer(best, start, start + len(best), 0.0, 1.0)])
    return "the sentence of the context with most words of the question", told


FLOORS: dict[str, Callable[[Sequence[Any], Sequence[Any]], tuple[str, list[Any]]]] = {
    "classify": classify,
    "similarity": similarity,
    "choose": choose,
    "tag": tag,
    "answer": answer,
}
"""What is done for each task, and what it tells of the test examples: as a task's ``tell`` does."""


def _words(text: str) -> list[str]:
    return WORD.findall(text.lower())


def _tf_idf(train: list[str], test: list[str]) -> tuple[Any, Any]:
    """Sparse matrices, a row a text."""
    from sklearn.feature_extraction.text import TfidfVectorizer

    vectorizer = TfidfVectorizer(ngram_range=(1, 2))
    return vectorizer.fit_transform(train), vectorizer.transform(test)


def _in_common(pair: Pair) -> list[float]:
    """Words and pairs of words that are in both sentences, as a share of all, of the fewer and of the more."""
    first, second = _words(pair.first), _words(pair.second or "")
    features = [float(abs(len(first) - len(second)))]
    for here, there in ((set(first), set(second)), (set(pairwise(first)), set(pairwise(second)))):
        wholes = len(here | there), min(len(here), len(there)), max(len(here), len(there))
        features += [len(here & there) / max(whole, 1) for whole in wholes]
    return features


def _most_frequent_tags(train: Sequence[Tagged]) -> Callable[[str], str]:
    """Guesses a word's tag. A new word has the tag of most words that were seen once, capitalised as it is."""
    seen: defaultdict[str, Counter[str]] = defaultdict(Counter)
    for example in train:
        for word, tag in zip(example.words, example.tags or (), strict=True):
            seen[word][tag] += 1
    rare = {True: Counter[str](), False: Counter[str]()}
    for word, tags in seen.items():
        if tags.total() == 1:
            rare[word[:1].isupper()].update(tags)
    every = Counter(tag for example in train for tag in example.tags or ())
    best = {word: tags.most_common(1)[0][0] for word, tags in seen.items()}
    new = {capital: (tags or every).most_common(1)[0][0] for capital, tags in rare.items()}
    return lambda word: best.get(word) or new[word[:1].isupper()]


def _gazetteer(train: Sequence[Tagged]) -> dict[tuple[str, ...], str]:
    """The most frequent type of every entity, by its words."""
    types: defaultdict[tuple[str, ...], Counter[str]] = defaultdict(Counter)
    for example in train:
        for kind, first, end in entities(example.tags or ()):
            types[example.words[first:end]][kind] += 1
    return {words: kinds.most_common(1)[0][0] for words, kinds in types.items()}


def _look_up(words: tuple[str, ...], known: dict[tuple[str, ...], str]) -> tuple[str, ...]:
    """Tags of a sentence: from left to right, the longest entity that is known."""
    longest = max(map(len, known), default=0)
    tags: list[str] = []
    while len(tags) < len(words):
        here = words[len(tags) : len(tags) + longest]
        size = next((size for size in range(len(here), 0, -1) if here[:size] in known), 0)
        if size:
            kind = known[here[:size]]
            tags += [f"B-{kind}", *[f"I-{kind}"] * (size - 1)]
        else:
            tags.append("O")
    return tuple(tags)

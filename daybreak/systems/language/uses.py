"""What fine-tuned encoders can be asked: one class a task."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, overload

import torch
from torch import Tensor, nn
from torch.nn.functional import cosine_similarity

from daybreak.engine.device import Device
from daybreak.engine.errors import UserError
from daybreak.metrics.entities import entities
from daybreak.systems.language.assets import Learned, Reader
from daybreak.systems.language.config import FinetuneConfig
from daybreak.systems.language.embed import Encoder
from daybreak.systems.language.examples import Choice, Example, Pair, Question, Tagged
from daybreak.systems.language.finetune import outputs_of
from daybreak.systems.language.model.rows import Rows
from daybreak.systems.language.model.spans import Answer, best_spans
from daybreak.systems.language.tasks.answer import LONGEST, NO_ANSWER, windows_of
from daybreak.systems.language.tasks.choose import Chosen
from daybreak.systems.language.tasks.classify import Class
from daybreak.systems.language.tasks.similarity import BiEncoder
from daybreak.systems.language.tasks.table import TASKS
from daybreak.systems.language.tasks.tag import is_iob2
from daybreak.systems.language.tasks.task import Item, TaskNet, pair_rows
from daybreak.systems.language.words import Word, words_of

Sentences = tuple[str, str]
NOTHING = Answer("", 0, 0, 0.0, 1.0)
"""The answer out of an empty context."""


@dataclass(frozen=True)
class Match:
    """A text that a search found."""

    text: str
    number: int
    """Its place among those that were searched, from 0."""
    similarity: float


@dataclass(frozen=True)
class Entity:
    """A name in a text."""

    text: str
    kind: str
    start: int
    """Position of its first character in the text."""
    end: int
    """Position after its last character."""


@dataclass(frozen=True)
class TaggedText:
    """A text in words, with a tag for each."""

    text: str
    words: tuple[Word, ...]
    tags: tuple[str, ...]

    @property
    def entities(self) -> list[Entity]:
        """The names that the tags mark, where they are IOB2."""
        if not is_iob2(self.tags):
            return []
        spans = [(kind, self.words[first].start, self.words[end - 1].end) for kind, first, end in entities(self.tags)]
        return [Entity(self.text[start:end], kind, start, end) for kind, start, end in spans]


class Finetuned(Encoder):
    """An encoder with a layer on it that has learned a task."""

    def __init__(
        self, name: str, config: FinetuneConfig, reader: Reader, learned: Learned, net: TaskNet, device: Device
    ) -> None:
        super().__init__(name, reader, net.bert, config.length, device)
        self.config, self.learned, self.net = config, learned, net
        self.task, self.labels = TASKS[learned.task], tuple(learned.labels)

    def outputs(self, examples: Sequence[Example]) -> tuple[list[Tensor], list[Item]]:
        """What the network says of examples, and the examples in word pieces."""
        items = self.task.items(examples, self.reader, self.labels, self.config)
        return outputs_of(self.net, items, self.device), items

    def tell(self, examples: Sequence[Example]) -> list[Any]:
        """What that means, in the task's own words; labels that the examples have are not looked at."""
        outputs, items = self.outputs(examples)
        return self.task.tell(self.net, outputs, items, examples, self.labels)


class Classifier(Finetuned):
    """``classify`` sentences, or pairs of them."""

    what, verb = "a classifier", "classify"

    @overload
    def classify(self, texts: str | Sentences) -> Class: ...  # pyright: ignore[reportOverlappingOverload]
    @overload
    def classify(self, texts: Sequence[str] | Sequence[Sentences]) -> list[Class]: ...
    def classify(self, texts: str | Sentences | Sequence[str] | Sequence[Sentences]) -> Class | list[Class]:
        """The class of a sentence, or of a pair as a tuple; or of a list of them.

        Raises UserError for pairs where single sentences were learned, and the other way round.
        """
        many: list[Any] = [texts] if isinstance(texts, str | tuple) else list(texts)
        for text in many:
            if isinstance(text, str) == self.learned.pairs:
                both = self.learned.pairs
                reads = (
                    "pairs of sentences: give two (classify-pair)" if both else "single sentences: give one (classify)"
                )
                raise UserError(f"{self.name} classifies {reads}")
        told = self.tell([_pair(text) for text in many])
        return told[0] if isinstance(texts, str | tuple) else told


def _pair(texts: str | Sentences) -> Pair:
    first, second = (texts, None) if isinstance(texts, str) else texts
    return Pair(first, second)


class Similarity(Finetuned):
    """``similarity`` of pairs, on the scale of the training examples, and ``search`` among many.

    A bi-encoder also has ``vectors``.
    """

    what, verb = "a model of similarity", "similarity"

    @overload
    def similarity(self, pairs: Sentences) -> float: ...  # pyright: ignore[reportOverlappingOverload]
    @overload
    def similarity(self, pairs: Sequence[Sentences]) -> list[float]: ...
    def similarity(self, pairs: Sentences | Sequence[Sentences]) -> float | list[float]:
        """How alike two sentences are, as a tuple; or those of each pair of a list."""
        many: list[Any] = [pairs] if isinstance(pairs, tuple) else list(pairs)
        told = self.tell([_pair(pair) for pair in many])
        return told[0] if isinstance(pairs, tuple) else told

    def vectors(self, texts: Sequence[str]) -> Tensor:
        """(N, D): each text by itself; the similarity of two is their cosine, scaled and shifted.

        What is longer than a row is cut, as in training. Raises UserError for a cross-encoder.
        """
        if not isinstance(self.net, BiEncoder):
            raise UserError(f"{self.name} reads two sentences together: give pairs, or train with --encoder bi")
        rows = pair_rows(self.reader, texts, [None] * len(texts), self.length)
        items = [Item((tokens,), (segments,), 1) for tokens, segments in rows]
        found = outputs_of(Vectors(self.net).eval(), items, self.device)
        return torch.cat(found) if found else torch.empty(0, self.reader.shape.hidden_size)

    def search(self, text: str, among: Sequence[str], count: int = 10) -> list[Match]:
        """Those of ``among`` that are most like a text, the most alike first.

        A bi-encoder reads every text once; a cross-encoder reads each of them together with the one.
        """
        if self.config.encoder == "cross":
            values = self.similarity([(text, other) for other in among])
        else:
            vectors = self.vectors([text, *among])
            cosines = cosine_similarity(vectors[:1], vectors[1:])
            with torch.no_grad():
                scaled = self.net.head(self.device.place(cosines[:, None])).cpu()
            values = self.task.tell(self.net, list(scaled), [], [], self.labels)
        order = sorted(range(len(among)), key=lambda number: -values[number])[:count]
        return [Match(among[number], number, values[number]) for number in order]


class Vectors(nn.Module):
    """A bi-encoder's vectors of rows."""

    def __init__(self, net: BiEncoder) -> None:
        super().__init__()
        self.net = net

    def forward(self, rows: Rows, places: Tensor) -> Tensor:
        """(B, D)."""
        return self.net.vectors(rows)


class Chooser(Finetuned):
    """``choose`` one of several options."""

    what, verb = "a chooser", "choose"

    @overload
    def choose(self, context: str, question: str, options: Sequence[str]) -> Chosen: ...  # pyright: ignore[reportOverlappingOverload]
    @overload
    def choose(
        self, context: Sequence[str], question: Sequence[str], options: Sequence[Sequence[str]]
    ) -> list[Chosen]: ...
    def choose(self, context: Any, question: Any, options: Any) -> Chosen | list[Chosen]:
        """The option that goes best with a context and a question; or for many, of as many of each.

        Raises UserError for a question without options.
        """
        if isinstance(context, str):
            return self.choose([context], [question], [options])[0]
        examples = [Choice(*each[:2], tuple(each[2])) for each in zip(context, question, options, strict=True)]
        for number, example in enumerate(examples, 1):
            if not example.options:
                raise UserError(f"question {number} has no options: give some to choose from")
        return self.tell(examples)


class Tagger(Finetuned):
    """``tag`` the words of a text."""

    what, verb = "a tagger", "tag"

    @property
    def marks_names(self) -> bool:
        """Whether its tags are of entities (IOB2), and not of words."""
        return is_iob2(self.labels)

    @overload
    def tag(self, texts: str) -> TaggedText: ...  # pyright: ignore[reportOverlappingOverload]
    @overload
    def tag(self, texts: Sequence[str]) -> list[TaggedText]: ...
    def tag(self, texts: str | Sequence[str]) -> TaggedText | list[TaggedText]:
        """Split a text into words, or several, and give each word its tag."""
        if isinstance(texts, str):
            return self.tag([texts])[0]
        words = [tuple(words_of(text)) for text in texts]
        tags = self.tell([Tagged(tuple(word.text for word in each)) for each in words])
        return [TaggedText(*each) for each in zip(texts, words, tags, strict=True)]

    def tag_words(self, sentences: Sequence[Sequence[str]]) -> list[tuple[str, ...]]:
        """A tag for each word of sentences that are in words already."""
        return self.tell([Tagged(tuple(words)) for words in sentences])


class Answerer(Finetuned):
    """``answer`` questions about a context by a piece of it."""

    what, verb = "an answerer of questions", "answer"

    @overload
    def answer(self, question: str, context: str) -> Answer: ...  # pyright: ignore[reportOverlappingOverload]
    @overload
    def answer(self, question: Sequence[str], context: str | Sequence[str]) -> list[Answer]: ...
    def answer(self, question: str | Sequence[str], context: str | Sequence[str]) -> Answer | list[Answer]:
        """The best answer to a question; or to several about one context, or about one each.

        Its text is empty where the context has none.
        """
        if isinstance(question, str):
            return self.answer([question], context)[0]
        return [answers[0] for answers in self.answers(question, context, 1)]

    def answers(self, questions: Sequence[str], contexts: str | Sequence[str], count: int = 5) -> list[list[Answer]]:
        """At least one and at most ``count`` answers to each question, the best first. Raises UserError below 1."""
        if count < 1:
            raise UserError(f"a count of {count} answers cannot be: give at least 1")
        contexts = [contexts] * len(questions) if isinstance(contexts, str) else contexts
        asked = [Question(*each) for each in zip(questions, contexts, strict=True)]
        threshold = 0.0 if NO_ANSWER in self.labels else None
        found = (
            best_spans(windows_of(output, item), each.context, count=count, longest=LONGEST, threshold=threshold)
            for output, item, each in zip(*self.outputs(asked), asked, strict=True)
        )
        return [answers or [NOTHING] for answers in found]

"""What the tasks are about: sentences and pairs, several choices, tagged words, and questions with their contexts."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Pair:
    """A sentence, or two, and what is to be said of them."""

    first: str
    second: str | None = None
    label: str | float | None = None
    """Name of a class, or a similarity; None where it is not known."""


@dataclass(frozen=True)
class Choice:
    """Which of several options goes with a context and a question."""

    context: str
    question: str
    options: tuple[str, ...]
    label: int | None = None
    """Number of the right option."""


@dataclass(frozen=True)
class Tagged:
    """A sentence in words, and a tag for each: parts of speech, or entities as IOB2 (B-PER I-PER O)."""

    words: tuple[str, ...]
    tags: tuple[str, ...] | None = None


@dataclass(frozen=True)
class Span:
    """A piece of a context."""

    text: str
    start: int
    """Position of its first character in the context."""


@dataclass(frozen=True)
class Question:
    """A question about a context; none of the answers means that the context has none."""

    question: str
    context: str
    answers: tuple[Span, ...] = ()
    """As different people marked them."""
    name: str = ""
    """Its id in the data set."""


Example = Pair | Choice | Tagged | Question


def text_of(example: Example) -> list[str]:
    """All texts of an example."""
    match example:
        case Pair():
            return [example.first, *([example.second] if example.second is not None else [])]
        case Choice():
            return [example.context, example.question, *example.options]
        case Tagged():
            return [" ".join(example.words)]
        case Question():
            return [example.question, example.context]

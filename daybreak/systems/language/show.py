"""Answers as a person reads them at a terminal, or a program in lines of JSON. Imports no torch."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.text import Text

if TYPE_CHECKING:
    from daybreak.systems.language.fill import Piece
    from daybreak.systems.language.model.spans import Answer
    from daybreak.systems.language.neighbours import Neighbour, Occurrence
    from daybreak.systems.language.tasks.choose import Chosen
    from daybreak.systems.language.tasks.classify import Class
    from daybreak.systems.language.uses import Match, TaggedText

FOUND, FAINT = "bold green", "bright_black"
AROUND = 60
"""Characters of a context that are shown on each side of an answer."""
INSIDE = "##"
"""Begins a word piece that goes on with a word."""
BAR = 24
"""Characters of the longest bar."""


def out(lines: Iterable[Text]) -> None:
    """Print lines, in colour at a terminal; what is long is wrapped there and nowhere else."""
    console = Console(highlight=False, soft_wrap=not sys.stdout.isatty())
    for line in lines:
        console.print(line)


def as_json(values: Mapping[str, Any]) -> None:
    """Print a line of JSON."""
    print(json.dumps(values, ensure_ascii=False, allow_nan=False))


def filled(text: str, holes: Sequence[Sequence[Piece]], mask: str) -> list[Text]:
    """The text with the likeliest pieces in it, and below, what else there may be."""
    parts = text.split(mask)
    view = Text(parts[0])
    for pieces, part in zip(holes, parts[1:], strict=True):
        piece = pieces[0].text
        if piece.startswith(INSIDE):
            view.rstrip()
        view.append(piece.removeprefix(INSIDE), FOUND).append(part)
    lines = [view]
    for number, pieces in enumerate(holes, 1):
        title = f"{number}. " if len(holes) > 1 else ""
        lines += bars({each.text: each.probability for each in pieces}, title)
    return lines


def classified(text: str | Sequence[str], found: Class, others: bool) -> list[Text]:
    """The class, its probability and what is classified; with ``others``, also how probable those are."""
    shown = text if isinstance(text, str) else " | ".join(text)
    view = Text(found.label, FOUND).append(f"  {found.probability:.1%}  ").append(shown, "default")
    return [view, *(bars(found.others) if others else [])]


def alike(first: str, second: str, value: float) -> list[Text]:
    """How alike two sentences are."""
    return [Text(f"{value:.2f}", FOUND).append(f"  {first} | {second}", "default")]


def matches(found: Iterable[Match]) -> list[Text]:
    """What a search found, the most alike first."""
    return [Text(f"{each.similarity:6.2f}", FOUND).append(f"  {each.text}", "default") for each in found]


def chosen(question: str, options: Sequence[str], found: Chosen) -> list[Text]:
    """All options with their probabilities, the chosen one marked."""
    lines = [Text(question)] if question else []
    for number, (option, chance) in enumerate(zip(options, found.probabilities, strict=True)):
        is_it = number == found.number
        lines.append(Text(f"  {'>' if is_it else ' '} {chance:6.1%}  {option}", FOUND if is_it else "default"))
    return lines


def tagged(found: TaggedText, iob2: bool) -> list[Text]:
    """The text with names in brackets, or with the tag behind every word."""
    view, done = Text(), 0
    if iob2:
        marks = [(each.start, each.end, each.kind) for each in found.entities]
    else:
        marks = [(word.start, word.end, tag) for word, tag in zip(found.words, found.tags, strict=True)]
    for start, end, kind in marks:
        view.append(found.text[done:start])
        view.append(f"[{found.text[start:end]}" if iob2 else found.text[start:end], FOUND if iob2 else "default")
        view.append(f" {kind}]" if iob2 else f"/{kind}", FOUND if iob2 else FAINT)
        done = end
    return [view.append(found.text[done:])]


def answered(question: str, context: str, answers: Sequence[Answer]) -> list[Text]:
    """The best answer with some of the context around it, and below, the others."""
    lines = [Text(question, FAINT)]
    for number, answer in enumerate(answers):
        view = Text(f"{answer.probability:6.1%}  ")
        if not answer.text:
            lines.append(view.append("(no answer)", FOUND))
            continue
        before, after = context[: answer.start], context[answer.end :]
        view.append(("…" if len(before) > AROUND else "") + _line(before[-AROUND:]), FAINT)
        view.append(_line(answer.text), FOUND if number == 0 else "bold")
        lines.append(view.append(_line(after[:AROUND]) + ("…" if len(after) > AROUND else ""), FAINT))
    return lines


def vector(text: str, values: Sequence[float]) -> list[Text]:
    """The first numbers of a vector."""
    some = ", ".join(f"{value:.3f}" for value in values[:6])
    return [Text(text), Text(f"  {len(values)} numbers: {some}, …", FAINT)]


def near_texts(text: str, texts: Sequence[str], found: Iterable[Neighbour]) -> list[Text]:
    """A text, and those nearest to it."""
    return [Text(text, "bold"), *(Text(f"  {each.cosine:5.2f}  {texts[each.number]}") for each in found)]


def near_words(texts: Sequence[str], found: Occurrence) -> list[Text]:
    """A word in its sentence, and the words nearest to it in theirs."""
    word, text = found.word, texts[found.number]
    lines = [Text(text[: word.start]).append(word.text, FOUND).append(text[word.end :])]
    for each in found.neighbours:
        assert each.word is not None  # it is one of words
        text = texts[each.number]
        view = Text(f"  {each.cosine:5.2f}  ").append(f"{each.word.text:<16}", "bold")
        around = text[: each.word.start], text[each.word.end :]
        lines.append(view.append(f" {around[0]}", FAINT).append(each.word.text).append(around[1], FAINT))
    return lines


def floors(test: str, what: str, numbers: Mapping[str, float]) -> list[Text]:
    """What is done without a network, and how far that comes on a test set."""
    width = max(map(len, numbers))
    lines = [Text(f"{name:<{width}} ").append(f"{value:6.1f} %", FOUND) for name, value in numbers.items()]
    return [Text(f"{test}: {what}", "bold"), *(Text("  ").append(line) for line in lines)]


def bars(chances: Mapping[str, float], title: str = "") -> list[Text]:
    """A line for each of several probabilities, with a bar."""
    width = max(len(name) for name in chances)
    lines: list[Text] = []
    for number, (name, chance) in enumerate(chances.items()):
        lead = title if number == 0 else " " * len(title)
        view = Text(f"  {lead}{name:<{width}} {chance:6.1%} ")
        lines.append(view.append("█" * round(BAR * chance), "green"))
    return lines


def _line(text: str) -> str:
    return text.replace("\n", " ")

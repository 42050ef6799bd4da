"""Running text as documents of sentences: novels, encyclopaedia articles, reviews, and any plain text file."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from daybreak.data.text import read_lines
from daybreak.systems.language.formats.files import read_jsonl
from daybreak.systems.language.formats.sentences import sentences

Document = list[str]
"""Sentences, in order."""
WRAPPED = 120
"""Characters: where no line is longer, paragraphs are wrapped into lines; else a line is a paragraph."""


def read_text(path: Path) -> Document:
    """A plain text file as one document."""
    return _sentences(paragraphs(read_lines(path)))


def read_marked(path: Path) -> list[Document]:
    """A file of several documents, before each a line with a form feed and its name."""
    parts = _parted(read_lines(path), lambda line: line.startswith("\f"))
    return [document for lines in parts if (document := _sentences(paragraphs(lines)))]


def read_wikitext(path: Path) -> list[Document]:
    """WikiText's articles (Merity et al. 2016), raw or as tokens: without headings, and ``@-@`` is ``-`` again."""
    parts = _parted([line.strip() for line in read_lines(path)], lambda line: bool(re.fullmatch("= [^=]+ =", line)))
    articles = ([_detached(line) for line in lines if line and not line.startswith("= ")] for lines in parts)
    return [document for lines in articles if (document := _sentences(lines))]


def read_reviews(path: Path) -> list[Document]:
    """Pang and Lee's film reviews as JSON lines, in whose ``text`` a line is a sentence."""
    texts = (row.text("text").split("\n") for row in read_jsonl(path))
    return [document for lines in texts if (document := [line.strip() for line in lines if line.strip()])]


def paragraphs(lines: Iterable[str]) -> Iterator[str]:
    """Put lines together that are one paragraph; white space becomes single spaces.

    Blank lines part paragraphs. Where lines are wrapped, a line shorter than two thirds of the usual is the last one
    of its paragraph, too, which parts headings, verse, and the paragraphs of texts without blank lines.
    """
    squeezed = [" ".join(line.split()) for line in lines]
    lengths = sorted(len(line) for line in squeezed if line)
    usual = lengths[len(lengths) * 9 // 10] if lengths and lengths[-1] <= WRAPPED else 0
    held: list[str] = []
    for line in [*squeezed, ""]:
        goes_on = 0 < 2 * usual <= 3 * len(line)
        held += [line] if line else []
        if held and not goes_on:
            yield join_lines(held)
            held = []


def join_lines(lines: Iterable[str]) -> str:
    """Lines as one; a word that was wrapped at its hyphen (``built-``, ``in``) is whole again."""
    return re.sub(r"(?<=\w-)\n(?=\w)", "", "\n".join(lines)).replace("\n", " ")


def _sentences(texts: Iterable[str]) -> Document:
    return [sentence for text in texts for sentence in sentences(text)]


def _parted(lines: Iterable[str], begins: Callable[[str], bool]) -> list[list[str]]:
    """The lines before the first that begins a part, and those after each."""
    parts: list[list[str]] = [[]]
    for line in lines:
        if begins(line):
            parts.append([])
        else:
            parts[-1].append(line)
    return parts


def _detached(line: str) -> str:
    return re.sub(r" @([-,.])@ ", r"\1", line)

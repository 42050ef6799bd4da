"""The prose of Python's own reference, which every CPython has: ``pydoc_data.topics``, text as Sphinx writes it.

Code stands within "straight quotes" there (quotations have curly ones), stressed words within *stars*.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator, Mapping

from daybreak.systems.language.examples import Tagged
from daybreak.systems.language.formats.documents import Document, join_lines
from daybreak.systems.language.formats.sentences import spans
from daybreak.systems.language.words import words_of

BULLET = re.compile(r"\A( *)(?:\*|\w\.|\[\d+\]) +")
NO_PROSE = re.compile(r"^ *(?:>>>|\(Pdb\)|[|+]|.*::=)", re.M)
"""A line of an interpreter's session, of a table or of a grammar."""
FOOTNOTE = re.compile(r" \[\d+\](?=[\s.,;:)]|$)")
PROSE = re.compile(r"""(?:["“(*]|[A-Z]).*[.:!?][)”*]*""", re.S)
"""Begins and ends as sentences do, and code does not."""
MARKED = re.compile(
    r"""(?<![\w"])"(?P<code>\S|\S.*?\S)"(?=[\s.,;:!?…()’”/*–—-]|s\b|$)"""
    r"""|\*\*(?P<strong>\S|\S.*?\S)\*\*|(?<![\w*])\*(?P<stress>[^\s*]|[^\s*][^*]*[^\s*])\*(?![\w*])"""
)
FEWEST = 4
"""Words of a paragraph: those with fewer, such as ``Note:``, say nothing."""


def read_topics(topics: Mapping[str, str]) -> dict[str, Document]:
    """The prose of each topic that has some: without headings, code blocks, tables, and marks.

    Topics quote each other at length: a paragraph that several have is in the longest of them alone.
    """
    return {
        name: [text for paragraph in each for text, _ in _marked_sentences(paragraph)]
        for name, each in _paragraphs_of(topics).items()
    }


def code_words(topics: Mapping[str, str]) -> dict[str, list[Tagged]]:
    """The same sentences in words; those that the reference sets as code are tagged B-CODE and I-CODE, others O."""
    return {
        name: [_tagged(text, code) for paragraph in each for text, code in _marked_sentences(paragraph)]
        for name, each in _paragraphs_of(topics).items()
    }


Span = tuple[int, int]
"""First character, and the one after the last."""


def _paragraphs_of(topics: Mapping[str, str]) -> dict[str, list[str]]:
    seen: set[str] = set()
    found: dict[str, list[str]] = {}
    for name in sorted(topics, key=lambda name: (-len(topics[name]), name)):
        own = [paragraph for paragraph in _prose(topics[name]) if paragraph not in seen]
        if own:
            found[name] = list(dict.fromkeys(own))
        seen.update(own)
    return found


def _prose(topic: str) -> Iterator[str]:
    """Paragraphs, still with their marks: lines that stand together, as far in as one another."""
    for block in re.split(r"\n\s*?\n", topic):
        if NO_PROSE.search(block):
            continue
        lines = BULLET.sub(lambda bullet: " " * len(bullet[0]), block.strip("\n"), count=1).split("\n")
        for _, run in itertools.groupby(lines, lambda line: len(line) - len(line.lstrip())):
            paragraph = FOOTNOTE.sub("", join_lines(" ".join(line.split()) for line in run))
            if PROSE.fullmatch(paragraph) and len(words_of(paragraph)) >= FEWEST:
                yield paragraph


def _marked_sentences(paragraph: str) -> Iterator[tuple[str, list[Span]]]:
    """Sentences without their marks, and where code is, counted from the beginning of each."""
    plain, code = _unmarked(paragraph)
    hidden = list(plain)
    for start, end in code:  # no sentence ends in code, and any may begin with it
        hidden[start:end] = "0" * (end - start)
    for first, last in spans("".join(hidden)):
        yield plain[first:last], [(start - first, end - first) for start, end in code]


def _unmarked(paragraph: str) -> tuple[str, list[Span]]:
    plain, code, at = "", [], 0
    for match in MARKED.finditer(paragraph):
        kind = match.lastgroup or ""
        plain += paragraph[at : match.start()]
        if kind == "code":
            code.append((len(plain), len(plain) + len(match[kind])))
        plain += match[kind]
        at = match.end()
    return plain + paragraph[at:], code


def _tagged(text: str, code: list[Span]) -> Tagged:
    words, tags, before = words_of(text), [], None
    for word in words:
        start = next((start for start, end in code if start <= word.start < end), None)
        tags.append("O" if start is None else "I-CODE" if start == before else "B-CODE")
        before = start
    return Tagged(tuple(word.text for word in words), tuple(tags))

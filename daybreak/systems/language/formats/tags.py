"""Sentences in words with a tag for each: columns as of CoNLL-2003 and WNUT 2017, and CoNLL-U."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from daybreak.data.text import read_lines
from daybreak.engine.errors import UserError
from daybreak.systems.language.examples import Tagged

ENTITY = re.compile(r"O|[BI]-.+")
DOCUMENT = "-DOCSTART-"


def read_columns(path: Path) -> list[Tagged]:
    """A word a line, first the word and last its tag, by tabs or else spaces; blank lines part sentences.

    Entities become IOB2, in which B- begins every one; in IOB1, as CoNLL-2003 has it, I- may do so. Lines that begin
    a document (-DOCSTART-) are left out. Raises UserError naming a line without a tag.
    """
    found = list(_sentences(_columns(path)))
    if all(ENTITY.fullmatch(tag) for sentence in found for tag in sentence.tags or ()):
        return [Tagged(sentence.words, tuple(to_iob2(sentence.tags or ()))) for sentence in found]
    return found


def read_conllu(path: Path) -> list[Tagged]:
    """Universal Dependencies' CoNLL-U: syntactic words and their universal parts of speech (UPOS).

    The lines of tokens that are several words (``1-2 don't``) and of words that are not there (``1.1``) are left out.
    Raises UserError naming a line that has not ten columns, or no tag.
    """
    return list(_sentences(_conllu(path)))


def to_iob2(tags: Iterable[str]) -> Iterator[str]:
    """Begin every entity with B-. What is IOB2 already stays so."""
    before = "O"
    for tag in tags:
        begins = tag.startswith("I-") and before[1:] != tag[1:]
        yield f"B{tag[1:]}" if begins else tag
        before = tag


Word = tuple[str, str] | None
"""A word and its tag, or the end of a sentence."""


def _columns(path: Path) -> Iterator[Word]:
    for number, line in enumerate(read_lines(path), 1):
        cells = _cells(line)
        if not cells or cells[0] == DOCUMENT:
            yield None
        elif len(cells) < 2:
            raise UserError(f"{path}, line {number}: {cells[0]!r} has no tag: write it behind the word")
        else:
            yield cells[0], cells[-1]


def _cells(line: str) -> Sequence[str]:
    """Only tabs and spaces part columns: tweets have words with stranger spaces in them."""
    bare = line.strip(" \t")
    cells = (cell.strip(" ") for cell in bare.split("\t" if "\t" in bare else " "))
    return [cell for cell in cells if cell]


def _conllu(path: Path) -> Iterator[Word]:
    for number, line in enumerate(read_lines(path), 1):
        cells = line.split("\t")
        if not line.strip():
            yield None
        elif line.startswith("#"):
            continue
        elif len(cells) != 10 or not re.fullmatch(r"\d+([-.]\d+)?", cells[0]):
            raise UserError(f"{path}, line {number}: this is no CoNLL-U, ten columns parted by tabs: mend this line")
        elif cells[0].isdigit():
            word, tag = cells[1].strip(), cells[3].strip()
            if not word or tag in ("", "_"):
                raise UserError(f"{path}, line {number}: there is no {'tag' if word else 'word'}: add it")
            yield word, tag


def _sentences(rows: Iterable[Word]) -> Iterator[Tagged]:
    sentence: list[tuple[str, str]] = []
    for row in (*rows, None):
        if row is not None:
            sentence.append(row)
        elif sentence:
            words, tags = zip(*sentence, strict=True)
            yield Tagged(words, tags)
            sentence = []

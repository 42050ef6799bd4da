"""Sentences and pairs of sentences, with a class or a similarity: GLUE's files, SICK's, and the user's own."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from daybreak.engine.errors import UserError
from daybreak.systems.language.examples import Pair
from daybreak.systems.language.formats.files import Row, read_csv, read_jsonl, read_tsv

SENTIMENT = {"0": "negative", "1": "positive"}
ACCEPTABILITY = {"0": "unacceptable", "1": "acceptable"}
PARAPHRASE = {"0": "different", "1": "paraphrase"}
ENTAILMENT = {name.upper(): name for name in ("entailment", "neutral", "contradiction")}
FIRST, SECOND = ("text", "sentence", "sentence1", "first"), ("sentence2", "second")
"""What a user may call the columns."""


def read_sst2(path: Path) -> list[Pair]:
    """GLUE's SST-2: a header, then ``sentence<TAB>label``, 1 for positive."""
    return [Pair(row.text("sentence"), None, _named(row, "label", SENTIMENT)) for row in read_tsv(path)]


def read_sst2_sentences(path: Path) -> list[Pair]:
    """The Stanford treebank's whole sentences: ``sentence<TAB>label`` without a header."""
    rows = read_tsv(path, ("sentence", "label"))
    return [Pair(row.text("sentence"), None, _named(row, "label", SENTIMENT)) for row in rows]


def read_cola(path: Path) -> list[Pair]:
    """CoLA, as GLUE has it: source, label, the author's mark and sentence, without a header; 1 for acceptable."""
    rows = read_tsv(path, ("source", "label", "mark", "sentence"))
    return [Pair(row.text("sentence"), None, _named(row, "label", ACCEPTABILITY)) for row in rows]


def read_mrpc(path: Path) -> list[Pair]:
    """The Microsoft Research Paraphrase Corpus as Microsoft distributes it: ``msr_paraphrase_*.txt``."""
    return [
        Pair(row.text("#1 String"), row.text("#2 String"), _named(row, "Quality", PARAPHRASE)) for row in read_tsv(path)
    ]


def read_stsb(path: Path) -> list[Pair]:
    """GLUE's STS-B, columns by their names: sentence1, sentence2, score (0 to 5)."""
    return [
        Pair(row.text("sentence1"), row.text("sentence2"), row.number(row.column("score"))) for row in read_tsv(path)
    ]


def read_sick(path: Path) -> list[Pair]:
    """SICK with its entailment classes."""
    return [
        Pair(row.text("sentence_A"), row.text("sentence_B"), _named(row, "entailment_judgment", ENTAILMENT))
        for row in read_tsv(path)
    ]


def read_sick_relatedness(path: Path) -> list[Pair]:
    """SICK with its relatedness, 1 to 5."""
    return [
        Pair(row.text("sentence_A"), row.text("sentence_B"), row.number(row.column("relatedness_score")))
        for row in read_tsv(path)
    ]


def read_own(path: Path, *, scores: bool = False) -> list[Pair]:
    """A user's own ``.tsv`` (no quoting), ``.csv`` or ``.jsonl``, the columns named in the first line.

    The sentence is in ``text``, ``sentence``, ``sentence1`` or ``first``; a second one, if there are pairs, in
    ``sentence2`` or ``second``; the class or the similarity in ``label`` or ``score``, if they are known.

    Args:
        path: the file.
        scores: whether the labels are similarities, and so numbers.

    """
    readers = {".tsv": read_tsv, ".csv": read_csv, ".jsonl": read_jsonl}
    if path.suffix not in readers:
        raise UserError(f"{path} is none of {', '.join(readers)}: convert it, and name it so")
    return [_own(row, scores) for row in readers[path.suffix](path)]


def _own(row: Row, scores: bool) -> Pair:
    second = row.text(*SECOND) if any(name in row.cells for name in SECOND) else None
    labelled = [name for name in ("label", "score") if name in row.cells]
    if not labelled:
        return Pair(row.text(*FIRST), second)
    if scores:
        return Pair(row.text(*FIRST), second, row.number(labelled[0]))
    value = row.cells[labelled[0]]
    label = str(value) if type(value) in (int, bool) else row.text(labelled[0])  # as JSON may have them
    if not label:
        raise UserError(f"{row.where}: the {labelled[0]} is empty: name a class")
    return Pair(row.text(*FIRST), second, label)


def _named(row: Row, column: str, names: Mapping[str, str]) -> str:
    value = row.text(column)
    if value not in names:
        raise UserError(f"{row.where}: {column} {value!r} is none of {', '.join(names)}: mend it")
    return names[value]

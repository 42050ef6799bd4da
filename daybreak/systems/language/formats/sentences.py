"""Where sentences end in English prose: a plain rule, for pretraining, which forgives what it gets wrong."""

from __future__ import annotations

import re

ABBREVIATIONS = frozenset((
    "Mr", "Mrs", "Ms", "Messrs", "Mme", "Mlle", "Dr", "Prof", "Rev", "Hon", "St", "Mt", "Esq", "Jr", "Sr",
    "Capt", "Col", "Gen", "Lieut", "Lt", "Maj", "Sergt", "Sgt", "vs", "cf", "viz", "approx", "resp",
))  # fmt: skip
"""Never end a sentence; neither do initials."""
NUMBERED = frozenset((
    "No", "Nos", "no", "nos", "Vol", "vol", "Fig", "fig", "Ch", "ch", "Sec", "sec", "p", "pp",
    "Jan", "Feb", "Mar", "Apr", "Jun", "Jul", "Aug", "Sept", "Sep", "Oct", "Nov", "Dec",
))  # fmt: skip
"""Do not end a sentence before a number."""

# Every part takes all it can and gives nothing back, so that a megabyte of full stops is read once.
END = re.compile(r"""(?<![.!?…])([.!?…]++)["'”’)\]]*+\s++(?=\S)""")
OPENING = re.compile(r"""["'“‘(\[]*+""")
INITIALS = re.compile(r"[A-Z]|[^\W\d_](?:\.[^\W\d_])+")
LONGEST = 20
"""Characters before a full stop that are looked at: none of the above is longer."""


def sentences(paragraph: str) -> list[str]:
    """The sentences of a paragraph, in order, each without white space around it.

    A sentence ends with ``.``, ``!``, ``?`` or an ellipsis, quotes and brackets that close there included, before what
    looks like the beginning of one: a capital, a number, a quotation. The full stops of ``Mr.``, of initials
    (``J. S. Bach``, ``U.S.``) and of ``No. 5`` do not end it.
    """
    return [paragraph[start:end] for start, end in spans(paragraph)]


def spans(paragraph: str) -> list[tuple[int, int]]:
    """First character of each sentence and the one after its last, as :func:`sentences`."""
    ends = [match.end() for match in END.finditer(paragraph) if _ends(paragraph, match)]
    found: list[tuple[int, int]] = []
    for start, end in zip([0, *ends], [*ends, len(paragraph)], strict=True):
        text = paragraph[start:end]
        if text.strip():
            found.append((start + len(text) - len(text.lstrip()), start + len(text.rstrip())))
    return found


def _ends(paragraph: str, match: re.Match[str]) -> bool:
    if not _begins(paragraph, match.end()):
        return False
    if match[1] != ".":
        return True
    before = paragraph[max(0, match.start() - LONGEST) : match.start()]
    word = "" if before[-1:].isspace() else "".join(before.split()[-1:]).lstrip("\"'“‘([")
    if word in NUMBERED:
        return not paragraph[match.end()].isdigit()
    return word == "I" or not (word in ABBREVIATIONS or INITIALS.fullmatch(word))


def _begins(paragraph: str, at: int) -> bool:
    opening = OPENING.match(paragraph, at)
    assert opening is not None  # it may be empty
    first = paragraph[opening.end() : opening.end() + 1]
    return first.isupper() or first.isdigit() or (first.isalnum() and opening[0][-1:] in ('"', "“"))

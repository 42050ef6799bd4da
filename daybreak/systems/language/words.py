"""The words of a plain text, and where they stand in it."""

from __future__ import annotations

import re
from dataclasses import dataclass

LETTER = r"[\w\u0300-\u036f]"
"""Letters, digits and _, and the accents that some texts write as characters of their own."""
ENDING = r"['’](?:s|m|d|re|ve|ll)\b"
WORD = re.compile(
    rf"""
      {LETTER}+(?=n['’]t\b) | n['’]t\b | {ENDING}                # don't is do n't and it's is it 's, as in treebanks
    | (?:\w\.){{2,}}                                             # U.S.
    | {LETTER}+ (?: [-.]{LETTER}+ | [,:]\d+ | (?!{ENDING})['’]{LETTER}+ )*  # well-known, a.b, 1,000, O'Brien
    | [^\w\s]
    """,
    re.VERBOSE | re.IGNORECASE,
)


@dataclass(frozen=True)
class Word:
    """A word, or a sign that stands by itself."""

    text: str
    start: int
    """Position of its first character in the text."""
    end: int
    """Position after its last character."""


def words_of(text: str) -> list[Word]:
    """Split a text as the Penn Treebank does, by and large. Characters that nobody sees are no words."""
    found = (Word(match[0], *match.span()) for match in WORD.finditer(text))
    return [word for word in found if word.text.isprintable()]

"""Text of any script as a picture can show it: with the fonts that are there, and a box for what they lack."""

from __future__ import annotations

import functools
import unicodedata
from collections.abc import Iterable

FONTS = (
    "DejaVu Sans",  # comes with matplotlib
    "Noto Sans CJK SC", "Noto Sans CJK JP", "Source Han Sans SC", "WenQuanYi Zen Hei", "Droid Sans Fallback",
    "PingFang SC", "Hiragino Sans", "Hiragino Sans GB", "Apple SD Gothic Neo", "Arial Unicode MS",
    "Microsoft YaHei", "Yu Gothic", "Malgun Gothic", "Nirmala UI", "Noto Sans Devanagari",
    "Noto Emoji", "Segoe UI Emoji", "Symbola",
)  # fmt: skip
"""Looked for in this order, for each character."""
NOTHING, SPACE, LACKING, CUT = "◌", "␣", "□", "…"
INVISIBLE = ("Cf", "Mn", "Me")
"""Categories of characters that only change how others look: where no font has them, they are left out."""


def legible(text: str, longest: int = 20) -> str:
    """A token as a label: without the space before it, on one line, in characters that a font has, never empty."""
    drawn = "".join(c if _is_seen(c) else _instead(c) for c in text.strip()) or (SPACE if text else NOTHING)
    return drawn if len(drawn) <= longest else drawn[: longest - 1] + CUT


def _is_seen(character: str) -> bool:
    return character.isprintable() and ord(character) in _characters()


def _instead(character: str) -> str:
    if character.isspace():
        return " "
    return "" if unicodedata.category(character) in INVISIBLE else LACKING


@functools.cache
def family() -> tuple[str, ...]:
    """The fonts of this machine, for matplotlib's ``family``."""
    from matplotlib.font_manager import fontManager

    installed = {font.name for font in fontManager.ttflist}
    return tuple(name for name in FONTS if name in installed)


@functools.cache
def _characters() -> frozenset[int]:
    from matplotlib.font_manager import FontProperties, findfont, get_font

    fonts = [get_font(findfont(FontProperties(family=[name]))) for name in family()]
    return frozenset(code for font in fonts for code in font.get_charmap())


def breadth(labels: Iterable[str], size: float) -> float:
    """Inches that the longest of some labels takes at a size in points."""
    from matplotlib.font_manager import FontProperties
    from matplotlib.textpath import text_to_path

    fonts = FontProperties(family=list(family()), size=size)
    return max(text_to_path.get_text_width_height_descent(label, fonts, ismath=False)[0] for label in labels) / 72

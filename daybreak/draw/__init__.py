"""Arrays in, picture file out: curves, bars, confusion matrices, sheets of captioned images, attention maps, films."""

from __future__ import annotations

from daybreak.draw.attention import Heads, alignment, heads
from daybreak.draw.bars import Bars, bars
from daybreak.draw.charts import confusion, curves
from daybreak.draw.figure import kind_of
from daybreak.draw.film import film, is_film, need_film
from daybreak.draw.sheet import grid

__all__ = [
    "Bars", "Heads", "alignment", "bars", "confusion", "curves", "film", "grid", "heads", "is_film", "kind_of",
    "need_film",
]  # fmt: skip

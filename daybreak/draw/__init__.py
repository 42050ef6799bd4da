"""Arrays in, picture file out: curves, confusion matrices, sheets of captioned images."""

from __future__ import annotations

from daybreak.draw.charts import confusion, curves
from daybreak.draw.sheet import grid

__all__ = ["confusion", "curves", "grid"]

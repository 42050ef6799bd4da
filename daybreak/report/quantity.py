"""How a measured quantity is named, grouped, and written for a reader."""

from __future__ import annotations

import math
import re
from pathlib import Path
from typing import Any, cast

from daybreak.engine.errors import UserError

LOSS = {"loss", "nll"}
PERCENT = {"accuracy", "acc", "f1", "iou", "miou", "precision", "recall", "top1", "top5"}
OTHER_UNIT = {"seconds", "steps", "epochs", "ratio", "time"}
SPLIT = re.compile(r"^(train|val|valid|validation|test)[_/]")


def metrics(stored: dict[str, Any], path: Path) -> dict[str, Any]:
    """The measured numbers in a result or an evaluation, which is what ``path`` holds; null stands for none.

    Raises UserError when they are no JSON object.
    """
    found: Any = stored.get("metrics")
    if found is not None and not isinstance(found, dict):
        raise UserError(f"{path} has no table of metrics: restore it, or run again the command that writes it")
    return cast(dict[str, Any], found or {})


def is_number(value: Any) -> bool:
    """Whether a JSON value is a finite number one can reckon with (true and false are none)."""
    return isinstance(value, (int, float)) and not isinstance(value, bool) and -1e300 < value < 1e300


def group(name: str) -> str:
    """The chart a logged name belongs to: "loss", "accuracy" (all percentages), or the name without its split.

    >>> group("val_loss"), group("test_accuracy"), group("val_perplexity")
    ('loss', 'accuracy', 'perplexity')
    """
    words = _words(name)
    if words & LOSS:
        return "loss"
    return "accuracy" if is_percent(name) else SPLIT.sub("", name)


def is_percent(name: str) -> bool:
    """Whether a quantity of this name is given in percent by convention.

    >>> is_percent("val_accuracy"), is_percent("seconds_to_accuracy")
    (True, False)
    """
    words = _words(name)
    return bool(words & PERCENT or {"win", "rate"} <= words) and not words & OTHER_UNIT


def words(name: str) -> str:
    """``val_loss`` -> ``val loss``."""
    return re.sub(r"[_\s]+", " ", name).strip()


def number(value: Any) -> str:
    """A number in at most four digits after the first (1,234 · 98.14 · 0.000312); a dash when there is none.

    >>> number(1234567), number(98.1416), number(0.00031), number(None)
    ('1,234,567', '98.14', '0.00031', '–')
    """
    if not is_number(value):
        return "–"
    if float(value).is_integer() and abs(value) < 1e15:
        return f"{int(value):,}"
    return f"{value:,.0f}" if abs(value) >= 10_000 else f"{value:.4g}"


def spread(mean: float, half: float) -> str:
    """A mean with half the width of its interval, both to the same place.

    >>> spread(94.1432, 0.1417)
    '94.14 ± 0.14'
    """
    places = min(6, max(0, 1 - math.floor(math.log10(half)))) if half > 0 else 2
    return f"{mean:,.{places}f} ± {half:,.{places}f}"


def duration(seconds: Any) -> str:
    """Seconds as a reader says them.

    >>> duration(4.25), duration(321), duration(7384), duration(None)
    ('4.2 s', '5 min 21 s', '2 h 3 min', '–')
    """
    if not is_number(seconds):
        return "–"
    if seconds < 10:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 1:
        return f"{rest} s"
    return f"{minutes} min {rest} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"


def dollars(cost: Any) -> str:
    """What a training cost: ``$0.0042``, ``$1.20``; a dash when no price was given."""
    if not is_number(cost):
        return "–"
    return f"${cost:,.2f}" if cost >= 1 else f"${cost:.2g}"


def _words(name: str) -> set[str]:
    return set(re.split(r"[^a-z0-9]+", name.lower()))

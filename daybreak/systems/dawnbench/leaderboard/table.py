"""The leaderboard in words: cells of text, and a table on the terminal."""

from __future__ import annotations

import math
import sys
from collections.abc import Callable, Sequence

from daybreak.systems.dawnbench.leaderboard.ranking import BY, Measured, Standing

MARK = ">"
"""Stands before the rank of our own lines."""
TEXTS = {"model": 0.3, "hardware": 0.4, "author": 0.3}
"""Columns that are cut where there is no room, and their shares of it."""
MINUTE, HOUR = 60, 3600


def header(by: str) -> list[str]:
    """Names of the columns of :func:`cells`."""
    speed, cost = ("time", "cost") if BY[by][0] == "train" else ("latency", "cost of 1M")
    return ["", speed, cost, "model", "hardware", "author", "date"]


def cells(place: int, standing: Standing) -> list[str]:
    """A line of the board: rank, time or latency, cost, model, hardware, author, date."""
    values, kind = standing.entry.values, standing.entry.kind
    images = 1e6 if kind == "inference" else 1
    seeds = f", {standing.seeds} seeds" if standing.seeds > 1 else ""
    return [
        f"{MARK} {place}" if standing.seeds else str(place),
        spread(standing.speed, 1, milliseconds if kind == "inference" else duration),
        spread(standing.cost, images, dollars),
        plain(values["model"]) + seeds,
        plain(values["hardware"]),
        plain(values["author"]),
        standing.entry.date.isoformat(),
    ]


def show(standings: Sequence[Standing], by: str) -> None:
    """Print the board, our own lines marked. One line an entry: what has no room on the terminal is cut."""
    from rich.console import Console
    from rich.table import Table

    console = Console(width=None if sys.stdout.isatty() else 240, highlight=False, markup=False)
    rows = [cells(place, standing) for place, standing in enumerate(standings, start=1)]
    view = Table(box=None, pad_edge=False, header_style="bold")
    for name, width in zip(header(by), widths([header(by), *rows], console.width), strict=True):
        justify = "left" if name in TEXTS or name == "date" else "right"
        view.add_column(name, justify=justify, no_wrap=True, overflow="ellipsis", width=width)
    for row, standing in zip(rows, standings, strict=True):
        view.add_row(*row, style="bold green" if standing.seeds else None)
    console.print(view)


def widths(lines: list[list[str]], room: int) -> list[int]:
    """What the columns need, those of text cut to their shares of what the others leave."""
    longest = [max(map(len, column)) for column in zip(*lines, strict=True)]
    shares = [TEXTS.get(name, 0.0) for name in lines[0]]
    room -= 2 * (len(longest) - 1) + sum(width for width, share in zip(longest, shares, strict=True) if not share)
    return [
        min(width, max(8, int(room * share))) if share else width for width, share in zip(longest, shares, strict=True)
    ]


# ------------------------------------------------------------------------------- units


def spread(measured: Measured | None, factor: float, say: Callable[[float], str]) -> str:
    """A mean with half the width of its interval in percent of it; a dash where nothing is known."""
    if measured is None:
        return "-"
    half = "" if measured.half is None else f" ± {100 * measured.half / measured.mean:.1f} %"
    return say(measured.mean * factor) + half


def duration(seconds: float) -> str:
    """Seconds as a reader says them.

    >>> duration(9.43), duration(157.55), duration(404.1), duration(286014)
    ('9.4 s', '157.6 s', '6 min 44 s', '79 h 27 min')
    """
    if seconds < 5 * MINUTE:
        return f"{seconds:.1f} s"
    if seconds < HOUR:
        minutes, rest = divmod(round(seconds), MINUTE)
        return f"{minutes} min {rest:02} s"
    hours, minutes = divmod(round(seconds / MINUTE), 60)
    return f"{hours} h {minutes:02} min"


def milliseconds(value: float) -> str:
    """Milliseconds in three digits.

    >>> milliseconds(0.0739278), milliseconds(22.4)
    ('0.0739 ms', '22.4 ms')
    """
    return f"{value:.3g} ms" if value < 1000 else f"{value:,.0f} ms"


def dollars(value: float) -> str:
    """Dollars and cents, or three digits of less than a dollar.

    >>> dollars(0.0212107), dollars(7.4255), dollars(2323.39)
    ('$0.0212', '$7.43', '$2,323.39')
    """
    places = 2 if value >= 1 or value == 0 else 2 - math.floor(math.log10(value))
    return f"${value:,.{places}f}"


def plain(text: str) -> str:
    """Text of an entry on one line, without what could steer a terminal."""
    return " ".join("".join(c if c.isprintable() else " " for c in text).split())

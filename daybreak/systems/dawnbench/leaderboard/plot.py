"""The leaderboard as a picture: what training took, over the years."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING

from daybreak.draw.figure import COLOURS, HAIR, INK, MUTED, new_figure, save
from daybreak.systems.dawnbench.leaderboard.ranking import BY, Standing
from daybreak.systems.dawnbench.leaderboard.table import dollars, duration, milliseconds, plain

Say = Callable[[float], str]
Spot = tuple[float, float, Standing]

if TYPE_CHECKING:
    from matplotlib.axes import Axes

MACHINES = {
    "TPU, NPU": re.compile(r"TPU|NPU|ebman", re.I),
    "GPU": re.compile(r"GPU|NVIDIA|mps|Tesla|GTX|RTX|[VPTMK]\d+\b|\b(?:g3|p[23]|pi[12])\.|ecs\.gn|ndv2", re.I),
    "CPU": re.compile(""),
}
"""Kinds of hardware, each with the words that tell it where none above does."""
LOOK = {"TPU, NPU": COLOURS[3], "GPU": COLOURS[0], "CPU": COLOURS[1]}
OURS = COLOURS[2]
GAP, PITCH = 180, 60
"""Days on the axis that stand for the years since the contest, and between two of our own entries."""
TIMES = (0.1, 1, 10, 60, 600, 3600, 36_000, 360_000, 3_600_000)
"""Seconds that the axis names: those that a reader knows by name."""


def plot(standings: Sequence[Standing], by: str, title: str, path: Path) -> Path:
    """Draw every standing by its date and what it is ranked by, our own beside the contest's years."""
    kind, field = BY[by]
    say = dollars if field == "cost" else duration if kind == "train" else milliseconds
    factor = 1e6 if by == "inference-cost" else 1
    figure, axes = new_figure(9.0, 5.2)
    axes.set_yscale("log")
    spots = [(x, getattr(s, field).mean * factor, s) for x, s in zip(_across(standings), standings, strict=True)]
    theirs, ours = ([spot for spot in spots if bool(spot[2].seeds) == mine] for mine in (False, True))
    _scales(axes, theirs, ours, say, by)
    _points(axes, theirs)
    _best_so_far(axes, theirs)
    _ours(axes, [(x, y, standing, getattr(standing, field).half) for x, y, standing in ours], factor, say)
    middle = sum(axes.get_xlim()) / 2
    for x, y, standing in _worth_a_name(theirs):
        text = f"{say(y)}\n{_machine_in_short(standing)}"
        right = x > middle
        axes.annotate(
            text, (x, y), (-6 if right else 6, -8), textcoords="offset points", ha="right" if right else "left",
            va="top", color=MUTED, fontsize=8.5, parse_math=False, linespacing=1.3,
        )  # fmt: skip
    axes.legend(
        frameon=False,
        fontsize=9,
        labelcolor=INK,
        loc="lower left",
        bbox_to_anchor=(-0.01, 1.0),
        ncols=5,
        handletextpad=0.3,
        columnspacing=1.4,
    )
    axes.set_title(title, color=INK, fontsize=13, loc="left", pad=28, parse_math=False)
    return save(figure, path)


def machine(hardware: str) -> str:
    """The kind of hardware, by the words that an entry describes it with."""
    return next(name for name, words in MACHINES.items() if words.search(hardware))


def _across(standings: Sequence[Standing]) -> list[float]:
    """Days, with the years since the contest left out."""
    last = max((s.entry.date.toordinal() for s in standings if not s.seeds), default=0)
    dates = sorted({s.entry.date for s in standings if s.seeds})
    return [last + GAP + PITCH * dates.index(s.entry.date) if s.seeds else s.entry.date.toordinal() for s in standings]


def _points(axes: Axes, spots: list[Spot]) -> None:
    for name, colour in LOOK.items():
        some = [(x, y) for x, y, standing in spots if machine(standing.entry.values["hardware"]) == name]
        if some:
            style = {"s": 52, "color": colour, "alpha": 0.8, "edgecolor": "white", "linewidth": 0.8}
            axes.scatter(*zip(*some, strict=True), label=name, zorder=3, **style)


def _best_so_far(axes: Axes, spots: list[Spot]) -> None:
    """The record as it fell."""
    steps: list[tuple[float, float]] = []
    for x, y, _ in sorted(spots, key=lambda spot: spot[:2]):
        if not steps or y < steps[-1][1]:
            steps.append((x, y))
    if steps:
        steps.append((max(x for x, _, _ in spots) + GAP / 3, steps[-1][1]))
        axes.step(*zip(*steps, strict=True), where="post", color=MUTED, linewidth=1.1, alpha=0.6, label="the record")


def _worth_a_name(spots: list[Spot]) -> list[Spot]:
    """The best of every kind of hardware."""
    best: dict[str, Spot] = {}
    for spot in sorted(spots, key=lambda spot: spot[1]):
        best.setdefault(machine(spot[2].entry.values["hardware"]), spot)
    return list(best.values())


def _ours(axes: Axes, spots: list[tuple[float, float, Standing, float | None]], factor: float, say: Say) -> None:
    """Stars in a column of their own, each with its interval, its name and its number."""
    if not spots:
        return
    left, right = min(x for x, *_ in spots) - GAP / 2, max(x for x, *_ in spots) + GAP / 2
    axes.axvspan(left, right, color=OURS, alpha=0.07, linewidth=0)
    axes.scatter([], [], marker="*", s=150, color=OURS, label="daybreak")
    for x, y, standing, half in spots:
        spread = None if half is None else half * factor
        axes.errorbar(x, y, spread, color=OURS, marker="*", markersize=16, capsize=4, zorder=4)
        axes.annotate(
            f"{say(y)}\n{_machine_in_short(standing)}", (x, y), (0, 11), textcoords="offset points", ha="center",
            va="bottom", color=OURS, fontsize=9, weight="bold", parse_math=False, linespacing=1.3,
        )  # fmt: skip


def _machine_in_short(standing: Standing) -> str:
    text = plain(standing.entry.values["hardware"])
    if standing.seeds and machine(text) == "CPU":
        return text.rpartition(", ")[2]  # the cores
    return text.split(" (")[0].removeprefix("1 x ")[:36]


def _scales(axes: Axes, theirs: list[Spot], ours: list[Spot], say: Say, by: str) -> None:
    spots = [*theirs, *ours]
    years = range(
        min(s.entry.date.year for _, _, s in spots), max(s.entry.date.year for _, _, s in theirs or spots) + 1
    )
    ticks = {date(year, 1, 1).toordinal(): str(year) for year in years if theirs}
    ticks |= {x: str(standing.entry.date.year) for x, _, standing in ours}
    left = min(x for x, _, _ in spots) - 40
    shown = {x: name for x, name in ticks.items() if x > left}
    axes.set_xticks(list(shown), list(shown.values()))
    axes.set_xlim(left, max(x for x, _, _ in spots) + (GAP / 2 if ours else 40))
    values = [y for _, y, _ in spots]
    low, high = min(values) / 4, max(values) * 2
    axes.set_ylim(low, high)
    if BY[by] == ("train", "speed"):
        inside = [second for second in TIMES if low < second < high]
        axes.set_yticks(inside, [_short(second) for second in inside])
    else:
        axes.yaxis.set_major_formatter(lambda value, _: say(value).removesuffix(".00"))
    axes.minorticks_off()
    axes.grid(axis="y", color=HAIR, linewidth=0.8)
    axes.set_axisbelow(True)


def _short(seconds: float) -> str:
    for size, unit in ((3600, "h"), (60, "min")):
        if seconds >= size:
            return f"{seconds / size:,.0f} {unit}"
    return f"{seconds:g} s"

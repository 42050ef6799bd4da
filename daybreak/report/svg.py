"""Line charts as inline SVG, whose colours follow the page's light or dark."""

from __future__ import annotations

import math
from dataclasses import dataclass
from html import escape

from daybreak.report.quantity import number

Point = tuple[float, float | None]

WIDTH, HEIGHT = 440, 240
LEFT, RIGHT, TOP, BOTTOM = 52, 14, 12, 38
MOST_POINTS = 240
"""A longer curve is drawn as the means of this many stretches: about two pixels each."""
TINY = 1e-300  # below it fractions lose their digits, and then themselves
COLOURS = 6
"""As many as the page's style sheet has; further curves repeat them dashed."""


@dataclass(frozen=True)
class Axis:
    """Values between low and high to pixels, with the ticks to label."""

    low: float
    high: float
    ticks: list[float]
    pixels: tuple[int, int]
    log: bool = False

    def __call__(self, value: float) -> float:
        """The pixel of a value."""
        low, high, value = (math.log10(v) if self.log else v for v in (self.low, self.high, value))
        share = (value - low) / (high - low) if high > low else 0.5
        return round(self.pixels[0] + share * (self.pixels[1] - self.pixels[0]), 1)


def chart(series: dict[str, list[Point]], label: str) -> str:
    """Curves over the step as one SVG element.

    Args:
        series: name -> points (step, value) in order; None leaves a gap. There is at least one value.
        label: what the picture shows, for those who cannot see it.

    """
    thinned = {name: thin(points) for name, points in series.items()}
    across = _step_axis(max(x for points in thinned.values() for x, _ in points))
    up = _value_axis([y for points in thinned.values() for _, y in points if y is not None])
    curves = [_curve(points, across, up, style(i), name) for i, (name, points) in enumerate(thinned.items())]
    drawn = _frame(across, up) + "".join(curves)
    return f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{escape(label)}">{drawn}</svg>'


def style(index: int) -> str:
    """The style classes of a chart's curve by its place, for the curve and its legend."""
    return f"c{index % COLOURS}" + (" dashed" if index >= COLOURS else "")


def thin(points: list[Point]) -> list[Point]:
    """At most ``MOST_POINTS`` points: means over equal stretches, gaps kept where a stretch has no value."""
    if len(points) <= MOST_POINTS:
        return points
    size = math.ceil(len(points) / MOST_POINTS)
    stretches = [points[i : i + size] for i in range(0, len(points), size)]
    return [(stretch[-1][0], _mean([y for _, y in stretch if y is not None])) for stretch in stretches]


def _step_axis(last: float) -> Axis:
    return Axis(0, last, [tick for tick in _round_ticks(0, last) if 0 <= tick <= last], (LEFT, WIDTH - RIGHT))


def _value_axis(values: list[float]) -> Axis:
    """Logarithmic where the smaller values could not be seen otherwise: all positive, over a hundredfold."""
    low, high = min(values), max(values)
    log = low > 0 and high / low > 100
    ticks = _decades(low, high) if log else _round_ticks(low, high)
    return Axis(min(low, ticks[0]), max(high, ticks[-1]), ticks, (HEIGHT - BOTTOM, TOP), log)


def _mean(values: list[float]) -> float | None:
    return sum(values) / len(values) if values else None


def _curve(points: list[Point], across: Axis, up: Axis, look: str, name: str) -> str:
    runs: list[list[str]] = [[]]
    for x, y in points:
        if y is None:
            runs.append([])
        else:
            runs[-1].append(f"{across(x):g},{up(y):g}")
    lines = "".join(f'<polyline points="{" ".join(run)}"/>' for run in runs if len(run) > 1)
    few = sum(map(len, runs)) <= 30
    dots = [spot for run in runs for spot in run if few or len(run) == 1]
    circles = "".join('<circle cx="{}" cy="{}" r="2.6"/>'.format(*spot.split(",")) for spot in dots)
    return f'<g class="{look}"><title>{escape(name)}</title>{lines}{circles}</g>'


def _frame(across: Axis, up: Axis) -> str:
    parts: list[str] = []
    for tick in up.ticks:
        y = up(tick)
        parts.append(f'<line class="hair" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y}" y2="{y}"/>')
        parts.append(f'<text x="{LEFT - 6}" y="{y + 4}" text-anchor="end">{_short(tick)}</text>')
    base = HEIGHT - BOTTOM
    parts.append(f'<line class="base" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{base}" y2="{base}"/>')
    parts += [
        f'<text x="{across(tick)}" y="{base + 16}" text-anchor="middle">{_short(tick)}</text>' for tick in across.ticks
    ]
    parts.append(f'<text x="{WIDTH - RIGHT}" y="{HEIGHT - 5}" text-anchor="end">step</text>')
    return "".join(parts)


def _short(value: float) -> str:
    for size, letter in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if abs(value) >= size:
            return f"{value / size:.4g}{letter}"
    return number(value) if value == 0 or abs(value) >= 1e-3 else f"{value:.0e}".replace("e-0", "e-")


def _round_ticks(low: float, high: float) -> list[float]:
    """Three to seven multiples of 1, 2 or 5 times a power of ten that enclose low and high."""
    if high - low < TINY:  # one value, or values nearer than a step could be
        half = abs(low) / 2 if abs(low) > TINY else 0.5
        low, high = low - half, high + half
    raw = (high - low) / 5
    power = 10.0 ** math.floor(math.log10(raw))
    step = next(power * factor for factor in (1, 2, 5, 10) if power * factor >= raw)
    return [i * step for i in range(math.floor(low / step), math.ceil(high / step) + 1)]


def _decades(low: float, high: float) -> list[float]:
    first, last = math.floor(math.log10(low)), math.ceil(math.log10(high))
    return [10.0**power for power in range(first, last + 1, math.ceil((last - first) / 6))]

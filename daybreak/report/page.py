"""The page of one run: what it reached, how it got there, what it makes, how to go on."""

from __future__ import annotations

import re
import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import Any

from daybreak.engine import rundir
from daybreak.report import html, svg
from daybreak.report.quantity import dollars, duration, group, is_number, is_percent, metrics, number, words

MOST_PICTURES = 24
MOST_CAPTION = 2_000
"""Characters of a caption that are shown."""


@dataclass(frozen=True)
class Story:
    """What a run directory tells; ``result`` is None while the run is unfinished, ``evaluation`` until it is judged."""

    folder: Path
    about: dict[str, Any]
    sessions: list[dict[str, Any]]
    log: list[dict[str, Any]]
    result: dict[str, Any] | None
    evaluation: dict[str, Any] | None

    @property
    def config(self) -> dict[str, Any]:
        """The run's flat configuration."""
        return self.about["config"]

    @property
    def steps_done(self) -> int:
        """Steps that the result, or else the log, knows of."""
        return (self.result or {}).get("steps") or max((line["step"] for line in self.log), default=0)

    @property
    def seconds(self) -> float | None:
        """Seconds of training that the result, or else the log, knows of."""
        told = [line.get("seconds") for line in self.log[-1:]]
        return (self.result or {}).get("seconds", *told) if told or self.result else None


def page(run_dir: Path) -> Path:
    """Write ``report.html`` into a run directory, finished or not, and return its path.

    Raises UserError when the folder is no run directory, or its files are damaged.
    """
    story = read_story(run_dir)
    body = "".join(
        [
            _head(story),
            html.section("Key numbers", html.tiles(_key_numbers(story))),
            html.section("Curves", _curves(story.log)),
            html.section("Pictures", _pictures(run_dir / rundir.SAMPLES)),
            html.section("Go on", html.commands(_go_on(story))),
            '<div class="columns">',
            html.section("Configuration", html.table(_configuration(story.config))),
            html.section("Environment", _environment(story.sessions)),
            "</div>",
        ]
    )
    return html.write_page(run_dir / "report.html", " · ".join(_title(story)), body)


def read_story(run_dir: Path) -> Story:
    """Read what a run directory has; only ``config.json`` must be there."""
    about = rundir.read_config(run_dir)
    return Story(
        folder=run_dir,
        about=about,
        sessions=rundir.read_sessions(run_dir) if (run_dir / rundir.ENVIRONMENT).exists() else [],
        log=[line for line in rundir.read_log(run_dir) if is_number(line["step"])],
        result=_read_if_there(run_dir / rundir.RESULT),
        evaluation=_read_if_there(run_dir / rundir.EVALUATION),
    )


def _read_if_there(path: Path) -> dict[str, Any] | None:
    return rundir.read_json(path) if path.exists() else None


def _title(story: Story) -> list[str]:
    seed = story.config.get("seed")
    parts = [story.about["system"], story.about["preset"], None if seed is None else f"seed {seed}"]
    return [str(part) for part in parts if part]


def _head(story: Story) -> str:
    aim = float(story.config["steps"]) if is_number(story.config.get("steps")) else 0.0
    name, *chips = _title(story)
    if story.result is not None:
        status, mood = "finished", "good"
    else:
        status, mood = f"unfinished: {number(story.steps_done)} of {number(aim)} steps", "wait"
    share = min(100.0, 100 * story.steps_done / aim) if aim > 0 else 0
    bar = f'<div class="bar"><div style="width:{share:.1f}%"></div></div>' if story.result is None else ""
    chips_html = "".join(f'<span class="chip">{escape(chip)}</span>' for chip in chips)
    return (
        f'<header><h1>{escape(name)}</h1>{chips_html}<span class="chip {mood}">{escape(status)}</span>{bar}</header>\n'
    )


def _key_numbers(story: Story) -> list[html.Tile]:
    judged = metrics(story.evaluation or {}, story.folder / rundir.EVALUATION)
    if story.result is not None:
        logged, note = metrics(story.result, story.folder / rundir.RESULT), "end of training"
    else:
        logged, note = _last_values(story.log), "last logged"
    entries = [*_metric_tiles(judged, "evaluated"), *_metric_tiles(logged, note)]
    cost = (story.result or {}).get("cost")
    entries += [html.Tile("steps", number(story.steps_done)), html.Tile("training time", duration(story.seconds))]
    return [*entries, html.Tile("cost", dollars(cost))] if cost is not None else entries


def _metric_tiles(measured: dict[str, Any], note: str) -> list[html.Tile]:
    """Percentages first, losses last; the learning rate has its curve."""
    order = sorted(measured.items(), key=lambda item: (not is_percent(item[0]), group(item[0]) == "loss"))
    return [html.Tile(words(name), _metric(name, value), note) for name, value in order if name != "lr"]


def _metric(name: str, value: Any) -> str:
    if value is None:
        return "not finite"
    if isinstance(value, str):
        return value
    return number(value) + (" %" if is_percent(name) else "")


def _last_values(log: list[dict[str, Any]]) -> dict[str, Any]:
    last: dict[str, Any] = {}
    for line in log:
        last.update({name: value for name, value in line.items() if name not in ("step", "seconds")})
    return last


# ------------------------------------------------------------------------------- curves


def _curves(log: list[dict[str, Any]]) -> str:
    charts: dict[str, dict[str, list[svg.Point]]] = {}
    for name, points in _series(log).items():
        if any(value is not None for _, value in points):
            charts.setdefault(group(name), {})[name] = points
    order = sorted(charts, key=lambda title: (title != "loss", title != "accuracy"))
    drawn = "".join(_chart(title, charts[title]) for title in order)
    return f'<div class="charts">{drawn}</div>' if drawn else '<p class="muted">Nothing has been logged yet.</p>'


def _series(log: list[dict[str, Any]]) -> dict[str, list[svg.Point]]:
    """Every logged name with its points; lines of one step are one, values that are no numbers leave gaps."""
    by_step: dict[float, dict[str, Any]] = {}
    for line in log:
        by_step.setdefault(line["step"], {}).update(line)
    series: dict[str, list[svg.Point]] = {}
    for step in sorted(by_step):
        for name, value in by_step[step].items():
            if name not in ("step", "seconds") and (value is None or is_number(value)):
                series.setdefault(name, []).append((step, value))
    # training before validation, so that each keeps its colour from chart to chart
    return dict(sorted(series.items(), key=lambda item: item[0].startswith(("val", "test"))))


def _chart(title: str, series: dict[str, list[svg.Point]]) -> str:
    lost = sum(value is None for points in series.values() for _, value in points)
    heading = title + (" (%)" if title == "accuracy" else "")
    legend = ""
    for i, (name, points) in enumerate(series.items()):
        last = next(value for _, value in reversed(points) if value is not None)
        legend += f'<li><span class="swatch {svg.style(i)}"></span>{escape(words(name))} <b>{number(last)}</b></li>'
    note = f'<p class="note">Logged but not finite, so not drawn: {lost}.</p>' if lost else ""
    picture = svg.chart(series, f"{title} over the step")
    return f'<div class="chart"><h3>{escape(words(heading))}</h3><ul class="legend">{legend}</ul>{picture}{note}</div>'


# ------------------------------------------------------------------------------- pictures


def _pictures(folder: Path) -> str:
    files = [path for path in folder.iterdir() if path.suffix.lower() in html.TYPES] if folder.is_dir() else []
    newest = sorted(files, key=_natural)[-MOST_PICTURES:]
    shown = "".join(html.picture(path, _caption(path)) for path in newest)
    note = (
        f'<p class="muted">The last {len(newest)} of {len(files)} pictures, by name.</p>'
        if len(files) > len(newest)
        else ""
    )
    return f'{note}<div class="pictures">{shown}</div>' if shown else ""


def _natural(path: Path) -> list[tuple[int, str]]:
    """``step_9`` before ``step_10``."""
    return [(int(part), "") if part.isdecimal() else (0, part) for part in re.split(r"(\d+)", path.name)]


def _caption(path: Path) -> str:
    text = path.with_suffix(".txt")
    if text.is_file() and not text.is_symlink():
        return text.read_text(encoding="utf-8", errors="replace")[:MOST_CAPTION].strip()
    return words(path.stem)


# ------------------------------------------------------------------------------- tables and commands


def _configuration(config: dict[str, Any]) -> list[tuple[str, str]]:
    """Fields as a reader understands them: JSON has no infinity, and an empty ``out`` is the default."""
    shown = {"minutes": "no limit"} if config.get("minutes", 0) is None else {}
    return [(key, shown.get(key, _plain(value))) for key, value in config.items() if (key, value) != ("out", "")]


def _plain(value: Any) -> str:
    if value is None:
        return "none"
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)


def _environment(sessions: list[dict[str, Any]]) -> str:
    if not sessions:
        return '<p class="muted">Not recorded.</p>'
    names = list(dict.fromkeys(name for session in sessions for name in session))
    rows = [(words(name), *(_session_value(session, name) for session in sessions)) for name in names]
    header = ("", *(f"session {i}" for i in range(1, len(sessions) + 1))) if len(sessions) > 1 else ()
    return html.table(rows, header)


def _session_value(session: dict[str, Any], name: str) -> str:
    value = session.get(name)
    return shlex.join(map(str, value)) if name == "command" and isinstance(value, list) else _plain(value)


def _go_on(story: Story) -> list[tuple[str, str]]:
    """What can be done with the run as it is now."""
    system, run = shlex.quote(_title(story)[0]), shlex.quote(str(story.folder))
    offers: list[tuple[str, str]] = []
    if story.result is None:
        offers.append(("Resume where it stopped", _resume(story)))
    if (story.folder / rundir.WEIGHTS).exists():
        offers.append(("Evaluate", f"daybreak {system} evaluate {run}"))
        offers.append(("Use it from Python", f"import daybreak\nmodel = daybreak.load({str(story.folder)!r})"))
    if story.result is not None:
        offers.append(("Beside other runs", f"daybreak compare {run} ..."))
    return offers


def _resume(story: Story) -> str:
    """The command that began the run where it was one; else the one that the configuration stands for."""
    about, seed = story.about, story.config.get("seed")
    place = [*(["--seed", str(seed)] if seed is not None else []), "--out", str(story.folder)]
    began = rundir.command_line(story.sessions[-1]) if story.sessions else None
    if began is None:
        words = ["daybreak", about["system"], about["loop"], about["preset"], *place]
        return shlex.join(word for word in words if word)
    if _has_moved(story):
        return shlex.join([*_without(shlex.split(began), ("--out", "--seed", "--seeds")), *place])
    return began


def _has_moved(story: Story) -> bool:
    """Whether the command that began the run would, here, write to another folder."""
    about, config = story.about, story.config
    began = config.get("out") or f"runs/{about['system']}-{about['preset'] or 'custom'}-seed{config.get('seed')}"
    return Path(str(began)).expanduser().resolve() != story.folder.resolve()


def _without(words: list[str], flags: Sequence[str]) -> list[str]:
    """A command's words without some flags and their values."""
    kept: list[str] = []
    dropping = False
    for word in words:
        if word.startswith("--"):
            dropping = word.partition("=")[0] in flags
        if not dropping:
            kept.append(word)
    return kept

"""The leaderboard as one self-contained page: nothing from a network, no script."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from html import escape
from pathlib import Path

from daybreak.engine.errors import UserError
from daybreak.engine.files import write_atomic
from daybreak.systems.dawnbench.entries import Task
from daybreak.systems.dawnbench.leaderboard.plot import plot
from daybreak.systems.dawnbench.leaderboard.ranking import REPOSITORY, Standing
from daybreak.systems.dawnbench.leaderboard.table import cells, header

STYLE = """
:root { color-scheme: light dark; --paper: #f6f7f9; --card: #fff; --ink: #1d2129; --muted: #5d6470; --hair: #e3e6ea;
  --ours: #14703c; --ours-bg: #e3f4ea; }
@media (prefers-color-scheme: dark) { :root { --paper: #14171c; --card: #1d2128; --ink: #e8eaee; --muted: #9aa3b0;
  --hair: #303641; --ours: #7bd6a0; --ours-bg: #17382a; } }
body { margin: 0; background: var(--paper); color: var(--ink); font: 16px/1.5 system-ui, sans-serif; }
main { max-width: 1080px; margin: 0 auto; padding: 28px 20px 64px; }
h1 { font-size: 1.75rem; line-height: 1.2; margin: 0 0 6px; }
p { color: var(--muted); margin: 0 0 20px; max-width: 46em; }
a { color: inherit; }
img { display: block; width: 100%; height: auto; background: #fff; border: 1px solid var(--hair); border-radius: 10px;
  padding: 18px; box-sizing: border-box; margin-bottom: 20px; }
.scroll { overflow-x: auto; background: var(--card); border: 1px solid var(--hair); border-radius: 10px; }
table { border-collapse: collapse; width: 100%; font-size: 0.875rem; font-variant-numeric: tabular-nums; }
th, td { text-align: left; vertical-align: top; padding: 6px 12px; border-top: 1px solid var(--hair); }
th { color: var(--muted); font-weight: 500; border-top: 0; }
td:nth-child(-n+3), th:nth-child(-n+3) { text-align: right; white-space: nowrap; }
td:last-child { white-space: nowrap; }
td:first-child { color: var(--muted); }
tr.ours td { background: var(--ours-bg); color: var(--ours); font-weight: 600; }
"""
WORDS = {
    "time": "Training time",
    "cost": "Cost of training",
    "latency": "Latency of one image",
    "inference-cost": "Cost of classifying a million images",
}


def page(standings: Sequence[Standing], task: Task, by: str, path: Path) -> Path:
    """Write the page, and beside it the plot as a PNG of the same name. Returns the page's path.

    Raises UserError when there is nobody to show, or the path does not end in .html.
    """
    if path.suffix.lower() not in (".html", ".htm"):
        raise UserError(f"{path} is no name for a page: end it with .html")
    if not standings:
        raise UserError(f"nobody is ranked by {by} in {task.about}: rank by something else")
    title = f"{WORDS[by]}, {task.about}"
    picture = base64.b64encode(plot(standings, by, title, path.with_suffix(".png")).read_bytes()).decode()
    body = (
        f"<h1>DAWNBench: {escape(title)}</h1>\n<p>{_about(standings, task)}</p>\n"
        f'<img alt="{escape(title)}, by date" src="data:image/png;base64,{picture}">\n{_table(standings, by)}'
    )
    whole = (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta http-equiv="Content-Security-Policy" content="default-src \'none\'; img-src data:; '
        "style-src 'unsafe-inline'\">\n"
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>DAWNBench: {escape(title)}</title>\n<style>{STYLE}</style>\n</head>\n"
        f"<body>\n<main>\n{body}\n</main>\n</body>\n</html>\n"
    )
    write_atomic(path, whole.encode())
    return path


def _about(standings: Sequence[Standing], task: Task) -> str:
    theirs = sum(not standing.seeds for standing in standings)
    ours = len(standings) - theirs
    rule = (
        "What counts is the first evaluation at or above the threshold. The contest let one lucky run count; "
        "ours are means over all seeds that were trained, ± half their 95 % interval, each with the machine it ran on."
    )
    source = f'<a href="{REPOSITORY}">the contest\'s entries</a> of 2017 to 2020'
    return f"{theirs} of {source}, and {ours} of daybreak's (green): {escape(task.about)}. {escape(rule)}"


def _table(standings: Sequence[Standing], by: str) -> str:
    head = "".join(f"<th>{escape(name)}</th>" for name in header(by))
    rows = "\n".join(
        ('<tr class="ours">' if standing.seeds else "<tr>")
        + "".join(f"<td>{escape(cell)}</td>" for cell in cells(place, standing))
        + "</tr>"
        for place, standing in enumerate(standings, start=1)
    )
    return f'<div class="scroll"><table><thead><tr>{head}</tr></thead><tbody>\n{rows}\n</tbody></table></div>'

"""The demo's page: one chapter a system, those that failed among them."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from pathlib import Path

from daybreak.engine import chapter as chapters
from daybreak.engine.chapter import Chapter, Number
from daybreak.engine.errors import UserError
from daybreak.report import html
from daybreak.report.quantity import duration, number, words


def demo_page(folders: Sequence[Path], folder: Path) -> Path:
    """Write ``folder/report.html`` out of the chapters' folders, in the order given, and return its path.

    A folder without a readable ``chapter.json`` becomes a chapter that failed, under the folder's name.
    """
    told = [(path, _read(path)) for path in folders]
    good = sum(not chapter.error for _, chapter in told)
    seconds = sum(chapter.seconds or 0 for _, chapter in told)
    mood = "good" if good == len(told) else "bad"
    head = (
        "<header><h1>daybreak demo</h1>"
        f'<span class="chip {mood}">{good} of {len(told)} chapters went well</span>'
        f'<span class="chip">{escape(duration(seconds))}</span></header>\n'
    )
    body = head + f"<nav>{''.join(_link(i, c) for i, (_, c) in enumerate(told))}</nav>\n"
    body += "".join(_chapter(i, c, path) for i, (path, c) in enumerate(told))
    return html.write_page(folder / "report.html", "daybreak demo", body)


def _read(folder: Path) -> Chapter:
    try:
        return chapters.read(folder)
    except UserError as error:
        return Chapter(system=folder.name, title=folder.name, error=str(error))


def _link(index: int, chapter: Chapter) -> str:
    mood = " bad" if chapter.error else ""
    failed = " failed" if chapter.error else ""
    return f'<a class="chip{mood}" href="#chapter-{index}">{escape(chapter.system)}{failed}</a>'


def _chapter(index: int, chapter: Chapter, folder: Path) -> str:
    failed = " failed" if chapter.error else ""
    status = '<span class="chip bad">failed</span>' if chapter.error else ""
    paragraphs = "".join(f"<p>{escape(part)}</p>" for part in chapter.text.split("\n\n") if part.strip())
    error = f'<div class="error"><pre>{escape(chapter.error)}</pre></div>' if chapter.error else ""
    pictures = "".join(html.picture(folder / picture.file, picture.caption) for picture in chapter.pictures)
    parts = [
        f'<span class="chip">{escape(chapter.system)}</span>{status}'
        f'<span class="muted">{escape(duration(chapter.seconds)) if chapter.seconds is not None else ""}</span>',
        f"<h2>{escape(chapter.title)}</h2>",
        error,
        f"<div>{paragraphs}</div>" if paragraphs else "",
        html.tiles(map(_tile, chapter.numbers)) if chapter.numbers else "",
        f'<div class="pictures">{pictures}</div>' if pictures else "",
        html.commands([("Try next", "\n".join(chapter.commands))]) if chapter.commands else "",
    ]
    return f'<article class="chapter{failed}" id="chapter-{index}">{"".join(parts)}</article>\n'


def _tile(entry: Number) -> html.Tile:
    unit = f" {entry.unit}" if entry.unit else ""
    value = "not finite" if entry.value is None else number(entry.value) + unit
    floor = f"floor {number(entry.floor)}{unit}" if entry.floor is not None else ""
    note = " · ".join(part for part in (floor, entry.note) if part)
    if entry.met is None:
        return html.Tile(words(entry.name), value, note)
    outcome = f"target {number(entry.target)}{unit}: {'met' if entry.met else 'missed'}"
    return html.Tile(words(entry.name), value, note, outcome, "good" if entry.met else "bad")

"""One self-contained HTML page: its style, its parts, pictures inside. No script, nothing from a network."""

from __future__ import annotations

import base64
from collections.abc import Iterable, Sequence
from html import escape
from pathlib import Path
from typing import NamedTuple

from daybreak.engine.files import write_atomic

TYPES = {".png": "image/png", ".jpg": "image/jpeg", ".jpeg": "image/jpeg", ".svg": "image/svg+xml"}
BEGINNINGS = {"image/png": (b"\x89PNG",), "image/jpeg": (b"\xff\xd8",), "image/svg+xml": (b"<?xml", b"<svg")}
MOST_BYTES = 8_000_000
"""Of one picture: a page has to stay light enough to be sent."""
POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'"
"""Should a name ever escape its quotes, the browser still runs no script and calls nobody."""
STYLE = Path(__file__).with_name("page.css")


class Tile(NamedTuple):
    """A number at large with small lines below: a note, and an outcome with its mood ("good" or "bad")."""

    name: str
    value: str
    note: str = ""
    outcome: str = ""
    mood: str = ""


def write_page(path: Path, title: str, body: str) -> Path:
    """Write a whole page. ``body`` is HTML, ``title`` plain text."""
    page = (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        '<meta name="color-scheme" content="light dark">\n'
        f"<title>{escape(title)}</title>\n<style>\n{STYLE.read_text(encoding='utf-8')}</style>\n</head>\n"
        f"<body>\n<main>\n{body}\n</main>\n</body>\n</html>\n"
    )
    write_atomic(path, page.encode("utf-8", errors="replace"))
    return path


def section(heading: str, body: str) -> str:
    """A part of the page under a heading; nothing when it has no body."""
    return f"<section>\n<h2>{escape(heading)}</h2>\n{body}\n</section>\n" if body else ""


def tiles(entries: Iterable[Tile]) -> str:
    """Numbers at large, side by side."""
    return '<div class="tiles">' + "".join(map(_tile, entries)) + "</div>"


def _tile(tile: Tile) -> str:
    below = f'<div class="outcome {tile.mood}">{escape(tile.outcome)}</div>' if tile.outcome else ""
    below += f'<div class="note">{escape(tile.note)}</div>' if tile.note else ""
    number = f'<div class="name">{escape(tile.name)}</div><div class="value">{escape(tile.value)}</div>'
    return f'<div class="tile">{number}{below}</div>'


def table(rows: Sequence[Sequence[str]], header: Sequence[str] = ()) -> str:
    """A table that scrolls sideways where it must; the first cell of a row names it."""
    head = f"<thead><tr>{''.join(f'<th>{escape(cell)}</th>' for cell in header)}</tr></thead>" if header else ""
    body = "".join(
        f'<tr><th scope="row">{escape(row[0])}</th>{"".join(f"<td>{escape(cell)}</td>" for cell in row[1:])}</tr>'
        for row in rows
    )
    return f'<div class="scroll"><table>{head}<tbody>{body}</tbody></table></div>'


def commands(entries: Sequence[tuple[str, str]]) -> str:
    """What to type, each with what it does."""
    return "".join(
        f'<div class="command"><p>{escape(what)}</p><pre>{escape(line)}</pre></div>' for what, line in entries
    )


def picture(path: Path, caption: str) -> str:
    """A picture inside the page with its caption, or a sentence on why it is not shown."""
    source, trouble = embedded(path)
    text = f"<figcaption>{escape(caption)}</figcaption>" if caption else ""
    if trouble:
        return f'<figure class="missing"><p>{escape(path.name)} {escape(trouble)}</p>{text}</figure>'
    return f'<figure><img src="{source}" alt="{escape(caption or path.name)}">{text}</figure>'


def embedded(path: Path) -> tuple[str, str]:
    """A picture as a data URI, and why there is none (one of the two is empty)."""
    kind = TYPES.get(path.suffix.lower(), "")
    if not kind:
        return "", "is no PNG, JPEG or SVG"
    if path.is_symlink() or not path.is_file():
        return "", "is not a file of this folder"  # a link could bring a private file into a page that is passed on
    if path.stat().st_size > MOST_BYTES:
        return "", f"is over {MOST_BYTES // 1_000_000} MB"
    content = path.read_bytes()
    if not content.lstrip()[:16].startswith(BEGINNINGS[kind]):
        return "", "is not whole, or not what its name says"
    return f"data:{kind};base64,{base64.b64encode(content).decode()}", ""

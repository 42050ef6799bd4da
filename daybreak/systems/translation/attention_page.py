"""The page that shows where a translator looks, and the pictures beside it.

One file: its style, its script and its data inside, and nothing from a network.
"""

from __future__ import annotations

import base64
import hashlib
import json
from html import escape
from pathlib import Path
from typing import Any

import numpy as np

from daybreak import draw
from daybreak.engine.errors import UserError
from daybreak.engine.files import write_atomic
from daybreak.systems.translation.maps import END_MARK, START_MARK, Kind, Look

BODY, STYLE, SCRIPT = (Path(__file__).with_name(f"attention.{kind}") for kind in ("html", "css", "js"))
KINDS: dict[Kind, str] = {
    "cross": "The translation (rows) looks at the sentence (columns)",
    "encoder": "The sentence looks at itself",
    "decoder": "The translation (rows) looks at itself, one token behind (columns)",
}
SHARES = 1000
"""Weights are stored as whole thousandths: a page of many maps stays light."""
LONGEST_TITLE = 60


def check_name(path: Path) -> None:
    """Raise UserError for the name of a page that does not end in .html."""
    if path.suffix.lower() not in (".html", ".htm"):
        raise UserError(f"{path} is no name for a page: end it with .html")


def write(seen: Look, path: Path) -> list[Path]:
    """Write the page, and beside it the alignment as a PNG, and all heads as another where there are more than one.

    Raises UserError when the path does not end in .html, or the attention is not finite.
    """
    check_name(path)
    rows, columns = seen.axes("cross")
    title = "Where the translation (rows) looked in the sentence (columns)"
    written = [draw.alignment(seen.alignment, rows, columns, path.with_suffix(".png"), title=title)]
    if len(seen.maps) > 1:
        groups = [draw.Heads(KINDS[kind], *seen.axes(kind), by_layer(seen, kind)) for kind in _kinds(seen)]
        written.append(draw.heads(groups, path.with_name(f"{path.stem}_heads.png"), title="Every head of every layer"))
    write_atomic(path, page(seen).encode("utf-8", errors="replace"))
    return [path, *written]


def by_layer(seen: Look, kind: Kind) -> list[list[list[list[float]]]]:
    """All maps of a kind: layer, head, row, column."""
    chosen = [m for m in seen.maps if m.kind == kind]
    layers = sorted({m.layer for m in chosen})
    return [[m.weights for m in sorted(chosen, key=lambda m: m.head) if m.layer == layer] for layer in layers]


def _kinds(seen: Look) -> list[Kind]:
    return [kind for kind in KINDS if any(m.kind == kind for m in seen.maps)]


def page(seen: Look) -> str:
    """The page as HTML."""
    style, script = STYLE.read_text(encoding="utf-8"), SCRIPT.read_text(encoding="utf-8")
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{_policy(style, script)}">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        '<meta name="color-scheme" content="light dark">\n'
        f"<title>{escape(_title(seen))}</title>\n<style>{style}</style>\n</head>\n"
        f"<body>\n<main>\n{BODY.read_text(encoding='utf-8')}</main>\n"
        f'<script type="application/json" id="look">{_json(seen)}</script>\n'
        f'<script type="module">{script}</script>\n</body>\n</html>\n'
    )


def _title(seen: Look) -> str:
    text = "".join(seen.source[:-1]).strip()
    shown = text if len(text) <= LONGEST_TITLE else f"{text[: LONGEST_TITLE - 1]}…"
    return f"{shown} · where the translator looks"


def _policy(style: str, script: str) -> str:
    """Only our own style and script run, known by their digests; nothing is fetched, sent, or made into code."""
    return (
        f"default-src 'none'; style-src {_digest(style)}; script-src {_digest(script)}; base-uri 'none'; "
        "form-action 'none'; require-trusted-types-for 'script'; trusted-types 'none'"
    )


def _digest(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


def _json(seen: Look) -> str:
    """The maps as JSON that cannot end the element it stands in."""
    marks = {"start": START_MARK, "end": END_MARK}
    about = {"marks": marks, "kinds": [_of_kind(seen, kind) for kind in _kinds(seen)]}
    return json.dumps(about, separators=(",", ":")).replace("<", "\\u003c")


def _of_kind(seen: Look, kind: Kind) -> dict[str, Any]:
    rows, columns = seen.axes(kind)
    maps = [[_rounded(weights) for weights in layer] for layer in by_layer(seen, kind)]
    return {"name": kind, "rows": rows, "columns": columns, "maps": maps}


def _rounded(weights: list[list[float]]) -> list[list[int]]:
    return np.rint(np.array(weights) * SHARES).astype(int).tolist()

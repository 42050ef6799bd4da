"""The documentation holds together: links lead somewhere, and the menu has every page."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
DOCS = ROOT / "docs"


def pages() -> list[Path]:
    folders = (ROOT, *(ROOT / name for name in ("docs", "daybreak", "results", "benchmarks")))
    return sorted({page for folder in folders for page in folder.glob("*.md" if folder == ROOT else "**/*.md")})


def broken_links(page: Path, text: str) -> list[str]:
    """Links of a page to files that are not there; addresses and code are left alone."""
    prose = re.sub(r"```.*?```|`[^`\n]*`", "", text, flags=re.S)
    targets = [target for target in re.findall(r"\]\(([^)\s]+)\)", prose) if not re.match(r"\w+:|#", target)]
    return [target for target in targets if not (page.parent / target.partition("#")[0]).exists()]


def test_every_link_leads_to_a_file() -> None:
    broken = {page.relative_to(ROOT): broken_links(page, page.read_text("utf-8")) for page in pages()}
    assert {page: links for page, links in broken.items() if links} == {}


@pytest.mark.parametrize(
    ("text", "broken"),
    [
        ("[a](nowhere.md)", ["nowhere.md"]),
        ("![a](gone.png)", ["gone.png"]),
        ("[a](README.md#here) [b](https://example.org/x) `[c](code.md)`\n```\n[d](code.md)\n```", []),
    ],
)
def test_a_broken_link_is_found(text: str, broken: list[str]) -> None:
    assert broken_links(ROOT / "README.md", text) == broken


def test_the_menu_has_every_page_and_no_other() -> None:
    menu = re.findall(r"([\w/.-]+\.md)$", (ROOT / "mkdocs.yml").read_text("utf-8"), re.M)
    written = [page.relative_to(DOCS).as_posix() for page in DOCS.rglob("*.md") if "template" not in page.parts]
    assert sorted(menu) == sorted(written)

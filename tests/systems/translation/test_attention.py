"""The page that shows where a translator looks: its data, its safety, its weight, and the pictures beside it."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from html.parser import HTMLParser
from itertools import product
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from daybreak.engine.errors import UserError
from daybreak.systems.translation import attention_page
from daybreak.systems.translation.attention_page import page, write
from daybreak.systems.translation.maps import END_MARK, START_MARK, Look, Map

HOSTILE = "</script><script>alert(1)</script><!--<script>\"'&amp;"
SOURCE, TARGET = [" Ein", " Hut", END_MARK], [" A", " hat", ".", END_MARK]
VOID = {"meta", "input"}


def weights(rows: int, columns: int, seed: int = 0) -> list[list[float]]:
    drawn = np.random.default_rng(seed).random((rows, columns)) ** 4
    return (drawn / drawn.sum(axis=1, keepdims=True)).tolist()


def recurrent(source: list[str] = SOURCE, target: list[str] = TARGET) -> Look:
    return Look(source, target, [Map("cross", 1, 1, weights(len(target), len(source)))])


def transformer(layers: int = 2, heads: int = 3, source: list[str] = SOURCE, target: list[str] = TARGET) -> Look:
    sizes = {"encoder": (source, source), "decoder": (target, target), "cross": (target, source)}
    maps = [
        Map(kind, layer, head, weights(len(sizes[kind][0]), len(sizes[kind][1]), seed))
        for seed, (kind, layer, head) in enumerate(product(sizes, range(1, layers + 1), range(1, heads + 1)))
    ]
    return Look(source, target, maps)


class Page(HTMLParser):
    """A page's elements with their attributes, and the text in each kind; fails where they do not nest."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[tuple[str, str]] = []
        self.open: list[str] = []
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.texts.append((self.open[-1] if self.open else "", data))

    def of(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.elements if name == tag]

    def inside(self, tag: str) -> list[str]:
        return [text for name, text in self.texts if name == tag]

    @property
    def data(self) -> dict:
        return json.loads(self.inside("script")[0])


# ----------------------------------------------------------------------------- data


def test_every_map_comes_back_out_of_the_page() -> None:
    seen = transformer()
    found = {kind["name"]: kind for kind in Page(page(seen)).data["kinds"]}
    assert list(found) == ["cross", "encoder", "decoder"]
    for m in seen.maps:
        stored = np.array(found[m.kind]["maps"][m.layer - 1][m.head - 1]) / 1000
        assert np.abs(stored - np.array(m.weights)).max() <= 0.0005
    assert sum(len(layer) for kind in found.values() for layer in kind["maps"]) == len(seen.maps)


def test_heads_keep_their_order_however_they_come() -> None:
    seen = transformer()
    assert page(Look(SOURCE, TARGET, seen.maps[::-1])) == page(seen)


def test_tokens_stand_beside_the_rows_and_columns_that_are_theirs() -> None:
    found = {kind["name"]: (kind["rows"], kind["columns"]) for kind in Page(page(transformer())).data["kinds"]}
    assert found["cross"] == (TARGET, SOURCE)
    assert found["encoder"] == (SOURCE, SOURCE)
    assert found["decoder"] == (TARGET, [START_MARK, " A", " hat", "."])  # what it had read when it wrote each


def test_a_recurrent_network_has_one_map_and_no_other_kind() -> None:
    (kind,) = Page(page(recurrent())).data["kinds"]
    assert kind["name"] == "cross" and np.array(kind["maps"]).shape == (1, 1, 4, 3)


def test_the_alignment_is_the_mean_of_the_last_layers_cross_maps() -> None:
    seen = transformer()
    last = [m.weights for m in seen.maps if m.kind == "cross" and m.layer == 2]
    assert len(last) == 3
    assert np.allclose(seen.alignment, np.mean(last, axis=0))


def test_a_page_of_many_long_maps_stays_light() -> None:
    text = [f" token{i}" for i in range(60)]
    assert len(page(transformer(4, 8, text, text)).encode()) < 2_000_000


@given(st.lists(st.text(), min_size=1, max_size=4))
def test_any_text_comes_back_as_it_was_and_leaves_the_page_whole(tokens: list[str]) -> None:
    found = Page(page(recurrent(tokens, [*tokens, HOSTILE])).encode("utf-8", "replace").decode())
    (kind,) = found.data["kinds"]
    assert kind["columns"] == tokens and kind["rows"] == [*tokens, HOSTILE]


# ----------------------------------------------------------------------------- safety


def test_a_hostile_sentence_stays_text() -> None:
    plain, hostile = Page(page(recurrent())), Page(page(recurrent([HOSTILE, END_MARK], [HOSTILE, END_MARK])))
    assert [tag for tag, _ in hostile.elements] == [tag for tag, _ in plain.elements]
    assert hostile.data["kinds"][0]["rows"][0] == HOSTILE
    assert "".join(hostile.inside("title")).startswith(HOSTILE[:40])


def test_only_the_pages_own_style_and_script_may_run() -> None:
    found = Page(page(transformer()))
    (policy,) = [m["content"] or "" for m in found.of("meta") if m.get("http-equiv") == "Content-Security-Policy"]
    rules = dict(rule.strip().split(" ", 1) for rule in policy.split(";"))
    assert rules["default-src"] == rules["base-uri"] == rules["form-action"] == "'none'"
    assert "unsafe" not in policy
    for rule, text in (("script-src", found.inside("script")[1]), ("style-src", "".join(found.inside("style")))):
        digest = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
        assert rules[rule] == f"'sha256-{digest}'"


def test_the_page_calls_nobody_and_has_no_inline_style_or_handler() -> None:
    text = page(transformer())
    found = Page(text)
    names = {name for _, attributes in found.elements for name in attributes}
    assert not names & {"src", "href", "style", "action"} and not any(name.startswith("on") for name in names)
    assert [address for address in re.findall(r"https?://[^\"'\s]+", text)] == ["http://www.w3.org/2000/svg"]
    assert not re.search(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\b|fetch\(", text)


def test_the_script_finds_every_element_that_it_names() -> None:
    script = attention_page.SCRIPT.read_text(encoding="utf-8")
    made = {"labels-rows", "labels-columns", "map", "marker"}  # by the script itself
    named = set(re.findall(r'\$\("([\w-]+)"\)', script))
    ids = {attributes.get("id") for _, attributes in Page(page(recurrent())).elements}
    assert len(named) > 15 and named - made <= ids


# ----------------------------------------------------------------------------- files


def test_a_transformer_gets_a_page_and_two_pictures(tmp_path: Path) -> None:
    written = write(transformer(), tmp_path / "new" / "look.html")
    assert [path.name for path in written] == ["look.html", "look.png", "look_heads.png"]
    for path in written[1:]:
        with Image.open(path) as picture:
            assert len(picture.convert("RGB").getcolors(2**24) or []) > 10
    assert sorted(path.name for path in written[0].parent.iterdir()) == sorted(path.name for path in written)


def test_a_recurrent_network_gets_a_page_and_one_picture(tmp_path: Path) -> None:
    written = write(recurrent(), tmp_path / "look.html")
    assert [path.name for path in written] == ["look.html", "look.png"]
    assert written[0].read_text(encoding="utf-8") == page(recurrent())


def test_a_name_that_is_no_pages_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"look\.png is no name for a page"):
        write(recurrent(), tmp_path / "look.png")
    assert list(tmp_path.iterdir()) == []


def test_attention_that_is_not_finite_is_refused_and_no_page_written(tmp_path: Path) -> None:
    diverged = Look(SOURCE, TARGET, [Map("cross", 1, 1, [[float("nan")] * 3] * 4)])
    with pytest.raises(UserError, match="diverged"):
        write(diverged, tmp_path / "look.html")
    assert list(tmp_path.iterdir()) == []

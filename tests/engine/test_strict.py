from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daybreak.engine.errors import UserError
from daybreak.engine.strict import build, read_object


@dataclass
class Inner:
    what: str


@dataclass
class Outer:
    name: str
    count: int
    share: float | None = None
    side: Literal["left", "right"] = "left"
    inner: Inner | None = None
    many: list[Inner] = field(default_factory=list)
    free: dict[str, Any] = field(default_factory=dict)


GOOD = {"name": "a", "count": 1}


def test_a_whole_tree_is_built():
    built = build(
        Outer, GOOD | {"share": 1, "inner": {"what": "x"}, "many": [{"what": "y"}], "free": {"k": [1]}}, "file"
    )
    assert built == Outer("a", 1, 1, "left", Inner("x"), [Inner("y")], {"k": [1]})


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"nme": "a"}, "file has an unknown key 'nme'"),
        ({"count": True}, "file: count should be int, not True"),
        ({"count": 1.5}, "file: count should be int"),
        ({"share": "x"}, "file: share should be float"),
        ({"share": float("nan")}, "file: share should be float"),
        ({"share": 10**400}, "file: share should be float"),
        ({"side": "up"}, "file: side should be 'left' or 'right', not 'up'"),
        ({"inner": {}}, "file: inner lacks the key 'what'"),
        ({"many": [{"what": "y"}, {"what": 3}]}, r"file: many\[1\]: what should be str"),
        ({"many": {"what": "y"}}, "file: many should be list"),
        ({"free": []}, "file: free should be dict"),
        ({"name": None}, "file: name should be str, not None"),
    ],
)
def test_what_does_not_fit_is_named(change, sentence):
    with pytest.raises(UserError, match=sentence):
        build(Outer, GOOD | change, "file")


def test_a_missing_key_is_named():
    with pytest.raises(UserError, match="lacks the key 'count'"):
        build(Outer, {"name": "a"}, "file")


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)


@given(
    json_values
    | st.dictionaries(st.sampled_from(["name", "count", "share", "side", "inner", "many", "free"]), json_values)
)
def test_any_json_is_built_or_refused(values):
    try:
        built = build(Outer, values, "file")
    except UserError:
        return
    assert isinstance(built, Outer)


@pytest.mark.parametrize("content", [b"", b"{", b"[1]", b'{"a": NaN}', b'{"a": Infinity}', b"\xff\xfe", b"[" * 100_000])
def test_a_damaged_file_is_named(tmp_path, content):
    path = tmp_path / "x.json"
    path.write_bytes(content)
    with pytest.raises(UserError, match=r"x\.json"):
        read_object(path)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(UserError, match=r"x\.json is not there"):
        read_object(tmp_path / "x.json")

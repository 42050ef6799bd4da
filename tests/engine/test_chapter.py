from __future__ import annotations

import json
import math

import pytest

from daybreak.engine import chapter as chapters
from daybreak.engine.chapter import Chapter, Number, Picture
from daybreak.engine.errors import UserError


def test_a_chapter_reads_as_it_was_written(tmp_path):
    (tmp_path / "a.png").write_bytes(b"\x89PNG")
    written = Chapter(
        "dawnbench",
        "Digits",
        "text",
        [Number("accuracy", 97.5, "%", floor=10.0, target=95.0), Number("seconds", 4, better="lower")],
        [Picture("a.png", "digits")],
        ["daybreak list"],
        7.5,
    )
    chapters.write(written, tmp_path)
    assert chapters.read(tmp_path) == written


def test_a_number_that_is_not_finite_becomes_null(tmp_path):
    chapters.write(Chapter("a", "b", numbers=[Number("loss", math.nan)]), tmp_path)
    assert chapters.read(tmp_path).numbers == [Number("loss", None)]


@pytest.mark.parametrize(
    ("number", "met"),
    [
        (Number("accuracy", 95, target=95), True),
        (Number("accuracy", 94, target=95), False),
        (Number("seconds", 94, target=95, better="lower"), True),
        (Number("seconds", 96, target=95, better="lower"), False),
        (Number("accuracy", None, target=95), None),
        (Number("accuracy", 95), None),
    ],
)
def test_a_target_is_met_on_the_better_side(number, met):
    assert number.met is met


def test_a_picture_that_is_not_there_is_refused(tmp_path):
    with pytest.raises(UserError, match=r"a\.png"):
        chapters.write(Chapter("a", "b", pictures=[Picture("a.png", "")]), tmp_path)


@pytest.mark.parametrize("file", ["../secret.png", "/etc/passwd", "..", "sub/a.png", "sub\\a.png", "", "a\0.png"])
def test_a_picture_outside_of_the_folder_is_refused(tmp_path, file):
    values = {"system": "a", "title": "b", "pictures": [{"file": file, "caption": ""}]}
    (tmp_path / chapters.FILE).write_text(json.dumps(values))
    with pytest.raises(UserError, match="plain file name"):
        chapters.read(tmp_path)


@pytest.mark.parametrize("content", ["", "{", "[]", '{"system": "a"}', '{"system": "a", "title": "b", "colour": 3}'])
def test_a_damaged_chapter_is_refused_by_name(tmp_path, content):
    (tmp_path / chapters.FILE).write_text(content)
    with pytest.raises(UserError, match=r"chapter\.json"):
        chapters.read(tmp_path)

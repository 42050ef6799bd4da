from __future__ import annotations

import json

from daybreak.engine import chapter as chapters
from daybreak.engine.chapter import Chapter, Number, Picture
from daybreak.report.demo import demo_page

HOSTILE = '"><script>alert(1)</script>'


def chapter(folder, name, **fields):
    chapters.write(Chapter(name, f"Title of {name}", **fields), folder / name)
    return folder / name


def test_chapters_are_shown_with_numbers_targets_pictures_and_commands(tmp_path, pixel):
    (tmp_path / "dawnbench").mkdir()
    (tmp_path / "dawnbench" / "a.png").write_bytes(pixel)
    numbers = [Number("accuracy", 97.5, "%", floor=10, target=95), Number("seconds", 6, "s", target=5, better="lower")]
    told = chapter(
        tmp_path,
        "dawnbench",
        text="One.\n\nTwo.",
        numbers=numbers,
        pictures=[Picture("a.png", "digits")],
        commands=["daybreak list"],
        seconds=7.2,
    )
    text = demo_page([told], tmp_path).read_text()
    for part in (
        "1 of 1 chapters went well",
        "target 95 %: met",
        "target 5 s: missed",
        "floor 10 %",
        "<p>Two.</p>",
        "7.2 s",
    ):
        assert part in text
    assert "data:image/png;base64," in text
    assert "daybreak list" in text


def test_a_chapter_that_failed_is_shown_with_its_error_and_counted(tmp_path):
    good = chapter(tmp_path, "dawnbench")
    failed = chapter(tmp_path, "biggan", error="RuntimeError: loss is not finite at step 31")
    text = demo_page([good, failed], tmp_path).read_text()
    assert "1 of 2 chapters went well" in text
    assert "RuntimeError: loss is not finite at step 31" in text


def test_a_chapter_that_wrote_nothing_or_nonsense_counts_as_failed(tmp_path):
    (tmp_path / "damaged").mkdir()
    (tmp_path / "damaged" / chapters.FILE).write_text('{"system": "dam')
    text = demo_page([tmp_path / "killed", tmp_path / "damaged"], tmp_path).read_text()
    assert "0 of 2 chapters went well" in text
    assert "did not come" not in text
    assert "killed/chapter.json is not there" in text
    assert "damaged/chapter.json is no readable JSON" in text


def test_a_picture_that_vanished_is_named(tmp_path, pixel):
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "gone.png").write_bytes(pixel)
    told = chapter(tmp_path, "a", pictures=[Picture("gone.png", "digits")])
    (told / "gone.png").unlink()
    assert "gone.png is not a file of this folder" in demo_page([told], tmp_path).read_text()


def test_hostile_chapters_stay_text(tmp_path):
    (tmp_path / "x").mkdir()
    number = {"name": HOSTILE, "value": 1, "unit": HOSTILE, "target": 2, "note": HOSTILE}
    told = {"system": HOSTILE, "title": HOSTILE, "text": HOSTILE, "error": HOSTILE, "commands": [HOSTILE]}
    (tmp_path / "x" / chapters.FILE).write_text(json.dumps({**told, "numbers": [number]}))
    text = demo_page([tmp_path / "x"], tmp_path).read_text()
    assert "<script" not in text
    assert text.count("&lt;script&gt;alert(1)") >= 8


def test_a_demo_without_chapters_gives_a_page(tmp_path):
    assert "0 of 0 chapters" in demo_page([], tmp_path).read_text()

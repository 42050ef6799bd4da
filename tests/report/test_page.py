from __future__ import annotations

import json
import subprocess
import sys
from html.parser import HTMLParser

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from daybreak.engine.errors import UserError
from daybreak.report.page import page

HOSTILE = "\"><script>alert(1)</script><img src=x onerror='alert(2)'>"
VOID = {"meta", "img", "br", "line", "circle", "polyline"}


class Page(HTMLParser):
    """Which elements a page has, with their attributes, and its text; fails when they do not nest."""

    def __init__(self, text):
        super().__init__()
        self.elements, self.attributes, self.text, self.open = [], [], "", []
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        self.elements.append(tag)
        self.attributes += attrs
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.elements.append(tag)
        self.attributes += attrs

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text += data


def read(folder):
    return Page(page(folder).read_text(encoding="utf-8"))


def resume(folder):
    """The command offered to resume a run."""
    return read(folder).text.split("Resume where it stopped")[1].split("Configuration")[0]


def test_a_finished_run_shows_its_numbers_curves_and_tables(make_run):
    found = read(make_run(metrics={"accuracy": 98.1234, "loss": 0.0712}))
    for text in ("dawnbench", "digits", "seed 1", "finished", "98.12 %", "0.0712", "5 min 21 s", "$0.018", "torch"):
        assert text in found.text
    assert found.elements.count("svg") == 2  # loss, accuracy


def test_an_unfinished_run_shows_how_far_it_came_and_how_to_resume(make_run):
    lines = [{"step": step, "seconds": 1.0, "loss": 1.0} for step in range(10, 601, 10)]
    found = read(make_run(log=lines, result=False))
    assert "unfinished: 600 of 1,000 steps" in found.text
    assert ("style", "width:60.0%") in found.attributes


def test_resuming_never_starts_over(make_run):
    began = {"device": "cpu", "command": ["daybreak", "dawnbench", "train", "tiny", "--fresh", "--lr", "3"]}
    assert "daybreak dawnbench train tiny --lr 3" in resume(make_run(sessions=[began], result=False))


def test_a_run_in_its_place_is_resumed_by_the_command_that_began_it(make_run, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    folder = make_run("my digits", config={"out": "my digits"}, result=False)
    assert "daybreak dawnbench train digits --out 'runs/my digits'\n" in resume(folder) + "\n"


@pytest.mark.parametrize("given", [["--out", "old", "--lr", "3", "--seeds", "1", "2"], ["--out=old", "--lr", "3"]])
def test_a_moved_run_is_resumed_where_it_is_now(make_run, given):
    began = {"device": "cpu", "command": ["daybreak", "dawnbench", "train", "tiny", *given]}
    folder = make_run(config={"out": "old/seed_1"}, sessions=[began], result=False)
    assert f"daybreak dawnbench train tiny --lr 3 --seed 1 --out {folder}" in resume(folder)


def test_no_limit_and_no_folder_are_said_as_a_reader_says_them(make_run):
    found = read(make_run(config={"minutes": None, "out": ""})).text.split("Configuration")[1]
    assert "minutesno limit" in found and "out" not in found.split("Environment")[0].replace("minutesno limit", "")


@pytest.mark.parametrize(
    ("file", "content"),
    [
        ("evaluation.json", {"metrics": 3}),
        ("result.json", {"steps": 5, "metrics": [1]}),
        ("environment.json", {"sessions": [3]}),
        ("environment.json", {"sessions": 3}),
    ],
)
def test_a_file_of_the_wrong_shape_is_named(make_run, file, content):
    folder = make_run()
    (folder / file).write_text(json.dumps(content))
    with pytest.raises(UserError, match=file):
        page(folder)


def test_an_evaluation_comes_first_among_the_numbers(make_run):
    folder = make_run()
    (folder / "evaluation.json").write_text('{"format": 1, "metrics": {"test_accuracy": 97.25}}')
    text = read(folder).text
    assert text.index("97.25 %") < text.index("98.12 %")


def test_a_run_begun_from_python_is_resumed_by_a_command_of_its_configuration(make_run):
    folder = make_run(sessions=[{"device": "cpu", "command": ["train_me.py", "7"]}], result=False)
    assert f"daybreak dawnbench train digits --seed 1 --out {folder}" in read(folder).text


def test_only_what_can_be_done_now_is_offered(make_run):
    text = read(make_run("begun", result=False)).text
    assert "Resume" in text
    assert "evaluate" not in text
    assert "compare" not in text
    done = make_run("done")
    (done / "weights.safetensors").write_bytes(b"")
    text = read(done).text
    assert "daybreak dawnbench evaluate" in text
    assert "daybreak compare" in text
    assert "Resume" not in text


@pytest.mark.parametrize("log", ["", "\n\n", '{"step": 10, "lo', "null\n[]\n3\n", '{"loss": 1}\n', '{"step": "x"}\n'])
def test_a_log_without_whole_lines_gives_a_page(make_run, log):
    assert "Nothing has been logged yet." in read(make_run(log=log, result=False, sessions=None)).text


def test_the_half_line_of_a_killed_run_is_left_out(make_run):
    found = read(make_run(log='{"step": 10, "seconds": 1, "loss": 2.5}\n{"step": 20, "los', result=False))
    assert "unfinished: 10 of 1,000 steps" in found.text
    assert "2.5" in found.text


def test_values_that_are_not_finite_are_counted_and_shown_as_such(make_run):
    lines = [{"step": step, "loss": None if step == 30 else 1.0} for step in (10, 20, 30, 40, 50)]
    found = read(make_run(log=lines, metrics={"accuracy": None}))
    assert "not finite, so not drawn: 1" in found.text
    assert "not finite" in found.text.split("Curves")[0]
    assert found.elements.count("polyline") == 2  # the gap parts the line


def test_a_run_without_metrics_or_environment_gives_a_page(make_run):
    folder = make_run(sessions=None)
    result = json.loads((folder / "result.json").read_text())
    (folder / "result.json").write_text(json.dumps({**result, "metrics": None, "cost": None}))
    assert "Not recorded." in read(folder).text


def test_hostile_names_stay_text(make_run, pixel):
    folder = make_run(
        about={"system": HOSTILE, "preset": HOSTILE, "loop": HOSTILE},
        config={HOSTILE: HOSTILE},
        sessions=[{HOSTILE: HOSTILE, "command": [HOSTILE]}],
        log=[{"step": 10, HOSTILE: 1.0, f"loss {HOSTILE}": 2.0}],
        metrics={HOSTILE: 1.0, "text": HOSTILE},
    )
    (folder / "samples" / "'><script>.png").write_bytes(pixel)
    (folder / "samples" / "'><script>.txt").write_text(HOSTILE)
    (folder / "samples" / "<b>.png").write_bytes(b"")
    found = read(folder)
    assert "script" not in found.elements
    assert not [name for name, _ in found.attributes if name.startswith("on")]
    assert found.text.count("alert(1)") >= 10


def test_a_page_is_one_file_that_calls_nobody(make_run, pixel):
    folder = make_run()
    (folder / "samples" / "a.png").write_bytes(pixel)
    found = read(folder)
    assert not {"script", "link", "iframe", "object"} & set(found.elements)
    addresses = [value for name, value in found.attributes if name in ("src", "href")]
    assert len(addresses) == 1
    assert addresses[0].startswith("data:image/png;base64,")
    assert any("default-src 'none'" in (value or "") for _, value in found.attributes)


def test_pictures_take_their_captions_from_a_text_or_their_names(make_run, pixel):
    folder = make_run()
    for name in ("step_9.png", "step_10.png", "held_out.png"):
        (folder / "samples" / name).write_bytes(pixel)
    (folder / "samples" / "held_out.txt").write_text("What nobody has seen.")
    text = read(folder).text
    assert text.index("What nobody has seen.") < text.index("step 9") < text.index("step 10")


def test_of_many_pictures_the_last_are_shown_and_counted(make_run, pixel):
    folder = make_run()
    for i in range(30):
        (folder / "samples" / f"step_{i}.png").write_bytes(pixel)
    found = read(folder)
    assert found.elements.count("img") == 24
    assert "The last 24 of 30 pictures" in found.text
    assert "step 5" not in found.text


@pytest.mark.parametrize("content", [b"", b"\x89P", b"<html><script>alert(1)</script>", b"GIF89a"])
def test_a_picture_that_is_not_what_its_name_says_is_named_and_not_embedded(make_run, content):
    folder = make_run()
    (folder / "samples" / "odd.png").write_bytes(content)
    found = read(folder)
    assert "img" not in found.elements
    assert "odd.png is not whole, or not what its name says" in found.text


def test_a_link_out_of_the_run_brings_no_private_file_into_the_page(make_run, tmp_path, pixel):
    folder = make_run()
    (tmp_path / "private.png").write_bytes(pixel)
    (tmp_path / "private.txt").write_text("my secret")
    (folder / "samples" / "a.png").symlink_to(tmp_path / "private.png")
    (folder / "samples" / "b.png").write_bytes(pixel)
    (folder / "samples" / "b.txt").symlink_to(tmp_path / "private.txt")
    found = read(folder)
    assert found.elements.count("img") == 1
    assert "my secret" not in found.text


def test_a_folder_that_is_no_run_is_refused(tmp_path):
    with pytest.raises(UserError, match=r"config\.json"):
        page(tmp_path)


def test_the_report_loads_neither_torch_nor_matplotlib(make_run):
    script = (
        "import sys; from pathlib import Path; from daybreak.report.page import page; import daybreak.report.demo\n"
        "import daybreak.report.compare, daybreak.report.records.__main__\n"
        f"page(Path({str(make_run())!r}))\n"
        "assert not {'torch', 'matplotlib', 'numpy'} & set(sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


scalars = (
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8) | st.lists(st.integers(), max_size=2)
)
names = st.sampled_from(["loss", "val_loss", "accuracy", "lr", "fid", "seconds"]) | st.text(max_size=8)
log_lines = st.dictionaries(names, scalars, max_size=4).flatmap(
    lambda line: st.integers(0, 10**6).map(lambda step: {"step": step, **line})
)


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(log_lines, max_size=8), st.dictionaries(names, scalars, max_size=3))
@example([{"step": 0, "loss": 5e-324}], {})
@example([{"step": 0, "loss": 0.0}, {"step": 1, "loss": 5e-324}], {})
def test_whatever_was_logged_gives_a_page(make_run, tmp_path_factory, log, metrics):
    folder = tmp_path_factory.mktemp("any") / "run"
    (folder / "samples").mkdir(parents=True)
    (folder / "config.json").write_text(
        '{"format": 1, "system": "a", "preset": "b", "loop": "train", "config": {"steps": 5}}'
    )
    (folder / "log.jsonl").write_text("".join(json.dumps(line) + "\n" for line in log))
    (folder / "result.json").write_text(json.dumps({"steps": 5, "metrics": metrics}))
    assert "Key numbers" in read(folder).text

"""DAWNBench's entries: every byte survives, what is malformed is named, and the contest's rule gives its numbers."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from daybreak.engine.errors import UserError
from daybreak.systems.dawnbench.entries import (
    TASKS,
    Entry,
    cost,
    latency,
    read,
    time_to_accuracy,
    write_files,
    write_lines,
)

ABOUT = {"version": "v1.0", "author": "Ada", "model": "ResNet", "hardware": "1 GPU", "timestamp": "2018-4-20"}
CURVE = [["epoch", "hours", "top1Accuracy"], ["1", "0.5", "93.99"], ["2", "1.0", "94.0"], ["3", "1.5", "93.0"]]


def entry(curve: list[list[str]] = CURVE, task: str = "CIFAR10", **values: Any) -> Entry:
    return Entry(f"{task}/train/ada.json", {**ABOUT, **values}, curve)


def answered(**values: Any) -> Entry:
    return Entry("ImageNet/inference/ada_1.2.json", {**ABOUT, "latency": 1.5, "top5Accuracy": 93.1, **values})


# ------------------------------------------------------------------------------- the rule


def test_the_first_evaluation_at_the_threshold_counts() -> None:
    assert time_to_accuracy(entry(costPerHour=3.0)) == 3600.0
    assert cost(entry(costPerHour=3.0)) == 3.0
    assert cost(entry(costPerHour=None)) is None and cost(entry()) is None


def test_an_entry_that_never_gets_there_has_no_time_and_no_cost() -> None:
    below = entry(CURVE[:2], costPerHour=3.0)
    assert time_to_accuracy(below) is None and cost(below) is None


def test_columns_are_found_by_name_whatever_their_order_and_blanks() -> None:
    questions = entry([["\ufeffepoch", "f1Score", "hours "], ["1", "0.75", "  0.25  "]], task="SQuAD")
    assert time_to_accuracy(questions) == 900.0
    images = entry(
        [["hours", "top1Accuracy", "top5Accuracy\r"], ["2", "94", "92.9\r"], ["3", "75", "93\r"]], "ImageNet"
    )
    assert time_to_accuracy(images) == 3 * 3600


def test_inference_is_taken_as_given() -> None:
    assert latency(answered()) == 1.5 and cost(answered(cost=3e-7)) == 3e-7 and cost(answered()) is None


@pytest.mark.realdata
def test_the_118_entries_give_the_records_of_the_contest(real_data: Callable[[str], Path]) -> None:
    entries = read(real_data("frameworks/dawnbench") / "frameworks/dawnbench/entries.jsonl")
    assert len(entries) == 118

    def best(task: str, rule: Callable[[Entry], float | None], kind: str = "train") -> tuple[float, str]:
        of_task = [e for e in entries if e.task == TASKS[task] and e.kind == kind]
        return min((value, e.file) for e in of_task for value in [rule(e)] if value is not None)

    seconds, fastest = best("cifar10", time_to_accuracy)
    assert f"{seconds:.1f}" == "9.4" and fastest == "CIFAR10/train/apple_resnet9_8v100_pytorch.json"
    dollars, cheapest = best("cifar10", cost)
    assert f"{dollars:.4f}" == "0.0212" and cheapest == "CIFAR10/train/BAIDU-USA-GAIT_BaiduNet9_1GV100_pytorch.json"
    seconds, fastest = best("imagenet", time_to_accuracy)
    assert f"{seconds:.1f}" == "157.6" and "alibabacloud_resnet50_gn6e_16_machine" in fastest
    dollars, cheapest = best("imagenet", cost)
    assert f"{dollars:.2f}" == "7.43" and "alibabacloud_resnet50_gn6e_1_machine" in cheapest
    on_processors = [e for e in entries if e.kind == "train" and "16vCPUs" in e.file and e.file.startswith("CIFAR10")]
    assert min(time_to_accuracy(e) or 0 for e in on_processors) // 3600 == 79
    assert f"{best('imagenet', latency, 'inference')[0]:.3f}" == "0.074"
    assert f"{best('cifar10', latency, 'inference')[0]:.2f}" == "0.13"


# ------------------------------------------------------------------------------- round trips


@pytest.mark.realdata
def test_the_118_entries_survive_both_forms_byte_for_byte(real_data: Callable[[str], Path], tmp_path: Path) -> None:
    source = real_data("frameworks/dawnbench") / "frameworks/dawnbench/entries.jsonl"
    entries = read(source)
    write_lines(entries, tmp_path / "again.jsonl")
    assert (tmp_path / "again.jsonl").read_bytes() == source.read_bytes()
    for each in entries:
        write_files(each, tmp_path / "repository")
    files = read(tmp_path / "repository")
    by_file = {each.file: each for each in entries}
    assert {each.file: each for each in files} == by_file
    write_lines([by_file[e.file] for e in files], tmp_path / "sorted.jsonl")
    write_lines(files, tmp_path / "from files.jsonl")
    assert (tmp_path / "from files.jsonl").read_bytes() == (tmp_path / "sorted.jsonl").read_bytes()


text = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
cell = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\t\n"), max_size=6)
number = st.floats(0, 1e9).map(str)
extra = st.dictionaries(
    text.filter(lambda key: key not in {*ABOUT, "task", "kind", "file", "curve", "cost", "costPerHour", "latency"}),
    st.recursive(st.none() | st.booleans() | st.integers() | st.floats(-1e300, 1e300) | text, st.lists, max_leaves=4),
    max_size=3,
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=25, deadline=None)
@given(author=text, more=extra, rows=st.lists(st.tuples(cell, number, number), max_size=4))
def test_any_entry_survives_both_forms(
    tmp_path: Path, author: str, more: dict[str, Any], rows: list[tuple[str, str, str]]
) -> None:
    made = entry([CURVE[0], *map(list, rows)], **{**more, "author": author})
    folder = tmp_path / "repository"
    for again in (made, read_back(made, folder), read_lines([made], tmp_path / "entries.jsonl")[0]):
        assert again == made and list(again.values) == list(made.values)
    before = [path.read_bytes() for path in sorted(folder.rglob("*.*"))]
    write_files(read(folder)[0], folder)
    assert [path.read_bytes() for path in sorted(folder.rglob("*.*"))] == before and len(before) == 2


def read_back(made: Entry, folder: Path) -> Entry:
    write_files(made, folder)
    (again,) = read(folder)
    return again


def read_lines(entries: list[Entry], path: Path) -> list[Entry]:
    write_lines(entries, path)
    return read(path)


def test_unknown_keys_and_their_order_are_kept(tmp_path: Path) -> None:
    made = answered(zebra=[1, {"b": None}], aardvark="ö")
    again = read_back(made, tmp_path)
    assert list(again.values)[-2:] == ["zebra", "aardvark"] and again == made
    assert not list(tmp_path.rglob("*.tsv")), "an inference entry has no curve"


def test_a_line_holds_the_place_first_and_the_curve_last(tmp_path: Path) -> None:
    write_lines([entry()], tmp_path / "e.jsonl")
    assert list(json.loads((tmp_path / "e.jsonl").read_text())) == ["task", "kind", "file", *ABOUT, "curve"]


# ------------------------------------------------------------------------------- what is malformed


def line(**changes: Any) -> str:
    values = {"task": "CIFAR10", "kind": "train", "file": "CIFAR10/train/ada.json", **ABOUT, "curve": CURVE, **changes}
    return json.dumps({name: value for name, value in values.items() if value is not ...})


MALFORMED = {
    "no JSON": ("{", "e.jsonl:2 is no JSON"),
    "no object": ("[]", "e.jsonl:2 is no JSON object"),
    "infinity": (line(misc=float("inf")), "e.jsonl:2 is no JSON"),
    "half a character": (line().replace("Ada", r"\ud800"), "e.jsonl:2 is no JSON that can be written again"),
    "deep": ("[" * 100_000, "e.jsonl:2 is no JSON"),
    "no author": (line(author=...), "e.jsonl:2 has author = None"),
    "a date of words": (line(timestamp="yesterday"), "'yesterday': give a date"),
    "no such day": (line(timestamp="2018-02-30"), "'2018-02-30': give a date"),
    "a price of words": (line(costPerHour="3.06"), "costPerHour = '3.06'"),
    "a negative price": (line(costPerHour=-1), "costPerHour = -1"),
    "no curve": (line(curve=...), "e.jsonl:2 has no curve"),
    "a curve of numbers": (line(curve=[["hours", "top1Accuracy"], [1, 2]]), "e.jsonl:2: row 2 of the curve"),
    "a short row": (line(curve=[*CURVE, ["4"]]), "e.jsonl:2: row 5 of the curve has not one cell"),
    "a tab in a cell": (line(curve=[*CURVE, ["4", "1\t", "94"]]), "row 5 of the curve has not one cell"),
    "no hours": (line(curve=[["epoch", "top1Accuracy"]]), "row 1 of the curve has no column 'hours'"),
    "another task's measure": (line(task="SQuAD", file="SQuAD/train/a.json"), "no column 'f1Score'"),
    "hours of words": (line(curve=[*CURVE, ["4", "soon", "94"]]), "row 5 of the curve has hours = 'soon'"),
    "not a number": (line(curve=[*CURVE, ["4", "1", "nan"]]), "row 5 of the curve has top1Accuracy = 'nan'"),
    "another place": (line(task="ImageNet"), "e.jsonl:2 has the file 'CIFAR10/train/ada.json'"),
    "a way out": (line(file="CIFAR10/train/../../x.json"), "e.jsonl:2 has the file"),
    "no latency": (line(kind="inference", file="CIFAR10/inference/a.json", curve=...), "latency = None"),
    "a curve of inference": (line(kind="inference", file="CIFAR10/inference/a.json", latency=1), "remove it"),
}


@pytest.mark.parametrize("what", MALFORMED)
def test_a_malformed_line_is_named_in_one_sentence(tmp_path: Path, what: str) -> None:
    text, sentence = MALFORMED[what]
    (tmp_path / "e.jsonl").write_text(f"{line()}\n{text}\n")
    with pytest.raises(UserError) as told:
        read(tmp_path / "e.jsonl")
    assert sentence in str(told.value) and "\n" not in str(told.value)


def test_a_malformed_file_is_named_with_its_line(tmp_path: Path) -> None:
    path = write_files(entry(), tmp_path)
    table = path.with_suffix(".tsv")
    table.write_text(table.read_text().replace("93.99", "good"))
    with pytest.raises(UserError, match=r"ada\.tsv:2 has top1Accuracy = 'good'"):
        read(tmp_path)
    table.unlink()
    with pytest.raises(UserError, match=r"ada\.tsv cannot be read"):
        read(tmp_path)
    path.write_text('{\n"author": "Ada",,\n}')
    table.write_text("")
    with pytest.raises(UserError, match=r"ada\.json is no JSON \(line 2"):
        read(tmp_path)


def test_a_reserved_key_in_a_file_is_refused(tmp_path: Path) -> None:
    path = write_files(entry(), tmp_path)
    path.write_text(path.read_text().replace('"version"', '"task"'))
    with pytest.raises(UserError, match="has the key 'task'"):
        read(tmp_path)


def test_what_is_not_there_or_not_text_is_told(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="holds no entries"):
        read(tmp_path)
    with pytest.raises(UserError, match=r"nowhere\.jsonl cannot be read"):
        read(tmp_path / "nowhere.jsonl")
    (tmp_path / "e.jsonl").write_bytes(b"\xff\xfe")
    with pytest.raises(UserError, match=r"e\.jsonl cannot be read"):
        read(tmp_path / "e.jsonl")

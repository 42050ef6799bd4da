from __future__ import annotations

import dataclasses
import json
import subprocess

import pytest

from daybreak.engine.errors import UserError
from daybreak.report.records import Mark, Measurement, Record, write
from daybreak.report.records import tables as made
from daybreak.report.records.__main__ import main

RECORD = Record(
    system="dawnbench",
    name="cifar10-94",
    claim="94 % on CIFAR-10",
    commands=["daybreak dawnbench train | tee log"],
    attempts="all listed",
    measurements=[
        Measurement(
            "test_accuracy", "%", [94.1, 94.0, 94.2], 94.0, Mark("largest class", 10.0), Mark("airbench94", 94.01)
        ),
        Measurement("speed_ratio", "x", [3.0, 4.0], 5.0, peer="plain loop", how="interleaved pairs"),
    ],
    seeds=[0, 1, 2],
    environment={"device": "cpu", "cores": 2, "torch": "2.15.0"},
    date="2026-11-30",
    commit="a" * 40,
    dirty=False,
    headline=True,
)
OPEN, CLOSE = "<!-- records: dawnbench/* -->", "<!-- /records -->"


@pytest.fixture
def root(tmp_path):
    """A checkout with one record and a README that shows it, in step."""
    (tmp_path / "daybreak" / "systems" / "dawnbench").mkdir(parents=True)
    (tmp_path / "daybreak" / "systems" / "dawnbench" / "README.md").write_text(
        f"# Title\n\n{OPEN}\n{CLOSE}\n\nThe end.\n"
    )
    write(RECORD, tmp_path / "results")
    made.tables(tmp_path)
    return tmp_path


def readme(root):
    return root / "daybreak" / "systems" / "dawnbench" / "README.md"


def git(root, *words):
    command = ["git", "-C", str(root), "-c", "user.name=a", "-c", "user.email=a@b", *words]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


# ------------------------------------------------------------------------------- tables


def test_a_table_tells_measured_target_floor_anchor_machine_date_and_command(root):
    text = readme(root).read_text()
    _, _, first, second = [line for line in text.splitlines() if line.startswith("| ")]
    for part in ("94.10 ± 0.25 % (3 seeds)", "94 %, met", "largest class 10 %", "airbench94 94.01 %"):
        assert part in first
    for part in ("3.5 ± 6.4 × (2 pairs)", "5 ×, **missed**", "plain loop (interleaved pairs)"):
        assert part in second
    assert first.count("|") == second.count("|") == 6
    (head,) = [line for line in text.splitlines() if line.startswith("**94 %")]
    for part in ("cpu, 2 cores, torch 2.15.0", "2026-11-30", "(../../../results/dawnbench/cifar10-94.json)"):
        assert part in head
    assert f"    {RECORD.commands[0]}\n" in text


def test_what_is_measured_of_several_things_has_a_row_a_thing(root):
    recipe = Mark("the recipe", 84.0)
    measured = [
        Measurement("the_recipe_accuracy", "%", [84.0]), Measurement("the_recipe_seconds", "s", [50.0], better="lower"),
        Measurement("no_crop_accuracy", "%", [83.0], anchor=recipe),
        Measurement("no_crop_seconds", "s", [49.0], better="lower"),
    ]  # fmt: skip
    parts = dataclasses.replace(RECORD, name="cifar10-94", measurements=measured, seeds=[0], headline=False)
    write(parts, root / "results")
    made.tables(root)
    lines = readme(root).read_text().splitlines()
    assert "|  | accuracy | seconds |" in lines and "| no crop | 83 % (1 seed) | 49 s (1 seed) |" in lines
    goal = dataclasses.replace(measured[2], target=82.0)  # has to be shown, and a row a thing has no place for it
    write(dataclasses.replace(parts, measurements=[*measured[:2], goal, measured[3]]), root / "results")
    made.tables(root)
    assert "82 %, met" in readme(root).read_text()


def test_what_stands_around_a_table_stays(root):
    text = readme(root).read_text()
    assert text.startswith(f"# Title\n\n{OPEN}\n")
    assert text.endswith(f"{CLOSE}\n\nThe end.\n")


def test_tables_in_step_are_left_alone(root):
    assert made.check(root) == []
    assert made.tables(root) == []


def test_a_table_edited_by_hand_is_named_and_mended(root):
    whole = readme(root).read_text()
    readme(root).write_text(whole.replace("94.10", "95.10"))
    assert [problem.split(" ")[0] for problem in made.check(root)] == [str(readme(root))]
    assert made.tables(root) == [readme(root)]
    assert readme(root).read_text() == whole


def test_a_new_record_puts_its_tables_out_of_step(root):
    write(dataclasses.replace(RECORD, name="other", headline=False), root / "results")
    assert len(made.check(root)) == 1


def test_a_record_that_lies_is_named_and_nothing_is_written(root):
    path = root / "results" / "dawnbench" / "cifar10-94.json"
    values = json.loads(path.read_text())
    values["measurements"][0]["mean"] = 99.0
    path.write_text(json.dumps(values))
    before = readme(root).read_text()
    assert "the mean of test_accuracy is stated as 99.0" in made.check(root)[0]
    with pytest.raises(UserError, match="the mean of test_accuracy"):
        made.tables(root)
    assert readme(root).read_text() == before


def test_a_stray_file_under_results_is_named(root):
    (root / "results" / "notes.json").write_text("{}")
    assert "notes.json" in made.check(root)[0]


def test_a_pattern_without_records_says_so(root):
    readme(root).write_text(f"<!-- records: biggan/* -->\n{CLOSE}\n")
    made.tables(root)
    assert "_No record yet._" in readme(root).read_text()


def test_a_marker_without_its_end_is_named(root):
    readme(root).write_text(f"{OPEN}\nthe end is missing\n")
    assert "never ends" in made.check(root)[0]
    with pytest.raises(UserError, match="never ends"):
        made.tables(root)


def test_markers_in_fenced_code_are_examples(root):
    text = f"```\n{OPEN}\n{CLOSE}\n```\n"
    readme(root).write_text(text)
    assert made.check(root) == []


def test_hostile_texts_stay_in_their_cells(root):
    hostile = "a | b\n<script>alert(1)</script> `x` [y](z)"
    write(dataclasses.replace(RECORD, claim=hostile, commands=[hostile]), root / "results")
    made.tables(root)
    text = readme(root).read_text()
    (head,) = [line for line in text.splitlines() if line.startswith("**a | b")]
    assert "\\<script\\>" in head and "\\[y\\]" in head
    assert [line for line in text.splitlines() if line.startswith("    a | b")]  # a command is code as it stands
    assert not [line for line in text.splitlines() if line.startswith("<script>")]


# ------------------------------------------------------------------------------- best.json


def test_the_headline_becomes_the_short_text_of_its_system(root):
    assert json.loads((root / made.BEST).read_text()) == {"dawnbench": "test accuracy 94.1 % (3 seeds)"}
    write(dataclasses.replace(RECORD, headline=False), root / "results")
    assert str(root / made.BEST) in made.check(root)[0]
    made.tables(root)
    assert json.loads((root / made.BEST).read_text()) == {}


def test_a_missing_best_json_is_out_of_step(root):
    (root / made.BEST).unlink()
    assert made.tables(root) == [root / made.BEST]


def test_two_headlines_of_one_system_are_refused(root):
    write(dataclasses.replace(RECORD, name="other"), root / "results")
    assert "two records marked as its headline" in made.check(root)[0]


# ------------------------------------------------------------------------------- stale


@pytest.fixture
def checkout(root):
    """The checkout under git, its record measured at the first commit."""
    code = root / "daybreak" / "systems" / "dawnbench" / "model.py"
    code.write_text("a = 1\n")
    git(root, "init", "-q")
    git(root, "add", ".")
    git(root, "commit", "-qm", "first")
    write(dataclasses.replace(RECORD, commit=git(root, "rev-parse", "HEAD")), root / "results")
    return root


def commit(root, path, text):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    git(root, "add", ".")
    git(root, "commit", "-qm", "next")


def test_a_record_of_the_present_code_is_not_stale(checkout):
    commit(checkout, readme(checkout), "documentation measures nothing")
    commit(checkout, checkout / "daybreak" / "systems" / "biggan" / "model.py", "another system")
    assert made.stale(checkout) == []


@pytest.mark.parametrize(
    "path", ["daybreak/systems/dawnbench/model.py", "daybreak/engine/run.py", "daybreak/data/loader.py"]
)
def test_a_record_whose_code_changed_is_stale(checkout, path):
    commit(checkout, checkout / path, "a = 2\n")
    (line,) = made.stale(checkout)
    assert line.startswith("dawnbench/cifar10-94: its code changed since ")


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"commit": "b" * 40}, "is unknown here"),
        ({"commit": None}, "its commit is unknown"),
        ({"dirty": True}, "not committed"),
        ({"dirty": None}, "not committed"),
    ],
)
def test_a_record_of_unknown_code_is_stale(checkout, change, reason):
    at = {"commit": git(checkout, "rev-parse", "HEAD"), "environment": {"device": "cpu", "cores": 2}}
    write(dataclasses.replace(RECORD, **{**at, **change}), checkout / "results")
    (line,) = made.stale(checkout)
    assert reason in line


# ------------------------------------------------------------------------------- the command


def test_the_command_checks_mends_and_checks(root, capsys):
    readme(root).write_text(f"{OPEN}\n{CLOSE}\n")
    assert main(["check", "--root", str(root)]) == 1
    assert "README.md is out of step" in capsys.readouterr().out
    assert main(["tables", "--root", str(root)]) == 0
    assert main(["check", "--root", str(root)]) == 0


def test_the_command_outside_of_a_checkout_gives_one_sentence(tmp_path, capsys):
    assert main(["check", "--root", str(tmp_path)]) == 2
    assert "no checkout of daybreak" in capsys.readouterr().err

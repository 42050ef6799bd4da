"""The command line as a person meets it."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from daybreak import cli

# what must be answered without loading torch: (words, exit code, a part of the answer)
AT_ONCE = [
    ([], 0, "usage: daybreak"),
    (["--help"], 0, "systems:"),
    (["--version"], 0, "daybreak 0."),
    (["list"], 0, "dawnbench"),
    (["data", "list"], 0, "cifar10"),
    (["data", "where"], 0, "data"),
    (["dawnbench", "--help"], 0, "presets"),
    (["dawnbench", "train", "--help"], 0, "--lr"),
    (["dawnbench", "evaluate", "--help"], 0, "--record"),
    (["dawnbench", "train", "tiny", "--print-config"], 0, '"steps": 400'),
    (["dwnbench", "train"], 2, "did you mean 'dawnbench'"),
    (["dawnbench", "trian"], 2, "did you mean 'train'"),
    (["dawnbench", "train", "cifar"], 2, "did you mean 'cifar10'"),
    (["dawnbench", "train", "--lrr", "3"], 2, "--lr"),
    (["dawnbench", "train", "--lr", "fast"], 2, "fast"),
    (["dawnbench", "train", "--device", "gpu"], 2, "gpu"),
    (["dawnbench", "train", "--lr", "nan"], 2, "from 0 to 100"),
    (["dawnbench", "evaluate"], 2, "needs a run directory"),
    (["data", "prepare", "cifar"], 2, "did you mean 'cifar10'?"),
    (["demo", "--only", "nothing"], 2, "dawnbench"),
    (["compare"], 2, "needs run directories"),
    (["report", "nowhere"], 2, "nowhere"),
    (["new", "Not-A-Name"], 2, "lower-case"),
]

WITHOUT_TORCH = """
import json, sys

class Forbidden:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] == "torch":
            raise AssertionError("torch was imported")

sys.meta_path.insert(0, Forbidden())
from daybreak.cli import main
for line in sys.stdin:
    try:
        code = main(json.loads(line))
    except SystemExit as exit_:
        code = exit_.code
    print(f"\\n== {code}", flush=True)
    sys.stderr.flush()
"""


def test_help_lists_and_mistakes_are_answered_without_torch() -> None:
    lines = "".join(json.dumps(words) + "\n" for words, _, _ in AT_ONCE)
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT_TORCH],
        input=lines,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    answers = done.stdout.split("\n== ")
    assert len(answers) == len(AT_ONCE) + 1, done.stdout
    for (words, code, part), answer, following in zip(AT_ONCE, answers, answers[1:], strict=False):
        assert following.startswith(str(code)), f"{words}: {following}"
        assert part in answer, f"{words}: {answer}"


def test_a_mistake_is_one_line_on_stderr(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["dawnbench", "trian"]) == 2
    told = capsys.readouterr()
    assert told.out == "" and len(told.err.splitlines()) == 1


def test_print_config_shows_one_config_a_seed_and_does_nothing(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert cli.main(["dawnbench", "train", "tiny", "--lr", "0.5", "--seeds", "3", "4", "--print-config"]) == 0
    shown = capsys.readouterr().out
    assert '"out": "runs/dawnbench-tiny/seed_3"' in shown and '"out": "runs/dawnbench-tiny/seed_4"' in shown
    assert shown.count('"lr": 0.5') == 2 and list(tmp_path.iterdir()) == []


def test_seeds_train_one_run_each_and_leave_finished_ones(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    words = ["dawnbench", "train", "tiny", "--steps", "3", "--out", "many", "--seeds", "0", "1"]
    assert cli.main(words) == 0
    assert {p.name for p in Path("many").iterdir()} == {"seed_0", "seed_1"}
    first, second = (Path(f"many/seed_{s}/weights.safetensors").read_bytes() for s in (0, 1))
    assert first != second
    assert cli.main(words) == 0
    assert capsys.readouterr().out.count("finished already") == 2


def test_fresh_starts_over_but_deletes_nothing_that_is_no_run(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    words = ["dawnbench", "train", "tiny", "--steps", "2", "--out", "r"]
    assert cli.main(words) == 0 and cli.main(words) == 2 and cli.main([*words, "--fresh"]) == 0
    (tmp_path / "precious").mkdir()
    (tmp_path / "precious" / "thesis.txt").write_text("years of work")
    capsys.readouterr()
    assert cli.main([*words[:-1], "precious", "--fresh"]) == 2
    assert "no run directory" in capsys.readouterr().err
    assert (tmp_path / "precious" / "thesis.txt").exists()


@pytest.fixture
def tiny_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Two finished seeds of the preset, as the command line leaves them."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["daybreak", "dawnbench", "train", "tiny", "--out", "r", "--seeds", "0", "1"])
    assert cli.main(sys.argv[1:]) == 0
    return tmp_path / "r"


def test_a_record_shows_its_claim_or_is_refused(tiny_runs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    first, second = str(tiny_runs / "seed_0"), str(tiny_runs / "seed_1")
    record = ["--record", "digits-cpu"]

    def refused(*words: str) -> str:
        assert cli.main(["dawnbench", "evaluate", *words]) == 2
        return capsys.readouterr().err

    assert "seed_1 was started as well" in refused(first, *record)
    assert "is of the preset 'tiny'" in refused(first, second, "--record", "cifar10-resnet9-cpu")
    assert "did you mean 'digits-cpu'" in refused(first, "--record", "digits")
    capsys.readouterr()
    assert cli.main(["dawnbench", "evaluate", first, second, *record]) == 0
    head, *lines = (line.split() for line in capsys.readouterr().out.splitlines())
    assert head == [first, second] and [len(line) for line in lines] == [3, 3, 3] and lines[0][0] == "test_accuracy"
    written = json.loads(Path("results/dawnbench/digits-cpu.json").read_text())
    assert written["seeds"] == [0, 1] and len(written["measurements"][0]["values"]) == 2
    assert written["commands"][0] == "daybreak dawnbench train tiny --out r --seeds 0 1"

    environment = tiny_runs / "seed_1" / "environment.json"
    whole = environment.read_text()
    environment.write_text(whole.replace('"cores": ', '"cores": 6'))
    assert "differ in their cores" in refused(first, second, *record)
    environment.write_text(whole.replace('"daybreak",', '"notebook.py",'))
    assert "trained from Python" in refused(first, second, *record)
    environment.write_text(whole)

    stored = tiny_runs / "seed_1" / "config.json"
    stored.write_text(stored.read_text().replace('"lr": 0.1', '"lr": 0.2'))
    assert "another lr" in refused(first, second, *record)


def test_seed_and_seeds_exclude_each_other_and_every_seed_is_checked_first(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert cli.main(["dawnbench", "train", "tiny", "--seed", "7", "--seeds", "0"]) == 2
    assert cli.main(["dawnbench", "train", "tiny", "--seeds", "0", "-1"]) == 2
    assert "--seed -1 cannot be" in capsys.readouterr().err and list(tmp_path.iterdir()) == []


def test_runs_are_compared_in_one_table(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert cli.main(["dawnbench", "train", "tiny", "--steps", "2", "--out", "r", "--seeds", "0", "1"]) == 0
    capsys.readouterr()
    assert cli.main(["compare", "r/seed_0", "r/seed_1"]) == 0
    assert "val_accuracy" in capsys.readouterr().out
    log = tmp_path / "r" / "seed_0" / "log.jsonl"
    log.write_text(log.read_text().replace('"step": 2', '"step": 20'))
    assert cli.main(["compare", "r/seed_0"]) == 2
    assert "log.jsonl is not the log" in capsys.readouterr().err


def test_a_chapter_that_fails_does_not_stop_the_demo(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from daybreak import commands
    from daybreak.systems import SYSTEMS, System

    monkeypatch.setitem(SYSTEMS, "absent", System("daybreak.systems.absent", "not there", "sketch"))
    monkeypatch.chdir(tmp_path)
    assert cli.main(["demo", "--only", "absent"]) == 2  # the child does not know it: the chapter fails
    assert "1 of 1 chapters failed" in capsys.readouterr().err
    assert "absent" in (tmp_path / "runs" / "demo" / "report.html").read_text(encoding="utf-8")
    assert commands.CHAPTER_SECONDS > 20

"""Our runs as entries, and their place among the contest's: by the mean of all seeds, and only with their machine."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from daybreak import cli
from daybreak.engine.errors import UserError
from daybreak.systems.dawnbench import clock
from daybreak.systems.dawnbench.entries import TASKS, Entry, read, time_to_accuracy, write_lines
from daybreak.systems.dawnbench.leaderboard import plot, ranking, table

MakeRun = Callable[..., Path]
ABOUT = {"version": "v1.0", "model": "ResNet", "hardware": "8 V100", "timestamp": "2018-04-20"}
CIFAR = TASKS["cifar10"]


def theirs(author: str, seconds: float, **values: Any) -> Entry:
    curve = [["epoch", "hours", "top1Accuracy"], ["9", str(seconds / 3600), "94.1"]]
    return Entry(f"CIFAR10/train/{author}.json", {**ABOUT, "author": author, **values}, curve)


@pytest.fixture
def contest(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A data root with three entries of a contest."""
    answered = Entry("CIFAR10/inference/d.json", {**ABOUT, "author": "Dee", "latency": 2.0, "cost": 1e-7})
    fast = theirs("Ada", 100, costPerHour=36)
    slow = theirs("Bob", 1000, costPerHour=0.36, hardware="16 CPU", timestamp="2017-10-11")
    write_lines([fast, slow, answered], tmp_path / "data" / ranking.HISTORY / "entries.jsonl")
    monkeypatch.setenv("DAYBREAK_DATA", str(tmp_path / "data"))
    return tmp_path / "data"


def submit(run: Path) -> Entry:
    return clock.submission(run, "daybreak")


# ------------------------------------------------------------------------------- a run as an entry


def test_a_run_on_every_image_has_one_row_of_the_test_images(make_run: MakeRun) -> None:
    run = make_run("a", seconds=432.0, accuracy=94.25, seed=3, steps=400, batch_size=1_000)
    entry = clock.submission(run, "Ada L.", cost_per_hour=0.4)
    assert entry.file == "CIFAR10/train/Ada-L_cifar10_seed3.json"
    assert entry.curve == [["epoch", "hours", "top1Accuracy"], ["8", "0.12", "94.25"]]
    assert entry.values["costPerHour"] == 0.4 and entry.values["timestamp"] == "2026-11-22"
    assert entry.values["hardware"] == "Some(R) Processor, 2 cores"
    assert "test images" in entry.values["misc"]["accuracy"] and "compilation" in entry.values["misc"]["clock"]


def test_a_run_with_held_out_images_has_a_row_for_every_evaluation(make_run: MakeRun) -> None:
    rows = [(1, 36.0, 80.5), (2.5, 72.0, 94.5)]
    entry = submit(make_run("a", rows=rows, price_per_hour=0.2))
    assert entry.curve[1:] == [["1", "0.01", "80.5"], ["2.5", "0.02", "94.5"]]
    assert time_to_accuracy(entry) == pytest.approx(72.0) and entry.values["costPerHour"] == 0.2
    assert entry.values["misc"]["accuracy"] == "measured on 500 training images held out"


def test_an_evaluation_without_its_epoch_is_refused(make_run: MakeRun) -> None:
    run = make_run("a", rows=[(1, 36.0, 80.5)])
    log = (run / "log.jsonl").read_text().replace("epoch", "eposh")
    (run / "log.jsonl").write_text(log)
    edit(run / "result.json", log_sha256=hashlib.sha256(log.encode()).hexdigest())
    assert "does not say the epoch of its evaluations" in cannot_be_submitted(run)


def test_what_is_submitted_is_read_again(make_run: MakeRun, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    runs = [str(make_run("a", seed=1)), str(make_run("b", seed=2))]
    flags = ["--author", "Ada", "--out", str(tmp_path / "out"), "--cost-per-hour", "0.4"]
    assert cli.main(["dawnbench", "submit", *runs, *flags]) == 0
    assert [Path(name).name for name in capsys.readouterr().out.split()] == [
        "Ada_cifar10_seed1.json", "Ada_cifar10_seed2.json",
    ]  # fmt: skip
    assert [e.values["misc"]["seed"] for e in read(tmp_path / "out")] == [1, 2]


def edit(path: Path, **values: Any) -> None:
    path.write_text(json.dumps({**json.loads(path.read_text()), **values}))


def cannot_be_submitted(run: Path) -> str:
    with pytest.raises(UserError) as told:
        submit(run)
    return str(told.value)


@pytest.mark.parametrize("missing", ["processor", "cores", "torch", "device", "started"])
def test_a_run_without_its_machine_is_refused(make_run: MakeRun, missing: str) -> None:
    run = make_run("a")
    (session,) = json.loads((run / "environment.json").read_text())["sessions"]
    edit(run / "environment.json", sessions=[session, {**session, missing: None}])
    assert f"environment.json does not name the {missing}: a result without" in cannot_be_submitted(run)


def test_a_run_without_its_environment_is_refused(make_run: MakeRun) -> None:
    run = make_run("a")
    (run / "environment.json").unlink()
    assert "environment.json does not name the device" in cannot_be_submitted(run)


def test_a_run_that_is_unfinished_untested_altered_or_of_another_task_is_refused(make_run: MakeRun) -> None:
    untested, altered, unfinished = make_run("untested"), make_run("altered"), make_run("unfinished")
    (untested / "evaluation.json").unlink()
    assert f"run daybreak dawnbench evaluate {untested}" in cannot_be_submitted(untested)
    (altered / "log.jsonl").write_text("")
    assert "is not what result.json was written with" in cannot_be_submitted(altered)
    (unfinished / "result.json").unlink()
    assert "unfinished" in cannot_be_submitted(unfinished)
    assert "digits, which is no task of DAWNBench" in cannot_be_submitted(make_run("digits", data="digits"))
    assert "no run directory" in cannot_be_submitted(unfinished.parent)


# ------------------------------------------------------------------------------- ranks


def ranked(groups: list[list[Entry]], by: str = "time") -> list[tuple[str, int]]:
    history = [[theirs("Ada", 100, costPerHour=36)], [theirs("Bob", 1000, costPerHour=0.36)]]
    return [(each.entry.values["author"], each.seeds) for each in ranking.rank(history, groups, CIFAR, by)]


def test_seeds_are_ranked_by_their_mean_and_not_by_the_luckiest(make_run: MakeRun, tmp_path: Path) -> None:
    for seed, seconds in enumerate((50.0, 150.0, 130.0)):
        make_run(f"ours/seed_{seed}", seconds=seconds, seed=seed)
    (group,) = ranking.own([tmp_path / "ours"], submit)
    assert ranked([group]) == [("Ada", 0), ("daybreak", 3), ("Bob", 0)]
    line = ranking.standing(group, 3)
    assert line.speed is not None and line.speed.mean == pytest.approx(110) and line.cost is None
    assert line.speed.half == pytest.approx(4.3027 * 52.915 / 3**0.5, rel=1e-3)  # Student's t of three values
    assert "110.0 s ± 119.5 %" in table.cells(2, line)[1] and table.cells(2, line)[0] == "> 2"


def test_the_mean_accuracy_of_the_seeds_has_to_reach_the_threshold(make_run: MakeRun, tmp_path: Path) -> None:
    for seed, accuracy in enumerate((94.4, 93.5)):
        make_run(f"ours/seed_{seed}", accuracy=accuracy, seed=seed)
    (group,) = ranking.own([tmp_path / "ours"], submit)
    assert ranked([group]) == [("Ada", 0), ("Bob", 0)]
    assert "does not reach 94: the mean accuracy of its seeds is 93.95" in ranking.why_not(group, CIFAR, "time")


def test_the_mean_curve_tells_when_the_threshold_is_reached(make_run: MakeRun, tmp_path: Path) -> None:
    make_run("ours/seed_0", seed=0, rows=[(1, 10.0, 94.6), (2, 20.0, 94.6)])
    make_run("ours/seed_1", seed=1, rows=[(1, 12.0, 93.0), (2, 24.0, 94.0)])
    (group,) = ranking.own([tmp_path / "ours"], submit)
    assert ranking.seconds_to_threshold(group) == pytest.approx([20.0, 24.0])


def test_cost_ranks_by_price_and_needs_one(make_run: MakeRun) -> None:
    free, paid = [submit(make_run("free"))], [clock.submission(make_run("paid", seconds=90), "daybreak", 0.4)]
    assert ranked([free, paid], "cost") == [("daybreak", 1), ("Bob", 0), ("Ada", 0)]
    assert "--cost-per-hour" in ranking.why_not(free, CIFAR, "cost") and not ranking.why_not(paid, CIFAR, "cost")
    assert "was trained for CIFAR-10" in ranking.why_not(free, TASKS["squad"], "time")


def test_one_seed_of_several_is_refused(make_run: MakeRun) -> None:
    first, _ = make_run("ours/seed_0", seed=0), make_run("ours/seed_1", seed=1)
    with pytest.raises(UserError, match=r"is one of 2 seeds: give .*ours, so that all of them count"):
        ranking.own([first], submit)


def test_seeds_of_two_configs_or_machines_are_refused(make_run: MakeRun, tmp_path: Path) -> None:
    make_run("configs/seed_0", seed=0), make_run("configs/seed_1", seed=1, lr=0.5)
    with pytest.raises(UserError, match="differ in their lr"):
        ranking.own([tmp_path / "configs"], submit)
    session = json.loads((tmp_path / "configs/seed_0/environment.json").read_text())["sessions"][0]
    make_run("machines/seed_0", seed=0), make_run("machines/seed_1", seed=1, session={**session, "cores": 64})
    with pytest.raises(UserError, match="differ in their hardware"):
        ranking.own([tmp_path / "machines"], submit)


def test_an_unfinished_seed_is_not_passed_over(make_run: MakeRun, tmp_path: Path) -> None:
    make_run("ours/seed_0", seed=0)
    (make_run("ours/seed_1", seed=1) / "result.json").unlink()
    with pytest.raises(UserError, match="seed_1 is unfinished"):
        ranking.own([tmp_path / "ours"], submit)


def test_latency_counts_for_the_weights_it_was_measured_on(make_run: MakeRun) -> None:
    run = make_run("a")
    with pytest.raises(UserError, match="has no measured latency: run daybreak dawnbench latency"):
        clock.inference_submission(run, "daybreak")
    (run / "weights.safetensors").write_bytes(b"weights")
    (run / "assets").mkdir()
    session = json.loads((run / "environment.json").read_text())["sessions"][0]
    measured = clock.Latency(100, 1.8, 1.7, 2.0, 2.5, 94.2, clock.digest(run / "weights.safetensors"), session)
    (run / clock.LATENCY).write_text(json.dumps(vars(measured)))
    entry = clock.inference_submission(run, "daybreak", cost_per_hour=0.4)
    assert entry.file.startswith("CIFAR10/inference/") and entry.values["latency"] == 1.8
    assert entry.values["cost"] == pytest.approx(1.8e-3 / 3600 * 0.4) and entry.values["top1Accuracy"] == 94.2
    (run / "weights.safetensors").write_bytes(b"others")
    with pytest.raises(UserError, match="measured of other weights"):
        clock.inference_submission(run, "daybreak")


# ------------------------------------------------------------------------------- records


def record(folder: Path, name: str, **changes: Any) -> None:
    environment = {"device": "cpu", "processor": "P", "cores": 2, "torch": "2.15.0"}
    measurements = [
        {"metric": "test_accuracy", "unit": "%", "values": [94.0, 94.4]},
        {"metric": "training_seconds", "unit": "s", "values": [600.0, 620.0]},
    ]
    stored = {"date": "2026-11-22", "commit": "abc", "environment": environment, "measurements": measurements}
    folder.mkdir(exist_ok=True)
    (folder / f"{name}.json").write_text(json.dumps({**stored, **changes}))


def test_records_of_the_task_are_ranked_and_others_passed_over(tmp_path: Path) -> None:
    record(tmp_path / "results", "cifar10-resnet9-cpu"), record(tmp_path / "results", "digits-cpu")
    record(tmp_path / "results", "mnist-cpu")  # shown by the preset cifar10, with --data mnist
    (group,) = ranking.recorded(tmp_path / "results")
    assert ranking.seconds_to_threshold(group) == pytest.approx([600.0, 620.0])


def test_a_record_without_its_machine_is_refused(tmp_path: Path) -> None:
    record(tmp_path / "results", "cifar10-resnet9-cpu", environment={"device": "cpu", "torch": "2.15.0"})
    with pytest.raises(UserError, match=r"cifar10-resnet9-cpu\.json does not name the processor"):
        ranking.recorded(tmp_path / "results")
    with pytest.raises(UserError, match="has no record"):
        ranking.recorded(tmp_path)


# ------------------------------------------------------------------------------- what is shown


def test_the_command_shows_ours_among_theirs(
    contest: Path, make_run: MakeRun, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    runs = [str(make_run("a", seconds=400)), str(make_run("b", accuracy=93.0))]
    page = tmp_path / "board.html"
    assert cli.main(["dawnbench", "leaderboard", "--runs", *runs, "--page", str(page)]) == 0
    printed = capsys.readouterr()
    lines = printed.out.splitlines()
    assert [line.split()[:2] for line in lines[1:]] == [["1", "100.0"], [">", "2"], ["3", "16"]]
    assert "6 min 40 s" in lines[2]
    assert "not ranked: daybreak cifar10 does not reach 94: the mean accuracy of its seeds is 93" in printed.err
    text = page.read_text()
    assert text.count('<tr class="ours">') == 1 and "data:image/png;base64," in text and "<script" not in text
    assert page.with_suffix(".png").read_bytes().startswith(b"\x89PNG")


def test_a_page_is_never_written_over_its_own_picture(
    contest: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["dawnbench", "leaderboard", "--page", str(tmp_path / "board.png")]) == 2
    assert "is no name for a page: end it with .html" in capsys.readouterr().err
    assert not list(tmp_path.glob("board*"))


def test_a_narrow_terminal_cuts_texts_and_no_numbers() -> None:
    lines = [table.header("time"), ["> 13", "5 min 10 s", "$0.0147", "m" * 40, "h" * 90, "Ada", "2019-12-11"]]
    assert table.widths(lines, 300) == [4, 10, 7, 40, 90, 6, 10]
    narrow = table.widths(lines, 80)
    assert narrow == [4, 10, 7, 11, 14, 6, 10] and sum(narrow) + 2 * 6 <= 80


@pytest.mark.parametrize("by", ["cost", "latency", "inference-cost"])
def test_every_ranking_has_its_table_and_page(
    contest: Path, by: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["dawnbench", "leaderboard", "--by", by, "--page", str(tmp_path / "b.html")]) == 0
    first = capsys.readouterr().out.splitlines()[1]
    assert {"cost": "$0.100", "latency": "2 ms", "inference-cost": "$0.100"}[by] in first


def test_a_hostile_entry_stays_text(contest: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    author = "<script>alert(1)</script>\x1b[31m[bold]\u3000"
    evil = theirs("evil", 5, hardware="$x_1$ <b>")
    evil.values["author"] = author
    write_lines([evil], contest / ranking.HISTORY / "entries.jsonl")
    assert cli.main(["dawnbench", "leaderboard", "--page", str(tmp_path / "b.html")]) == 0
    assert "\x1b" not in (printed := capsys.readouterr().out) and "<script>alert(1)</script> [31m[bold]" in printed
    assert "<script" not in (tmp_path / "b.html").read_text() and "<b>" not in (tmp_path / "b.html").read_text()


def test_without_the_entries_one_sentence_says_how_to_get_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("DAYBREAK_DATA", str(tmp_path))
    assert cli.main(["dawnbench", "leaderboard"]) == 2
    told = capsys.readouterr().err
    assert len(told.splitlines()) == 1 and "git clone https://" in told and str(tmp_path) in told


def test_nobody_to_rank_makes_no_page(contest: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["dawnbench", "leaderboard", "--task", "squad", "--page", str(tmp_path / "b.html")]) == 2
    assert "nobody is ranked by time in SQuAD" in capsys.readouterr().err and not (tmp_path / "b.html").exists()


@pytest.mark.parametrize(
    ("hardware", "kind"),
    [("Tesla V100 * 8 GPU / 40 CPU", "GPU"), ("60 GB / 16 CPU (Google Cloud [n1-standard-16])", "CPU"),
     ("GCP n1-standard-2, Cloud TPU", "TPU, NPU"), ("p3.2xlarge", "GPU"), ("Some(R) Processor, 2 cores", "CPU"),
     ("1 x NVIDIA H200 (Some(R) Processor, 16 cores)", "GPU")],
)  # fmt: skip
def test_hardware_is_told_apart_by_its_words(hardware: str, kind: str) -> None:
    assert plot.machine(hardware) == kind


@pytest.mark.realdata
@pytest.mark.parametrize(
    ("task", "by", "first", "cell"),
    [("cifar10", "time", "9.4 s", 1), ("cifar10", "cost", "$0.0212", 2), ("imagenet", "time", "157.6 s", 1),
     ("imagenet", "cost", "$7.43", 2)],
)  # fmt: skip
def test_the_records_of_the_contest_stand_on_top(
    real_data: Callable[[str], Path], task: str, by: str, first: str, cell: int
) -> None:
    entries = ranking.history(real_data("frameworks/dawnbench"))
    standings = ranking.rank([[entry] for entry in entries], [], TASKS[task], by)
    assert table.cells(1, standings[0])[cell] == first
    assert len(standings) == {"cifar10time": 31, "cifar10cost": 20, "imagenettime": 27, "imagenetcost": 17}[task + by]

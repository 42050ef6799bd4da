from __future__ import annotations

import json

import pytest

from daybreak.engine.errors import UserError
from daybreak.report.compare import compare, find_runs


def test_finished_runs_become_rows(make_run):
    a, b = make_run("a"), make_run("b", config={"seed": 2}, metrics={"accuracy": 97.0})
    rows = compare([a, b])
    assert rows[0] == {
        "run": str(a),
        "system": "dawnbench",
        "preset": "digits",
        "seed": 1,
        "steps": 1000,
        "seconds": 321.0,
        "cost": 0.0178,
        "metrics": {"accuracy": 98.1234},
    }
    assert (rows[1]["seed"], rows[1]["metrics"]) == (2, {"accuracy": 97.0})


def test_an_unfinished_run_is_refused(make_run):
    with pytest.raises(UserError, match="unfinished"):
        compare([make_run(result=False)])


def test_an_edited_log_is_refused(make_run):
    run = make_run()
    log = run / "log.jsonl"
    log.write_text(log.read_text().replace('"val_accuracy": 100.0', '"val_accuracy": 100.1'))
    with pytest.raises(UserError, match=r"is not the log that result\.json was written with"):
        compare([run])


def test_a_result_that_does_not_vouch_for_its_log_is_refused(make_run):
    run = make_run()
    result = json.loads((run / "result.json").read_text())
    del result["log_sha256"]
    (run / "result.json").write_text(json.dumps(result))
    with pytest.raises(UserError, match=r"log\.jsonl"):
        compare([run])


@pytest.mark.parametrize(
    "sessions", [None, [{"cores": 2}], [{"device": "cpu"}], [{"device": "cpu", "cores": 2}, {"device": None}]]
)
def test_a_run_of_an_unknown_machine_is_refused(make_run, sessions):
    with pytest.raises(UserError, match="unknown"):
        compare([make_run(sessions=sessions)])


def test_a_run_without_a_seed_is_refused(make_run):
    with pytest.raises(UserError, match="names no seed"):
        compare([make_run(config={"seed": None})])


def test_a_folder_that_is_no_run_is_refused(tmp_path):
    with pytest.raises(UserError, match=r"config\.json"):
        compare([tmp_path])


@pytest.mark.parametrize("sessions", [[], [3], ["cpu"]])
def test_an_environment_of_the_wrong_shape_is_refused(make_run, sessions):
    with pytest.raises(UserError, match=r"environment\.json has no list of sessions"):
        compare([make_run(sessions=sessions)])


def test_metrics_of_the_wrong_shape_are_refused(make_run):
    run = make_run()
    result = json.loads((run / "result.json").read_text())
    (run / "result.json").write_text(json.dumps({**result, "metrics": 3}))
    with pytest.raises(UserError, match=r"result\.json has no table of metrics"):
        compare([run])


def test_runs_are_found_among_other_things_and_in_folders_of_seeds(make_run, tmp_path):
    one = make_run("one")
    (tmp_path / "many").mkdir()
    seeds = [make_run(f"many/seed_{seed}") for seed in (2, 10)]
    (tmp_path / "demo").mkdir()
    (tmp_path / "notes.txt").write_text("to do")
    paths = [tmp_path / "demo", tmp_path / "many", tmp_path / "notes.txt", one, seeds[0]]
    assert find_runs(paths) == ([*seeds, one], [tmp_path / "demo", tmp_path / "notes.txt"])


def test_a_path_that_is_not_there_is_refused(tmp_path):
    with pytest.raises(UserError, match=r"there is no .*typo"):
        find_runs([tmp_path / "typo"])

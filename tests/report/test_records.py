from __future__ import annotations

import dataclasses
import json
import math
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daybreak.engine.claim import Curve
from daybreak.engine.errors import UserError
from daybreak.metrics.statistics import interval, quantile
from daybreak.report.records import Mark, Measurement, Record, read, write

MACHINE = {"device": "cpu", "cores": 2, "threads": 2, "torch": "2.15.0", "commit": "a" * 40, "dirty": False}
ACCURACY = Measurement(
    "test_accuracy", "%", [94.1, 94.0, 94.2], 94.0, floor=Mark("largest class", 10.0), anchor=Mark("airbench94", 94.01)
)
RATIO = Measurement("time_to_90_ratio", "x", [6.1, 5.8], 5.0, peer="plain ResNet-18 loop", how="interleaved pairs")
RECORD = Record(
    system="dawnbench",
    name="cifar10-94-cpu",
    claim="94 % on CIFAR-10 on two cores",
    commands=["daybreak dawnbench train cifar10-94 --seeds 0 1 2"],
    attempts="every run started is listed, none left out",
    measurements=[ACCURACY, RATIO],
    seeds=[0, 1, 2],
    seconds=4012.0,
    environment=MACHINE,
)


def with_measurement(**changes):
    return dataclasses.replace(RECORD, measurements=[dataclasses.replace(ACCURACY, **changes)])


def lie(path, change):
    """Change a record on the disk as a hand would."""
    values = json.loads(path.read_text())
    change(values)
    path.write_text(json.dumps(values))
    return path


# ------------------------------------------------------------------------------- writing


def test_a_record_reads_as_it_was_written(tmp_path):
    path = write(RECORD, tmp_path)
    assert path == tmp_path / "dawnbench" / "cifar10-94-cpu.json"
    found = read(path)
    assert found.measurements == RECORD.measurements
    assert (found.commit, found.dirty, found.seeds, found.headline) == ("a" * 40, False, [0, 1, 2], False)
    assert write(found, tmp_path).read_text() == path.read_text()


def test_a_record_keeps_a_curve_of_every_seed(tmp_path):
    curve = Curve("bleu_by_words", [[1.0, 2.0]] * 3, [[40.0, 30.0], [41.0, 29.0], [40.0, 31.0]])
    record = dataclasses.replace(RECORD, curves=[curve])
    assert read(write(record, tmp_path)).curves == [curve]
    for wrong, why in (
        (dataclasses.replace(curve, x=curve.x[:2]), "not one curve a seed"),
        (dataclasses.replace(curve, y=[[40.0], *curve.y[1:]]), "other places than values"),
        (dataclasses.replace(curve, y=[[40.0, math.nan], *curve.y[1:]]), "not finite"),
    ):
        with pytest.raises(UserError, match=why):
            write(dataclasses.replace(RECORD, curves=[wrong]), tmp_path)


def test_mean_median_and_interval_stand_in_the_file(tmp_path):
    stated = json.loads(write(RECORD, tmp_path).read_text())["measurements"]
    assert stated[0]["mean"] == pytest.approx(94.1)
    assert stated[0]["median"] == 94.1
    assert stated[0]["interval"] == pytest.approx([93.852, 94.348], abs=1e-3)
    assert "better" not in stated[0]


def test_date_commit_and_machine_are_filled_in(tmp_path):
    found = read(write(dataclasses.replace(RECORD, environment={}), tmp_path))
    assert len(found.date) == 10
    assert found.environment["cores"] >= 1
    assert found.environment["device"]
    assert not {"commit", "dirty", "precision"} & set(found.environment)


def test_a_runs_session_gives_commit_and_machine_but_not_its_paths(tmp_path):
    session = {**MACHINE, "commit": "b" * 40, "dirty": True, "started": "2026", "command": ["/private/daybreak"]}
    path = write(dataclasses.replace(RECORD, environment=session), tmp_path)
    found = read(path)
    assert (found.commit, found.dirty) == ("b" * 40, True)
    assert "/private" not in path.read_text()


def test_a_missed_target_stays(tmp_path):
    found = read(write(with_measurement(target=99.0), tmp_path))
    assert found.measurements[0].target == 99.0
    assert not found.measurements[0].reaches(99.0)


def test_a_single_value_has_no_interval(tmp_path):
    record = dataclasses.replace(with_measurement(values=[94.0]), seeds=None)
    path = write(record, tmp_path)
    assert json.loads(path.read_text())["measurements"][0]["interval"] is None
    assert read(path).measurements == record.measurements


@pytest.mark.parametrize(
    ("record", "sentence"),
    [
        (dataclasses.replace(RECORD, system="../x"), "no system's name"),
        (dataclasses.replace(RECORD, name="a/b"), "no name of a record"),
        (dataclasses.replace(RECORD, claim=" "), "claim is empty"),
        (dataclasses.replace(RECORD, attempts=""), "attempts is empty"),
        (dataclasses.replace(RECORD, commands=[]), "no commands"),
        (dataclasses.replace(RECORD, measurements=[]), "no measurements"),
        (dataclasses.replace(RECORD, date="30.11.2026"), "is no date"),
        (dataclasses.replace(RECORD, commit="--output=x"), "is no commit"),
        (dataclasses.replace(RECORD, seeds=[0, 1, 1]), "listed twice"),
        (dataclasses.replace(RECORD, seeds=[]), "list of seeds is empty"),
        (dataclasses.replace(RECORD, seeds=[0, 1]), "3 values for 2 declared seeds"),
        (dataclasses.replace(RECORD, environment={"device": "cpu"}), "names no cores"),
        (dataclasses.replace(RECORD, environment={"cores": 2}), "names no device"),
        (with_measurement(values=[]), "has no values"),
        (with_measurement(values=[94.0, float("nan"), 94.0]), "not finite"),
        (with_measurement(values=[94.0, 101.0, 94.0]), "within 0 and 100"),
        (with_measurement(values=[-0.1, 94.0, 94.0]), "within 0 and 100"),
        (with_measurement(metric="speed_ratio"), "name ends in _ratio"),
        (with_measurement(unit="x"), "name ends in _ratio"),
        (with_measurement(metric="speed_ratio", unit="x"), "without a peer"),
        (with_measurement(metric="time_ratio", unit="x", peer="p", better="lower"), "above 1 is ahead"),
        (with_measurement(target=5.0), "worse than its floor"),
    ],
)
def test_a_record_that_contradicts_itself_is_not_written(tmp_path, record, sentence):
    with pytest.raises(UserError, match=sentence):
        write(record, tmp_path)
    assert not list(tmp_path.rglob("*.json"))


# ------------------------------------------------------------------------------- records that lie


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (lambda v: v["measurements"][0].update(mean=94.2), "the mean of test_accuracy is stated as 94.2"),
        (lambda v: v["measurements"][0].update(median=94.0), "the median of test_accuracy"),
        (lambda v: v["measurements"][0].update(interval=[94.0, 94.2]), "the interval of test_accuracy"),
        (lambda v: v["measurements"][0].update(interval=None), "the interval of test_accuracy"),
        (lambda v: v["measurements"][0].update(mean="94.1"), "the mean of test_accuracy"),
        (lambda v: v["measurements"][0].update(mean=None), "the mean of test_accuracy"),
        (lambda v: v["measurements"][0]["values"].pop(), "2 values for 3 declared seeds"),
        (lambda v: v["measurements"][0]["values"].append(100), "4 values for 3 declared seeds"),
        (lambda v: v["measurements"][0].pop("mean"), "lacks the key 'mean'"),
        (lambda v: v["measurements"][0].update(best=95), "unknown key 'best'"),
        (lambda v: v["measurements"][0]["floor"].pop("what"), "lacks the key 'what'"),
        (lambda v: v["measurements"][0].update(better="sideways"), "'higher' or 'lower'"),
        (lambda v: v.pop("seeds"), "lacks the key 'seeds'"),
        (lambda v: v.pop("commit"), "lacks the key 'commit'"),
        (lambda v: v.pop("environment"), "lacks the key 'environment'"),
        (lambda v: v.update(note="x"), "unknown key 'note'"),
        (lambda v: v.update(seeds="0 1 2"), "seeds should be list"),
        (lambda v: v.update(measurements={}), "measurements"),
        (lambda v: v.update(measurements=[3]), "measurements"),
        (lambda v: v.update(name="other"), "holds the record dawnbench/other"),
        (lambda v: v["environment"].update(cores=None), "names no cores"),
        (lambda v: v.update(seconds="long"), "seconds should be float"),
    ],
)
def test_a_record_changed_by_hand_is_refused(tmp_path, change, sentence):
    path = lie(write(RECORD, tmp_path), change)
    with pytest.raises(UserError, match=sentence):
        read(path)


def test_nan_and_half_a_file_are_refused(tmp_path):
    path = write(RECORD, tmp_path)
    whole = path.read_text()
    for text in (whole[: len(whole) // 2], whole.replace("94.2", "NaN"), "[]", ""):
        path.write_text(text)
        with pytest.raises(UserError, match=r"cifar10-94-cpu\.json"):
            read(path)


# ------------------------------------------------------------------------------- statistics


def student(t, freedom):
    """The density of Student's t."""
    log = math.lgamma((freedom + 1) / 2) - math.lgamma(freedom / 2) - math.log(freedom * math.pi) / 2
    return math.exp(log - (freedom + 1) / 2 * math.log1p(t * t / freedom))


@pytest.mark.parametrize("freedom", [*range(1, 33), 50, 1000])
def test_between_both_quantiles_lie_95_percent(freedom):
    width = quantile(freedom) / 2000
    heights = [student(i * width, freedom) for i in range(2001)]
    below = width / 3 * (heights[0] + 4 * sum(heights[1:-1:2]) + 2 * sum(heights[2:-1:2]) + heights[-1])  # Simpson
    assert 0.5 + below == pytest.approx(0.975, abs=1e-5)


def test_a_single_value_has_no_spread_and_equal_values_have_none():
    assert interval([3.0]) is None
    assert interval([3.0, 3.0]) == [3.0, 3.0]


@given(st.lists(st.floats(-1e150, 1e150), min_size=2, max_size=12))
def test_an_interval_holds_the_mean(values):
    low, high = interval(values)
    assert low <= Measurement("m", "", values).mean <= high


def test_about_95_of_100_intervals_hold_the_truth():
    draw = random.Random(0)
    held = sum(low <= 0 <= high for low, high in (interval([draw.gauss(0, 1) for _ in range(4)]) for _ in range(2000)))
    assert 0.93 < held / 2000 < 0.97

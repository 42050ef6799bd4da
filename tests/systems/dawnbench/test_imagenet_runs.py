"""Training on a small generated folder: alone, as two processes, killed across changes of phase, and by mistake."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from daybreak.engine.errors import UserError
from daybreak.engine.rundir import WEIGHTS, log_series, read_log, read_sessions
from daybreak.systems.dawnbench.imagenet import train
from daybreak.systems.dawnbench.imagenet.phases import phases_of
from daybreak.systems.dawnbench.imagenet.predict import evaluate, load
from daybreak.systems.dawnbench.imagenet.train import train_imagenet

sys.path.append(str(Path(__file__).parent))

import imagenet_runs


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of the driver's runs: one, two, killed."""
    folder = tmp_path_factory.mktemp("imagenet")
    command = [sys.executable, imagenet_runs.__file__, str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return folder


def test_two_processes_have_the_losses_of_one(runs: Path) -> None:
    one, two = (log_series(runs / name, "loss") for name in ("one", "two"))
    assert read_sessions(runs / "two")[0]["world"] == 2
    assert len(one[1]) == 9 and two[1] == pytest.approx(one[1], rel=1e-5)
    assert len(set(one[1])) == 9


def test_killed_across_a_change_of_phase_a_run_ends_bit_for_bit_the_same(runs: Path) -> None:
    assert [phase.stop for phase in phases_of(imagenet_runs.config(runs))] == imagenet_runs.PHASE_ENDS
    assert (runs / "killed" / WEIGHTS).read_bytes() == (runs / "one" / WEIGHTS).read_bytes()
    without_time = [[{**line, "seconds": 0} for line in read_log(runs / name)] for name in ("killed", "one")]
    assert without_time[0] == without_time[1]


@pytest.mark.parametrize("name", ["one", "two"])
def test_what_was_validated_last_is_what_evaluate_finds(name: str, runs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(train, "EVAL_BATCH", imagenet_runs.EVAL_BATCH)
    logged = log_series(runs / name, "val_accuracy")[1][-1]
    assert evaluate(runs / name)["val_accuracy"] == pytest.approx(logged) and 0 < logged < 100


def test_a_moved_run_is_evaluated_and_names_pictures(runs: Path, tmp_path: Path) -> None:
    moved = Path(shutil.copytree(runs / "one", tmp_path / "moved elsewhere"))
    numbers = evaluate(moved)
    assert numbers == evaluate(moved)
    assert numbers["val_images"] == 80 and numbers["val_top5"] == 100.0 and numbers["largest_class_accuracy"] == 25.0
    pictures = sorted((moved / "assets" / "pictures" / "val" / "rings").iterdir())[:3]
    named = load(moved).classify(pictures)
    assert len(named) == 3 and all(name in load(moved).classes and 0.25 < chance <= 1 for name, chance in named)
    assert load(moved).classify(pictures[0]) == named[:1]
    with pytest.raises(UserError, match="is a folder: give picture files"):
        load(moved).classify(pictures[0].parent)


def folder_of(runs: Path, to: Path) -> Path:
    """A folder of pictures to spoil."""
    return Path(shutil.copytree(runs / "one" / "assets" / "pictures", to))


def test_reading_ahead_changes_nothing_and_a_moved_folder_goes_on(runs: Path, tmp_path: Path) -> None:
    config = imagenet_runs.config(tmp_path / "run")
    config.images, config.data = "folder", str(folder_of(runs, tmp_path / "here"))
    config.minutes = 0.0
    train_imagenet(config)
    shutil.move(tmp_path / "here", tmp_path / "there")
    config.data, config.minutes, config.workers = str(tmp_path / "there"), 10.0, 2
    assert log_series(train_imagenet(config), "loss") == log_series(runs / "one", "loss")


def test_a_corrupt_picture_is_named_in_one_sentence(runs: Path, tmp_path: Path) -> None:
    root = folder_of(runs, tmp_path / "pictures")
    config = imagenet_runs.config(tmp_path / "run")
    config.images, config.data = "folder", str(root)
    for part in ("val", "train"):  # in val/ its header is read before the first step
        shutil.rmtree(tmp_path / "run", ignore_errors=True)
        spoilt = [path for path in (root / part).rglob("0*.png")]
        for path in spoilt:
            path.write_bytes(path.read_bytes()[:20])
        with pytest.raises(UserError, match=r"0\d\d\.png is (damaged or cut short|not a PNG)") as told:
            train_imagenet(config)
        assert str(root / part) in str(told.value) and len(str(told.value).splitlines()) == 1
        shutil.rmtree(root)
        folder_of(runs, root)


def test_a_folder_that_is_missing_or_half_there_is_told(
    runs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DAYBREAK_DATA", str(tmp_path / "data"))
    config = imagenet_runs.config(tmp_path / "run")
    config.images = "folder"
    with pytest.raises(UserError, match=re.escape(str(tmp_path / "data" / "imagenet" / "train"))):
        train_imagenet(config)
    root = folder_of(runs, tmp_path / "data" / "imagenet")
    shutil.rmtree(root / "val" / "rings")
    with pytest.raises(UserError, match="differ in the class 'rings'"):
        train_imagenet(config)


def test_the_steps_of_a_begun_run_stay_since_the_phases_are_shares_of_them(tmp_path: Path) -> None:
    config = imagenet_runs.config(tmp_path / "run")
    config.minutes = 0.0
    train_imagenet(config)
    config.steps = 12
    with pytest.raises(UserError, match="begun with steps = 9, not 12"):
        train_imagenet(config)


def test_a_batch_of_fewer_shards_than_processes_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from daybreak.systems.dawnbench.imagenet.data import PhasedBatches, open_sets
    from daybreak.systems.dawnbench.imagenet.pictures import generate

    generate(tmp_path / "pictures", train=2, val=1)
    config = imagenet_runs.config(tmp_path)
    train, _ = open_sets(config, tmp_path)
    with pytest.raises(UserError, match="--shards 2 cannot be shared among 4 processes"):
        PhasedBatches(train, phases_of(config), config, (0, 4))
    assert torch.equal(train.labels, torch.tensor([0, 0, 1, 1, 2, 2, 3, 3]))

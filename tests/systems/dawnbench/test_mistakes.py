"""What a user, or a damaged disk, can do to a trained run: one sentence each, and nothing is lost."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from PIL import Image
from safetensors.torch import load_file

import daybreak
from daybreak import cli
from daybreak.engine.errors import UserError
from daybreak.engine.weights import load_weights, read_weights
from daybreak.systems import dawnbench
from daybreak.systems.dawnbench.data import test_set as the_test_set
from daybreak.systems.dawnbench.data import training_sets


def edit(path: Path, **values: object) -> None:
    stored = json.loads(path.read_text())
    stored.get("config", stored).update(values)
    path.write_text(json.dumps(stored))


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-100])


DAMAGES: dict[str, tuple[Callable[[Path], object], str]] = {
    "cut weights": (lambda run: cut(run / "weights.safetensors"), "weights.safetensors cannot be read"),
    "empty weights": (lambda run: (run / "weights.safetensors").write_bytes(b""), "weights.safetensors cannot be read"),
    "no weights": (lambda run: (run / "weights.safetensors").unlink(), "finish its training first"),
    "another width": (lambda run: edit(run / "config.json", width=4), "does not fit"),
    "other data": (lambda run: edit(run / "config.json", data="svhn"), "svhn"),
    "no classes": (lambda run: (run / "assets" / "classes.json").unlink(), "classes.json is not there"),
    "odd classes": (lambda run: edit(run / "assets" / "classes.json", classes=3), "classes.json: classes"),
    "odd channels": (lambda run: edit(run / "assets" / "classes.json", channels=-1), "classes.json"),
    "no class": (lambda run: edit(run / "assets" / "classes.json", classes=[]), "classes.json"),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_run_is_told_in_one_sentence(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], damage: str
) -> None:
    do, sentence = DAMAGES[damage]
    do(run)
    Image.new("L", (8, 8)).save(tmp_path / "a.png")
    for words in (["evaluate", str(run)], ["classify", str(run), str(tmp_path / "a.png")]):
        assert cli.main(["dawnbench", *words]) == 2
        told = capsys.readouterr().err
        assert sentence in told and len(told.splitlines()) == 1 and "no run directory" not in told
    with pytest.raises(UserError, match=re.escape(sentence)):
        daybreak.load(run)


def test_classes_of_another_data_set_are_refused_by_evaluate(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    edit(run / "assets" / "classes.json", classes=list("abcdefghij"))
    assert cli.main(["dawnbench", "evaluate", str(run)]) == 2
    assert "was not trained on digits" in capsys.readouterr().err


def test_samples_that_cannot_be_written_are_told(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (run / "samples").write_text("mine")
    assert cli.main(["dawnbench", "evaluate", str(run)]) == 2
    told = capsys.readouterr().err
    assert "samples could not be written" in told and len(told.splitlines()) == 1
    assert (run / "samples").read_text() == "mine"


def test_a_caption_that_cannot_be_written_is_told(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (run / "samples" / "confusion.txt").mkdir(parents=True)
    assert cli.main(["dawnbench", "evaluate", str(run)]) == 2
    assert "confusion.txt could not be written" in capsys.readouterr().err


def test_another_systems_run_is_told(run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    stored = json.loads((run / "config.json").read_text())
    (run / "config.json").write_text(json.dumps({**stored, "system": "translation"}))
    assert cli.main(["dawnbench", "classify", str(run), str(tmp_path / "a.png")]) == 2
    assert "is a run of translation: give a run of dawnbench" in capsys.readouterr().err


def test_more_images_than_there_are_cannot_be_trained_on() -> None:
    config = dawnbench.tiny()
    config.train_on = 1_237
    with pytest.raises(UserError, match="--train-on 1237 leaves none out of 1237 images"):
        training_sets(config)


def test_an_unknown_data_set_never_means_another_one() -> None:
    config = dawnbench.tiny()
    config.data = "svhn"  # pyright: ignore[reportAttributeAccessIssue]
    for read in (training_sets, the_test_set):
        with pytest.raises(UserError, match="'svhn'"):
            read(config)


def test_one_picture_need_not_be_a_list(run: Path, tmp_path: Path) -> None:
    Image.new("L", (8, 8), 200).save(tmp_path / "a.png")
    classifier = dawnbench.load(run)
    assert classifier.classify(str(tmp_path / "a.png")) == classifier.classify([tmp_path / "a.png"])
    assert len(classifier.classify(tmp_path / "a.png")) == 1
    with pytest.raises(UserError, match="is a folder: give picture files"):
        classifier.classify(tmp_path)


def test_weights_are_read_as_they_were_written_and_only_into_their_model(run: Path) -> None:
    theirs, ours = load_file(run / "weights.safetensors"), read_weights(run)
    assert theirs.keys() == ours.keys() and all(torch.equal(theirs[name], ours[name]) for name in theirs)
    model = torch.nn.Linear(2, 3)
    before = model.weight.clone()
    with pytest.raises(UserError, match=r"does not fit .*config\.json \(Missing key"):
        load_weights(model, run)
    assert torch.equal(model.weight, before)

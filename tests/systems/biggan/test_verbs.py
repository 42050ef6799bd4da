"""The verbs, as they are typed: what they print and write, and what they say of a mistake."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnxruntime
import pytest
import torch

from daybreak.engine.errors import UserError
from daybreak.systems.biggan import export as exporter
from daybreak.systems.biggan import verbs
from daybreak.systems.biggan.predict import load
from daybreak.systems.biggan.sample import latents


def test_sample_writes_a_sheet_or_a_folder(
    digits_run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    verbs.Sample(run=digits_run, classes=("3", "5"), n=2, truncation=0.7, out=tmp_path / "s.png")()
    assert capsys.readouterr().out == f"{tmp_path / 's.png'}\n" and (tmp_path / "s.png").exists()
    verbs.Sample(run=digits_run, classes=("3",), n=3, out=tmp_path / "many")()
    assert capsys.readouterr().out == f"{tmp_path / 'many'}: 3 files\n"
    assert len(list((tmp_path / "many" / "3").glob("*.png"))) == 3


def test_grid_interpolate_and_truncate_draw(
    digits_run: Path, features_run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    verbs.Grid(run=digits_run, n=3, out=tmp_path / "g.png")()
    verbs.Interpolate(run=digits_run, classes=("1", "2"), out=tmp_path / "i.png")()
    verbs.Interpolate(run=digits_run, classes=("1",), out=tmp_path / "j.png")()
    verbs.Truncate(run=digits_run, thresholds=(0.3, 1.0), images=20, features=features_run, out=tmp_path / "t.png")()
    verbs.Interpolate(run=digits_run, classes=("1", "2"), n=2, steps=3, out=tmp_path / "w.mp4")()
    lines = capsys.readouterr().out.splitlines()
    assert [line.split("\t")[0] for line in lines[3:6]] == ["truncation", "0.3", "1"]
    for name in ("g.png", "i.png", "j.png", "t.png", "t_sheet.png", "w.mp4"):
        assert (tmp_path / name).stat().st_size > 1_000 and str(tmp_path / name) in lines


def test_evaluate_passes_its_flags_on(digits_run: Path, features_run: Path) -> None:
    assert verbs.Evaluate(features=features_run, images=20)(digits_run)["test_images"] == 20


@pytest.mark.parametrize("truncation", [None, 0.5])
def test_the_exported_generator_makes_the_same_images(
    digits_run: Path, tmp_path: Path, truncation: float | None, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "g.onnx"
    verbs.Export(run=digits_run, onnx=file, truncation=truncation)()
    assert capsys.readouterr().out.startswith(f"{file}: onnxruntime's pixels")
    sampler, labels = load(digits_run, "cpu"), np.array([4, 0, 9])
    z = latents(3, sampler.generator(None).dim_z, seed=2)
    session = onnxruntime.InferenceSession(file.read_bytes(), providers=["CPUExecutionProvider"])
    (images,) = session.run(["images"], {"z": z.numpy(), "labels": labels})
    ours = sampler.generator(truncation)(z, torch.from_numpy(labels))
    assert float((ours - torch.from_numpy(images)).abs().max()) < 1e-4 < float(ours.std())


def test_an_export_that_differs_is_not_written(
    digits_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("daybreak.engine.onnx.LARGEST_DIFFERENCE", -1.0)
    with pytest.raises(UserError, match="was not written: onnxruntime's images differ by"):
        exporter.export(digits_run, tmp_path / "g.onnx")
    assert not (tmp_path / "g.onnx").exists()


def test_mistakes_are_told_in_one_sentence(digits_run: Path, tmp_path: Path) -> None:
    for verb, words in (
        (verbs.Interpolate(run=digits_run, classes=()), "needs one class or two"),
        (verbs.Interpolate(run=digits_run, classes=("1", "2"), steps=0), "not 2 in 0"),
        (verbs.Interpolate(run=digits_run, classes=("1", "2", "3")), "not 3 in 10"),
        (verbs.Interpolate(run=digits_run, classes=("1", "2"), out=tmp_path / "w.gif"), ".png, .svg or .mp4"),
        (verbs.Sample(run=digits_run, classes=("11",)), "there is no class '11'"),
        (verbs.Sample(run=tmp_path / "nowhere"), "is no run directory of daybreak"),
        (verbs.Sample(run=tmp_path / "nowhere.safetensors"), "there is no"),
        (verbs.Grid(run=digits_run, out=tmp_path / "grid.bmp"), "is no name for a picture"),
        (verbs.Export(run=tmp_path / "nowhere.safetensors"), "give the file to write as --onnx"),
        (verbs.Truncate(run=tmp_path / "nowhere"), "is no run directory of daybreak"),
    ):
        with pytest.raises(UserError) as mistake:
            verb()
        assert words in str(mistake.value) and "\n" not in str(mistake.value)

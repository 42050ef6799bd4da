"""What other programs are given of a run, and that they compute the same."""

from __future__ import annotations

import importlib.util
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from daybreak.engine.errors import UserError
from daybreak.systems.language import export as exporting
from daybreak.systems.language.assets import Reader
from daybreak.systems.language.export import export, export_public, graph_of, inputs_of
from daybreak.systems.language.model.rows import rows_of
from daybreak.systems.language.predict import load
from daybreak.systems.language.tasks.task import pair_rows
from daybreak.systems.language.uses import Classifier

MakeRun = Callable[..., Path]
onnx_is_there = pytest.mark.skipif(
    any(importlib.util.find_spec(name) is None for name in ("onnx", "onnxscript", "onnxruntime")),
    reason="needs the extra named export",
)


def test_padding_changes_nothing_that_is_said_of_the_rows(make_run: MakeRun) -> None:
    lengths = (1, 7, 23, 40)
    tokens, segments, mask = inputs_of(lengths, 90).values()
    assert mask.sum(1).tolist() == list(lengths) and not tokens[mask == 0].any() and segments.any()
    ragged = (
        [row[: len(of)].numpy() for row, of in zip(each, map(range, lengths), strict=True)]
        for each in (tokens, segments)
    )
    rows = rows_of(*ragged)
    for task in ("pretrain", "classify", "tag", "answer"):
        graph = graph_of(load(make_run(task)))
        with torch.no_grad():
            padded = graph(tokens, segments, mask)
            ours = graph.of(rows)
        for table, values in zip(padded if isinstance(padded, tuple) else (padded,), ours, strict=True):
            assert torch.allclose(table[mask.bool()] if table.ndim == 3 else table, values, atol=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("task", "fields"),
    [
        ("classify", {}),
        ("tag", {}),
        ("answer", {}),
        ("pretrain", {}),
        ("similarity", {}),
        ("similarity", {"encoder": "bi"}),
    ],
)
def test_onnxruntime_computes_the_same(make_run: MakeRun, tmp_path: Path, task: str, fields: dict[str, str]) -> None:
    exported = export(make_run(task, **fields), tmp_path / "onnx")
    assert exported.difference < 1e-4 and all(path.exists() for path in exported.files)


@onnx_is_there
def test_an_exported_classifier_says_in_onnxruntime_what_the_run_says(
    make_run: MakeRun, tmp_path: Path, reader: Reader
) -> None:
    import onnxruntime

    run = make_run("classify", pairs=True)
    exported = export(run, tmp_path / "onnx")
    assert [path.name for path in exported.files] == ["model.onnx", "vocab.txt", "about.json"]
    assert exported.difference < 1e-4
    about = json.loads((tmp_path / "onnx" / "about.json").read_text())
    assert about["task"] == "classify" and about["labels"] == ["bad", "good"] and about["lowercase"] is True
    pairs = [("the bank", "was wet"), ("who wrote the notes", "Ada")]
    rows = pair_rows(reader, *zip(*pairs, strict=True), 24)
    longest = max(len(tokens) for tokens, _ in rows)
    fed = {name: np.zeros((len(rows), longest), np.int64) for name in about["inputs"]}
    for i, (tokens, segments) in enumerate(rows):
        for name, values in zip(about["inputs"], (tokens, segments, 1), strict=True):
            fed[name][i, : len(tokens)] = values
    session = onnxruntime.InferenceSession(exported.files[0], providers=["CPUExecutionProvider"])
    (scores,) = session.run(about["outputs"], fed)
    model = load(run)
    assert isinstance(model, Classifier)
    labels = [about["labels"][best] for best in scores.argmax(1)]
    assert labels == [found.label for found in model.classify(pairs)]


@onnx_is_there
def test_what_differs_is_not_written(make_run: MakeRun, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(exporting, "to_onnx", lambda graph: b"")
    for difference in (0.1, float("nan")):
        monkeypatch.setattr(exporting, "compare", lambda *_, found=difference: found)
        with pytest.raises(UserError, match="was not written"):
            export(make_run("classify", str(difference)), tmp_path / "onnx")
        assert not (tmp_path / "onnx").exists()


@onnx_is_there
def test_a_crf_is_not_exported(make_run: MakeRun, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="without --crf"):
        export(make_run("tag", crf=True), tmp_path / "onnx")


def test_a_public_checkpoint_has_its_three_files(make_run: MakeRun, tmp_path: Path) -> None:
    files = export_public(make_run("pretrain"), tmp_path / "public")
    assert [path.name for path in files] == ["config.json", "vocab.txt", "model.safetensors"]
    assert all(path.exists() for path in files)

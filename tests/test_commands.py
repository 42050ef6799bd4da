"""The commands that belong to no system, with what users do to them."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest

from daybreak import cli, commands
from daybreak.systems import dawnbench

TEMPLATE = Path(__file__).resolve().parents[1] / "docs" / "how-to" / "template"


def mistake(capsys: pytest.CaptureFixture[str], *words: object) -> str:
    """The one line that a wrong command gets."""
    assert cli.main([str(word) for word in words]) == 2
    told = capsys.readouterr().err
    assert len(told.splitlines()) == 1
    return told


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two steps of dawnbench's smallest preset."""
    config = dawnbench.tiny()
    config.out, config.steps = str(tmp_path_factory.mktemp("trained") / "run"), 2
    return dawnbench.train(config)


@pytest.mark.parametrize("inside", ["", "/dawnbench", "/deep/er"])
def test_a_demo_that_cannot_be_written_is_told_in_a_sentence(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, inside: str
) -> None:
    (tmp_path / "photo.jpg").write_bytes(b"mine")
    told = mistake(capsys, "demo", "--only", "dawnbench", "--out", f"{tmp_path}/photo.jpg{inside}")
    assert "photo.jpg" in told and "could not be written" in told
    assert (tmp_path / "photo.jpg").read_bytes() == b"mine"


def test_compare_leaves_out_what_is_no_run(capsys: pytest.CaptureFixture[str], tmp_path: Path, run: Path) -> None:
    shutil.copytree(run, tmp_path / "many" / "seed_0")
    (tmp_path / "demo").mkdir()
    assert cli.main(["compare", str(tmp_path / "demo"), str(tmp_path / "many"), str(run)]) == 0
    told = capsys.readouterr()
    assert "seed_0" in told.out and str(run) in told.out
    assert len(told.err.splitlines()) == 1 and str(tmp_path / "demo") in told.err
    assert "no run directory" in mistake(capsys, "compare", tmp_path / "demo")
    (tmp_path / "many" / "seed_0" / "result.json").unlink()
    assert "unfinished" in mistake(capsys, "compare", tmp_path / "many", run)


def test_data_prepare_asks_for_a_name_and_lists_them(capsys: pytest.CaptureFixture[str]) -> None:
    told = mistake(capsys, "data", "prepare")
    assert "needs the name" in told and "cifar10" in told and "mnist" in told


def test_doctor_says_that_it_trains_before_it_does(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def train(config: dawnbench.Config) -> Path:
        assert "self-test" in capsys.readouterr().out
        return Path(config.out)

    monkeypatch.setattr(dawnbench, "train", train)
    monkeypatch.setattr(dawnbench, "evaluate", lambda _: {"test_accuracy": 99.0})
    commands.Doctor()()
    assert "training works" in capsys.readouterr().out


@pytest.mark.skipif(not TEMPLATE.is_dir(), reason="the template is in the checkout, not in the wheel")
def test_new_says_how_many_files_it_makes() -> None:
    files = [path for path in TEMPLATE.iterdir() if path.is_file()]
    assert re.search(r"ten files", commands.New.__doc__ or "") and len(files) == 10

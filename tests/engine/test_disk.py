"""A disk that is full, read-only or damaged: named in one sentence, nothing half-written, checkpoints intact."""

from __future__ import annotations

import errno
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from forks import Faults, Forks, full_disk
from outcome import outcome
from torch import nn
from toys import LOOPS, ToyConfig

from daybreak.engine import checkpoint, rundir
from daybreak.engine.errors import UserError
from daybreak.engine.files import disk_errors, sweep, write_atomic
from daybreak.engine.run import Run

FULL = "No space left on device"


def refused(out: Path, **fields: Any) -> str:
    """The one sentence with which the supervised toy refuses to train."""
    with pytest.raises(UserError) as error:
        LOOPS["supervised"](ToyConfig(out=str(out), **fields))
    assert "\n" not in str(error.value)
    return str(error.value)


@pytest.fixture
def stopped(forks: Forks, tmp_path: Path) -> Path:
    """A run that was stopped after step 24: checkpoints 21 and 24."""
    assert forks.run("supervised", tmp_path / "run", steps=24)[0] == 0
    (tmp_path / "run" / rundir.RESULT).unlink()
    return tmp_path / "run"


# ----------------------------------------------------------------------------- full


@pytest.mark.parametrize("still", [False, True], ids=["once", "from then on"])
def test_a_file_is_replaced_as_a_whole_or_not_at_all(still: bool, tmp_path: Path) -> None:
    path = tmp_path / "file"
    for at in range(20):
        path.write_bytes(b"old")
        try:
            with Faults(full_disk(at, still)) as faults:
                write_atomic(path, b"new")
        except UserError as error:
            assert str(error) == f"{path} could not be written ({FULL}): free space or choose another place"
            assert path.read_bytes() in (b"old", b"new")
        else:
            assert path.read_bytes() == b"new"  # the folder was there, or nothing failed at all
        sweep(tmp_path)
        assert os.listdir(tmp_path) == ["file"]
    assert faults.count < 20


def test_a_checkpoint_on_a_full_disk_ends_the_run_with_the_path(stopped: Path, forks: Forks) -> None:
    before = checkpoint.newest(stopped / rundir.CHECKPOINTS)
    code, errors = forks.run("supervised", stopped, file_limit=10_000)
    assert code == 2
    assert f"checkpoint {stopped}/checkpoints/step_00000028 could not be written (File too large)" in errors
    assert "Traceback" not in errors
    assert sorted(os.listdir(stopped / rundir.CHECKPOINTS)) == ["step_00000021", "step_00000024"]
    after = checkpoint.newest(stopped / rundir.CHECKPOINTS)
    assert checkpoint.flatten(before)[1] == checkpoint.flatten(after)[1]
    assert not (stopped / rundir.RESULT).exists()


def test_the_run_goes_on_exactly_when_there_is_space_again(
    stopped: Path, forks: Forks, undisturbed: Callable[..., Path]
) -> None:
    assert forks.run("supervised", stopped, file_limit=10_000)[0] == 2
    assert forks.run("supervised", stopped) == (0, "")
    found, expected = outcome(stopped), outcome(undisturbed("supervised"))
    lines = [{line["step"]: line for line in run.pop("log")} for run in (found, expected)]
    assert found == expected and all(lines[0][step] == line for step, line in lines[1].items() if step != 25)


def test_a_log_on_a_full_disk_ends_the_run_with_the_path(forks: Forks, tmp_path: Path) -> None:
    out = tmp_path / "run"
    code, errors = forks.run("supervised", out, file_limit=900, log_every=1, save_every=1000)
    assert code == 2
    assert errors.splitlines()[-1] == (
        f"{out / rundir.LOG} could not be written (File too large): free space or choose another place"
    )
    assert 5 < len(rundir.read_log(out)) < 30  # whole lines
    assert not (out / rundir.RESULT).exists() and not (out / rundir.WEIGHTS).exists()


def test_tensorboard_events_on_a_full_disk_are_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: Any) -> None:
        raise OSError(errno.ENOSPC, FULL)

    scalars = rundir.Scalars(tmp_path, 0)
    scalars.write(1, {"loss": 1.0})
    with monkeypatch.context() as patch:
        patch.setattr(scalars.writer, "add_scalar", full)
        with pytest.raises(UserError, match=f"tensorboard could not be written .{FULL}"):
            scalars.write(2, {"loss": 1.0})
    scalars.close()
    shutil.rmtree(tmp_path / rundir.TENSORBOARD)
    (tmp_path / rundir.TENSORBOARD).write_text("in the way")
    with pytest.raises(UserError, match="tensorboard could not be written"):
        rundir.Scalars(tmp_path, 0)


@pytest.mark.parametrize("file", [rundir.RESULT, rundir.CONFIG, rundir.ENVIRONMENT, rundir.LOG, rundir.WEIGHTS])
def test_success_is_never_reported_without_the_file(file: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    replace = os.replace

    def full(source: Path, target: Path) -> None:
        if Path(target).name == file:
            raise OSError(errno.ENOSPC, FULL)
        replace(source, target)

    monkeypatch.setattr(os, "replace", full)
    assert refused(tmp_path, steps=3).startswith(f"{tmp_path / file} could not be written ({FULL})")
    assert not (tmp_path / rundir.RESULT).exists() and list(tmp_path.rglob(".tmp_*")) == []
    monkeypatch.undo()
    LOOPS["supervised"](ToyConfig(out=str(tmp_path), steps=3))
    assert (tmp_path / rundir.RESULT).exists()


# ----------------------------------------------------------------------------- read-only


@pytest.fixture
def elsewhere() -> Iterator[Path]:
    """A folder that everybody may enter, unlike pytest's own."""
    with tempfile.TemporaryDirectory() as folder:
        os.chmod(folder, 0o755)
        yield Path(folder)


@pytest.mark.parametrize("where", ["", rundir.CHECKPOINTS, "nowhere"])
def test_a_folder_that_may_not_be_written_is_named(where: str, forks: Forks, elsewhere: Path) -> None:
    out = elsewhere / "run"
    assert forks.run("supervised", out, steps=7)[0] == 0
    (out / rundir.RESULT).unlink()
    for path in [out, *out.rglob("*")]:
        free = where == rundir.CHECKPOINTS and rundir.CHECKPOINTS not in path.parts
        path.chmod((0o777 if path.is_dir() else 0o666) if free else (0o555 if path.is_dir() else 0o444))
    before = checkpoint.newest(out / rundir.CHECKPOINTS)
    target = out / where if where == "nowhere" else out
    code, errors = forks.run("supervised", target, nobody=True, save_every=3)
    for path in [out, *out.rglob("*")]:
        path.chmod(0o755 if path.is_dir() else 0o644)
    assert code == 2 and "Permission denied" in errors and "Traceback" not in errors
    named = {
        "": f"{out}/.lock",
        "nowhere": f"{out}/nowhere/.lock",
        rundir.CHECKPOINTS: f"{out}/checkpoints/step_00000009",
    }
    assert named[where] in errors
    assert checkpoint.flatten(checkpoint.newest(out / rundir.CHECKPOINTS))[1] == checkpoint.flatten(before)[1]


def test_an_out_that_is_a_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("mine")
    assert refused(tmp_path / "file") == f"{tmp_path / 'file'} is a file: give another --out"
    assert (tmp_path / "file").read_text() == "mine"


def test_only_disk_errors_are_reworded() -> None:
    with pytest.raises(ZeroDivisionError), disk_errors(Path("x")):
        _ = 1 / 0


# ----------------------------------------------------------------------------- damaged


@pytest.mark.parametrize("file", [checkpoint.TENSORS, checkpoint.STATE, checkpoint.MANIFEST])
@pytest.mark.parametrize("damage", ["flip", "cut", "empty", "missing"])
def test_a_run_with_a_damaged_checkpoint_ends_as_an_undisturbed_one(
    file: str, damage: str, undisturbed: Callable[..., Path], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    whole = undisturbed("supervised")
    out = tmp_path / "run"
    shutil.copytree(whole, out)
    (out / rundir.RESULT).unlink()
    path = out / rundir.CHECKPOINTS / "step_00000060" / file
    content = path.read_bytes()
    path.unlink()
    middle = len(content) // 2
    flipped = content[:middle] + bytes([content[middle] ^ 1]) + content[middle + 1 :]
    if damage != "missing":
        path.write_bytes({"flip": flipped, "cut": content[:middle], "empty": b""}[damage])
    LOOPS["supervised"](ToyConfig(out=str(out)))
    assert f"step_00000060/{file}" in caplog.text and "going back to the checkpoint before" in caplog.text
    assert outcome(out) == outcome(whole)


def test_a_run_whose_checkpoints_are_all_damaged_says_so(stopped: Path) -> None:
    for path in (stopped / rundir.CHECKPOINTS).rglob("*.safetensors"):
        path.write_bytes(b"")
    assert refused(stopped) == f"every checkpoint in {stopped / 'checkpoints'} is damaged: start over with --fresh"


@pytest.mark.parametrize("file", [rundir.CONFIG, rundir.ENVIRONMENT, rundir.RESULT])
@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"\xff\xfe", b"[" * 100_000, b'{"format": 1}', b"null"])
def test_a_damaged_record_is_named(file: str, content: bytes, stopped: Path) -> None:
    (stopped / file).write_bytes(content)
    if file == rundir.RESULT and content == b'{"format": 1}':
        LOOPS["supervised"](ToyConfig(out=str(stopped)))  # no steps: not finished, and written anew
        return
    message = refused(stopped)
    assert message.startswith(str(stopped / file))
    assert message.endswith("restore or delete it, or give another --out")
    (stopped / file).unlink()
    if file == rundir.CONFIG:  # nothing says what was trained here: it is not gone on with blindly
        assert "and no config.json of a run" in refused(stopped)
        return
    LOOPS["supervised"](ToyConfig(out=str(stopped)))
    assert rundir.is_finished(stopped, 60)


def test_a_folder_of_other_things_is_neither_trained_in_nor_cleared(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("years of work")
    assert refused(tmp_path).startswith(f"{tmp_path} holds 'thesis.txt'")
    with pytest.raises(UserError, match="no run directory"):
        rundir.clear(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == [".lock", "thesis.txt"]


def test_clearing_a_run_leaves_what_is_not_of_it(stopped: Path) -> None:
    (stopped / "notes.txt").write_text("mine")
    rundir.clear(stopped)
    assert sorted(path.name for path in stopped.iterdir()) == [".lock", "notes.txt"]


def test_a_record_with_any_byte_flipped_is_read_or_refused(stopped: Path) -> None:
    for file in (rundir.CONFIG, rundir.ENVIRONMENT, rundir.LOG):
        content = (stopped / file).read_bytes()
        for at in range(0, len(content), 5):
            (stopped / file).write_bytes(content[:at] + bytes([content[at] ^ 0x11]) + content[at + 1 :])
            try:
                rundir.read_config(stopped)
                rundir.write_environment(stopped, {"torch": "1"})
                rundir.read_log(stopped)
            except UserError as error:
                assert file in str(error) or "run format" in str(error)
        (stopped / file).write_bytes(content)


def test_a_half_line_in_the_log_is_left_out(stopped: Path) -> None:
    with (stopped / rundir.LOG).open("ab") as file:
        file.write(b'{"step": 24, "loss": 0.\xc3')
    LOOPS["supervised"](ToyConfig(out=str(stopped)))
    assert [line["step"] for line in rundir.read_log(stopped)].count(24) == 1
    assert b"\xc3" not in (stopped / rundir.LOG).read_bytes()


def test_stale_temporary_files_are_swept(stopped: Path) -> None:
    (stopped / ".tmp_log.jsonl_99").write_text("half")
    (stopped / rundir.CHECKPOINTS / ".tmp_step_00000028_99").mkdir()
    LOOPS["supervised"](ToyConfig(out=str(stopped)))
    assert list(stopped.rglob(".tmp_*")) == []


def test_saving_twice_writes_once(tmp_path: Path) -> None:
    with Run(ToyConfig(out=str(tmp_path), steps=1)) as run:
        list(run.steps(model=nn.Linear(1, 1)))
        shutil.rmtree(tmp_path / rundir.CHECKPOINTS)
        run._save()
    assert not (tmp_path / rundir.CHECKPOINTS).exists()

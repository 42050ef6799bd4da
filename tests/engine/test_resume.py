"""What a resumed run may change, and what it refuses."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar

import pytest
import torch
import toys
from forks import Forks, wait_until
from outcome import outcome
from torch import nn
from toys import LOOPS, ToyConfig

from daybreak.engine import checkpoint, rundir
from daybreak.engine.errors import UserError
from daybreak.engine.run import Run
from daybreak.engine.weights import read_weights


@pytest.fixture
def begun(forks: Forks, tmp_path: Path) -> Path:
    """A run of 60 steps that has done 14."""
    assert forks.run("supervised", tmp_path / "run", interrupt="SIGTERM:13")[0] == 0
    config = rundir.read_config(tmp_path / "run")
    config["config"]["interrupt"] = ""
    rundir.write_json(tmp_path / "run" / rundir.CONFIG, config)
    return tmp_path / "run"


def refused(config: ToyConfig, loop: str = "supervised") -> str:
    with pytest.raises(UserError) as error:
        LOOPS[loop](config)
    assert "\n" not in str(error.value)
    return str(error.value)


@pytest.mark.parametrize(
    ("field", "value", "was"), [("lr", 0.5, "0.01"), ("seed", 1, "0"), ("batch_size", 8, "16"), ("noise", 0.5, "0.01")]
)
def test_a_changed_field_is_refused_by_name(field: str, value: Any, was: str, begun: Path) -> None:
    message = refused(ToyConfig(out=str(begun), **{field: value}))
    assert message == f"{begun} was begun with {field} = {was}, not {value}: give another --out, or use --fresh"


def test_before_the_first_checkpoint_a_config_may_be_corrected(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match="no such data"), Run(ToyConfig(out=str(tmp_path / "run"), lr=0.5)):
        raise RuntimeError("no such data")
    corrected = ToyConfig(out=str(tmp_path / "run"), steps=20)
    LOOPS["supervised"](corrected)
    assert rundir.read_config(tmp_path / "run")["config"]["lr"] == corrected.lr
    assert len(rundir.read_sessions(tmp_path / "run")) == 1
    assert "was begun with lr" in refused(ToyConfig(out=str(tmp_path / "run"), steps=30, lr=0.5))


def steps_done(folder: Path) -> int:
    return int(checkpoint.whole(folder / rundir.CHECKPOINTS)[-1].name[5:])


def test_fewer_steps_are_refused(begun: Path) -> None:
    done = steps_done(begun)
    assert f"has done {done} steps already" in refused(ToyConfig(out=str(begun), steps=done - 1))


def test_allowed_fields_may_change_and_are_stored(begun: Path, undisturbed: Callable[..., Path]) -> None:
    moved = begun.with_name("moved")
    begun.rename(moved)
    config = ToyConfig(out=str(moved), minutes=5.0, log_every=3, save_every=11, price_per_hour=3.6, steps=66)
    LOOPS["supervised"](config)
    stored = rundir.read_config(moved)["config"]
    assert (stored["out"], stored["steps"], stored["save_every"]) == (str(moved), 66, 11)
    result = rundir.read_json(moved / rundir.RESULT)
    assert result["steps"] == 66
    assert result["cost"] == pytest.approx(result["seconds"] / 1000, abs=1e-5)


def test_more_steps_go_on_where_a_finished_run_ended(undisturbed: Callable[..., Path], tmp_path: Path) -> None:
    shutil.copytree(undisturbed("supervised", steps=20), tmp_path / "run")
    assert "is finished: give another --out, or start over with --fresh" in refused(
        ToyConfig(out=str(tmp_path / "run"), steps=20)
    )
    LOOPS["supervised"](ToyConfig(out=str(tmp_path / "run")))
    assert outcome(tmp_path / "run") == outcome(undisturbed("supervised"))


def test_another_system_or_loop_is_refused(begun: Path) -> None:
    class Other(ToyConfig):
        system: ClassVar[str] = "game"

    class Finetune(ToyConfig):
        loop: ClassVar[str] = "finetune"

    for config in (Other(out=str(begun)), Finetune(out=str(begun))):
        assert refused(config) == f"{begun} holds a run of toy train: give another --out"


def test_another_loop_of_parts_is_refused_by_the_first_that_differs(begun: Path) -> None:
    message = refused(ToyConfig(out=str(begun)), "adversarial")
    assert message.startswith(f"{begun / 'checkpoints'} and this loop differ in the part 'D': another version")


class Interruptible(ToyConfig):
    may_change = ToyConfig.may_change | {"interrupt"}


def test_a_finished_run_that_is_to_go_on_has_no_result_meanwhile(
    undisturbed: Callable[..., Path], tmp_path: Path
) -> None:
    out = tmp_path / "run"
    shutil.copytree(undisturbed("supervised"), out)
    (out / rundir.EVALUATION).write_text("{}")
    LOOPS["supervised"](ToyConfig(out=str(out), steps=70, minutes=0.0))
    assert (out / rundir.RESULT).exists()  # no step was done: it still holds
    LOOPS["supervised"](Interruptible(out=str(out), steps=70, interrupt="SIGTERM:63"))
    assert not (out / rundir.RESULT).exists() and not (out / rundir.EVALUATION).exists()


def test_names_that_every_line_has_cannot_be_logged(tmp_path: Path) -> None:
    with Run(ToyConfig(out=str(tmp_path))) as run, pytest.raises(ValueError, match="step"):
        run.log(step=3.0)


def test_other_shapes_are_refused_by_the_first_key(begun: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(toys, "mlp", lambda i, o: nn.Sequential(nn.Linear(i, 32), nn.ReLU(), nn.Linear(32, 2 * o)))
    assert "does not fit: model.2.weight is (1, 32), not (2, 32)" in refused(ToyConfig(out=str(begun)))


def test_a_newer_run_format_is_refused(begun: Path) -> None:
    rundir.write_json(begun / rundir.CONFIG, {**rundir.read_config(begun), "format": 7})
    assert refused(ToyConfig(out=str(begun))) == f"{begun} has run format 7, not 1: use the daybreak that wrote it"


def test_a_second_process_is_refused_and_the_first_goes_on(
    forks: Forks, undisturbed: Callable[..., Path], tmp_path: Path
) -> None:
    out = tmp_path / "run"
    first = forks.start("supervised", out, pause=0.01)
    wait_until((out / rundir.LOG).exists)
    message = refused(ToyConfig(out=str(out), pause=0.01))
    assert message == f"another process is training in {out}: wait for it, or give another --out"
    with pytest.raises(UserError, match="another process is training"):
        rundir.clear(out)
    assert first.wait() == 0
    assert outcome(out) == outcome(undisturbed("supervised"))


def test_a_changed_environment_is_told_and_recorded(begun: Path, caplog: pytest.LogCaptureFixture) -> None:
    sessions = rundir.read_sessions(begun)
    rundir.write_json(begun / rundir.ENVIRONMENT, {"sessions": [{**sessions[0], "torch": "1.0", "threads": 64}]})
    LOOPS["supervised"](ToyConfig(out=str(begun)))
    assert "equal results are not promised: torch was 1.0, is" in caplog.text
    assert "threads was 64, is" in caplog.text
    assert [session["torch"] for session in rundir.read_sessions(begun)] == ["1.0", sessions[0]["torch"]]


def test_fresh_clears_a_run_and_nothing_else(begun: Path, tmp_path: Path) -> None:
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "cat.jpg").write_bytes(b"x")
    with pytest.raises(UserError, match="is no run directory of daybreak"):
        rundir.clear(tmp_path / "photos")
    assert (tmp_path / "photos" / "cat.jpg").exists()
    rundir.clear(tmp_path / "nowhere")
    rundir.clear(begun)
    assert not begun.exists()


@pytest.mark.parametrize("loop", LOOPS)
def test_the_same_seed_gives_the_same_run_and_another_one_another(
    loop: str, undisturbed: Callable[..., Path], tmp_path: Path
) -> None:
    torch.manual_seed(99)  # what was drawn before a run does not matter
    LOOPS[loop](ToyConfig(out=str(tmp_path / "same")))
    LOOPS[loop](ToyConfig(out=str(tmp_path / "other"), seed=1))
    expected = outcome(undisturbed(loop))
    assert outcome(tmp_path / "same") == expected
    assert outcome(tmp_path / "other")["weights"] != expected["weights"]


def test_a_batch_of_one_and_a_run_of_one_step(tmp_path: Path) -> None:
    for name, fields in {"batch": {"batch_size": 1}, "step": {"steps": 1}}.items():
        LOOPS["supervised"](ToyConfig(out=str(tmp_path / name), **fields))
        lines = rundir.read_log(tmp_path / name)
        assert lines and all(line["loss"] is not None for line in lines)


@pytest.mark.parametrize(
    ("field", "value"), [("steps", 0), ("log_every", 0), ("save_every", -1), ("seed", -1), ("minutes", float("nan"))]
)
def test_a_number_that_cannot_be_is_refused_before_anything_is_written(field: str, value: Any, tmp_path: Path) -> None:
    flag = f"--{field.replace('_', '-')} {value} cannot be"
    assert refused(ToyConfig(out=str(tmp_path / "run"), **{field: value})).startswith(flag)
    assert not (tmp_path / "run").exists()


# ----------------------------------------------------------------------------- what is logged


def test_lines_of_the_log_are_means_since_the_line_before(tmp_path: Path) -> None:
    total = torch.zeros(())
    with Run(ToyConfig(out=str(tmp_path), steps=7, log_every=3, save_every=100)) as run:
        for step in run.steps(model=nn.Linear(1, 1)):
            total += 1  # in place: what was logged must not move with it
            run.log(total=total, number=step)
            if run.every(5):
                run.log(seldom=step)
        run.result(final=4.0, number=-1.0)
    lines = [{k: v for k, v in line.items() if k != "seconds"} for line in rundir.read_log(tmp_path)]
    assert lines == [
        {"step": 3, "total": 2.0, "number": 1.0},
        {"step": 5, "total": 4.5, "number": 3.5, "seldom": 4.0},
        {"step": 6, "total": 6.0, "number": 5.0},
        {"step": 7, "total": 7.0, "number": 6.0, "seldom": 6.0},
    ]
    metrics = rundir.read_json(tmp_path / rundir.RESULT)["metrics"]
    assert metrics == {"total": 7.0, "number": -1.0, "seldom": 6.0, "final": 4.0}


def test_what_is_not_finite_is_null_in_log_and_result(tmp_path: Path) -> None:
    with Run(ToyConfig(out=str(tmp_path), steps=2, log_every=1)) as run:
        for _ in run.steps(model=nn.Linear(1, 1)):
            run.log(nan=float("nan"), inf=torch.tensor(float("inf")))
    assert "NaN" not in (tmp_path / rundir.LOG).read_text() + (tmp_path / rundir.RESULT).read_text()
    assert rundir.read_log(tmp_path)[0]["nan"] is None
    assert rundir.read_json(tmp_path / rundir.RESULT)["metrics"] == {"nan": None, "inf": None}


def test_folders_for_pictures_and_assets(tmp_path: Path) -> None:
    with Run(ToyConfig(out=str(tmp_path))) as run:
        assert run.samples == tmp_path / "samples" and run.samples.is_dir()
        assert run.assets == tmp_path / "assets" and run.assets.is_dir()


def test_weights_of_a_stopped_run_are_told_to_be_that(
    begun: Path, undisturbed: Callable[..., Path], caplog: pytest.LogCaptureFixture
) -> None:
    assert read_weights(undisturbed("supervised")) and not caplog.records
    assert read_weights(begun)
    assert f"{begun} was stopped before its last step" in caplog.text

"""Ways to end a loop early: signals, the budget, stop, break, an exception. Each leaves a run that can go on."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from forks import Forks
from outcome import outcome
from torch import nn
from toys import LOOPS, ToyConfig

from daybreak.engine import checkpoint, rundir
from daybreak.engine.errors import UserError
from daybreak.engine.run import Run


def without_log(out: Path) -> dict[str, Any]:
    """A stop after step 24 adds a line to the log and so parts one mean in two; all the rest has to be equal."""
    whole = outcome(out)
    return {**whole, "log": [line for line in whole["log"] if line["step"] not in (24, 25)]}


def steps_saved(folder: Path) -> list[int]:
    return [int(path.name[5:]) for path in checkpoint.whole(folder / rundir.CHECKPOINTS)]


class Interruptible(ToyConfig):
    may_change = ToyConfig.may_change | {"interrupt"}


@pytest.mark.parametrize("loop", LOOPS)
@pytest.mark.parametrize("name", ["SIGTERM", "SIGINT"])
def test_a_signal_ends_the_step_saves_and_the_run_goes_on_exactly(
    name: str, loop: str, forks: Forks, undisturbed: Callable[..., Path], tmp_path: Path
) -> None:
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    out = tmp_path / "run"
    LOOPS[loop](Interruptible(out=str(out), interrupt=f"{name}:23"))
    assert {number: signal.getsignal(number) for number in before} == before
    assert steps_saved(out) == [21, 24] and not (out / rundir.RESULT).exists()
    LOOPS[loop](Interruptible(out=str(out)))
    assert without_log(out) == without_log(undisturbed(loop))
    steps = [line["step"] for line in rundir.read_log(out)]
    assert steps == sorted(set(steps)) and 24 in steps


def test_a_stopped_process_exits_with_zero_and_says_why(forks: Forks, tmp_path: Path) -> None:
    code, errors = forks.run("supervised", tmp_path / "run", interrupt="SIGTERM:23")
    assert code == 0
    assert "stopped after step 24 of 60 (SIGTERM); the same command goes on from here" in errors


def test_the_second_ctrl_c_does_not_wait(tmp_path: Path) -> None:
    before = signal.getsignal(signal.SIGINT)
    with pytest.raises(KeyboardInterrupt), Run(ToyConfig(out=str(tmp_path))) as run:
        for step in run.steps(model=nn.Linear(1, 1)):
            os.kill(os.getpid(), signal.SIGINT)
            assert step == 0
            os.kill(os.getpid(), signal.SIGINT)
            pytest.fail("went on")
    assert signal.getsignal(signal.SIGINT) is before


def test_a_signal_before_the_first_step_is_not_lost(tmp_path: Path) -> None:
    with Run(ToyConfig(out=str(tmp_path))) as run:
        os.kill(os.getpid(), signal.SIGTERM)
        assert list(run.steps(model=nn.Linear(1, 1))) == []
    assert steps_saved(tmp_path) == [0]


def test_the_budget_ends_the_run_and_the_next_call_has_a_new_one(tmp_path: Path) -> None:
    done: list[int] = []
    calls = 0
    while not (tmp_path / rundir.RESULT).exists():
        with Run(ToyConfig(out=str(tmp_path), steps=12, minutes=0.05 / 60)) as run:
            for step in run.steps(model=nn.Linear(1, 1)):
                done.append(step)
                time.sleep(0.02)
        calls += 1
    assert done == list(range(12)) and calls > 2
    assert rundir.read_json(tmp_path / rundir.RESULT)["seconds"] >= 12 * 0.02


def test_stop_and_the_last_step_of_a_finished_run(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    for expected in ([0, 1, 2], [3, 4]):
        seen: list[int] = []
        with Run(ToyConfig(out=str(tmp_path), steps=5)) as run:
            for step in run.steps(model=nn.Linear(1, 1)):
                seen.append(step)
                if step == 2:
                    run.stop("enough")
        assert seen == expected and run.finished == (expected[-1] == 4)
    assert "stopped after step 3 of 5 (enough)" in caplog.text


class Boom(Exception):
    """Not the engine's."""


@pytest.mark.parametrize("how", ["raise", "break"])
def test_leaving_the_loop_leaves_nothing_behind(how: str, tmp_path: Path) -> None:
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    threads = threading.active_count()

    def leave() -> Run:
        with Run(ToyConfig(out=str(tmp_path), steps=20, log_every=1)) as run:
            for step in run.steps(model=nn.Linear(1, 1)):
                run.log(step_number=step)
                if step == 9 and how == "raise":
                    raise Boom
                if step == 9:
                    break
        return run

    if how == "raise":
        with pytest.raises(Boom):
            leave()
    else:
        assert leave()._log.file.closed
    assert {number: signal.getsignal(number) for number in before} == before
    assert threading.active_count() == threads
    with rundir.Lock(tmp_path):
        pass
    assert list(tmp_path.rglob(".tmp_*")) == [] and not (tmp_path / rundir.RESULT).exists()
    assert [line["step"] for line in rundir.read_log(tmp_path)] == list(range(1, 10))
    assert steps_saved(tmp_path) == [7]
    seen: list[int] = []
    with Run(ToyConfig(out=str(tmp_path), steps=20, log_every=1)) as run:
        for step in run.steps(model=nn.Linear(1, 1)):
            run.log(step_number=step)
            seen.append(step)
    assert seen == list(range(7, 20))
    assert [line["step_number"] for line in rundir.read_log(tmp_path)] == list(range(20))


def test_an_error_while_a_run_opens_releases_everything(tmp_path: Path) -> None:
    with Run(ToyConfig(out=str(tmp_path), steps=1)) as run:
        list(run.steps(model=nn.Linear(1, 1)))
    before = signal.getsignal(signal.SIGTERM)
    with pytest.raises(UserError, match="is finished"), Run(ToyConfig(out=str(tmp_path), steps=1)):
        pytest.fail("opened")
    assert signal.getsignal(signal.SIGTERM) is before
    with rundir.Lock(tmp_path):
        pass


def test_a_run_in_a_thread_installs_no_handlers_and_works(tmp_path: Path) -> None:
    folders: list[Path] = []
    thread = threading.Thread(target=lambda: folders.append(LOOPS["supervised"](ToyConfig(out=str(tmp_path), steps=3))))
    thread.start()
    thread.join()
    assert folders == [tmp_path] and (tmp_path / rundir.RESULT).exists()


# ----------------------------------------------------------------------------- micro-batches


def test_accumulated_micro_batches_equal_the_whole_batch(tmp_path: Path) -> None:
    x = torch.randn(12, 3, generator=torch.Generator().manual_seed(0))

    def train(name: str, parts: int) -> torch.Tensor:
        with Run(ToyConfig(out=str(tmp_path / name), steps=5)) as run:
            model = nn.Linear(3, 1)
            optimizer = torch.optim.SGD(model.parameters(), 0.1, momentum=0.9)
            for _ in run.steps(model=model, optimizer=optimizer):
                for batch in x.chunk(parts):
                    run.update(optimizer, (model(batch) - 1).square().mean(), clip=0.5, accumulate=parts)
        return model.weight.detach()

    whole = train("whole", 1)
    assert (train("four", 4) - whole).abs().max() < 1e-6
    assert (train("three", 3) - whole).abs().max() < 1e-6


def test_a_step_must_not_end_between_two_micro_batches(tmp_path: Path) -> None:
    with (
        pytest.raises(RuntimeError, match="a step ended between two micro-batches"),
        Run(ToyConfig(out=str(tmp_path), steps=5)) as run,
    ):
        model = nn.Linear(1, 1)
        optimizer = torch.optim.SGD(model.parameters(), 0.1)
        for _ in run.steps(model=model, optimizer=optimizer):
            run.update(optimizer, model(torch.ones(1)).sum(), accumulate=2)


def test_gradients_that_another_loss_left_do_not_count(tmp_path: Path) -> None:
    with Run(ToyConfig(out=str(tmp_path), steps=1)) as run:
        model = nn.Linear(1, 1, bias=False)
        before = model.weight.item()
        optimizer = torch.optim.SGD(model.parameters(), 0.5)
        for _ in run.steps(model=model):
            (1000 * model(torch.ones(1))).sum().backward()
            run.update(optimizer, model(torch.ones(1)).sum())
    assert model.weight.item() == pytest.approx(before - 0.5)


def test_steps_can_be_used_once(tmp_path: Path) -> None:
    with Run(ToyConfig(out=str(tmp_path), steps=2)) as run:
        list(run.steps(model=nn.Linear(1, 1)))
        with pytest.raises(RuntimeError, match="can be used once"):
            list(run.steps(model=nn.Linear(1, 1)))

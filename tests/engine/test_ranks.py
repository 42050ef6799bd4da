"""Several processes train one model: as one process would, stopped together, resumed exactly."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from forks import Child, Forks, wait_until
from outcome import outcome
from safetensors.torch import load_file

from daybreak.engine import checkpoint, rundir


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def start(forks: Forks, out: Path, world: int = 2, **fields: Any) -> list[Child]:
    """The ranks of one job, as torchrun starts them."""
    place = {"WORLD_SIZE": str(world), "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(free_port())}
    return [forks.start("supervised", out, env={**place, "RANK": str(rank)}, **fields) for rank in range(world)]


def finish(ranks: list[Child]) -> None:
    for rank in ranks:
        code, errors = rank.wait(), rank.errors.read_text()
        assert code == 0, errors


def lines(out: Path) -> dict[int, float]:
    return {line["step"]: line["loss"] for line in rundir.read_log(out)}


def test_two_processes_give_the_weights_of_one(forks: Forks, undisturbed: Callable[..., Path], tmp_path: Path) -> None:
    one = undisturbed("supervised", noise=0)
    finish(start(forks, tmp_path, noise=0))
    theirs, ours = load_file(tmp_path / rundir.WEIGHTS), load_file(one / rundir.WEIGHTS)
    assert list(theirs) == list(ours)
    assert max(float((theirs[name] - ours[name]).abs().max()) for name in ours) < 1e-6
    assert lines(tmp_path) == pytest.approx(lines(one), rel=1e-5)  # the mean over the ranks
    assert rundir.read_sessions(tmp_path)[0]["world"] == 2


def test_ranks_stop_at_the_same_step_and_go_on_exactly(forks: Forks, tmp_path: Path) -> None:
    finish(start(forks, tmp_path / "whole"))
    out = tmp_path / "stopped"
    ranks = start(forks, out, interrupt="SIGTERM:23:1")  # only the second rank is told
    finish(ranks)
    assert "stopped after step 24 of 60 (another rank)" in ranks[0].errors.read_text()
    assert [path.name for path in checkpoint.whole(out / rundir.CHECKPOINTS)] == ["step_00000021", "step_00000024"]
    config = rundir.read_config(out)
    config["config"]["interrupt"] = ""
    rundir.write_json(out / rundir.CONFIG, config)
    finish(start(forks, out))
    stopped, whole = outcome(out), outcome(tmp_path / "whole")
    for run in (stopped, whole):
        run["log"] = [line for line in run["log"] if line["step"] not in (24, 25)]
    assert stopped == whole


def test_ranks_killed_with_minus_nine_go_on_exactly(forks: Forks, tmp_path: Path) -> None:
    finish(start(forks, tmp_path / "whole"))
    out = tmp_path / "killed"
    ranks = start(forks, out, pause=0.005)
    wait_until((out / rundir.CHECKPOINTS / "step_00000021").exists)
    ranks[0].send(signal.SIGKILL)
    assert ranks[0].wait() == -signal.SIGKILL
    ranks[1].send(signal.SIGKILL)  # as torchrun does; it would end by itself, with an error
    ranks[1].wait()
    finish(start(forks, out, pause=0.005))
    assert outcome(out) == outcome(tmp_path / "whole")


def test_all_ranks_stop_at_a_poisoned_step(forks: Forks, tmp_path: Path) -> None:
    for rank in start(forks, tmp_path, poison="data:12"):
        assert rank.wait() == 2
        assert "is not finite in step 12" in rank.errors.read_text()


def test_ranks_that_see_different_checkpoints_refuse(forks: Forks, tmp_path: Path) -> None:
    place = {"WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(free_port())}
    here, there = tmp_path / "here", tmp_path / "there"
    finish(start(forks, here, steps=7))
    ranks = [
        forks.start("supervised", out, steps=20, env={**place, "RANK": str(rank)})
        for rank, out in enumerate((here, there))
    ]
    for rank in ranks:
        assert rank.wait() == 2
        assert "the ranks see different checkpoints in" in rank.errors.read_text()


@pytest.mark.slow
@pytest.mark.parametrize("who", ["torchrun", "a rank"])
def test_a_job_of_torchrun_stopped_by_a_signal_goes_on_exactly(who: str, forks: Forks, tmp_path: Path) -> None:
    finish(start(forks, tmp_path / "whole"))
    out = tmp_path / "run"
    toys = Path(__file__).parent / "toys.py"

    def torchrun(pause: float) -> subprocess.Popen[str]:
        words = ["--nproc_per_node", "2", "--master_port", str(free_port()), str(toys), "supervised", str(out)]
        return subprocess.Popen(
            [sys.executable, "-m", "torch.distributed.run", *words, f"pause={pause}"],
            stderr=subprocess.PIPE, text=True, env={**os.environ, "OMP_NUM_THREADS": "1"},
        )  # fmt: skip

    job = torchrun(0.1)
    wait_until((out / rundir.CHECKPOINTS / "step_00000007").exists, 120)
    job.send_signal(signal.SIGTERM) if who == "torchrun" else os.kill(ranks_of(job.pid)[0], signal.SIGTERM)
    _, errors = job.communicate(timeout=120)
    assert "(SIGTERM); the same command goes on from here" in errors or "(another rank)" in errors
    if who == "a rank":
        assert job.returncode == 0  # torchrun itself reports the signal that it got as an error
    assert not (out / rundir.RESULT).exists()
    _, errors = (job := torchrun(0.1)).communicate(timeout=120)
    assert job.returncode == 0, errors
    stopped, whole = outcome(out), outcome(tmp_path / "whole")
    regular = [line["step"] for line in whole["log"]]
    assert stopped.pop("log")[-1] == whole.pop("log")[-1] and len(regular) > 10
    assert stopped == whole


def ranks_of(parent: int) -> list[int]:
    """Children of a process."""
    return [int(pid) for pid in Path(f"/proc/{parent}/task/{parent}/children").read_text().split()]

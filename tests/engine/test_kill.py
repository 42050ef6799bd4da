"""kill -9, anywhere: the run that goes on ends as the one that nothing happened to."""

from __future__ import annotations

import random
import shutil
import signal
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from forks import Forks, wait_until
from outcome import outcome
from toys import LOOPS

from daybreak.engine import checkpoint, rundir

KILLS = 20
PAUSE = 0.004  # seconds in each step, so that kills fall into steps and not only into saves


@pytest.mark.parametrize("loop", LOOPS)
def test_resume_after_kills_at_random_times_is_exact(
    loop: str, forks: Forks, undisturbed: Callable[..., Path], tmp_path: Path
) -> None:
    expected = outcome(undisturbed(loop))
    started = time.monotonic()
    assert forks.run(loop, tmp_path / "timed", pause=PAUSE)[0] == 0
    seconds = time.monotonic() - started
    times, out = random.Random(0), tmp_path / "run"
    kills = finished = 0
    while kills < KILLS or not finished:
        child = forks.start(loop, out, pause=PAUSE)
        time.sleep(times.uniform(0, 0.7 * seconds) if kills < KILLS else 0)
        if kills < KILLS:
            child.send(signal.SIGKILL)
        code = child.wait()
        assert code in (0, -signal.SIGKILL), child.errors.read_text()
        kills += code == -signal.SIGKILL
        assert code != 0 or (out / rundir.RESULT).exists()
        if (out / rundir.RESULT).exists():  # the kill may also fall behind it
            assert outcome(out) == expected
            shutil.rmtree(out)
            finished += 1


def test_resume_after_a_kill_at_every_point_of_a_save_is_exact(
    forks: Forks, undisturbed: Callable[..., Path], tmp_path: Path
) -> None:
    expected = outcome(undisturbed("supervised", steps=20, save_every=5))
    stages: set[tuple[str, ...]] = set()  # what lay there after a kill
    for at in range(100):
        out = tmp_path / str(at)
        assert forks.run("supervised", out, steps=20, save_every=5, kill_at=at)[0] == -signal.SIGKILL
        folder = out / rundir.CHECKPOINTS
        steps = [path.name for path in checkpoint.whole(folder)]
        stages.add(tuple(sorted(f"{path.relative_to(folder)}"[:22] for path in folder.rglob("*"))))
        assert "step_00000010" in steps  # the one before is there at every moment
        code, errors = forks.run("supervised", out, steps=20, save_every=5)
        assert (code, errors) == (0, ""), at
        assert outcome(out) == expected, at
        if "step_00000005" not in steps:  # pruned: that was after the last operation
            break
    else:
        pytest.fail("the save never ended")
    assert at > 15 and len(stages) > 5  # the kills did fall between the writes


def test_the_lock_goes_with_a_killed_process(forks: Forks, tmp_path: Path) -> None:
    child = forks.start("supervised", tmp_path / "run", pause=0.03)
    wait_until((tmp_path / "run" / rundir.LOG).exists)
    code, errors = forks.run("supervised", tmp_path / "run", pause=0.03)
    assert code == 2
    assert errors.strip() == (f"another process is training in {tmp_path / 'run'}: wait for it, or give another --out")
    child.send(signal.SIGKILL)
    assert child.wait() == -signal.SIGKILL
    assert forks.run("supervised", tmp_path / "run", pause=0.03) == (0, "")

"""Two processes under torchrun's variables train one pair of networks: the same weights on both, and again resumed."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from safetensors.torch import load_file

from daybreak.engine.rundir import WEIGHTS, log_series


def run_ranks(out: Path, steps: int) -> None:
    driver = Path(__file__).with_name("two_ranks.py")
    command = [sys.executable, str(driver), str(out), str(steps)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@pytest.mark.slow
def test_two_processes_agree_on_both_networks_and_resume_exactly(tmp_path: Path) -> None:
    run_ranks(tmp_path / "whole", steps=4)
    first, second = (load_file(f"{tmp_path / 'whole'}-rank{rank}") for rank in range(2))
    assert len(first) > 80
    assert [name for name in first if not first[name].equal(second[name])] == []
    run_ranks(tmp_path / "resumed", steps=2)
    run_ranks(tmp_path / "resumed", steps=4)
    ours, theirs = (load_file(tmp_path / name / WEIGHTS) for name in ("resumed", "whole"))
    assert [name for name in theirs if not ours[name].equal(theirs[name])] == []
    assert log_series(tmp_path / "resumed", "loss_G") == log_series(tmp_path / "whole", "loss_G")

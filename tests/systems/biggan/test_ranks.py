"""Two processes under torchrun's variables train one pair of networks: the same weights on both, and again resumed."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from safetensors.torch import load_file

from daybreak.engine.rundir import WEIGHTS, log_series

SCRIPT = """
import os, sys
import torch
from daybreak.engine.run import Run
from daybreak.systems.biggan.config import Config
from daybreak.systems.biggan.train import train

out, steps = sys.argv[1], int(sys.argv[2])
torch.set_num_threads(1)
children = []
for rank in range(2):
    if child := os.fork():
        children.append(child)
        continue
    os.environ |= {"RANK": str(rank), "LOCAL_RANK": str(rank), "WORLD_SIZE": "2"}
    save = Run.save_weights

    def keep(self, module):
        from safetensors.torch import save_file
        state = self._parts["G"].state_dict() | {f"D.{n}": t for n, t in self._parts["D"].state_dict().items()}
        save_file({n: t.contiguous() for n, t in state.items() if "running" not in n}, f"{out}-rank{self.device.rank}")
        save(self, module)

    Run.save_weights = keep
    train(Config(
        out=out, ch=2, dim_z=8, shared_dim=4, batch_size=8, d_steps=2, accumulate=2, split_d=True, ortho_g=1e-4,
        attention=(8,), steps=steps, eval_every=2, log_every=1, save_every=2, precision="fp32", device="cpu",
    ))
    sys.stdout.flush()
    os._exit(0)
codes = [os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children]
sys.exit(max(map(abs, codes)))
"""


def run_ranks(out: Path, steps: int) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    place = {**os.environ, "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, str(out), str(steps)], env=place, capture_output=True, text=True, check=False
    )
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

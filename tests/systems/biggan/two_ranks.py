"""``python two_ranks.py FOLDER STEPS``: a short training as two ranks, whose weights go to FOLDER-rank0 and -rank1."""

from __future__ import annotations

import sys
from functools import partial
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from torch import nn

from daybreak.engine.run import Run
from daybreak.systems.biggan.config import Config
from daybreak.systems.biggan.train import train

sys.path.append(str(Path(__file__).parents[2]))

from children import two_ranks


def train_and_keep(out: str, steps: int) -> None:
    """Train with every part of a step that ranks must agree on; each rank writes the weights of G and of D."""
    torch.set_num_threads(1)
    save = Run.save_weights

    def keep(run: Any, module: nn.Module) -> None:
        G, D = (run._parts[name].state_dict() for name in "GD")
        state = G | {f"D.{name}": value for name, value in D.items()}
        own = {name: value.contiguous() for name, value in state.items() if "running" not in name}
        save_file(own, f"{out}-rank{run.device.rank}")
        save(run, module)

    Run.save_weights = keep
    train(Config(
        out=out, ch=2, dim_z=8, shared_dim=4, batch_size=8, d_steps=2, accumulate=2, split_d=True, ortho_g=1e-4,
        attention=(8,), steps=steps, eval_every=2, log_every=1, save_every=2, precision="fp32", device="cpu",
    ))  # fmt: skip


if __name__ == "__main__":
    sys.exit(max(map(abs, two_ranks(partial(train_and_keep, sys.argv[1], int(sys.argv[2]))))))

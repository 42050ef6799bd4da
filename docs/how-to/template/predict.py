"""A fitted curve, opened from its run directory alone."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import torch
from daybreak.systems.template.config import Config
from daybreak.systems.template.model import Curve
from safetensors.torch import load_file
from torch import Tensor

from daybreak.engine.config import RunConfig, from_json
from daybreak.engine.device import Device
from daybreak.engine.errors import UserError
from daybreak.engine.rundir import WEIGHTS, read_config


class Predictor:
    """``predict`` gives the curve's values."""

    def __init__(self, model: Curve, device: Device) -> None:
        self.model, self.device = model, device

    @torch.no_grad()
    def predict(self, x: Tensor) -> Tensor:
        """(B, 1) -> (B, 1)."""
        return self.model(self.device.place(x)).float().cpu()


def load(run_dir: Path, device: Literal["auto", "cpu", "cuda", "mps"] = "auto") -> Predictor:
    """Open a run directory. Raises UserError when training has left no weights there yet."""
    config = from_json(Config, read_config(run_dir)["config"])
    if not (run_dir / WEIGHTS).exists():
        raise UserError(f"{run_dir} has no {WEIGHTS} yet: finish its training first")
    place = Device.pick(RunConfig(device=device))
    model = Curve(config.hidden_size)
    model.load_state_dict(load_file(run_dir / WEIGHTS))
    return Predictor(place.wrap(model).eval(), place)

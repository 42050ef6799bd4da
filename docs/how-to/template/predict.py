"""A fitted curve, opened from its run directory alone."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import torch
from daybreak.systems.template.config import Config
from daybreak.systems.template.model import Curve
from torch import Tensor

from daybreak.engine.config import RunConfig, from_json
from daybreak.engine.device import Device
from daybreak.engine.rundir import read_config
from daybreak.engine.weights import load_weights


class Predictor:
    """``predict`` gives the curve's values."""

    def __init__(self, model: Curve, device: Device) -> None:
        self.model, self.device = model, device

    @torch.no_grad()
    def predict(self, x: Tensor) -> Tensor:
        """(B, 1) -> (B, 1)."""
        return self.model(self.device.place(x)).float().cpu()


def load(run_dir: Path, device: Literal["auto", "cpu", "cuda", "mps"] = "auto") -> Predictor:
    """Open a run directory. Raises UserError when its training is unfinished, or its files are damaged."""
    config = from_json(Config, read_config(run_dir)["config"])
    place = Device.pick(RunConfig(device=device))
    model = Curve(config.hidden_size)
    load_weights(model, run_dir)
    return Predictor(place.wrap(model).eval(), place)

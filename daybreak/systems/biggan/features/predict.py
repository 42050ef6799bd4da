"""A trained feature net, opened from its run directory, and its official numbers."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from daybreak.engine.config import RunConfig
from daybreak.engine.device import Device
from daybreak.engine.rundir import config_of
from daybreak.engine.weights import load_weights
from daybreak.nn.features import FeatureNet
from daybreak.systems.biggan.features.config import FeaturesConfig
from daybreak.systems.biggan.features.data import counts, read
from daybreak.systems.biggan.features.train import accuracy


def load(run_dir: Path, device: Literal["auto", "cpu", "cuda", "mps"] = "auto") -> FeatureNet:
    """The net with the weights as they are stored. Raises UserError when the training is unfinished or damaged."""
    net = FeatureNet()
    load_weights(net, run_dir)
    return Device.pick(RunConfig(device=device, precision="fp32")).wrap(net.eval().requires_grad_(False))


def evaluate(run_dir: str | Path) -> dict[str, float]:
    """Test accuracy in percent on each set that the net was trained on."""
    folder = Path(run_dir)
    config = config_of(FeaturesConfig, folder)
    device = Device.pick(RunConfig(precision="fp32"))
    net = load(folder)
    return {f"{name}_accuracy": accuracy(net, read(name, train=False), device) for name in counts(config)}

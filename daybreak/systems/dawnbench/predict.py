"""A trained classifier, opened from its run directory alone."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import torch
from safetensors.torch import load_file
from torch import Tensor

from daybreak.data.images import open_image
from daybreak.engine.config import RunConfig, from_json
from daybreak.engine.device import Device
from daybreak.engine.errors import UserError
from daybreak.engine.rundir import ASSETS, WEIGHTS, read_config, read_json
from daybreak.systems.dawnbench.config import Config
from daybreak.systems.dawnbench.model import ResNet9

SIDES = {"digits": 8, "cifar10": 32}  # pixels


class Classifier:
    """``classify`` names what is in an image."""

    def __init__(self, config: Config, model: ResNet9, classes: list[str], channels: int, device: Device) -> None:
        self.config, self.model, self.classes, self.channels, self.device = config, model, classes, channels, device

    @torch.no_grad()
    def probabilities(self, images: Tensor) -> Tensor:
        """Images (B, C, H, W), uint8 -> probabilities (B, num_classes)."""
        with self.device.autocast():
            return self.model(self.device.place(images)).float().softmax(1).cpu()

    def classify(self, paths: Sequence[str | Path]) -> list[tuple[str, float]]:
        """Best class of each picture file, and its probability. Pictures are scaled to the training size."""
        if not paths:
            return []
        chances, classes = self.probabilities(torch.stack([self._read(path) for path in paths])).max(1)
        return [(self.classes[c], p) for c, p in zip(classes.tolist(), chances.tolist(), strict=True)]

    def _read(self, path: str | Path) -> Tensor:
        side = SIDES[self.config.data]
        picture = open_image(Path(path)).convert("L" if self.channels == 1 else "RGB").resize((side, side))
        pixels = torch.frombuffer(bytearray(picture.tobytes()), dtype=torch.uint8)
        return pixels.view(side, side, self.channels).permute(2, 0, 1)  # (C, H, W)


def load(run_dir: Path, device: Literal["auto", "cpu", "cuda", "mps"] = "auto") -> Classifier:
    """Open a run directory. Raises UserError when training has left no weights there yet."""
    config = from_json(Config, read_config(run_dir)["config"])
    if not (run_dir / WEIGHTS).exists():
        raise UserError(f"{run_dir} has no {WEIGHTS} yet: finish its training first")
    about = read_json(run_dir / ASSETS / "classes.json")
    place = Device.pick(RunConfig(device=device))
    model = ResNet9(about["channels"], len(about["classes"]), config.width)
    model.load_state_dict(load_file(run_dir / WEIGHTS))
    return Classifier(config, place.wrap(model).eval(), about["classes"], about["channels"], place)

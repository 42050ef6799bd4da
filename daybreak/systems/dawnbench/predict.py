"""A trained classifier, opened from its run directory alone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor, nn

from daybreak.data.images import Images, open_image
from daybreak.data.loader import batches
from daybreak.engine.config import RunConfig
from daybreak.engine.device import Device
from daybreak.engine.errors import UserError
from daybreak.engine.rundir import ASSETS, config_of, read_config
from daybreak.engine.strict import build, read_object
from daybreak.engine.weights import load_weights
from daybreak.systems.dawnbench.config import SHAPES, Config
from daybreak.systems.dawnbench.model import Network, network
from daybreak.systems.dawnbench.parts import resize, views

EVAL_BATCH = 500


@dataclass(frozen=True)
class Classes:
    """What training noted in ``assets/classes.json``."""

    classes: list[str]
    channels: int


class Classifier:
    """``classify`` names what is in an image."""

    def __init__(self, config: Config, model: Network, classes: list[str], channels: int, device: Device) -> None:
        self.config, self.model, self.classes, self.channels, self.device = config, model, classes, channels, device
        self.side = SHAPES[config.data].side

    @torch.no_grad()
    def probabilities(self, images: Tensor) -> Tensor:
        """Images (B, C, H, W), uint8 -> probabilities (B, num_classes). Other sizes are scaled to the training size."""
        images = resize(self.device.place(images), self.side)
        with self.device.autocast():
            return answer(self.model, images, self.config.views).softmax(1)

    def classify(self, paths: str | Path | Sequence[str | Path]) -> list[tuple[str, float]]:
        """Best class of each picture file, and its probability. Pictures are scaled to the training size."""
        paths = [paths] if isinstance(paths, (str, Path)) else paths
        if not len(paths):
            return []
        chances, classes = self.probabilities(torch.stack([self._read(path) for path in paths])).max(1)
        return [(self.classes[c], p) for c, p in zip(classes.tolist(), chances.tolist(), strict=True)]

    def _read(self, path: str | Path) -> Tensor:
        if Path(path).is_dir():
            raise UserError(f"{path} is a folder: give picture files, as in {Path(path) / '*.png'}")
        size = (self.side, self.side)
        picture = open_image(Path(path)).convert("L" if self.channels == 1 else "RGB").resize(size)
        pixels = torch.frombuffer(bytearray(picture.tobytes()), dtype=torch.uint8)
        return pixels.view(*size, self.channels).permute(2, 0, 1)  # (C, H, W)


def load(run_dir: Path, device: Literal["auto", "cpu", "cuda", "mps"] = "auto") -> Any:
    """Open a run directory. Raises UserError when it is another system's, unfinished or damaged."""
    if read_config(run_dir)["loop"] == "train-imagenet":
        from daybreak.systems.dawnbench.imagenet import predict as imagenet

        return imagenet.load(run_dir, device)
    config = config_of(Config, run_dir)
    place = Device.pick(RunConfig(device=device, precision=config.precision))
    about = read_classes(run_dir / ASSETS / "classes.json")
    model = network(config, about.channels, len(about.classes))
    load_weights(model, run_dir)
    return Classifier(config, place.wrap(model).eval(), about.classes, about.channels, place)


def read_classes(path: Path) -> Classes:
    """Read what training noted of its images. Raises UserError where that is not there or makes no sense."""
    about = build(Classes, read_object(path), str(path))
    if not about.classes or about.channels not in (1, 3):
        raise UserError(f"{path} names no classes, or images that are neither grey nor RGB: train the run again")
    return about


# ----------------------------------------------------------------------------- many images


@torch.no_grad()
def predictions(model: nn.Module, dataset: Images, device: Device, *, six_views: bool = False) -> Tensor:
    """Logits (N, num_classes) of all images, on the CPU in fp32; the model's mode is what it was."""
    training = model.training
    model.eval()
    with device.autocast():
        logits = [answer(model, device.place(images), six_views) for images, _ in batches(dataset, EVAL_BATCH)]
    model.train(training)
    return torch.cat(logits)


def answer(model: nn.Module, images: Tensor, six_views: bool) -> Tensor:
    """Logits (B, num_classes) on the CPU in fp32, over six views of each image or of the image alone."""
    return (views(model, images) if six_views else model(images)).float().cpu()


def accuracy(logits: Tensor, labels: Tensor) -> float:
    """Percent of images (N, num_classes) whose largest logit is that of their label (N,)."""
    return 100.0 * (logits.argmax(1) == labels).double().mean().item()

"""A network trained on ImageNet, opened from its run directory alone, and its official numbers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import torch

from daybreak.data.images import open_image
from daybreak.engine.config import RunConfig
from daybreak.engine.device import Device
from daybreak.engine.errors import UserError
from daybreak.engine.rundir import ASSETS, CONFIG, config_of
from daybreak.engine.weights import load_weights
from daybreak.systems.dawnbench.imagenet.config import ImagenetConfig
from daybreak.systems.dawnbench.imagenet.data import aspects, fit, open_sets, shape_of, to_tensor
from daybreak.systems.dawnbench.imagenet.model import ResNet
from daybreak.systems.dawnbench.imagenet.train import validate
from daybreak.systems.dawnbench.predict import read_classes


@dataclass(frozen=True)
class ImagenetClassifier:
    """``classify`` names what is in a picture."""

    config: ImagenetConfig
    model: ResNet
    classes: list[str]
    device: Device

    @torch.no_grad()
    def classify(self, paths: str | Path | Sequence[str | Path]) -> list[tuple[str, float]]:
        """Best class of each picture file, and its probability. Each is seen at its own aspect ratio."""
        named: list[tuple[str, float]] = []
        for path in [paths] if isinstance(paths, (str, Path)) else paths:
            if Path(path).is_dir():
                raise UserError(f"{path} is a folder: give picture files, as in {Path(path) / '*.jpg'}")
            picture = open_image(Path(path))
            images = to_tensor([fit(picture, *shape_of(picture.width / picture.height, self.config.sizes[-1]))])
            with self.device.autocast():
                chance, best = self.model(self.device.place(images)).float().softmax(1)[0].max(0)
            named.append((self.classes[int(best)], float(chance)))
        return named


def load(run_dir: Path, device: Literal["auto", "cpu", "cuda", "mps"] = "auto") -> ImagenetClassifier:
    """Open a run directory. Raises UserError when its training is unfinished, or its files are damaged."""
    config = config_of(ImagenetConfig, run_dir)
    place = Device.pick(RunConfig(device=device, precision=config.precision))
    classes = read_classes(run_dir / ASSETS / "classes.json").classes
    model = ResNet(len(classes), config.width, config.blocks)
    load_weights(model, run_dir)
    return ImagenetClassifier(config, place.wrap(model).eval(), classes, place)


def evaluate(run_dir: str | Path) -> dict[str, float]:
    """Top-1 and top-5 accuracy in percent on val/, at the size of the last phase, beside the most frequent class."""
    run = Path(run_dir)
    classifier = load(run)
    _, pictures = open_sets(classifier.config, run / ASSETS)
    if pictures.classes != classifier.classes:
        raise UserError(f"{run} was trained on other classes than these: restore its {CONFIG}, or train again")
    size, workers = classifier.config.sizes[-1], classifier.config.workers
    numbers = validate(classifier.model, pictures, aspects(pictures), size, classifier.device, workers)
    floor = 100.0 * pictures.labels.bincount().max().item() / len(pictures)
    return {**numbers, "largest_class_accuracy": floor, "val_images": len(pictures)}

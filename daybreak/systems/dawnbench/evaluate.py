"""The test set, read once a run, and pictures of what the classifier gets right and wrong."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor

from daybreak import draw
from daybreak.data.images import Images
from daybreak.engine.errors import UserError
from daybreak.engine.files import disk_errors, write_atomic
from daybreak.engine.rundir import CONFIG, SAMPLES, read_config
from daybreak.systems.dawnbench.data import test_set
from daybreak.systems.dawnbench.predict import accuracy, load, predictions

CAPTIONS = {
    "confusion": "Which class is taken for which",
    "predictions": "The surest mistakes first (red), then right answers (green)",
}


def evaluate(run_dir: str | Path) -> dict[str, float]:
    """Test accuracy in percent beside its floor, the most frequent class; pictures go to ``samples/``."""
    folder = Path(run_dir)
    if read_config(folder)["loop"] == "train-imagenet":
        from daybreak.systems.dawnbench.imagenet import predict as imagenet

        return imagenet.evaluate(folder)
    classifier = load(folder)
    test = test_set(classifier.config)
    if test.classes != classifier.classes or test.images.shape[1] != classifier.channels:
        raise UserError(f"{folder} was not trained on {classifier.config.data}: restore its {CONFIG}, or train again")
    with disk_errors(folder / SAMPLES):  # before the work, which would be lost
        (folder / SAMPLES).mkdir(exist_ok=True)
    logits = predictions(classifier.model, test, classifier.device, six_views=classifier.config.views)
    draw.confusion(confusion(logits, test), test.classes, folder / SAMPLES / "confusion.png", title="Test images")
    sheet(logits, test, folder / SAMPLES / "predictions.png")
    for name, caption in CAPTIONS.items():
        write_atomic(folder / SAMPLES / f"{name}.txt", f"{caption}\n".encode())
    return {
        "test_accuracy": accuracy(logits, test.labels),
        "largest_class_accuracy": 100.0 * test.labels.bincount().max().item() / len(test),
        "test_images": len(test),
    }


def confusion(logits: Tensor, test: Images) -> Tensor:
    """Counts (K, K): rows the true class, columns the predicted one."""
    size = len(test.classes)
    return torch.bincount(test.labels * size + logits.argmax(1), minlength=size * size).view(size, size)


def sheet(logits: Tensor, test: Images, path: Path, wrong: int = 12, right: int = 6) -> None:
    """The surest mistakes, then as many of the first right answers as fill the sheet."""
    chance, predicted = logits.softmax(1).max(1)
    is_right = predicted == test.labels
    order = chance.masked_fill(is_right, -1.0).argsort(descending=True)
    mistakes = [int(i) for i in order[:wrong] if not is_right[i]]
    shown = mistakes + is_right.nonzero().flatten()[: right + wrong - len(mistakes)].tolist()

    def caption(i: int) -> str:
        guess = f"{test.classes[int(predicted[i])]} {chance[i]:.0%}"
        return guess if is_right[i] else f"{guess}\nis {test.classes[int(test.labels[i])]}"

    draw.grid(test.images[shown].numpy(), [caption(i) for i in shown], path, marks=is_right[shown].tolist())

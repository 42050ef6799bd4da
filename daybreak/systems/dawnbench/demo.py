"""The demo's chapter: handwritten digits, learned in seconds."""

from __future__ import annotations

import shutil
import time
from pathlib import Path

from daybreak import draw
from daybreak.engine.chapter import Chapter, Number, Picture
from daybreak.engine.rundir import SAMPLES, log_series
from daybreak.systems.dawnbench.config import tiny
from daybreak.systems.dawnbench.evaluate import CAPTIONS, evaluate
from daybreak.systems.dawnbench.train import train


def chapter(folder: Path) -> Chapter:
    """Train the ``tiny`` preset in ``folder`` and test it on 360 digits it has not seen."""
    started = time.monotonic()
    config = tiny()
    config.out = str(folder / "run")
    run = train(config)
    numbers = evaluate(run)
    for name in CAPTIONS:
        shutil.copy(run / SAMPLES / f"{name}.png", folder)
    accuracy = {"held-out accuracy": log_series(run, "val_accuracy")}
    draw.curves(accuracy, folder / "accuracy.png", y_label="percent", y_span=(0, 100))
    return Chapter(
        system="dawnbench",
        title="DAWNBench: a classifier in seconds",
        text=(
            "A nine-layer residual network learns scikit-learn's bundled handwritten digits (8x8 pixels) with SGD and "
            "a 1cycle schedule, and is tested on images that it has never seen."
        ),
        numbers=[
            Number("accuracy on unseen digits", numbers["test_accuracy"], "%", numbers["largest_class_accuracy"], 97.0),
            Number("images tested", numbers["test_images"]),
        ],
        pictures=[
            Picture("predictions.png", CAPTIONS["predictions"]),
            Picture("accuracy.png", "Accuracy on held-out training images while learning"),
            Picture("confusion.png", CAPTIONS["confusion"]),
        ],
        commands=["daybreak dawnbench train tiny", "daybreak data prepare cifar10", "daybreak dawnbench train cifar10"],
        seconds=time.monotonic() - started,
    )

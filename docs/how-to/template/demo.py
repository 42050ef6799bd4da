"""The demo's chapter: a curve through noisy points."""

from __future__ import annotations

import time
from pathlib import Path

import torch
from daybreak.systems.template.config import tiny
from daybreak.systems.template.data import Points
from daybreak.systems.template.evaluate import evaluate
from daybreak.systems.template.predict import load
from daybreak.systems.template.train import train

from daybreak import draw
from daybreak.engine.chapter import Chapter, Number, Picture


def chapter(folder: Path) -> Chapter:
    """Train the ``tiny`` preset in ``folder`` and draw the curve it found."""
    started = time.monotonic()
    config = tiny()
    config.out = str(folder / "run")
    run = train(config)
    numbers = evaluate(run)
    truth = Points(400, 0.0, 7)
    x, order = truth.x.sort(0)
    found = load(run).predict(x)
    truth_y = truth.y[order[:, 0]]
    lines = {"truth": (x[:, 0].numpy(), truth_y[:, 0].numpy()), "found": (x[:, 0].numpy(), found[:, 0].numpy())}
    draw.curves(lines, folder / "curve.png", x_label="x", y_label="y")
    return Chapter(
        system="template",
        title="template: a curve through noisy points",
        text=f"A small perceptron learns from {config.points} points; torch {torch.__version__}.",
        numbers=[
            Number(
                "squared error on fresh points",
                numbers["test_error"],
                floor=numbers["error_of_the_mean"],
                better="lower",
            )
        ],
        pictures=[Picture("curve.png", "The curve and what was learned of it")],
        commands=["daybreak template train tiny"],
        seconds=time.monotonic() - started,
    )

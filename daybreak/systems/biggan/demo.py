"""The demo's chapter: handwritten digits, learned in seconds and asked for by class."""

from __future__ import annotations

import time
from pathlib import Path

from daybreak import draw
from daybreak.data.images import Images
from daybreak.engine.chapter import Chapter, Number, Picture
from daybreak.engine.rundir import log_series
from daybreak.systems.biggan import pictures
from daybreak.systems.biggan.config import tiny
from daybreak.systems.biggan.data import training_set
from daybreak.systems.biggan.judge import obeyed, others, support_vectors
from daybreak.systems.biggan.predict import load
from daybreak.systems.biggan.train import train

EACH, GOAL = 40, 75.0


def chapter(folder: Path) -> Chapter:
    """Train the ``tiny`` preset in ``folder``, and let a classifier that knows real digits say what it sees."""
    started = time.monotonic()
    config = tiny()
    config.out = str(folder / "run")
    run = train(config)
    sampler, data = load(run), training_set(config)
    assert isinstance(data.train, Images)
    sees = support_vectors(data.train)
    labels = sampler.labels(None).repeat_interleave(EACH)
    z = sampler.draw(len(labels), None, 1)
    swapped = others(labels, len(sampler.classes), seed=1)
    obeys, follows = (obeyed(sees, sampler.images(z, asked), asked) for asked in (labels, swapped))
    pictures.grid(sampler, 10, None, 0, folder / "digits.png")
    pictures.strips(sampler, (3, 8), 10, 4, None, 0, folder / "interpolation.png")
    distance = {"distance": log_series(run, "val_distance")}
    draw.curves(distance, folder / "distance.png", y_label="kernel distance to real digits", y_span=(0, 0))
    guess = 100.0 / len(sampler.classes)
    return Chapter(
        system="biggan",
        title="BigGAN: digits that nobody wrote",
        text=(
            "A small BigGAN learns to draw scikit-learn's bundled handwritten digits (8x8 pixels), each when it is "
            "asked for. A support vector machine that was trained on real digits, and never saw a drawn one, says how "
            "often it sees the digit that was asked for, and how often it changes its mind when the same latent vector "
            "is drawn as another digit."
        ),
        numbers=[
            Number("digits that are what was asked for", obeys, "%", guess, GOAL),
            Number("after another was asked for", follows, "%", guess, GOAL),
            Number("variety within a class, of real digits'", 100.0 * log_series(run, "diversity")[1][-1], "%"),
            Number("real digits that it recognises", obeyed(sees, data.held_out.images, data.held_out.labels), "%"),
        ],
        pictures=[
            Picture("digits.png", "A class a row; the images of a column come from the same latent vector"),
            Picture("interpolation.png", "From 3 to 8: the latent vector of a row stays, the class changes"),
            Picture("distance.png", "How far its samples are from held-out digits while it learns"),
        ],
        commands=[
            "daybreak biggan train digits",
            "daybreak biggan sample runs/biggan-digits-seed0 --classes 7 --n 40 --truncation 0.7",
            "daybreak biggan interpolate runs/biggan-digits-seed0 3 8",
        ],
        seconds=time.monotonic() - started,
    )

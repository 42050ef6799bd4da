"""The truncation trick as a curve: narrower latents give better images, and fewer kinds of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from daybreak import draw
from daybreak.engine.errors import UserError
from daybreak.engine.rundir import config_of
from daybreak.metrics.coverage import prdc
from daybreak.metrics.inception import inception_score
from daybreak.systems.biggan.config import Config
from daybreak.systems.biggan.data import test_set
from daybreak.systems.biggan.evaluate import LATENTS_SEED, some_of
from daybreak.systems.biggan.lens import FEWEST, lens, own_net
from daybreak.systems.biggan.predict import Sampler, open_generator

COLUMNS = 12


@dataclass(frozen=True)
class Point:
    """What samples of one truncation are like."""

    truncation: float
    precision: float
    """Percent of them that lie among the real images."""
    recall: float
    """Percent of the real images that lie among them."""
    score: float
    """How sure the feature net is of each, and how many classes it sees in all: 1 to 46."""


def curve(run: Path, thresholds: Sequence[float], images: int, features: Path | None) -> tuple[Sampler, list[Point]]:
    """The generator of a run, and a point for each threshold, of ``images`` samples and as many unseen real images.

    Raises UserError as ``evaluate`` does, and for fewer than two thresholds.
    """
    if len(set(thresholds)) < 2:
        raise UserError("a curve needs at least two thresholds: give more as --thresholds")
    sampler = open_generator(run)
    test = some_of(test_set(config_of(Config, run)), images)
    if len(test) < FEWEST:
        raise UserError(f"{len(test)} images are too few for a curve: give at least {FEWEST} as --images")
    through = lens(lambda: own_net(features), None, sampler.device)
    real, _ = through.of(test.images)
    points: list[Point] = []
    for threshold in sorted(set(thresholds)):
        z = sampler.draw(len(test), threshold, LATENTS_SEED)
        fake, logits = through.of(sampler.images(z, test.labels, threshold))
        support = prdc(real, fake)
        points.append(Point(threshold, 100.0 * support.precision, 100.0 * support.recall, inception_score(logits)[0]))
    return sampler, points


def draw_curve(points: Sequence[Point], path: Path) -> Path:
    """Precision and recall over the threshold."""
    across = [point.truncation for point in points]
    series = {name: (across, [getattr(point, name) for point in points]) for name in ("precision", "recall")}
    return draw.curves(series, path, x_label="truncation, standard deviations of z", y_label="percent", y_span=(0, 100))


def draw_sheet(sampler: Sampler, thresholds: Sequence[float], path: Path) -> Path:
    """Draw a row for each threshold, with some latents of some classes: the first, the last and one between."""
    count = len(sampler.classes)
    labels = sorted({0, count // 2, count - 1})
    each = COLUMNS // len(labels)
    rows = [sampler.sample(labels, each, truncation=threshold).numpy() for threshold in thresholds]
    columns = each * len(labels)
    captions = [f"{threshold:g}" if column == 0 else "" for threshold in thresholds for column in range(columns)]
    return draw.grid(np.concatenate(rows), captions, path, columns=columns)

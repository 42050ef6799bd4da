"""The network in whose features images are compared, and the distances in them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from daybreak.engine.device import Device
from daybreak.engine.errors import UserError
from daybreak.engine.rundir import read_config
from daybreak.metrics.coverage import NEAREST, prdc
from daybreak.metrics.frechet import Moments, frechet
from daybreak.metrics.inception import SPLITS, inception_score
from daybreak.metrics.kernel import mmd2
from daybreak.nn.features import Net, feature_net, features_of
from daybreak.nn.inception import read_inception
from daybreak.systems.biggan.features import predict
from daybreak.systems.biggan.features.config import FeaturesConfig

FEWEST = max(NEAREST + 1, SPLITS)
"""Images that any of the figures here can be had of."""
RESAMPLES, SEED = 50, 2012
MOST_PAIRED = 1_000
"""Images of a class between all of which distances are taken."""


@dataclass(frozen=True)
class Lens:
    """``of`` gives features (N, D) and logits (N, K) of images (N, C, H, W), uint8."""

    of: Callable[[Tensor], tuple[Tensor, Tensor]]
    frechet: str
    """What the Frechet distance in these features is called; so with the others."""
    kernel: str
    score: str


def own_net(features: Path | None) -> Net:
    """The feature net that daybreak brings, or that of a run directory.

    Raises UserError where neither is there.
    """
    if features is None:
        return feature_net()
    if read_config(features)["loop"] != FeaturesConfig.loop:
        raise UserError(f"{features} is no feature net: give a run directory of daybreak biggan train-features")
    return predict.load(features, "cpu")


def lens(net: Callable[[], Net], inception: Path | None, device: Device) -> Lens:
    """Inception's where its file is given, and then the figures have their published names; else the feature net's.

    Raises UserError for another file.
    """
    if inception:
        return _of(read_inception(inception), device, 50, "fid", "kid", "inception_score")
    return _of(net(), device, 250, "cfd", "ckd", "classifier_score")


def _of(net: Net, device: Device, batch_size: int, *names: str) -> Lens:
    there: Net = device.wrap(net)  # pyright: ignore[reportArgumentType]
    return Lens(lambda images: features_of(there, images, batch_size, device.torch), *names)


# ----------------------------------------------------------------------------- figures


def distances(through: Lens, real: Tensor, fake: Tensor, logits: Tensor) -> dict[str, float]:
    """Of features (N, D) of real and of generated images, and the logits (N, K) of these."""
    low, high = frechet_interval(real, fake)
    support = prdc(real, fake)
    return {
        through.frechet: frechet(Moments.of(real), Moments.of(fake)),
        f"{through.frechet}_low": low,
        f"{through.frechet}_high": high,
        through.kernel: mmd2(real, fake),
        through.score: inception_score(logits)[0],
        "precision": 100.0 * support.precision,
        "recall": 100.0 * support.recall,
        "density": support.density,
        "coverage": support.coverage,
    }


def ceiling(through: Lens, real: Tensor, known: Tensor) -> dict[str, float]:
    """What training images reach beside unseen ones, features (N, D) each: samples can hardly do better."""
    support = prdc(real, known)
    return {
        f"real_{through.frechet}": frechet(Moments.of(real), Moments.of(known)),
        "real_precision": 100.0 * support.precision,
        "real_recall": 100.0 * support.recall,
        "real_coverage": support.coverage,
    }


def frechet_interval(real: Tensor, fake: Tensor, resamples: int = RESAMPLES) -> tuple[float, float]:
    """95 % interval of the Frechet distance of features (N, D) and (M, D), by the bootstrap over both sets of images.

    It is the distance and about two standard deviations of those resampled to either side. Their own quantiles lie too
    high: a resampled set has fewer different images, and the fewer there are the larger is the distance.
    """
    random = torch.Generator().manual_seed(SEED)

    def resampled(rows: Tensor) -> Moments:
        return Moments.of(rows[torch.randint(len(rows), (len(rows),), generator=random)])

    distances = torch.tensor([frechet(resampled(real), resampled(fake)) for _ in range(resamples)])
    half = 1.96 * distances.std().item()
    middle = frechet(Moments.of(real), Moments.of(fake))
    return max(0.0, middle - half), middle + half


def diversity(real: Tensor, fake: Tensor, labels: Tensor) -> dict[str, float]:
    """Mean distance between generated images of one class, over that of real ones: over all classes, and the least.

    Features (N, D) of images of the same labels (N,). Where every class has but one image, all are taken together.
    """
    classes = [rows for label in labels.unique() if len(rows := (labels == label).nonzero()[:MOST_PAIRED, 0]) > 1]
    ratios = [_spread(fake[rows]) / max(_spread(real[rows]), 1e-12) for rows in classes or [torch.arange(len(labels))]]
    return {"diversity": sum(ratios) / len(ratios), "least_diversity": min(ratios)}


def _spread(rows: Tensor) -> float:
    return torch.pdist(rows).mean().item()

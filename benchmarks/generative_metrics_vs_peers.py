# /// script
# requires-python = ">=3.11,<3.12"
# dependencies = ["pytorch-fid==0.3.0", "torch-fidelity==0.4.0", "prdc==0.2", "torchmetrics>=1.6", "scipy<1.18"]
# ///
"""The metrics of generated images against the public packages: whether they agree on the same features.

Two sets of features, as wide as small networks' and as Inception's, with more images than dimensions and with fewer;
and the same random weights in our Inception and in the peer's. What is recorded is the largest relative difference.
(pytorch-fid calls scipy in a way that scipy 1.18 refuses, hence the older Python, whose list has an older scipy.)

    python3 dev.py bench generative_metrics_vs_peers
"""

from __future__ import annotations

import argparse
import contextlib
import io
import tempfile
import time
import warnings
from importlib.metadata import version
from pathlib import Path

import numpy as np
import torch
from prdc import compute_prdc
from pytorch_fid.fid_score import calculate_frechet_distance
from torch import Tensor, nn
from torch_fidelity.feature_extractor_inceptionv3 import FeatureExtractorInceptionV3
from torch_fidelity.metric_fid import fid_features_to_statistics, fid_statistics_to_metric
from torch_fidelity.metric_isc import isc_features_to_metric
from torch_fidelity.metric_kid import kid_features_to_metric
from torch_fidelity.metric_prc import prc_features_to_metric
from torchmetrics.image.fid import FrechetInceptionDistance
from torchmetrics.image.inception import InceptionScore
from torchmetrics.image.kid import KernelInceptionDistance

from daybreak.metrics.coverage import prdc
from daybreak.metrics.frechet import Moments, frechet
from daybreak.metrics.inception import inception_score
from daybreak.metrics.kernel import kernel_distance, mmd2
from daybreak.nn.inception import Inception
from daybreak.report.records import Measurement, Record, write

TARGET = 1e-6
SIZES = ((2_000, 1_500, 64), (300, 200, 500), (2_500, 3_000, 2_048))
"""Real images, generated ones, dimensions."""
SUBSETS = {"subsets": 5, "subset_size": 150}
Figures = dict[str, tuple[float, float]]
"""Ours and the peer's, by "peer: metric"."""


def main() -> None:
    """Compare, print the figures, and write ``results/biggan/metrics-vs-peers.json``."""
    arguments = argparse.ArgumentParser(description="Agreement of the metrics with the public packages.")
    arguments.add_argument("--results", type=Path, default=Path("results"))
    given = arguments.parse_args()
    started = time.monotonic()
    warnings.filterwarnings("ignore")  # the peers': of what newer libraries will drop
    differences: dict[str, float] = {}
    for n, m, dimensions in SIZES:
        real, fake = sample(1, n, dimensions), sample(2, m, dimensions)
        for name, (ours, theirs) in {**frechets(real, fake), **others(real, fake)}.items():
            difference = abs(ours - theirs) / abs(theirs) if ours != theirs else 0.0
            differences[name] = max(difference, differences.get(name, 0.0))
            print(f"{n} and {m} x {dimensions}  {name:36} {theirs:.14g}  {difference:.2g}", flush=True)
    differences["torch_fidelity: inception"] = inception_difference()
    print(f"largest: {max(differences.values()):.2g}")
    sizes = ", ".join(f"{n} and {m} images x {d}" for n, m, d in SIZES)
    record = Record(
        system="biggan",
        name="metrics-vs-peers",
        claim="the metrics equal those of the public packages on the same features to 1e-6 relative",
        commands=["python3 dev.py bench generative_metrics_vs_peers"],
        attempts="one call, all comparisons are listed",
        measurements=[
            Measurement(
                f"{metric}_difference", "relative", [value], target(metric), better="lower",
                peer=f"{peer} {version(peer)}", how=f"largest over {sizes}",
            )
            for (peer, metric), value in ((name.split(": "), value) for name, value in differences.items())
        ],
        seconds=time.monotonic() - started,
    )  # fmt: skip
    print(write(record, given.results))


def target(metric: str) -> float:
    """A network in fp32 has rounding errors of its own."""
    return 1e-4 if metric == "inception" else TARGET


def sample(seed: int, images: int, dimensions: int) -> Tensor:
    """Features like those of a rectified layer: mixed, of many scales, none below 0; (images, dimensions), fp64."""
    mix = np.random.RandomState(7).standard_normal((dimensions, dimensions)) / np.arange(1, dimensions + 1) ** 0.5
    drawn = np.random.RandomState(seed).standard_normal((images, dimensions))
    return torch.from_numpy(np.maximum(drawn @ mix / dimensions**0.5 + 0.02 * seed, 0.0))


def frechets(real: Tensor, fake: Tensor) -> Figures:
    """The Frechet distance."""
    ours = frechet(Moments.of(real), Moments.of(fake))
    moments = [(x.numpy().mean(0), np.cov(x.numpy(), rowvar=False)) for x in (real, fake)]
    statistics = [fid_features_to_statistics(x) for x in (real, fake)]
    metric = FrechetInceptionDistance(feature=AsItIs(real.shape[1]))
    metric.update(real, real=True)
    metric.update(fake, real=False)
    return {
        "pytorch_fid: frechet": (ours, float(calculate_frechet_distance(*moments[0], *moments[1]))),
        "torch_fidelity: frechet": (ours, fid_statistics_to_metric(*statistics, False)["frechet_inception_distance"]),
        "torchmetrics: frechet": (ours, metric.compute().item()),
    }


def others(real: Tensor, fake: Tensor) -> Figures:
    """Kernel distance, the score of logits, precision, recall, density, coverage."""
    figures: Figures = {}
    theirs = kid_features_to_metric(
        real, fake, kid_subsets=SUBSETS["subsets"], kid_subset_size=SUBSETS["subset_size"], verbose=False
    )
    for name, value in zip(("mean", "std"), kernel_distance(real, fake, **SUBSETS), strict=True):
        figures[f"torch_fidelity: kernel_{name}"] = value, theirs[f"kernel_inception_distance_{name}"]
    both = min(len(real), len(fake))  # torchmetrics takes subsets of one size, and a subset of all is always the same
    metric = KernelInceptionDistance(feature=AsItIs(real.shape[1]), subsets=1, subset_size=both)
    metric.update(real[:both], real=True)
    metric.update(fake[:both], real=False)
    figures["torchmetrics: kernel"] = mmd2(real[:both], fake[:both]), metric.compute()[0].item()
    logits = 4.0 * fake[:, :50]
    theirs = isc_features_to_metric(logits)
    for name, value in zip(("mean", "std"), inception_score(logits), strict=True):
        figures[f"torch_fidelity: score_{name}"] = value, theirs[f"inception_score_{name}"]
    metric = InceptionScore(feature=AsItIs(50), splits=1)
    metric.update(logits)
    figures["torchmetrics: score"] = inception_score(logits, splits=1)[0], metric.compute()[0].item()
    ours = prdc(real, fake)
    with contextlib.redirect_stdout(io.StringIO()):
        theirs = compute_prdc(real.numpy(), fake.numpy(), nearest_k=5)
    figures |= {f"prdc: {name}": (getattr(ours, name), float(theirs[name])) for name in theirs}
    theirs = prc_features_to_metric(fake, real, prc_neighborhood=5, verbose=False)
    figures |= {f"torch_fidelity: {name}": (getattr(ours, name), theirs[name]) for name in ("precision", "recall")}
    return figures


class AsItIs(nn.Module):
    """What a peer takes for a network."""

    def __init__(self, num_features: int) -> None:
        super().__init__()
        self.num_features = num_features

    def forward(self, features: Tensor) -> Tensor:
        """Hand the features through."""
        return features


@torch.no_grad()
def inception_difference() -> float:
    """Largest difference of a feature or logit of Inception, over the largest one, with the same random weights."""
    torch.manual_seed(0)
    network = Inception().eval()
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.uniform_(module.running_mean, -0.1, 0.1)
            nn.init.uniform_(module.running_var, 0.2, 0.6)
    with tempfile.TemporaryDirectory() as folder:
        torch.save(network.state_dict(), f"{folder}/weights.pth")
        peer = FeatureExtractorInceptionV3(
            "random", ["2048", "logits_unbiased"], feature_extractor_weights_path=f"{folder}/weights.pth"
        )
    images = torch.randint(0, 256, (4, 3, 32, 40), dtype=torch.uint8)
    pairs = zip(network(images), peer(images), strict=True)
    difference = max(((ours - theirs).abs().max() / theirs.abs().max()).item() for ours, theirs in pairs)
    print(f"inception: {difference:.2g}")
    return difference


if __name__ == "__main__":
    main()

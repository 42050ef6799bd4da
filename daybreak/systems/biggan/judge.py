"""An independent classifier, which says what it sees in an image: trained on real images, and not for the generator."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from daybreak import load
from daybreak.data.images import Images
from daybreak.engine.device import Device
from daybreak.engine.errors import UserError
from daybreak.nn.features import CLASSES, Net, features_of
from daybreak.systems.biggan.data import TrainingSet

Judge = Callable[[Tensor], Tensor]
"""Images (N, C, H, W), uint8 -> the labels (N,) that it sees, all on the CPU."""

LARGEST_FIT = 20_000
"""Images that the support vectors are chosen of: more take minutes and see no better."""
COMPONENTS, PENALTY = 50, 10.0
BATCH = 500


def judge(data: TrainingSet, run: Path | None, net: Callable[[], Net], device: Device) -> Judge | None:
    """A dawnbench run where one is given; else support vectors for grey sets, and the feature net for photographs.

    Whatever it is, it never saw the generator, nor the generator it. None where there is nothing to tell apart, or
    nobody who knows these classes. ``net`` opens the feature net. Raises UserError for a run that is no classifier of
    these classes.
    """
    if run:
        return of_run(run, data.classes)
    if len(data.classes) < 2:
        return None
    if isinstance(data.train, Images) and data.channels == 1:
        return support_vectors(data.train)
    return of_feature_net(net(), data.classes, device) if set(data.classes) <= set(CLASSES) else None


def of_run(run: Path, classes: list[str]) -> Judge:
    """The classifier of a run directory of another system."""
    classifier: Any = load(run)
    if not hasattr(classifier, "probabilities"):
        raise UserError(f"{run} is no classifier of small images: give a run of daybreak dawnbench train")
    if classifier.classes != classes:
        raise UserError(
            f"{run} tells {', '.join(classifier.classes[:3])}, ... apart, and the generator makes "
            f"{', '.join(classes[:3])}, ...: give a classifier of the same classes"
        )
    return lambda images: torch.cat([classifier.probabilities(some).argmax(1).cpu() for some in images.split(BATCH)])


def of_feature_net(net: Net, classes: list[str], device: Device) -> Judge:
    """The feature net, asked among these classes alone."""
    columns = torch.tensor([CLASSES.index(name) for name in classes])
    return lambda images: features_of(net, images, device=device.torch)[1][:, columns].argmax(1)


def support_vectors(train: Images) -> Judge:
    """Support vectors of the principal components of real training images (Cortes and Vapnik 1995), by scikit-learn."""
    from sklearn.decomposition import PCA  # seconds that other verbs need not spend
    from sklearn.pipeline import make_pipeline
    from sklearn.svm import SVC

    known = train.subset(torch.arange(min(len(train), LARGEST_FIT)))
    components = min(COMPONENTS, len(known), pixels(known.images).shape[1])
    machine: Any = make_pipeline(PCA(components, svd_solver="covariance_eigh"), SVC(C=PENALTY))
    machine.fit(pixels(known.images), known.labels.numpy())
    return lambda images: torch.from_numpy(machine.predict(pixels(images)))


def pixels(images: Tensor) -> np.ndarray:
    """(N, C, H, W), uint8 -> (N, C H W) from 0 to 1."""
    return images.flatten(1).numpy() / 255.0


def obeyed(sees: Judge, images: Tensor, labels: Tensor) -> float:
    """Percent of images (N, C, H, W) in which the judge sees what was asked for (N,)."""
    return 100.0 * (sees(images) == labels).double().mean().item()


def others(labels: Tensor, num_classes: int, seed: int) -> Tensor:
    """For each label (N,) another one, any as likely."""
    random = torch.Generator().manual_seed(seed)
    return (labels + torch.randint(1, num_classes, labels.shape, generator=random)) % num_classes

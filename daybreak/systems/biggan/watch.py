"""Whether the game still gives images: what samples are compared with, and when a run has collapsed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from daybreak.metrics.kernel import mmd2
from daybreak.systems.biggan.model.spectral import spectral_layers

THUMBNAIL = 8  # pixels a side

LEAST_DIVERSITY = 0.15
"""Of samples of one class and different latents, over that of real images: below, they are about the same image."""
LEAST_LOSS = 0.02
"""Of D: below, it tells all images apart with a margin, and G learns from noise alone."""
MOST_SIGMA = 1e3
"""Of the weights before they are divided: they begin at about 1, and grow without bounds before a collapse."""
MOST_LOSS = 1e3
"""Of G, either sign: logits of real images are about 1."""


def compare(real: Tensor, fake: Tensor, labels: Tensor) -> dict[str, float]:
    """How far samples are from real images of the same labels (N,), both (N, C, H, W) in [-1, 1].

    ``val_distance`` is the kernel distance (squared maximum mean discrepancy with KID's cubic kernel) of each class's
    thumbnails of 8 x 8 pixels, averaged over the classes. Of pixels, not of a network's features: so it says nothing of
    fine detail, and is no measure of quality between runs (`evaluate` has those). But the first three moments of what
    is where in an image are what a working run gets right first and a collapsed one loses; it needs no other network,
    takes a moment, is unbiased with few images, and by class sees a generator that ignores its labels.

    ``diversity`` is the mean distance between thumbnails of one class, over that of real images.
    """
    real, fake = thumbnails(real), thumbnails(fake)
    classes = [labels == label for label in labels.unique()]
    pairs = [(real[rows], fake[rows]) for rows in classes if int(rows.sum()) > 1]
    pairs = pairs or [(real, fake)]  # fewer images than classes
    distances = [mmd2(*pair) for pair in pairs]
    spreads = [(_mean_distance(theirs), _mean_distance(ours)) for theirs, ours in pairs]
    wanted = sum(theirs for theirs, _ in spreads)
    return {
        "val_distance": sum(distances) / len(distances),
        "diversity": sum(ours for _, ours in spreads) / wanted if wanted else 1.0,
    }


def thumbnails(images: Tensor) -> Tensor:
    """(N, C, H, W) -> (N, C * 8 * 8), in fp32 on the CPU."""
    return F.adaptive_avg_pool2d(images.detach().float().cpu(), THUMBNAIL).flatten(1)


def _mean_distance(rows: Tensor) -> float:
    """Euclidean, between different rows (N, D) of at least two."""
    return torch.pdist(rows).mean().item()


def largest_sigma(network: nn.Module) -> Tensor:
    """The largest singular value of any weight of a network, before the weight is divided by it."""
    return torch.stack([layer.sigma for layer in spectral_layers(network)]).max()


@dataclass
class Watch:
    """Says when a run has collapsed: after ``patience`` validations in a row that look like it; never if that is 0."""

    patience: int
    bad: int = 0

    def verdict(self, numbers: dict[str, float]) -> str | None:
        """Why to stop, in one sentence without its end, or None. ``numbers`` are those of a validation."""
        symptom = symptom_of(numbers)
        self.bad = self.bad + 1 if symptom else 0
        if not symptom or not self.patience or self.bad < self.patience:
            return None
        return (
            f"collapsed: {symptom}, in {self.bad} validations in a row; go back to a checkpoint before, or try again "
            "with a lower --lr-g, more --d-steps or --augment translation"
        )

    def state_dict(self) -> dict[str, Any]:
        """How long it has looked bad."""
        return {"bad": self.bad}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Undo :meth:`state_dict`."""
        self.bad = state["bad"]


def symptom_of(numbers: dict[str, float]) -> str | None:
    """What of a validation's numbers a healthy game does not have."""
    if numbers["diversity"] < LEAST_DIVERSITY:
        return f"samples of a class differ by {numbers['diversity']:.0%} of what real images differ by"
    if numbers["loss_D"] < LEAST_LOSS:
        return f"the discriminator has won, with a loss of {numbers['loss_D']:.3f}"
    if abs(numbers["loss_G"]) > MOST_LOSS:
        return f"the generator's loss is {numbers['loss_G']:.0f}"
    for network in "GD":
        if numbers[f"sigma_{network}"] > MOST_SIGMA:
            return f"a weight of {network} has a singular value of {numbers[f'sigma_{network}']:.0f}"
    return None

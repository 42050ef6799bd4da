"""What the records of biggan claim: the targets stand here before the first run. Imports no torch."""

from __future__ import annotations

from typing import Any

from daybreak.engine.claim import Claim, Target


def images(
    text: str, preset: str, minutes: float, classes: int, goal: float | None, headline: bool = False, **flags: Any
) -> Claim:
    """A claim that an independent classifier sees what was asked for, and that all real images are covered."""
    guess = ("any one class", 100.0 / classes)
    metrics = {
        "label_accuracy": Target("%", goal, guess),
        "swapped_label_accuracy": Target("%", goal, guess),
        "real_label_accuracy": Target("%"),
        "coverage": Target("", None if goal is None else 0.7),
        "real_coverage": Target(""),
        "precision": Target("%"),
        "recall": Target("%"),
        "cfd": Target("", better="lower"),
        "cfd_low": Target("", better="lower"),
        "cfd_high": Target("", better="lower"),
        "real_cfd": Target("", better="lower"),
        "ckd": Target("", better="lower"),
        "diversity": Target(""),
        "least_diversity": Target(""),
        "training_seconds": Target("s", 60.0 * minutes, better="lower"),
        "training_cpu_seconds": Target("CPU s", better="lower"),
    }
    return Claim(text, preset, metrics, headline, flags)


CLAIMS = {
    "digits": images("handwritten digits of 8x8 pixels, asked for by class, after five minutes on two cores",
                     "digits", 5, 10, 90.0),
    "mnist": images("MNIST's digits, asked for by class, after half an hour on two cores",
                    "letters", 30, 10, 90.0, headline=True, data="mnist"),
    "letters": images("handwritten letters, asked for by class, after half an hour on two cores",
                      "letters", 30, 26, 90.0),
    "cifar10": images("small photographs, asked for by class, after an hour and a half on two cores",
                      "cifar10", 90, 10, None),
    "cifar10-plain": images("the same by a network without what BigGAN added, after as many steps",
                            "cifar10", 90, 10, None, shared_dim=0, hier=False, ema=0.0, augment=[]),
    "feature-net": Claim(
        "the net in whose features images are compared tells photographs, digits and letters apart",
        "features",
        {
            "cifar10_accuracy": Target("%", 85.0, ("any one class", 10.0)),
            "letters_accuracy": Target("%", 90.0, ("any one class", 100.0 / 26)),
            "mnist_accuracy": Target("%", 98.5, ("the most frequent class", 11.35)),
            "digits_accuracy": Target("%", 97.0, ("the most frequent class", 11.67)),
            "training_seconds": Target("s", better="lower"),
            "training_cpu_seconds": Target("CPU s", better="lower"),
        },
    ),
}  # fmt: skip

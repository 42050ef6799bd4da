"""Inception Score: how sure a classifier is of each image, and how many classes it sees among all of them."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import torch
from torch import Tensor

from daybreak.metrics.rows import rows

SPLITS, SEED = 10, 2020
"""The literature's, and the seed with which torch-fidelity takes the same splits."""


def inception_score(logits: Tensor, splits: int = SPLITS, seed: int = SEED) -> tuple[float, float]:
    """Mean and standard deviation over random splits of exp E KL(p(class | image) || p(class)), of logits (N, K).

    Between 1 and K; with few images to a split it comes out too low. Only with the public Inception's logits is it the
    Inception Score; of another classifier it is that one's. Salimans et al., "Improved Techniques for Training GANs"
    (2016), section 4. Raises ValueError for fewer images than splits, or values that are not finite.
    """
    logits = rows(logits, splits)
    order = np.random.RandomState(seed).permutation(len(logits))  # or splits of samples by class would see one class
    shuffled = logits[torch.from_numpy(order)]
    bounds = [i * len(logits) // splits for i in range(splits + 1)]
    scores = [_score(shuffled[start:stop]) for start, stop in pairwise(bounds)]
    return float(np.mean(scores)), float(np.std(scores))


def _score(logits: Tensor) -> float:
    log_p = logits.log_softmax(1)
    log_marginal = log_p.logsumexp(0) - np.log(len(logits))  # (K,)
    return (log_p.exp() * (log_p - log_marginal)).sum(1).mean().exp().item()

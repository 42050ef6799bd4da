"""What the two players minimise."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor
from torch.nn.functional import relu


def hinge_discriminator(real: Tensor, fake: Tensor) -> Tensor:
    """Hinge loss of D's logits (B,) for real and fake images (Lim and Ye 2017; Tran et al. 2017), in fp32."""
    return relu(1 - real.float()).mean() + relu(1 + fake.float()).mean()


def hinge_generator(fake: Tensor) -> Tensor:
    """What G minimises together with it: minus the mean logit (B,) of fake images."""
    return -fake.float().mean()


def orthogonal_penalty(weights: Iterable[Tensor]) -> Tensor:
    """Sum over weights of the squares of all products of two different filters (Brock et al. 2019, equation 3).

    Equal filters are what a truncated latent suffers from; the norm of a filter is left free.
    """
    return torch.stack([_squared_overlaps(weight.flatten(1)) for weight in weights]).sum()


def _squared_overlaps(rows: Tensor) -> Tensor:
    """(M, N) -> the squares of R R^T off its diagonal, summed. R^T R has the same square sum, and may be smaller."""
    gram = rows @ rows.t() if len(rows) <= rows.shape[1] else rows.t() @ rows
    return gram.square().sum() - rows.square().sum(1).square().sum()

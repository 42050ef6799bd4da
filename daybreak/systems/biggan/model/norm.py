"""Batch norms of the generator: with a gain and bias of each class and latent, or plain; and standing statistics."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from daybreak.systems.biggan.model.layout import Architecture
from daybreak.systems.biggan.model.spectral import SpectralLinear

MOMENTUM = 0.1  # share of a new batch in the running statistics


class BatchNorm(nn.Module):
    """Brings each channel to mean 0 and variance 1: of the batch in training, of the running statistics else.

    The statistics are reckoned in fp32, whatever the images are in.
    """

    running_mean: Tensor
    running_var: Tensor

    def __init__(self, a: Architecture, channels: int, eps: float) -> None:
        super().__init__()
        self.eps, self.momentum, self.biased = eps, MOMENTUM, a.original.biased_variance
        self.register_buffer("running_mean", torch.zeros(channels))
        self.register_buffer("running_var", torch.ones(channels))

    def normalise(self, x: Tensor) -> Tensor:
        """(B, C, H, W) -> the same."""
        if self.training and self.biased:
            self._take_in(x.detach().float())
            return F.batch_norm(x, None, None, training=True, eps=self.eps)
        return F.batch_norm(x, self.running_mean, self.running_var, None, None, self.training, self.momentum, self.eps)

    def _take_in(self, x: Tensor) -> None:
        variance, mean = torch.var_mean(x, (0, 2, 3), correction=0)
        self.running_mean.lerp_(mean, self.momentum)
        self.running_var.lerp_(variance, self.momentum)


class ConditionalNorm(BatchNorm):
    """Batch norm whose gain and bias are linear in a condition (de Vries et al. 2017; Brock et al. 2019, section 3).

    The condition is a vector (B, ``width``): class embedding and a part of z. With ``width`` 0 it is the label (B,),
    and the norm has a gain and bias for each class.
    """

    def __init__(self, a: Architecture, channels: int, width: int) -> None:
        super().__init__(a, channels, a.norm_eps)
        self.gain, self.bias = (
            SpectralLinear(a, width, channels, bias=False) if width else nn.Embedding(a.num_classes, channels)
            for _ in range(2)
        )

    def forward(self, x: Tensor, condition: Tensor) -> Tensor:
        """(B, C, H, W) -> the same, each image by its own condition."""
        gain, bias = (layer(condition)[:, :, None, None].to(x.dtype) for layer in (self.gain, self.bias))
        return torch.addcmul(bias, self.normalise(x), 1 + gain)


class OutputNorm(BatchNorm):
    """Batch norm before the last convolution, with a gain and bias for each channel."""

    def __init__(self, a: Architecture, channels: int) -> None:
        super().__init__(a, channels, 1e-5 if a.original.fixed_output_eps else a.norm_eps)
        self.weight, self.bias = nn.Parameter(torch.ones(channels)), nn.Parameter(torch.zeros(channels))

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) -> the same."""
        gain, bias = (values[:, None, None].to(x.dtype) for values in (self.weight, self.bias))
        return torch.addcmul(bias, self.normalise(x), gain)


@torch.no_grad()
def standing_statistics(generator: nn.Module, batches: Iterable[tuple[Tensor, Tensor]]) -> None:
    """Replace the running statistics by the mean over batches of (z, labels); leaves the network in evaluation mode.

    Running statistics are of z from the whole normal distribution: after truncation activations are smaller, and
    normalising them with those makes washed-out images (Brock et al. 2019, section 3.1 and appendix B). Draw the
    batches as the samples will be drawn. The power iterations of the spectral norms go on meanwhile.
    """
    norms = [module for module in generator.modules() if isinstance(module, BatchNorm)]
    generator.train()
    for count, (z, labels) in enumerate(batches, start=1):
        for norm in norms:
            norm.momentum = 1 / count  # the first batch replaces what was there
        generator(z, labels)
    for norm in norms:
        norm.momentum = MOMENTUM
    generator.eval()

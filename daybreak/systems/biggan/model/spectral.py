"""Layers whose weight is divided by its largest singular value (Miyato et al. 2018), also resampling convolutions."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from daybreak.systems.biggan.model.layout import Architecture
from daybreak.systems.biggan.model.resample import RESAMPLED, RESAMPLED_PLAINLY, Resample


class Spectral(nn.Module):
    """Mixin of a layer with a ``weight``: gives the factor that brings its largest singular value to about one.

    That value is estimated by power iteration, a step (``power_steps``) a forward pass, from the vector ``u`` that the
    pass before left. In evaluation the step is done but not kept, so that equal inputs give equal outputs. All of it
    is in fp32, also under autocast. ``sigma`` keeps the last estimate, for whoever watches the training.
    """

    weight: Tensor
    u: Tensor
    sigma: Tensor

    def iterate_with(self, a: Architecture) -> None:
        """Make the buffers; to be called when the weight is there."""
        self.steps, self.eps = a.power_steps, a.spectral_eps
        self.folded = False
        self.register_buffer("u", torch.randn(len(self.weight)))
        self.register_buffer("sigma", torch.ones(()))

    def divided(self) -> Tensor:
        """The weight over its largest singular value."""
        return self.weight if self.folded else self.weight * self.scale()

    def scale(self) -> Tensor:
        """One over the largest singular value, a scalar with a gradient to the weight."""
        with torch.autocast(self.weight.device.type, enabled=False):
            sigma = self._largest_singular_value()
        return sigma.reciprocal()

    def _largest_singular_value(self) -> Tensor:
        matrix = as_matrix(self.weight)  # (outputs, rest)
        u, product = self.u, self.u
        for _ in range(self.steps):
            with torch.no_grad():
                v = F.normalize(matrix.t().mv(u), dim=0, eps=self.eps)
            product = matrix.mv(v)
            u = F.normalize(product.detach(), dim=0, eps=self.eps)
        sigma = u.dot(product)
        if self.training:
            self.u.copy_(u)
            self.sigma.copy_(sigma.detach())
        return sigma

    @torch.no_grad()
    def fold(self) -> None:
        """Divide the weight once and for all: faster, and the graph of an exported network without the iteration."""
        self.weight.copy_(self.divided())
        self.folded = True


def as_matrix(weight: Tensor) -> Tensor:
    """(outputs, ...) -> (outputs, rest), a view for convolutions in channels_last.

    The order of the columns changes no singular value and no left singular vector.
    """
    return weight.permute(0, 2, 3, 1).flatten(1) if weight.dim() == 4 else weight


class SpectralConv2d(Spectral, nn.Conv2d):
    """Convolution that keeps the size, but for ``resample``: "up" doubles the sides before it, "down" halves after."""

    def __init__(
        self, a: Architecture, inputs: int, outputs: int, kernel: int, resample: Resample = "none", bias: bool = True
    ) -> None:
        super().__init__(inputs, outputs, kernel, padding=kernel // 2, bias=bias)
        self.iterate_with(a)
        forms = RESAMPLED_PLAINLY if a.original.plain_resampling else RESAMPLED
        self.convolve = forms[resample, kernel]

    def forward(self, input: Tensor) -> Tensor:
        """(B, C, H, W) -> (B, outputs, H', W')."""
        return self.convolve(input, self.divided(), self.bias)


class SpectralLinear(Spectral, nn.Linear):
    """Linear layer."""

    def __init__(self, a: Architecture, inputs: int, outputs: int, bias: bool = True) -> None:
        super().__init__(inputs, outputs, bias=bias)
        self.iterate_with(a)

    def forward(self, input: Tensor) -> Tensor:
        """(B, inputs) -> (B, outputs)."""
        return F.linear(input, self.divided(), self.bias)


class SpectralEmbedding(Spectral, nn.Embedding):
    """Table of vectors; its matrix has a row a class."""

    def __init__(self, a: Architecture, num_classes: int, width: int) -> None:
        super().__init__(num_classes, width)
        self.iterate_with(a)

    def forward(self, input: Tensor) -> Tensor:
        """Labels (B,), int64 -> (B, width)."""
        rows = F.embedding(input, self.weight)
        return rows if self.folded else rows * self.scale()  # not the whole table, of a thousand classes perhaps


def spectral_layers(network: nn.Module) -> list[Spectral]:
    """The layers of a network whose weights are divided."""
    return [module for module in network.modules() if isinstance(module, Spectral)]


def fold(network: nn.Module) -> nn.Module:
    """Divide all weights for good, in place; such a network is for sampling, not for training."""
    for layer in spectral_layers(network):
        layer.fold()
    return network.requires_grad_(False).eval()

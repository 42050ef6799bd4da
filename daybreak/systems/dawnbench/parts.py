# pyright: reportIncompatibleVariableOverride=false
"""What makes training fast, piece by piece: each part stands alone, and a loop takes those it wants."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn.functional import avg_pool2d, batch_norm, interpolate, max_pool2d, pad
from torch.nn.utils import get_total_norm
from torch.optim import Optimizer

from daybreak.engine.errors import UserError

# ----------------------------------------------------------------------------- initialisation


@torch.no_grad()
def whitening_filters(images: Tensor, kernel: int = 2, eps: float = 5e-4) -> Tensor:
    """Filters of a frozen first convolution whose outputs are uncorrelated and of variance 1: PCA whitening of patches.

    Takes images (N, C, H, W) as the convolution will see them, uint8 or float; a few thousand are enough. Returns
    (2 C kernel², C, kernel, kernel) in float32: each eigenvector of the patches' covariance over the root of its
    eigenvalue, smallest first, and then the negatives of all of them, since a rectifier follows. ``eps``, in units of
    the mean variance, keeps small eigenvalues from blowing up noise. Page, "How to Train Your ResNet 8" (2019);
    Jordan, "94% on CIFAR-10 in 3.29 Seconds on a Single GPU" (2024), section 3.2.
    """
    size = images.shape[1] * kernel**2
    count, total = 0, torch.zeros(size, dtype=torch.float64, device=images.device)
    products = torch.zeros(size, size, dtype=torch.float64, device=images.device)
    for part in images.split(500):  # all patches at once would take many times the memory of the images
        patches = part.double().unfold(2, kernel, 1).unfold(3, kernel, 1)  # (n, C, y, x, kernel, kernel)
        rows = patches.permute(0, 2, 3, 1, 4, 5).reshape(-1, size)
        count, total, products = count + len(rows), total + rows.sum(0), products + rows.T @ rows
    covariance = products / count - torch.outer(total, total) / count**2
    variances, directions = torch.linalg.eigh(covariance)  # directions in the columns
    filters = directions.T / (variances.clamp_min(0) + eps * variances.mean()).sqrt()[:, None]
    return torch.cat([filters, -filters]).view(2 * size, images.shape[1], kernel, kernel).float()


def dirac_(weight: Tensor) -> Tensor:
    """Let the first C of a convolution's filters (C_out, C, k, k) hand their inputs through, in place.

    The other filters keep their random weights. Where C_out < C all filters do. Returns the weight. Jordan (2024),
    section 3.3.
    """
    nn.init.dirac_(weight[: weight.shape[1]])
    return weight


# ----------------------------------------------------------------------------- layers


class GhostBatchNorm2d(nn.BatchNorm2d):
    """Batch norm whose statistics in training are those of virtual batches of at most ``ghost`` images.

    A batch is cut into as few of these as will do, of equal size or one image apart.

    The running statistics move once a step, towards mean and unbiased variance of the whole batch, exactly as
    nn.BatchNorm2d's do: evaluation does not depend on ``ghost``, and with ``ghost`` the batch size nothing differs.
    (Hoffer et al., "Train longer, generalize better" (2017), move them once a virtual batch.) With ``scale`` off the
    scale stays 1 and only the bias is trained.
    """

    running_mean: Tensor
    running_var: Tensor
    num_batches_tracked: Tensor
    momentum: float

    def __init__(
        self, num_features: int, ghost: int, *, scale: bool = True, momentum: float = 0.1, eps: float = 1e-5
    ) -> None:
        super().__init__(num_features, eps=eps, momentum=momentum)
        self.ghost = ghost
        self.weight.requires_grad_(scale)

    def forward(self, input: Tensor) -> Tensor:
        """(B, C, H, W) -> (B, C, H, W)."""
        if not self.training or len(input) <= self.ghost:
            return super().forward(input)
        parts = input.tensor_split(math.ceil(len(input) / self.ghost))
        means, variances = self.running_mean.new_zeros(2, len(parts), self.num_features)
        normed = [
            batch_norm(part, mean, variance, self.weight, self.bias, training=True, momentum=1.0, eps=self.eps)
            for part, mean, variance in zip(parts, means, variances, strict=True)  # momentum 1: the part's own
        ]
        pixels = torch.tensor([[part.numel() // self.num_features] for part in parts])
        self._track(means, variances, pixels.to(means))
        return torch.cat(normed)

    @torch.no_grad()
    def _track(self, means: Tensor, variances: Tensor, pixels: Tensor) -> None:
        """Move the running statistics, given those of the parts (parts, C), each over ``pixels`` (parts, 1)."""
        total = pixels.sum()
        mean = (pixels * means).sum(0) / total  # no matrix products: autocast would round them
        squares = (pixels - 1) * variances + pixels * (means - mean).square()  # within the parts, and between them
        self.running_mean.lerp_(mean, self.momentum)
        self.running_var.lerp_(squares.sum(0) / (total - 1), self.momentum)
        self.num_batches_tracked += 1


class BlurPool(nn.Module):
    """Max pooling by 2 that does not alias: the maximum at every pixel, a [1 2 1] blur, then every other pixel.

    Takes the place of nn.MaxPool2d(2), from 3x3 pixels on. Zhang, "Making Convolutional Networks Shift-Invariant
    Again" (2019).
    """

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) -> (B, C, H // 2, W // 2)."""
        highest = pad(max_pool2d(x, 2, stride=1), [1, 1, 1, 1], mode="reflect")  # (B, C, H + 1, W + 1)
        return avg_pool2d(avg_pool2d(highest, 2, stride=1), 2)  # [1 1] * [1 1] = [1 2 1]


# ----------------------------------------------------------------------------- the step


class SAM:
    """Sharpness-aware minimisation around any optimizer: step with the gradient found ``rho`` uphill from the weights.

        sam.perturb(loss_of(network, batch))            # its own forward pass; moves the weights uphill
        run.update(optimizer, loss_of(model, batch))    # the gradient there; the step starts from the weights before

    The optimizer restores the weights, bit by bit, before it steps. Under DDP ``network`` is the module inside, so
    that each rank climbs with its own images, as in the paper. Batch norm tracks both passes. Foret et al.,
    "Sharpness-Aware Minimization for Efficiently Improving Generalization" (2020).
    """

    def __init__(self, optimizer: Optimizer, rho: float = 0.05) -> None:
        self.optimizer = optimizer
        self.rho = rho
        self._before: list[tuple[Tensor, Tensor]] = []  # parameters that were moved, and their values
        optimizer.register_step_pre_hook(lambda *_: self.restore())

    @torch.no_grad()
    def perturb(self, loss: Tensor) -> None:
        """Move the weights by ``rho`` along the gradient of ``loss``, over its norm; no ``.grad`` is touched."""
        if self._before:
            raise RuntimeError("the weights are perturbed already: step, or restore them, before the next perturb")
        trained = [p for group in self.optimizer.param_groups for p in group["params"] if p.requires_grad]
        found = zip(trained, torch.autograd.grad(loss, trained, allow_unused=True), strict=True)
        moved, gradients = zip(*((p, gradient) for p, gradient in found if gradient is not None), strict=True)
        self._before = [(p, p.clone()) for p in moved]
        scale = self.rho / (get_total_norm(gradients) + 1e-12)
        torch._foreach_add_(moved, torch._foreach_mul(gradients, scale))  # pyright: ignore
        torch.clear_autocast_cache()  # it may hold bf16 copies of the weights before

    @torch.no_grad()
    def restore(self) -> None:
        """Put the weights back to where ``perturb`` found them; nothing where they are there already."""
        for parameter, value in self._before:
            parameter.copy_(value)
        self._before = []
        torch.clear_autocast_cache()


def hardest(losses: Tensor, keep: float) -> Tensor:
    """Choose round(keep * B) images of a batch to train on, rather those of high loss: indices, ascending.

    Selective backprop (Jiang et al., "Accelerating Deep Learning by Focusing on the Biggest Losers", 2019): ``losses``
    (B,) come from a forward pass without gradients, and an image is taken in proportion to its loss's percentile to
    the power 1 / keep - 1. Drawn without replacement, so that every batch has the same size; in the paper each image's
    chance is its own, and the size varies. ``keep`` in (0, 1].
    """
    percentile = (losses.argsort().argsort() + 0.5) / len(losses)
    count = max(1, round(keep * len(losses)))
    return percentile.pow(1.0 / keep - 1.0).multinomial(count).sort().values


# ----------------------------------------------------------------------------- sizes and views of images


def progressive_size(
    full: int, smallest: int, steps: int, *, multiple: int = 32, delay: float = 0.3, finish: float = 0.2
) -> Callable[[int], int]:
    """Side of the training images at each step: small ones first, for speed, and ``full`` ones last.

    ``smallest`` for the first ``delay`` of the steps, then linearly up, in stages that ``multiple`` divides, to
    ``full`` for the last ``finish`` of them. After fast.ai's DAWNBench entry (Howard 2018). Raises UserError for sides
    that make no such stages.
    """
    if not 0 < smallest <= full or full % multiple or smallest % multiple:
        raise UserError(f"images cannot grow from {smallest} to {full} pixels: give growing multiples of {multiple}")
    first, last = delay * steps, (1.0 - finish) * steps

    def curve(done: int) -> int:
        if done >= last:
            return full
        grown = max(0.0, (done - first) / max(1e-9, last - first)) * (full - smallest)
        return smallest + int(grown) // multiple * multiple

    return curve


def resize(images: Tensor, side: int) -> Tensor:
    """Scale images (B, C, H, W), uint8 or float, so that their shorter side has ``side`` pixels; type stays.

    Bilinear and antialiased: shrunk, every pixel is a weighted mean of all that it covers.
    """
    height, width = images.shape[2:]
    if min(height, width) == side:
        return images
    size = [round(length * side / min(height, width)) for length in (height, width)]
    pixels = images if images.is_floating_point() else images.float()
    scaled = interpolate(pixels, size, mode="bilinear", antialias=True)
    return scaled if images.is_floating_point() else scaled.round().to(images.dtype)


def views(model: Callable[[Tensor], Tensor], images: Tensor) -> Tensor:
    """Logits of images (B, C, H, W) as the mean over six views of each, for the test: (B, classes).

    The image counts half, and its shifts by one pixel up left and down right, mirrored edges filling in, a quarter
    each; all of them as they are and mirrored left to right. Jordan (2024), section 3.5.
    """
    height, width = images.shape[2:]
    padded = pad(images.float(), [1] * 4, mode="reflect").to(images.dtype)
    down_right, up_left = padded[:, :, :height, :width], padded[:, :, 2:, 2:]

    def both(view: Tensor) -> Tensor:
        return 0.5 * (model(view) + model(view.flip(3)))

    return 0.5 * both(images) + 0.25 * (both(up_left) + both(down_right))

"""The small classifier that daybreak brings, in whose features it compares images where it has no Inception.

A residual net after Page's of DAWNBench, which tells apart the photographs of CIFAR-10, handwritten digits and letters.
What is measured in its features has names of its own (CFD for the Frechet distance), and compares with nothing
published.

Its weights are those of this run, whose numbers are in ``results/biggan/feature-net.json``:

    daybreak biggan train-features features --seeds 0 --out runs/features
    cp runs/features/seed_0/weights.safetensors daybreak/nn/features.safetensors
"""

from __future__ import annotations

import copy
import hashlib
from collections.abc import Callable
from pathlib import Path
from string import ascii_uppercase

import torch
from safetensors.torch import load as parse_tensors
from torch import Tensor, nn
from torch.nn.functional import interpolate

from daybreak.engine.errors import UserError
from daybreak.nn.pool import MaxPool2x2
from daybreak.nn.winograd import Conv3x3

WEIGHTS = Path(__file__).with_suffix(".safetensors")
DIGEST = "48ccc080af355b666190c726040ef575282acd1489cb09f2965f1168986a6473"
"""SHA-256 of that file: figures of other weights are of another measure."""

PHOTOGRAPHS = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
CLASSES = (*PHOTOGRAPHS, *"0123456789", *ascii_uppercase)
SIDE, SMALLEST = 32, 8  # pixels
WIDTH = 24


class FeatureNet(nn.Module):
    """Images (B, 3 or 1, H, W), uint8, from 8x8 on -> features (B, 192) and logits (B, 46).

    Images of other sizes are scaled to 32x32 as they are, and grey ones seen in all three colours. Compute features
    in fp32: they then agree between machines to about five digits.
    """

    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Sequential(
            conv(3, WIDTH),
            conv(WIDTH, 2 * WIDTH, MaxPool2x2()),
            Residual(2 * WIDTH),
            conv(2 * WIDTH, 4 * WIDTH, MaxPool2x2()),
            conv(4 * WIDTH, 8 * WIDTH, MaxPool2x2()),
            Residual(8 * WIDTH),
        )
        self.head = nn.Linear(8 * WIDTH, len(CLASSES))

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """See the class."""
        x = (fit(images).float() - 128.0) / 64.0  # (B, 3, 32, 32)
        features = self.body(x.contiguous(memory_format=torch.channels_last)).mean((2, 3))  # of (B, 192, 4, 4)
        return features, self.head(features)


class Residual(nn.Module):
    """x + conv(conv(x))."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.body = nn.Sequential(conv(channels, channels), conv(channels, channels))

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) -> (B, C, H, W)."""
        return x + self.body(x)


def conv(channels: int, out_channels: int, *pool: nn.Module) -> nn.Sequential:
    """3x3 convolution, batch norm and ReLU; a pool stands before the norm, which then has a quarter of the work."""
    return nn.Sequential(Conv3x3(channels, out_channels), *pool, nn.BatchNorm2d(out_channels), nn.ReLU(inplace=True))


def fit(images: Tensor) -> Tensor:
    """Images (B, 3 or 1, H, W) -> (B, 3, 32, 32), uint8: bilinear and antialiased, rounded to whole bytes.

    Raises ValueError for images that are not bytes, neither grey nor RGB, or smaller than 8x8.
    """
    if images.dtype != torch.uint8 or images.dim() != 4 or images.shape[1] not in (1, 3):
        raise ValueError(f"images are uint8 (B, 3 or 1, H, W), and not {images.dtype} {tuple(images.shape)}")
    if min(images.shape[2:]) < SMALLEST:
        raise ValueError(f"images of {images.shape[3]} x {images.shape[2]} pixels are too small: 8 x 8 is the least")
    if images.shape[2:] != (SIDE, SIDE):
        scaled = interpolate(images.float(), (SIDE, SIDE), mode="bilinear", antialias=True)
        images = scaled.round().to(torch.uint8)
    return images.expand(-1, 3, -1, -1)


def feature_net() -> FeatureNet:
    """The net with its weights, in evaluation mode. Raises UserError where their file is not what belongs to it."""
    content = WEIGHTS.read_bytes() if WEIGHTS.exists() else b""
    if hashlib.sha256(content).hexdigest() != DIGEST:
        raise UserError(f"{WEIGHTS} is not the file that belongs to this daybreak: install daybreak again")
    net = FeatureNet()
    net.load_state_dict(parse_tensors(content))
    return net.eval().requires_grad_(False)


def in_half(net: FeatureNet) -> FeatureNet:
    """A copy whose filters and matrices are in fp16, to be stored: half the bytes, and features equal to a thousandth.

    ``load_state_dict`` takes them into fp32 again.
    """
    small = copy.deepcopy(net)
    for parameter in small.parameters():
        if parameter.dim() > 1:
            parameter.data = parameter.data.half()
    return small


# --------------------------------------------------------------------------------- many images

Net = Callable[[Tensor], tuple[Tensor, Tensor]]


@torch.inference_mode()
def features_of(
    net: Net, images: Tensor, batch_size: int = 250, device: torch.device | str = "cpu"
) -> tuple[Tensor, Tensor]:
    """Features (N, D) and logits (N, K) of all images (N, C, H, W), on the CPU; the net is on ``device`` already."""
    seen = [net(some.to(device)) for some in images.split(batch_size)]
    features, logits = zip(*seen, strict=True)
    return torch.cat(features).float().cpu(), torch.cat(logits).float().cpu()

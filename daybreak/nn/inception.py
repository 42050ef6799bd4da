"""The Inception network whose features the FID is defined in, with the user's own copy of its public weights.

Szegedy et al., "Rethinking the Inception Architecture for Computer Vision" (2016), as TensorFlow's graph of 5 December
2015 has it: average pools that do not count the padding, a max pool in the last block, and 1,008 outputs. The layers
bear the names of the public PyTorch copies of that graph (``pt_inception-2015-12-05-6726825d``). daybreak brings no
weights of it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn
from torch.nn.functional import avg_pool2d, max_pool2d, relu

from daybreak.engine.errors import UserError

SIDE = 299  # pixels
FEATURES, OUTPUTS = 2048, 1008


class Inception(nn.Module):
    """Images (B, 3 or 1, H, W), uint8 -> features (B, 2048) and logits (B, 1008).

    The logits leave the last layer's bias out, as those of the Inception Score always did. Compute them in fp32.
    """

    def __init__(self) -> None:
        super().__init__()
        self.Conv2d_1a_3x3 = Convolution(3, 32, 3, stride=2)
        self.Conv2d_2a_3x3 = Convolution(32, 32, 3)
        self.Conv2d_2b_3x3 = Convolution(32, 64, 3, padding=1)
        self.Conv2d_3b_1x1 = Convolution(64, 80, 1)
        self.Conv2d_4a_3x3 = Convolution(80, 192, 3)
        self.Mixed_5b = Mixed(192, squares(32))
        self.Mixed_5c = Mixed(256, squares(64))
        self.Mixed_5d = Mixed(288, squares(64))
        self.Mixed_6a = Mixed(288, HALVING)
        self.Mixed_6b = Mixed(768, strips(128))
        self.Mixed_6c = Mixed(768, strips(160))
        self.Mixed_6d = Mixed(768, strips(160))
        self.Mixed_6e = Mixed(768, strips(192))
        self.Mixed_7a = Mixed(768, HALVING_AGAIN)
        self.Mixed_7b = Mixed(1280, forks(average))
        self.Mixed_7c = Mixed(2048, forks(maximum))
        self.fc = nn.Linear(FEATURES, OUTPUTS)

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """See the class."""
        x = resize(images.float()).expand(-1, 3, -1, -1)  # (B, 3, 299, 299)
        features = self.maps((x - 128.0) / 128.0).mean((2, 3))  # of (B, 2048, 8, 8)
        return features, features @ self.fc.weight.T

    def maps(self, x: Tensor) -> Tensor:
        """Pixels of -1 to 1 (B, 3, H, W), 75 pixels a side or more -> (B, 2048, about H / 32, about W / 32)."""
        x = self.Conv2d_2b_3x3(self.Conv2d_2a_3x3(self.Conv2d_1a_3x3(x)))
        x = self.Conv2d_4a_3x3(self.Conv2d_3b_1x1(halve(x)))
        x = self.Mixed_5d(self.Mixed_5c(self.Mixed_5b(halve(x))))
        x = self.Mixed_6e(self.Mixed_6d(self.Mixed_6c(self.Mixed_6b(self.Mixed_6a(x)))))
        return self.Mixed_7c(self.Mixed_7b(self.Mixed_7a(x)))


def read_inception(path: Path) -> Inception:
    """The network with the weights of a safetensors file, in evaluation mode.

    Raises UserError for a file that is not there, is no safetensors file, or holds other weights.
    """
    if path.suffix in (".pth", ".pt", ".pkl"):
        raise UserError(
            f"{path} is a pickle, which can run code: read it with torch.load(weights_only=True), write it with "
            f"safetensors.torch.save_file, and give the {path.with_suffix('.safetensors').name} that comes out"
        )
    try:
        weights = load_file(path)
    except (SafetensorError, OSError) as error:
        raise UserError(f"{path} cannot be read ({error}): give Inception's public weights as safetensors") from error
    network = Inception()
    for name, tensor in network.state_dict().items():
        if name not in weights and name.endswith("num_batches_tracked"):
            weights[name] = tensor  # which old copies do not have, and nothing reads
    try:
        network.load_state_dict(weights)
    except RuntimeError as error:  # what torch raises for a missing or unknown tensor, or one of another shape
        reason = str(error).splitlines()[1:2] or [str(error)]
        raise UserError(
            f"{path} holds other weights than the FID's Inception ({reason[0].strip().rstrip('.')}): "
            "give those of pt_inception-2015-12-05"
        ) from error
    return network.eval().requires_grad_(False)


# ------------------------------------------------------------------------------------- resizing


def resize(images: Tensor) -> Tensor:
    """(B, C, H, W) -> (B, C, 299, 299), as TensorFlow 1 did: bilinear, corners at pixel 0, no antialiasing.

    Another resizing gives another FID (Parmar et al., "On Aliased Resizing", 2022), and published ones have this.
    """
    rows, columns = (blend(length).to(images) for length in images.shape[2:])
    return rows @ images @ columns.T


def blend(length: int) -> Tensor:
    """Shares of ``length`` pixels in each of 299 evenly spread over them: (299, length)."""
    places = torch.arange(SIDE) * (length / SIDE)
    left = places.long()
    right = (left + 1).clamp_max(length - 1)
    share = (places - left)[:, None]
    pixels = torch.eye(length)
    return (1.0 - share) * pixels[left] + share * pixels[right]


# -------------------------------------------------------------------------------------- layers


Sides = tuple[int, int]


class Convolution(nn.Module):
    """Convolution, batch norm, ReLU."""

    def __init__(self, channels: int, out: int, kernel: int | Sides, stride: int = 1, padding: int | Sides = 0) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels, out, kernel, stride, padding, bias=False)
        self.bn = nn.BatchNorm2d(out, eps=0.001)

    def forward(self, x: Tensor) -> Tensor:
        """(B, channels, H, W) -> (B, out, H', W')."""
        return relu(self.bn(self.conv(x)), inplace=True)


@dataclass(frozen=True)
class Conv:
    """A convolution of a block: its name, channels and kernel. One that halves the map has no padding."""

    name: str
    out: int
    kernel: Sides = (1, 1)
    stride: int = 1

    def layer(self, channels: int) -> Convolution:
        """It, for an input of so many channels."""
        padding = (self.kernel[0] // 2, self.kernel[1] // 2) if self.stride == 1 else (0, 0)
        return Convolution(channels, self.out, self.kernel, self.stride, padding)


Pool = Callable[[Tensor], Tensor]
Fork = tuple[Conv, ...]
Branch = Sequence[Conv | Fork | Pool]
"""Steps one after the other; a fork's convolutions all read the same, and their outputs are stacked."""


class Mixed(nn.Module):
    """Branches that all read the same map, their outputs stacked."""

    def __init__(self, channels: int, branches: Sequence[Branch]) -> None:
        super().__init__()
        self.branches = branches
        for branch in branches:
            width = channels
            for step in branch:
                convs = step if isinstance(step, tuple) else (step,) if isinstance(step, Conv) else ()
                for conv in convs:
                    self.add_module(conv.name, conv.layer(width))
                width = sum(conv.out for conv in convs) or width

    def forward(self, x: Tensor) -> Tensor:
        """(B, channels, H, W) -> (B, channels of all branches, H', W')."""
        return torch.cat([self.along(branch, x) for branch in self.branches], 1)

    def along(self, branch: Branch, x: Tensor) -> Tensor:
        """What comes out of a branch."""
        for step in branch:
            if isinstance(step, Conv):
                x = self.get_submodule(step.name)(x)
            elif isinstance(step, tuple):
                x = torch.cat([self.get_submodule(conv.name)(x) for conv in step], 1)
            else:
                x = step(x)
        return x


# -------------------------------------------------------------------------------------- blocks

halve: Pool = partial(max_pool2d, kernel_size=3, stride=2)
maximum: Pool = partial(max_pool2d, kernel_size=3, stride=1, padding=1)
average: Pool = partial(avg_pool2d, kernel_size=3, stride=1, padding=1, count_include_pad=False)
ACROSS, DOWN, THREE = (1, 7), (7, 1), (3, 3)

HALVING: Sequence[Branch] = (
    [Conv("branch3x3", 384, THREE, 2)],
    [Conv("branch3x3dbl_1", 64), Conv("branch3x3dbl_2", 96, THREE), Conv("branch3x3dbl_3", 96, THREE, 2)],
    [halve],
)
HALVING_AGAIN: Sequence[Branch] = (
    [Conv("branch3x3_1", 192), Conv("branch3x3_2", 320, THREE, 2)],
    [
        Conv("branch7x7x3_1", 192),
        Conv("branch7x7x3_2", 192, ACROSS),
        Conv("branch7x7x3_3", 192, DOWN),
        Conv("branch7x7x3_4", 192, THREE, 2),
    ],
    [halve],
)


def squares(pooled: int) -> Sequence[Branch]:
    """The block of 35x35 maps: 1x1, 5x5 and two 3x3 convolutions."""
    return (
        [Conv("branch1x1", 64)],
        [Conv("branch5x5_1", 48), Conv("branch5x5_2", 64, (5, 5))],
        [Conv("branch3x3dbl_1", 64), Conv("branch3x3dbl_2", 96, THREE), Conv("branch3x3dbl_3", 96, THREE)],
        [average, Conv("branch_pool", pooled)],
    )


def strips(width: int) -> Sequence[Branch]:
    """The block of 17x17 maps: 7x7 convolutions cut into rows and columns."""
    return (
        [Conv("branch1x1", 192)],
        [Conv("branch7x7_1", width), Conv("branch7x7_2", width, ACROSS), Conv("branch7x7_3", 192, DOWN)],
        [
            Conv("branch7x7dbl_1", width),
            Conv("branch7x7dbl_2", width, DOWN),
            Conv("branch7x7dbl_3", width, ACROSS),
            Conv("branch7x7dbl_4", width, DOWN),
            Conv("branch7x7dbl_5", 192, ACROSS),
        ],
        [average, Conv("branch_pool", 192)],
    )


def forks(pool: Pool) -> Sequence[Branch]:
    """The block of 8x8 maps: 3x3 convolutions cut into a row beside a column."""
    return (
        [Conv("branch1x1", 320)],
        [Conv("branch3x3_1", 384), (Conv("branch3x3_2a", 384, (1, 3)), Conv("branch3x3_2b", 384, (3, 1)))],
        [
            Conv("branch3x3dbl_1", 448),
            Conv("branch3x3dbl_2", 384, THREE),
            (Conv("branch3x3dbl_3a", 384, (1, 3)), Conv("branch3x3dbl_3b", 384, (3, 1))),
        ],
        [pool, Conv("branch_pool", 192)],
    )

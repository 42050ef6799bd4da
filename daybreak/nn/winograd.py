"""3x3 convolution in a third of the multiplications: Winograd's minimal filtering, for training on a CPU.

Lavin and Gray, "Fast Algorithms for Convolutional Neural Networks" (2016), section 4: F(m x m, 3 x 3) turns a tile of
m x m outputs into n^2 = (m + 2)^2 independent matrix products over the channels, where the direct way needs 9 m^2.
Forward and both backward products run on the same transformed tiles. Exact up to rounding: 2e-6 of the result's norm in
fp32, a thousandth of what bf16 loses.

The products are torch's. The transforms are C, compiled when first needed (see :mod:`daybreak.nn.native`), or torch's
operations where there is no compiler or the channels do not fill its vectors.
"""

from __future__ import annotations

import ctypes
import functools
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.nn.functional import pad

from daybreak.nn import native

TILES = (3, 4)  # outputs a side; beyond 4 the rounding error grows quicker than the work shrinks
CHUNK = 2 << 20  # bytes of tiles worked on at once: what stays in the cache
LEAST_CHANNELS = 2**12  # in times out: below that the transforms cost more than the products they save
LANES = 16  # channels that the compiled transforms take at a time
POINTS = (0.0, 1.0, -1.0, 0.5, -2.0)  # where polynomials are evaluated, beside infinity; these round least


class Conv3x3(nn.Conv2d):
    """``nn.Conv2d(channels, out_channels, 3, padding=1, bias=False)`` that a CPU trains about twice as fast in fp32.

    Elsewhere (GPU, bf16, few channels, export to ONNX) it is torch's own convolution. Same weights, same results up
    to rounding, so a checkpoint of one loads into the other.
    """

    def __init__(self, channels: int, out_channels: int) -> None:
        super().__init__(channels, out_channels, 3, padding=1, bias=False)

    def forward(self, input: Tensor) -> Tensor:
        """(B, channels, H, W) -> (B, out_channels, H, W)."""
        if pays(input, self.weight):
            return Winograd.apply(input, self.weight)
        return super().forward(input)


def pays(x: Tensor, weight: Tensor) -> bool:
    """Whether the transformed way is the faster one for this input."""
    fp32 = x.dtype == weight.dtype == torch.float32
    if x.device.type != "cpu" or not fp32 or torch.is_autocast_enabled("cpu"):
        return False
    traced = torch.compiler.is_compiling() or torch.onnx.is_in_onnx_export()
    return not traced and weight.shape[0] * weight.shape[1] >= LEAST_CHANNELS


class Winograd(torch.autograd.Function):
    """The convolution itself: x (B, C, H, W), weight (O, C, 3, 3), padding 1 -> (B, O, H, W) in channels_last."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor) -> Tensor:
        """Keeps the transformed tiles for the backward pass."""
        grid = Grid.of(x, len(weight))
        filters = transform_filters(weight, grid.tile)  # (n n, O, C)
        x = x.permute(0, 2, 3, 1).contiguous()  # (B, H, W, C)
        y = x.new_empty(*x.shape[:3], len(weight))  # (B, H, W, O)
        kept: list[Tensor] = []
        for some, to in zip(x.split(grid.chunk), y.split(grid.chunk), strict=True):
            kept.append(some.new_empty(grid.tiles_of(some)))
            transforms(some)["input"](some, kept[-1], grid)
            transforms(to)["output"](torch.bmm(kept[-1], filters.transpose(1, 2)), to, grid)
        ctx.grid = grid
        ctx.save_for_backward(filters, *kept)
        return y.permute(0, 3, 1, 2)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, Tensor | None]:  # pyright: ignore
        """The two other products, over the kept tiles."""
        filters, *kept = ctx.saved_tensors
        grid: Grid = ctx.grid
        dy = gradients[0].permute(0, 2, 3, 1).contiguous()  # (B, H, W, O)
        dx = dy.new_empty(*dy.shape[:3], filters.shape[2])  # (B, H, W, C)
        d_filters = torch.empty_like(filters)
        parts = zip(kept, dy.split(grid.chunk), dx.split(grid.chunk), strict=True)
        for number, (tiles, some, to) in enumerate(parts):
            d_products = some.new_empty(grid.tiles_of(some))  # (n n, T, O)
            transforms(some)["output_back"](some, d_products, grid)
            torch.baddbmm(d_filters, d_products.transpose(1, 2), tiles, beta=int(number > 0), out=d_filters)
            if ctx.needs_input_grad[0]:
                transforms(to)["input_back"](torch.bmm(d_products, filters), to, grid)
        return dx.permute(0, 3, 1, 2) if ctx.needs_input_grad[0] else None, transform_filters_back(d_filters, grid.tile)


# --------------------------------------------------------------------------------------- transforms


@dataclass(frozen=True)
class Grid:
    """How maps of ``height`` x ``width`` are cut: ``down`` x ``across`` tiles of side m, ``chunk`` images at once."""

    height: int
    width: int
    tile: int
    down: int
    across: int
    chunk: int

    @classmethod
    def of(cls, x: Tensor, out_channels: int) -> Grid:
        """The tiles that need the fewest products, x (B, C, H, W), in equal chunks.

        A chunk is about ``CHUNK`` bytes, but has enough tiles to make use of filters once they are in the cache.
        """
        images, channels, height, width = x.shape

        def products(m: int) -> int:
            return -(-height // m) * -(-width // m) * (m + 2) ** 2

        tile = min(TILES, key=products)
        down, across = -(-height // tile), -(-width // tile)
        fitting = CHUNK // (4 * products(tile) * max(channels, out_channels))
        worthwhile = -(-channels * out_channels // (80 * down * across))
        chunks = -(-images // max(1, fitting, worthwhile))
        return cls(height, width, tile, down, across, -(-images // chunks))

    def tiles_of(self, image: Tensor) -> tuple[int, int, int]:
        """Shape of the transformed tiles of a map (B, H, W, C): (n n, T, C)."""
        return (self.tile + 2) ** 2, len(image) * self.down * self.across, image.shape[3]

    def pieces(self, image: Tensor, tiles: Tensor) -> Iterator[tuple[Tensor, Tensor]]:
        """Views of a map (B, H, W, C) and of its tiles (m, m, B, down, across, C) that show the same pixels.

        The inner tiles are one piece; those that the right and the lower edge cut are others.
        """
        for rows, down in self._spans(self.height):
            for columns, across in self._spans(self.width):
                part = image[:, rows].unflatten(1, (-1, min(self.tile, rows.stop - rows.start)))
                part = part[:, :, :, columns].unflatten(3, (-1, min(self.tile, columns.stop - columns.start)))
                inside = tiles[: part.shape[2], : part.shape[4], :, down, across]
                yield part, inside.permute(2, 3, 0, 4, 1, 5)  # (B, down, rows, across, columns, C)

    def _spans(self, length: int) -> list[tuple[slice, slice]]:
        """Pixels and numbers of the whole tiles along a side, and of the cut one if there is one."""
        whole = length // self.tile
        spans = [(slice(0, whole * self.tile), slice(0, whole))] if whole else []
        return spans + ([(slice(whole * self.tile, length), slice(whole, whole + 1))] if length % self.tile else [])


Transform = Callable[[Tensor, Tensor, Grid], None]  # from, to, grid


def transforms(image: Tensor) -> dict[str, Transform]:
    """The four transforms for maps (B, H, W, C): input, output, and their transposes, which take gradients back."""
    quick = compiled() if image.shape[3] % LANES == 0 else None
    return quick or {"input": input, "output": output, "output_back": output_back, "input_back": input_back}


def input(x: Tensor, tiles: Tensor, grid: Grid) -> None:
    """Maps x (B, H, W, C) -> tiles (n n, T, C): overlapping n x n patches, each between B^T and B."""
    tile, side, (images, _, _, channels) = grid.tile, grid.tile + 2, x.shape
    right, below = grid.across * tile - grid.width + 1, grid.down * tile - grid.height + 1
    padded = pad(x, (0, 0, 1, right, 1, below))
    image, row, column, _ = padded.stride()
    patches = padded.as_strided(
        (side, side, images, grid.down, grid.across, channels), (row, column, image, row * tile, column * tile, 1)
    )
    torch.mm(kronecker(tile)[0], patches.reshape(side * side, -1), out=tiles.view(side * side, -1))


def output(products: Tensor, y: Tensor, grid: Grid) -> None:
    """Products (n n, T, O) -> y (B, H, W, O): each tile between A^T and A, laid side by side, cut to the map's size."""
    tile = grid.tile
    tiles = kronecker(tile)[2] @ products.view(len(products), -1)  # (m m, T O)
    for of_map, of_tiles in grid.pieces(y, tiles.view(tile, tile, len(y), grid.down, grid.across, y.shape[3])):
        of_map.copy_(of_tiles)


def output_back(dy: Tensor, d_products: Tensor, grid: Grid) -> None:
    """The transpose of :func:`output`: dy (B, H, W, O) -> (n n, T, O)."""
    tile = grid.tile
    tiles = dy.new_empty(tile, tile, len(dy), grid.down, grid.across, dy.shape[3])
    tiles[grid.height - (grid.down - 1) * tile :, :, :, -1] = 0  # what the last tiles have beyond the map
    tiles[:, grid.width - (grid.across - 1) * tile :, :, :, -1] = 0
    for of_map, of_tiles in grid.pieces(dy, tiles):
        of_tiles.copy_(of_map)
    torch.mm(kronecker(tile)[2].t(), tiles.view(tile * tile, -1), out=d_products.view(len(d_products), -1))


def input_back(d_tiles: Tensor, dx: Tensor, grid: Grid) -> None:
    """The transpose of :func:`input`: (n n, T, C) -> dx (B, H, W, C); overlapping patches are added up."""
    side, tile, channels = grid.tile + 2, grid.tile, dx.shape[3]
    patches = kronecker(tile)[0].t() @ d_tiles.view(side * side, -1)
    patches = patches.view(side, side, len(dx), grid.down, grid.across, channels).permute(2, 3, 0, 4, 1, 5)
    # a patch reaches two pixels into the next tile; of that the map needs one pixel at most beyond its last tile
    down, across = -(-(grid.height + 1) // tile), -(-(grid.width + 1) // tile)
    padded = dx.new_empty(len(dx), down, tile, across, tile, channels)
    padded[:, grid.down :] = 0
    padded[:, :, :, grid.across :] = 0
    padded[:, : grid.down, :, : grid.across] = patches[:, :, :tile, :, :tile]
    padded[:, 1:, :2, : grid.across] += patches[:, : down - 1, tile:, :, :tile]
    padded[:, : grid.down, :, 1:, :2] += patches[:, :, :tile, : across - 1, tile:]
    padded[:, 1:, :2, 1:, :2] += patches[:, : down - 1, tile:, : across - 1, tile:]
    whole = padded.view(len(dx), down * tile, across * tile, channels)
    dx.copy_(whole[:, 1 : grid.height + 1, 1 : grid.width + 1])


def transform_filters(weight: Tensor, tile: int) -> Tensor:
    """(O, C, 3, 3) -> (n n, O, C): each filter between G and G^T."""
    flat = weight.permute(2, 3, 0, 1).reshape(9, -1)  # quick where the weight lies in channels_last
    return (kronecker(tile)[1] @ flat).view(-1, *weight.shape[:2])


def transform_filters_back(d_filters: Tensor, tile: int) -> Tensor:
    """The transpose of :func:`transform_filters`: (n n, O, C) -> (O, C, 3, 3) in channels_last."""
    flat = kronecker(tile)[1].t() @ d_filters.view(len(d_filters), -1)  # (9, O C)
    d_weight = flat.view(3, 3, *d_filters.shape[1:]).permute(2, 3, 0, 1)
    return d_weight.contiguous(memory_format=torch.channels_last)


# -------------------------------------------------------------------------------- compiled transforms


class Shape(ctypes.Structure):
    """What the C code is told of a map and its tiles."""

    _fields_ = [(name, ctypes.c_long) for name in ("images", "height", "width", "channels", "down", "across")]


@functools.cache
def compiled() -> dict[str, Transform] | None:
    """The four transforms in C, or None where they cannot be built."""
    constants = "".join(
        constant(f"{name}{tile}", matrix)
        for tile in TILES
        for name, matrix in zip(("BT", "AT"), matrices(tile)[::2], strict=True)
    )
    library = native.build(constants + Path(__file__).with_suffix(".c").read_text())
    if library is None:
        return None

    def function(name: str, map_first: bool) -> Transform:
        def call(source: Tensor, to: Tensor, grid: Grid) -> None:
            images, height, width, channels = (source if map_first else to).shape
            shape = Shape(images, height, width, channels, grid.down, grid.across)
            run = getattr(library, f"{name}_{grid.tile}")
            run(ctypes.c_void_p(source.data_ptr()), ctypes.c_void_p(to.data_ptr()), shape)

        return call

    from_map = {"input": True, "output": False, "output_back": True, "input_back": False}
    return {name: function(name, map_first) for name, map_first in from_map.items()}


def constant(name: str, matrix: Tensor) -> str:
    """A matrix as C."""
    rows = ", ".join("{" + ", ".join(f"{value!r}f" for value in row) + "}" for row in matrix.tolist())
    return f"static const float {name}[{matrix.shape[0]}][{matrix.shape[1]}] = {{{rows}}};\n"


# ---------------------------------------------------------------------------------------- matrices


@functools.cache
def kronecker(tile: int) -> tuple[Tensor, Tensor, Tensor]:
    """B^T, G and A^T for two dimensions at once: (n n, n n), (n n, 9), (m m, n n), in fp32."""
    return tuple(torch.kron(matrix, matrix).float() for matrix in matrices(tile))  # pyright: ignore[reportReturnType]


def matrices(tile: int) -> tuple[Tensor, Tensor, Tensor]:
    """B^T (n, n), G (n, 3) and A^T (m, n) of F(m, 3) in fp64, by Cook and Toom's evaluation at n - 1 points.

    Lavin and Gray's matrices up to signs: y = A^T ((G g) * (B^T d)).
    """
    points = torch.tensor(POINTS[: tile + 1], dtype=torch.float64)
    away = points[:, None] - points[None, :]
    scale = (away + torch.eye(len(points))).prod(1)  # (n - 1,): products of the distances to the other points
    at = torch.zeros(tile, tile + 2, dtype=torch.float64)
    at[:, :-1] = points[None, :] ** torch.arange(tile)[:, None]
    at[-1, -1] = 1
    g = torch.zeros(tile + 2, 3, dtype=torch.float64)
    g[:-1] = points[:, None] ** torch.arange(3)[None, :] / scale[:, None]
    g[-1, -1] = 1
    bt = torch.zeros(tile + 2, tile + 2, dtype=torch.float64)
    for row in range(len(points)):
        bt[row, :-1] = coefficients(torch.cat((points[:row], points[row + 1 :])))
    bt[-1] = coefficients(points)
    return bt, g, at


def coefficients(roots: Tensor) -> Tensor:
    """(k,) -> (k + 1,): coefficients, the constant first, of the polynomial with these roots."""
    polynomial = torch.ones(1, dtype=torch.float64)
    for root in roots:
        polynomial = pad(polynomial, (1, 0)) - root * pad(polynomial, (0, 1))
    return polynomial

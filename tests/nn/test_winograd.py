"""The transformed convolution is torch's convolution, forward and backward."""

from __future__ import annotations

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.nn.functional import conv2d

from daybreak.nn import winograd
from daybreak.nn.winograd import Conv3x3, Grid, Winograd, matrices, pays


@pytest.fixture(params=["compiled", "torch"])
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """The transforms in C, and those of torch's operations that stand in for them."""
    if request.param == "torch":
        monkeypatch.setattr(winograd, "compiled", lambda: None)
    elif winograd.compiled() is None:
        pytest.skip("no gcc on this machine: the compiled transforms are not tested")
    return request.param


def error(mine: Tensor, exact: Tensor) -> float:
    """The norm of the difference over that of the exact tensor."""
    return ((mine - exact).norm() / exact.norm()).item()


def both(images: int, channels: int, height: int, width: int, out: int) -> list[tuple[Tensor, Tensor]]:
    """Output and both gradients, ours in fp32 and torch's in fp64."""
    x = torch.randn(images, channels, height, width, dtype=torch.float64, requires_grad=True)
    weight = torch.randn(out, channels, 3, 3, dtype=torch.float64, requires_grad=True)
    gradient = torch.randn(images, out, height, width, dtype=torch.float64)
    mine = [t.detach().float().requires_grad_() for t in (x, weight)]
    y, exact = Winograd.apply(*mine), conv2d(x, weight, padding=1)
    ours = torch.autograd.grad(y, mine, gradient.float())
    torchs = torch.autograd.grad(exact, (x, weight), gradient)
    return [(y, exact), *zip(ours, torchs, strict=True)]


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.integers(1, 5), st.sampled_from([3, 16, 32]), st.integers(1, 13), st.integers(1, 13), st.sampled_from([5, 16])
)
def test_any_shape_gives_the_convolution_and_its_gradients(
    way: str, images: int, channels: int, height: int, width: int, out: int
) -> None:
    torch.manual_seed(images + 7 * channels + 31 * height + 101 * width + 997 * out)
    for mine, exact in both(images, channels, height, width, out):
        assert error(mine, exact) < 3e-5


@pytest.mark.parametrize("tile", winograd.TILES)
@pytest.mark.parametrize("images_at_once", [1, 2, 3, 100])
def test_every_tile_and_every_way_to_cut_the_batch_agree(
    way: str, tile: int, images_at_once: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    torch.manual_seed(0)
    monkeypatch.setattr(winograd, "TILES", (tile,))
    tiles = -(-9 // tile) * -(-8 // tile) * (tile + 2) ** 2
    monkeypatch.setattr(winograd, "CHUNK", images_at_once * 4 * tiles * 16)
    assert Grid.of(torch.empty(7, 16, 9, 8), 16).chunk == min(7, images_at_once)
    for mine, exact in both(7, 16, 9, 8, 16):
        assert error(mine, exact) < 3e-5


@pytest.mark.parametrize("tile", [2, 3, 4])
def test_matrices_filter_a_line_exactly(tile: int) -> None:
    bt, g, at = matrices(tile)
    line, taps = torch.randn(tile + 2, dtype=torch.float64), torch.randn(3, dtype=torch.float64)
    direct = line.unfold(0, 3, 1) @ taps
    assert torch.allclose(at @ ((g @ taps) * (bt @ line)), direct, atol=1e-12)


def test_filters_worth_more_than_a_chunk_get_tiles_enough() -> None:
    few, many = Grid.of(torch.empty(500, 64, 15, 15), 64), Grid.of(torch.empty(500, 256, 7, 7), 256)
    assert few.tile == many.tile == 4 and few.chunk * 16 * 36 * 64 * 4 <= winograd.CHUNK
    tiles = 4 * many.chunk
    assert 0.6 * 256 * 256 / 80 < tiles <= 256 * 256 / 80 + 4  # rounded up to images, and down to equal chunks
    assert Grid.of(torch.empty(500, 256, 3, 3), 256).tile == 3


def test_rounding_is_a_thousandth_of_what_bf16_loses(way: str) -> None:
    torch.manual_seed(0)
    x, weight = torch.randn(4, 64, 16, 16), torch.randn(64, 64, 3, 3)
    exact = conv2d(x.double(), weight.double(), padding=1)
    rounded = error(conv2d(x.bfloat16(), weight.bfloat16(), padding=1), exact)
    assert error(Winograd.apply(x, weight), exact) < rounded / 1000


def test_the_layer_is_torchs_where_the_transform_does_not_pay() -> None:
    torch.manual_seed(0)
    wide, narrow = Conv3x3(64, 128), Conv3x3(64, 48)
    x = torch.randn(2, 64, 6, 6)
    assert pays(x, wide.weight) and not pays(x, narrow.weight)
    assert not pays(x.bfloat16(), wide.weight.bfloat16()) and not pays(x.double(), wide.weight.double())
    assert not pays(x.to("meta"), wide.weight.to("meta"))
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert not pays(x, wide.weight) and wide(x).dtype == torch.bfloat16
    assert torch.allclose(wide(x), conv2d(x, wide.weight, padding=1), atol=1e-4)
    assert "Winograd" in type(wide(x).grad_fn).__name__


@pytest.mark.parametrize("frozen", ["input", "weight"])
def test_only_the_gradients_asked_for_are_computed(frozen: str) -> None:
    torch.manual_seed(0)
    x, weight = torch.randn(2, 32, 5, 5, requires_grad=frozen != "input"), torch.randn(32, 32, 3, 3)
    weight.requires_grad_(frozen != "weight")
    Winograd.apply(x, weight).square().sum().backward()
    assert (x.grad is None) == (frozen == "input") and (weight.grad is None) == (frozen == "weight")


def test_layouts_do_not_matter() -> None:
    torch.manual_seed(0)
    layer, x = Conv3x3(64, 128), torch.randn(3, 64, 7, 7)
    plain = layer(x)
    last = layer.to(memory_format=torch.channels_last)(x.contiguous(memory_format=torch.channels_last))
    assert torch.allclose(plain, last, atol=1e-5) and last.is_contiguous(memory_format=torch.channels_last)
    torch.autograd.grad(last.sum(), layer.weight)
    assert layer(x[:, :, ::2, ::2]).shape == (3, 128, 4, 4)


def test_a_second_derivative_is_refused_and_not_wrong() -> None:
    x, weight = torch.randn(1, 32, 4, 4, requires_grad=True), torch.randn(32, 32, 3, 3, requires_grad=True)
    (first,) = torch.autograd.grad(Winograd.apply(x, weight).square().sum(), x, create_graph=True)
    with pytest.raises(RuntimeError, match="once_differentiable"):
        first.sum().backward()

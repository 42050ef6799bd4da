"""The compiled pooling is torch's, to the last bit."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn.functional import max_pool2d

from daybreak.nn import pool
from daybreak.nn.pool import MaxPool2x2, pays

needs_c = pytest.mark.skipif(
    pool.compiled() is None, reason="no gcc on this machine: the compiled pooling is not tested"
)


@needs_c
@settings(max_examples=30, deadline=None)
@given(st.integers(1, 4), st.sampled_from([16, 48]), st.integers(2, 9), st.integers(2, 9))
def test_any_shape_gives_the_maximum_and_its_gradient(images: int, channels: int, height: int, width: int) -> None:
    torch.manual_seed(images + 7 * channels + 31 * height + 101 * width)
    x = torch.randint(-9, 9, (images, channels, height, width)).float()  # ties: the first of the largest counts
    x = x.contiguous(memory_format=torch.channels_last).requires_grad_()
    assert pays(x)
    mine, torchs = MaxPool2x2()(x), max_pool2d(x, 2)
    assert torch.equal(mine, torchs) and mine.is_contiguous(memory_format=torch.channels_last)
    gradient = torch.randn_like(mine)
    assert torch.equal(*(torch.autograd.grad(y, x, gradient)[0] for y in (mine, torchs)))


@needs_c
@pytest.mark.parametrize("place", range(4))
def test_what_is_not_a_number_stays_visible(place: int) -> None:
    x = torch.zeros(1, 16, 2, 2)
    x[0, 3, place // 2, place % 2] = math.nan
    y = MaxPool2x2()(x.contiguous(memory_format=torch.channels_last))
    assert y[0, 3].isnan().all() and not y[0, :3].isnan().any()


@pytest.mark.parametrize(
    "x",
    [
        torch.randn(2, 16, 6, 6),
        torch.randn(2, 5, 6, 6).contiguous(memory_format=torch.channels_last),
        torch.randn(2, 16, 6, 6, dtype=torch.float64).contiguous(memory_format=torch.channels_last),
    ],
    ids=["another layout", "few channels", "fp64"],
)
def test_what_does_not_fit_is_left_to_torch(x: torch.Tensor) -> None:
    assert not pays(x)
    assert torch.equal(MaxPool2x2()(x), max_pool2d(x, 2))


def test_without_a_compiler_it_is_torchs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pool, "compiled", lambda: None)
    x = torch.randn(2, 16, 6, 6).contiguous(memory_format=torch.channels_last)
    assert not pays(x) and torch.equal(MaxPool2x2()(x), max_pool2d(x, 2))

"""8-bit layers against the layers that they stand for."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from daybreak.nn.int8 import Int8Linear, in_int8, quantised


def test_product_is_that_of_the_rounded_factors() -> None:
    torch.manual_seed(0)
    linear, x = nn.Linear(24, 40), torch.randn(7, 24)
    (rows, of_row), (weights, of_output) = quantised(x), quantised(linear.weight.detach())
    exact = (rows.long() @ weights.long().T).double() * of_row.double() * of_output.double().T + linear.bias
    assert torch.allclose(Int8Linear(linear.weight, linear.bias)(x).double(), exact, atol=1e-5)


@pytest.mark.parametrize("shape", [(1,), (3, 5), (2, 1, 4)])
@pytest.mark.parametrize("bias", [True, False])
def test_a_layer_is_nearly_the_one_it_stands_for(shape: tuple[int, ...], bias: bool) -> None:
    torch.manual_seed(0)
    linear, x = nn.Linear(64, 48, bias=bias), torch.randn(*shape, 64)
    expected = linear(x)
    found = Int8Linear(linear.weight, linear.bias)(x)
    assert found.shape == expected.shape
    assert (found - expected).abs().max() < 0.02 * expected.abs().max()


def test_zeros_stay_zeros_and_large_rows_do_not_spoil_small_ones() -> None:
    rounded, scale = quantised(torch.tensor([[0.0, 0.0], [1e-3, -5e-4], [1e6, 2e6]]))
    assert torch.allclose(rounded * scale, torch.tensor([[0.0, 0.0], [1e-3, -5e-4], [1e6, 2e6]]), rtol=0.02)


def test_every_linear_layer_of_a_module_is_replaced() -> None:
    module = in_int8(nn.Sequential(nn.Linear(8, 8), nn.ReLU(), nn.ModuleList([nn.Linear(8, 4)])))
    kinds = [type(child) for child in module.modules()]
    assert kinds.count(Int8Linear) == 2 and nn.Linear not in kinds

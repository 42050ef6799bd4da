"""The compiled dropout: the share it drops, what it keeps, and that its gradient drops the same."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from daybreak.nn import dropout
from daybreak.nn.dropout import Dropout, pays

needs_c = pytest.mark.skipif(
    dropout.compiled() is None, reason="no gcc on this machine: the compiled dropout is not tested"
)
SHAPE = (300, 1_000)


def dropped(p: float, seed: int = 0) -> Tensor:
    torch.manual_seed(seed)
    return Dropout(p)(torch.ones(SHAPE))


@needs_c
@pytest.mark.parametrize("p", [0.001, 0.1, 0.3, 0.5, 0.9])
def test_as_many_places_as_asked_for_are_dropped_and_the_others_scaled(p: float) -> None:
    found = dropped(p)
    share, sigma = (found == 0).double().mean().item(), (p * (1 - p) / found.numel()) ** 0.5
    assert abs(share - p) < 4 * sigma
    assert torch.allclose(found[found != 0], torch.tensor(1 / (1 - p)))


@needs_c
def test_rows_columns_and_neighbours_are_independent() -> None:
    kept = (dropped(0.3) != 0).double() - 0.7
    for mean, count in ((kept.mean(0), SHAPE[0]), (kept.mean(1), SHAPE[1])):  # as far from 0.7 as chance has it
        assert mean.abs().max() < 5 * (0.21 / count) ** 0.5
        assert mean.square().mean().item() == pytest.approx(0.21 / count, rel=0.25)
    flat = kept.flatten()
    for step in (1, 2, 3, 8, 16, 64, 256, 1_000, 4_096, 65_536):
        correlation = (flat[step:] * flat[:-step]).mean() / 0.21
        assert abs(correlation) < 5 / len(flat) ** 0.5


@needs_c
def test_calls_draw_different_places_and_seeds_repeat_them() -> None:
    torch.manual_seed(0)
    layer, x = Dropout(0.5), torch.ones(SHAPE)
    first, second = layer(x), layer(x)
    assert ((first != 0) == (second != 0)).double().mean().item() == pytest.approx(0.5, abs=0.01)
    for shift in range(1, 50):  # nor is one the other moved
        same = ((first.flatten()[shift:] != 0) == (second.flatten()[:-shift] != 0)).double().mean().item()
        assert same == pytest.approx(0.5, abs=0.01)
    torch.manual_seed(0)
    assert torch.equal(layer(x), first)


@needs_c
@pytest.mark.parametrize("beside", [False, True])
def test_gradient_drops_what_the_forward_pass_dropped(beside: bool) -> None:
    torch.manual_seed(0)
    x, base = torch.randn(7, 33, requires_grad=True), torch.randn(7, 33, requires_grad=True)
    layer = Dropout(0.4)
    out = layer.beside(base, x) if beside else layer(x)
    inside = out.detach() - (base.detach() if beside else 0)
    kept = (inside.abs() > 1e-7).float()
    assert torch.allclose(inside, x.detach() * kept / 0.6, atol=1e-6)
    gradient = torch.randn_like(out)
    out.backward(gradient)
    assert torch.allclose(x.grad, gradient * kept / 0.6)
    assert base.grad is None if not beside else torch.equal(base.grad, gradient)


@needs_c
def test_tensors_that_lie_otherwise_in_memory_are_taken_in_their_own_order() -> None:
    x = torch.arange(1.0, 13.0).view(3, 4).t().requires_grad_()
    torch.manual_seed(0)
    out = Dropout(0.5)(x)
    torch.manual_seed(0)
    assert torch.equal(out, Dropout(0.5)(x.detach().contiguous()))
    out.sum().backward()
    assert torch.equal(x.grad != 0, out != 0)


def test_what_does_not_fit_is_left_to_torch() -> None:
    x = torch.ones(3, dtype=torch.float64)
    assert not pays(x, 0.5)
    assert Dropout(0.5)(x).dtype == x.dtype


@needs_c
@pytest.mark.parametrize("base", [torch.float32, torch.bfloat16])
def test_sixteen_bits_are_dropped_as_thirty_two_are(base: torch.dtype) -> None:
    x, under, layer = torch.arange(1.0, 9.0).view(2, 4), torch.ones(2, 4, dtype=base), Dropout(0.5)
    rounded = x.bfloat16().requires_grad_()
    outs: list[Tensor] = []
    for input in (x, rounded):
        torch.manual_seed(0)
        outs += [layer(input), layer.beside(under, input)]
    assert [out.dtype for out in outs[2:]] == [torch.bfloat16, base]
    assert all(torch.equal(a, b.float()) for a, b in zip(outs[:2], outs[2:], strict=True))
    (outs[2].sum() + outs[3].sum()).backward()
    assert rounded.grad is not None and rounded.grad.dtype == torch.bfloat16


def test_without_a_compiler_or_in_evaluation_it_is_torchs(monkeypatch: pytest.MonkeyPatch) -> None:
    x, base = torch.ones(3, 5), torch.full((3, 5), 2.0)
    assert torch.equal(Dropout(0.5).eval()(x), x) and torch.equal(Dropout(0.5).eval().beside(base, x), x + base)
    monkeypatch.setattr(dropout, "compiled", lambda: None)
    torch.manual_seed(0)
    found = Dropout(0.5)(x)
    torch.manual_seed(0)
    assert torch.equal(found, torch.nn.functional.dropout(x, 0.5))


@pytest.mark.parametrize("p", [0.0, 1.0])
def test_nothing_and_everything_can_be_dropped(p: float) -> None:
    assert torch.equal(Dropout(p)(torch.ones(4)), torch.full((4,), 1.0 - p))

"""Attention in bf16 on a CPU, beside torch's in fp32."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor
from torch.nn.functional import scaled_dot_product_attention

from daybreak.nn.attention import LONGEST, attention

BF16 = {"rtol": 0.03, "atol": 0.03}


def heads(words: int, seen: int, dtype: torch.dtype = torch.bfloat16) -> list[Tensor]:
    """Queries (2, 3, words, 8), keys and values (2, 3, seen, 8)."""
    torch.manual_seed(0)
    return [torch.randn(2, 3, length, 8).to(dtype).requires_grad_() for length in (words, seen, seen)]


def some(words: int, seen: int) -> Tensor:
    """A mask (2, 1, words, seen) with at least one place to look at."""
    return (torch.rand(2, 1, words, seen) < 0.6) | (torch.arange(seen) == 1)


@pytest.mark.parametrize("kind", ["all", "masked", "causal", "scaled"])
def test_it_is_torchs_and_so_are_its_gradients(kind: str) -> None:
    ours = heads(5, 5 if kind == "causal" else 7)
    theirs = [x.detach().float().requires_grad_() for x in ours]
    mask = some(5, 7) if kind == "masked" else None
    scale = 1.0 if kind == "scaled" else None
    mine = attention(*ours, mask, scale=scale, causal=kind == "causal")
    his = scaled_dot_product_attention(*theirs, mask, scale=scale, is_causal=kind == "causal")
    assert mine.dtype == torch.bfloat16
    torch.testing.assert_close(mine.float(), his, **BF16)
    direction = torch.randn_like(his)
    mine.backward(direction.bfloat16())
    his.backward(direction)
    for a, b in zip(ours, theirs, strict=True):
        assert a.grad is not None and b.grad is not None
        assert (a.grad.float() - b.grad).norm() < 0.02 * b.grad.norm()


def test_a_row_that_may_look_nowhere_stays_finite() -> None:
    assert attention(*heads(2, 4), torch.zeros(2, 1, 2, 4, dtype=torch.bool)).isfinite().all()


def test_dropped_weights_are_made_up_for_by_the_others() -> None:
    query, key, _ = heads(40, 60)
    ones = torch.ones(2, 3, 60, 8, dtype=torch.bfloat16)
    sums = attention(query, key, ones, p=0.5).float()
    assert sums.std() > 0.05 and sums.mean().item() == pytest.approx(1.0, abs=0.05)
    torch.testing.assert_close(attention(query, key, ones), torch.ones(2, 3, 40, 8).bfloat16(), **BF16)


@pytest.mark.parametrize(("seen", "dtype"), [(7, torch.float32), (LONGEST + 1, torch.bfloat16)])
def test_where_it_does_not_pay_it_is_torchs_own(seen: int, dtype: torch.dtype) -> None:
    parts = heads(5, seen, dtype)
    assert torch.equal(attention(*parts), scaled_dot_product_attention(*parts))

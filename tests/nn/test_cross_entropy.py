"""Cross entropy in blocks, beside torch's in fp32."""

from __future__ import annotations

import pytest
import torch
from torch.nn import functional

from daybreak.nn import cross_entropy as module
from daybreak.nn.cross_entropy import cross_entropy


@pytest.mark.parametrize("block", [1, 100, 2**18])
def test_it_is_torchs_and_so_is_its_gradient(block: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "BLOCK", block)
    torch.manual_seed(0)
    ours = (4 * torch.randn(7, 33)).bfloat16().requires_grad_()
    theirs = ours.detach().float().requires_grad_()
    classes = torch.randint(33, (7,))
    mine, his = cross_entropy(ours, classes), functional.cross_entropy(theirs, classes)
    assert mine.dtype == torch.float32
    torch.testing.assert_close(mine, his)
    (3 * mine).backward()
    (3 * his).backward()
    assert ours.grad is not None and theirs.grad is not None
    torch.testing.assert_close(ours.grad.float(), theirs.grad, rtol=0.01, atol=1e-4)


def test_numbers_too_large_for_an_exponential_are_no_trouble() -> None:
    logits = torch.tensor([[1e4, 0.0, -1e4]], dtype=torch.bfloat16, requires_grad=True)
    loss = cross_entropy(logits, torch.tensor([1]))
    loss.backward()
    assert loss.item() == pytest.approx(9984)  # 1e4 in bf16
    assert logits.grad is not None
    assert logits.grad.tolist() == [[1.0, -1.0, 0.0]]


def test_in_fp32_it_is_torchs_own() -> None:
    logits, classes = torch.randn(5, 4), torch.tensor([0, 1, 2, 3, 0])
    assert cross_entropy(logits, classes).equal(functional.cross_entropy(logits, classes))


def test_a_class_that_is_none_is_refused() -> None:
    with pytest.raises(RuntimeError, match="out of bounds"):
        cross_entropy(torch.zeros(2, 3, dtype=torch.bfloat16), torch.tensor([0, 3]))

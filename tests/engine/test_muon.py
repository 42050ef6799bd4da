"""Orthogonal steps, alone and in AdamW: beside torch's own of both, its groups, and its state."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import Tensor, nn

from daybreak.engine.muon import Muon, MuonAdamW, matrix_groups
from daybreak.engine.optim import Schedule


class Small(nn.Module):
    """A table, two matrices of either shape, vectors and a filter."""

    def __init__(self) -> None:
        super().__init__()
        self.table = nn.Embedding(7, 6)
        self.wide, self.tall = nn.Linear(6, 4), nn.Linear(4, 9)
        self.filter = nn.Conv1d(9, 2, 3)

    def forward(self, tokens: Tensor) -> Tensor:
        hidden: Tensor = self.tall(torch.tanh(self.wide(self.table(tokens))))
        return self.filter(hidden.transpose(1, 2)).square().mean()


def after(net: Small, optimizer: torch.optim.Optimizer, steps: range) -> Small:
    for step in steps:
        optimizer.zero_grad()
        net(torch.arange(7).roll(step)[None]).backward()
        optimizer.step()
    return net


@pytest.fixture
def net() -> Small:
    torch.manual_seed(0)
    return Small()


def test_groups_tell_maps_from_tables(net: Small) -> None:
    names = {id(p): name for name, p in net.named_parameters()}
    groups = matrix_groups(net, 0.1)
    found = [[names[id(p)] for p in group["params"]] for group in groups]
    assert found[0] == ["wide.weight", "tall.weight"] and groups[0]["orthogonal"]
    assert found[1] == ["table.weight", "filter.weight"] and groups[1]["weight_decay"] == 0.1
    assert found[2] == ["wide.bias", "tall.bias", "filter.bias"] and groups[2]["weight_decay"] == 0.0


def test_matrices_may_go_faster_than_the_rest(net: Small) -> None:
    groups = matrix_groups(net, 0.1, matrix_lr=5.0)
    optimizer = MuonAdamW(groups, 0.0)
    Schedule(optimizer, lr=lambda done: 0.01)
    assert [group["lr"] for group in optimizer.param_groups] == [0.05, 0.01, 0.01]


def test_what_is_no_matrix_moves_as_with_adamw(net: Small) -> None:
    theirs = copy.deepcopy(net)
    for each in (net, theirs):
        each.wide.weight.requires_grad_(False)
        each.tall.weight.requires_grad_(False)
    reference = torch.optim.AdamW(
        [{"params": [theirs.table.weight, theirs.filter.weight], "weight_decay": 0.1},
         {"params": [theirs.wide.bias, theirs.tall.bias, theirs.filter.bias], "weight_decay": 0.0}],
        0.01, betas=(0.9, 0.98),
    )  # fmt: skip
    after(net, MuonAdamW(matrix_groups(net, 0.1), 0.01), range(20))
    for mine, his in zip(net.parameters(), after(theirs, reference, range(20)).parameters(), strict=True):
        torch.testing.assert_close(mine, his, rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize("shape", [(24, 16), (16, 24)])
@pytest.mark.parametrize("bf16", [False, True])
def test_matrices_move_as_with_muon_of_torch(shape: tuple[int, int], bf16: bool) -> None:
    torch.manual_seed(0)
    mine, his = (nn.Parameter(torch.ones(shape)) for _ in range(2))
    group = {"params": [mine], "orthogonal": True, "weight_decay": 0.1}
    optimizer = MuonAdamW([group], 0.02, autocast=lambda: torch.autocast("cpu", torch.bfloat16, enabled=bf16))
    reference = torch.optim.Muon([his], 0.02, weight_decay=0.1, ns_steps=3, adjust_lr_fn="match_rms_adamw")
    for _ in range(5):
        mine.grad = torch.randn(shape)
        his.grad = mine.grad.clone()
        optimizer.step()
        reference.step()
    assert (mine - his).norm() < 0.01 * (mine - 1).norm()  # torch's is bf16


def test_a_run_goes_on_from_the_state_as_if_it_had_not_stopped(net: Small) -> None:
    whole = copy.deepcopy(net)
    after(whole, MuonAdamW(matrix_groups(whole, 0.1), 0.01), range(8))
    first = MuonAdamW(matrix_groups(net, 0.1), 0.01)
    resumed = copy.deepcopy(after(net, first, range(3)))
    second = MuonAdamW(matrix_groups(resumed, 0.1), 0.5)
    second.load_state_dict(copy.deepcopy(first.state_dict()))
    after(resumed, second, range(3, 8))
    assert all(torch.equal(a, b) for a, b in zip(whole.parameters(), resumed.parameters(), strict=True))


def test_one_step_of_dawnbenchs_muon_is_orthogonal() -> None:
    torch.manual_seed(0)
    weight, other = nn.Parameter(torch.randn(8, 3, 3, 3)), nn.Parameter(torch.randn(5))
    optimizer = Muon([{"params": [weight, other]}], lr=0.1, momentum=0.6)
    before, plain = weight.detach().clone(), other.detach().clone()
    weight.grad, other.grad = torch.randn_like(weight), torch.randn_like(other)
    optimizer.step()
    moved = (before * (8**0.5 / before.norm()) - weight.detach()).flatten(1) / 0.1
    spectrum = torch.linalg.svdvals(moved)
    assert spectrum.min() > 0.4 and spectrum.max() < 1.3
    assert torch.allclose(other, plain - 0.1 * 1.6 * other.grad)

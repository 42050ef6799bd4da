"""AdamW with orthogonal steps on matrices: beside torch's own of both, its groups, and its state."""

from __future__ import annotations

import copy
import math

import pytest
import torch
from torch import Tensor, nn

from daybreak.engine.muon import MuonAdamW, matrix_groups, orthogonalise


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


def after(net: Small, steps: int, optimizer: torch.optim.Optimizer) -> Small:
    for step in range(steps):
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
    after(net, 20, MuonAdamW(matrix_groups(net, 0.1), 0.01))
    for mine, his in zip(net.parameters(), after(theirs, 20, reference).parameters(), strict=True):
        torch.testing.assert_close(mine, his, rtol=1e-5, atol=1e-7)


def test_matrices_move_as_with_muon_of_torch() -> None:
    torch.manual_seed(0)
    mine, his = (nn.Parameter(torch.ones(24, 16)) for _ in range(2))
    optimizer = MuonAdamW([{"params": [mine], "orthogonal": True, "weight_decay": 0.1}], 0.02)
    reference = torch.optim.Muon([his], 0.02, weight_decay=0.1, ns_steps=3, adjust_lr_fn="match_rms_adamw")
    for _ in range(5):
        mine.grad = torch.randn(24, 16)
        his.grad = mine.grad.clone()
        optimizer.step()
        reference.step()
    assert (mine - his).norm() < 0.01 * (mine - 1).norm()  # torch's is bf16


def test_orthogonal_steps_are_as_long_as_those_of_adam() -> None:
    torch.manual_seed(0)
    for shape in [(32, 32), (128, 32), (32, 96)]:
        step = orthogonalise(torch.randn(shape)) * 0.2 * max(shape) ** 0.5
        assert step.square().mean().sqrt() == pytest.approx(0.2, rel=0.2)


def test_a_run_goes_on_from_the_state_as_if_it_had_not_stopped(net: Small) -> None:
    whole = after(copy.deepcopy(net), 0, MuonAdamW(matrix_groups(net, 0.1), 0.01))
    after(whole, 8, MuonAdamW(matrix_groups(whole, 0.1), 0.01))
    first = MuonAdamW(matrix_groups(net, 0.1), 0.01)
    after(net, 3, first)
    resumed = copy.deepcopy(net)
    second = MuonAdamW(matrix_groups(resumed, 0.1), 0.5)
    second.load_state_dict(copy.deepcopy(first.state_dict()))
    for step in range(3, 8):
        second.zero_grad()
        resumed(torch.arange(7).roll(step)[None]).backward()
        second.step()
    assert all(torch.equal(a, b) for a, b in zip(whole.parameters(), resumed.parameters(), strict=True))
    assert math.isfinite(resumed(torch.arange(7)[None]).item())

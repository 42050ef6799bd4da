"""Schedules value by value against torch's, averaged weights against a plain loop, parameter groups."""

from __future__ import annotations

import copy
import math
import warnings
from typing import Any

import pytest
import torch
from torch import nn
from torch.optim.lr_scheduler import OneCycleLR

from daybreak.engine.optim import EMA, Schedule, decay_groups, inverse_momentum, one_cycle, warmup_cosine


def momentum(optimizer: torch.optim.Optimizer) -> float:
    group = optimizer.param_groups[0]
    return group["betas"][0] if "betas" in group else group["momentum"]


def values(optimizer: torch.optim.Optimizer, schedule: Any, steps: int) -> list[tuple[float, float]]:
    """(learning rate, momentum) of every step."""
    found: list[tuple[float, float]] = []
    for _ in range(steps):
        found.append((optimizer.param_groups[0]["lr"], momentum(optimizer)))
        optimizer.step()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # torch's warns after its last step
            if len(found) < steps:
                schedule.step()
    return found


OPTIMIZERS = {
    "SGD": lambda parameters: torch.optim.SGD(parameters, 0.1, momentum=0.9),
    "AdamW": lambda parameters: torch.optim.AdamW(parameters, 0.1, betas=(0.8, 0.97)),
}


@pytest.mark.parametrize("kind", OPTIMIZERS)
@pytest.mark.parametrize("steps", [10, 37, 100])
@pytest.mark.parametrize("rise", [0.15, 0.23, 0.3, 0.5, 0.9])
def test_one_cycle_is_that_of_torch(kind: str, steps: int, rise: float) -> None:
    theirs, ours = (OPTIMIZERS[kind]([nn.Parameter(torch.ones(1))]) for _ in range(2))
    reference = OneCycleLR(
        theirs, 0.4, total_steps=steps, pct_start=rise, div_factor=20, final_div_factor=100,
        base_momentum=0.85, max_momentum=0.95,
    )  # fmt: skip
    schedule = Schedule(
        ours,
        lr=one_cycle(0.4, steps, rise=rise, div=20, final_div=100),
        momentum=inverse_momentum(0.95, 0.85, steps, rise=rise),
    )
    expected = values(theirs, reference, steps)
    for mine, his in zip(values(ours, schedule, steps), expected, strict=True):
        assert mine == pytest.approx(his, rel=1e-9, abs=1e-12)
    assert max(expected)[0] == pytest.approx(0.4, rel=0.1)


def test_after_its_last_step_a_schedule_stays() -> None:
    curve = one_cycle(0.4, 10)
    assert curve(50) == curve(9) == pytest.approx(0.4 / 25 / 1e4)
    assert warmup_cosine(0.4, 10, warmup=2, floor=0.1)(50) == pytest.approx(0.1)


@pytest.mark.parametrize("steps", [1, 2, 3])
def test_very_short_cycles_have_finite_values(steps: int) -> None:
    assert all(0 < one_cycle(0.4, steps)(done) <= 0.4 for done in range(steps))


def test_warmup_is_linear_and_then_half_a_cosine() -> None:
    curve = warmup_cosine(1.0, 14, warmup=4)
    assert [curve(i) for i in range(5)] == pytest.approx([0.25, 0.5, 0.75, 1.0, 1.0])
    assert curve(9) == pytest.approx(0.5) and curve(14) == pytest.approx(0.0)


def test_groups_scale_the_learning_rate() -> None:
    groups = [{"params": [nn.Parameter(torch.ones(1))], "lr_scale": 0.5}, {"params": [nn.Parameter(torch.ones(1))]}]
    optimizer = torch.optim.SGD(groups, 0.1)
    schedule = Schedule(optimizer, lr=lambda done: 1.0 + done, weight_decay=lambda done: 0.01 * done)
    schedule.step()
    assert [group["lr"] for group in optimizer.param_groups] == [1.0, 2.0]
    assert [group["weight_decay"] for group in optimizer.param_groups] == [0.01, 0.01]


def test_a_schedule_goes_on_where_it_was_in_either_order_of_parts() -> None:
    def make() -> tuple[torch.optim.Optimizer, Schedule]:
        optimizer = torch.optim.AdamW([nn.Parameter(torch.ones(1))])
        return optimizer, Schedule(optimizer, lr=one_cycle(0.4, 10), momentum=inverse_momentum(0.95, 0.85, 10))

    optimizer, schedule = make()
    for _ in range(4):
        schedule.step()
    for first in (0, 1):
        parts, states = make(), (optimizer.state_dict(), schedule.state_dict())
        for i in (first, 1 - first):
            parts[i].load_state_dict(copy.deepcopy(states[i]))
        assert parts[0].param_groups[0]["lr"] == optimizer.param_groups[0]["lr"]
        assert parts[0].param_groups[0]["betas"] == optimizer.param_groups[0]["betas"]


# ----------------------------------------------------------------------------- averaged weights


def test_the_average_is_that_of_a_plain_loop() -> None:
    model = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4))
    ema = EMA(model, 0.9)
    averages = {name: p.detach().double() for name, p in model.named_parameters()}
    for n in range(1, 60):
        with torch.no_grad():
            for p in model.parameters():
                p.add_(torch.randn_like(p))
        model(torch.randn(5, 3))
        ema.update()
        decay = min(0.9, (1 + n) / (10 + n))
        for name, p in model.named_parameters():
            averages[name] = decay * averages[name] + (1 - decay) * p.detach().double()
    for name, p in ema.module.named_parameters():
        assert (p - averages[name]).abs().max() < 1e-5
    assert all(a.equal(b) for a, b in zip(ema.module.buffers(), model.buffers(), strict=True))
    assert int(ema.module[1].num_batches_tracked) == 59


def test_the_average_is_for_evaluation_and_apart_from_its_source() -> None:
    model = nn.Sequential(nn.Linear(2, 2), nn.Dropout())
    ema = EMA(model)
    assert not ema.module.training and model.training
    assert not any(p.requires_grad for p in ema.module.parameters())
    assert all(a is not b for a, b in zip(ema.module.parameters(), model.parameters(), strict=True))


def test_the_average_comes_back_with_its_warm_up() -> None:
    model = nn.Linear(2, 2)
    ema, other = EMA(model), EMA(nn.Linear(2, 2))
    for _ in range(3):
        ema.update()
    other.load_state_dict(ema.state_dict())
    assert other.updates == 3 and other.module.weight.equal(ema.module.weight)


def test_only_matrices_and_filters_decay() -> None:
    model = nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2), nn.Flatten(), nn.Linear(2, 2))
    model[3].weight.requires_grad_(False)
    decayed, plain = decay_groups(model, 0.05)
    assert [tuple(p.shape) for p in decayed["params"]] == [(2, 1, 3, 3)]
    assert [p.dim() for p in plain["params"]] == [1, 1, 1, 1]
    assert (decayed["weight_decay"], plain["weight_decay"]) == (0.05, 0.0)
    assert math.isclose(torch.optim.AdamW([decayed, plain]).param_groups[1]["weight_decay"], 0.0)

"""What each kind of parameter gets, and the schedules."""

from __future__ import annotations

import pytest

from daybreak.engine.errors import UserError
from daybreak.engine.muon import Muon
from daybreak.systems.dawnbench.config import Config
from daybreak.systems.dawnbench.model import Network, network
from daybreak.systems.dawnbench.updates import linear, optimizer_of, parameter_groups, schedule_of, steps


def names(net: Network, group: dict) -> set[str]:
    """The names of a group's parameters."""
    of = {id(p): name for name, p in net.named_parameters()}
    return {of[id(p)] for p in group["params"]}


def test_every_trained_parameter_is_in_one_group_with_its_rate_and_decay() -> None:
    config = Config(net="speed", width=4, bias_scale=64.0, head_scale=2.0, weight_decay=0.5, norm_scale=True)
    net = network(config, 3, 10)
    groups = parameter_groups(net, config)
    found = [names(net, group) for group in groups]
    trained = {name for name, p in net.named_parameters() if p.requires_grad}
    assert sum(map(len, found)) == len(trained) and set().union(*found) == trained
    filters, head, scales, biases = groups
    assert "whiten.weight" not in trained and "blocks.0.first.weight" in names(net, filters)
    assert names(net, head) == {"head.weight"} and "blocks.0.norm.weight" in names(net, scales)
    assert {"whiten.bias", "blocks.2.norms.0.bias"} <= names(net, biases)
    assert [group["lr_scale"] for group in groups] == [1.0, 2.0, 1.0, 64.0]
    assert [group["weight_decay"] for group in groups] == [0.5, 0.25, 0.0, 0.0]
    config.decay_all = True
    assert [group["weight_decay"] for group in parameter_groups(net, config)] == [0.5, 0.25, 0.5, 0.5 / 64]


def test_muon_moves_filters_and_sgd_the_rest() -> None:
    config = Config(net="speed", width=4, optimizer="muon")
    optimizer = optimizer_of(network(config, 3, 10), config)
    assert isinstance(optimizer, Muon)
    assert [group["orthogonal"] for group in optimizer.param_groups] == [True, False, False]


def test_schedules_fall_as_they_say() -> None:
    assert [linear(2.0, 4)(done) for done in range(5)] == [2.0, 1.5, 1.0, 0.5, 0.0]
    fall = steps(1.0, 8)
    assert [fall(done) for done in (0, 3, 4, 5, 6, 7)] == pytest.approx([1.0, 1.0, 0.1, 0.1, 0.01, 0.01])


@pytest.mark.parametrize("schedule", ["one-cycle", "linear", "steps"])
def test_the_config_chooses_the_schedule_and_biases_follow_it(schedule: str) -> None:
    config = Config(net="speed", width=4, schedule=schedule, lr=0.5, steps=100, bias_scale=8.0, momentum=0.8)
    optimizer = optimizer_of(network(config, 3, 10), config)
    follow = schedule_of(optimizer, config)
    peak = 0.0
    for _ in range(100):
        filters, biases = optimizer.param_groups[0], optimizer.param_groups[-1]
        assert biases["lr"] == pytest.approx(8.0 * filters["lr"])
        peak = max(peak, filters["lr"])
        follow.step()
    assert peak == pytest.approx(0.5)
    assert optimizer.param_groups[0]["momentum"] == pytest.approx(0.95 if schedule == "one-cycle" else 0.8)


def test_fields_that_do_not_go_together_are_refused() -> None:
    with pytest.raises(UserError, match="multiple of --micro-batch 48"):
        Config(batch_size=64, micro_batch=48).check()
    with pytest.raises(UserError, match="--micro-batch 0"):
        Config(batch_size=64, micro_batch=32, sam=0.1).check()
    Config(batch_size=64, micro_batch=32).check()
    with pytest.raises(UserError, match="--net resnet9"):
        Config(net="speed").check()
    with pytest.raises(UserError, match="--data cifar10"):
        Config(blurpool=True).check()
    with pytest.raises(UserError, match="steps of 4"):
        Config(data="cifar10", smallest=22).check()

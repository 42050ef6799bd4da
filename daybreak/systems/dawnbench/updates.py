"""How the weights move: the optimizer, what each kind of parameter gets, and the schedules."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch.optim import Optimizer

from daybreak.engine.muon import Muon
from daybreak.engine.optim import Curve, Schedule, inverse_momentum, one_cycle
from daybreak.systems.dawnbench.config import Config
from daybreak.systems.dawnbench.model import Network
from daybreak.systems.dawnbench.parts import progressive_size


def optimizer_of(net: Network, config: Config) -> Optimizer:
    """SGD with Nesterov momentum, or Muon for the filters and that for the rest."""
    groups = parameter_groups(net, config)
    if config.optimizer == "muon":
        return Muon(groups, config.lr, momentum=config.momentum)
    return torch.optim.SGD(groups, config.lr, momentum=config.momentum, nesterov=True)


def parameter_groups(net: Network, config: Config) -> list[dict[str, Any]]:
    """Filters, the head, scales of norms, biases: with their learning rates (``lr_scale``) and weight decay.

    A group's decay is divided by its ``lr_scale``: a step takes the same share off every weight.
    """
    trained = {name: p for name, p in net.named_parameters() if p.requires_grad}
    kinds: dict[str, list[torch.Tensor]] = {"filters": [], "head": [], "scales": [], "biases": []}
    for name, p in trained.items():
        kind = "head" if name.startswith("head.") else "filters" if p.dim() > 1 else "scales"
        kinds["biases" if name.endswith("bias") else kind].append(p)
    scales = {"head": config.head_scale, "biases": config.bias_scale}
    groups: list[dict[str, Any]] = []
    for kind, parameters in kinds.items():
        scale = scales.get(kind, 1.0)
        decays = kind in ("filters", "head") or config.decay_all
        decay = config.weight_decay / scale if decays and scale else 0.0
        group = {"params": parameters, "lr_scale": scale, "weight_decay": decay}
        if config.optimizer == "muon":
            group["orthogonal"] = kind == "filters"
        groups.append(group)
    return [group for group in groups if group["params"]]


def schedule_of(optimizer: Optimizer, config: Config) -> Schedule:
    """The config's learning rate, and with one-cycle the momentum that goes against it."""
    if config.schedule == "one-cycle":
        momentum = inverse_momentum(0.95, config.momentum, config.steps)
        return Schedule(optimizer, lr=one_cycle(config.lr, config.steps), momentum=momentum)
    falls = linear if config.schedule == "linear" else steps
    return Schedule(optimizer, lr=falls(config.lr, config.steps))


def side_of(config: Config, full: int) -> Callable[[int], int]:
    """Side of the training images at each step: ``full``, or with progressive resizing growing to it.

    Stages of 4 pixels: the nets halve three times, and 32 pixels leave little choice.
    """
    if not config.smallest:
        return lambda step: full
    return progressive_size(full, config.smallest, config.steps, multiple=4)


def linear(peak: float, total: int) -> Curve:
    """From ``peak`` down to 0 (Jordan 2024)."""
    return lambda done: peak * max(0.0, 1.0 - done / total)


def steps(peak: float, total: int) -> Curve:
    """A tenth after half of the steps, and again after three quarters (He et al. 2016, section 4.2)."""
    return lambda done: peak * (1.0 if done < total / 2 else 0.1 if done < 3 * total / 4 else 0.01)

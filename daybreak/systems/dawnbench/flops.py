"""How much a network computes, and what share of the machine's measured peak a training reaches."""

from __future__ import annotations

import copy
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn
from torch.nn.functional import cross_entropy
from torch.utils.flop_counter import FlopCounterMode

from daybreak.engine.config import RunConfig
from daybreak.engine.device import Device
from daybreak.engine.errors import UserError
from daybreak.engine.rundir import RESULT, read_json
from daybreak.systems.dawnbench.networks import image_shapes, image_shares, network
from daybreak.systems.dawnbench.predict import load

BATCH = 2  # batch norm needs more than one image
SECONDS = 1.0
DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16}
PREFIXES = ((1e15, "P"), (1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k"))
SIDES = {"cpu": 1536, "mps": 4096, "cuda": 8192}
"""Of the matrices whose product is the peak: large enough to be limited by arithmetic."""


@dataclass(frozen=True)
class Flops:
    """Floating-point operations an image; a multiplication and its addition are two."""

    inference: float
    training: float
    """Forward and backward, without the optimizer, whose share falls with the batch."""


def report(presets: dict[str, Callable[[], RunConfig]], what: str, images_per_second: float | None) -> list[str]:
    """Lines on a preset by name, or on a run directory, whose network and speed then count.

    Raises UserError for what is neither.
    """
    if what in presets:
        config: Any = presets[what]()
        model = network(config)
    elif Path(what).is_dir():
        classifier = load(Path(what))
        config, model = classifier.config, classifier.model
        images_per_second = images_per_second or speed_of(Path(what), config)
    else:
        raise UserError(f"{what} is no preset ({', '.join(presets)}) and no run directory: give one of these")
    shapes = image_shapes(config)
    counted = [flops(model, shape) for shape in shapes]
    lines = [
        f"{height} x {width} pixels: {giga(each.inference)}FLOP an image forward, {giga(each.training)}FLOP in training"
        for (_, height, width), each in zip(shapes, counted, strict=True)
    ]
    device = Device.pick(RunConfig())
    peaks = {name: peak(device.torch, dtype) for name, dtype in DTYPES.items()}
    told = ", ".join(f"{giga(value)}FLOP/s in {name}" for name, value in peaks.items())
    lines.append(f"measured peak of {device.name}, products of matrices: {told}")
    if images_per_second:
        mean = sum(share * each.training for share, each in zip(image_shares(config), counted, strict=True))
        rate = images_per_second * mean
        shares = " and ".join(f"{100 * rate / value:.0f} % of the peak in {name}" for name, value in peaks.items())
        at = f" of {giga(mean)}FLOP in the mean" if len(shapes) > 1 else ""
        lines.append(f"{images_per_second:,.0f} images/s{at}: {giga(rate)}FLOP/s, {shares}")
        lines.append("convolutions count as done directly: the quicker way to them can pass 100 %")
    return lines


def speed_of(run: Path, config: Any) -> float | None:
    """Images a second over the whole of a run; None where it is unfinished, or the batches' size changes."""
    seconds = read_json(run / RESULT).get("seconds") if (run / RESULT).exists() else None
    return config.steps * config.batch_size / seconds if seconds and hasattr(config, "batch_size") else None


def giga(value: float) -> str:
    """A large number with its prefix.

    >>> giga(2.272e9), giga(3.83e11), giga(7.9e14)
    ('2.27 G', '383 G', '790 T')
    """
    size, prefix = next((pair for pair in PREFIXES if value >= pair[0]), (1, ""))
    return f"{value / size:.3g} {prefix}"


def flops(model: nn.Module, shape: tuple[int, int, int]) -> Flops:
    """Count for images (C, H, W), uint8. Convolutions count as done directly, whatever way is taken to them.

    Nothing is computed: a copy of the model is on torch's meta device, where only shapes are.
    """
    twin = copy.deepcopy(model).to("meta")
    images = torch.zeros(BATCH, *shape, dtype=torch.uint8, device="meta")
    with FlopCounterMode(display=False) as forward, torch.no_grad():
        twin.eval()(images)
    with FlopCounterMode(display=False) as both:
        labels = torch.zeros(BATCH, dtype=torch.long, device="meta")
        cross_entropy(twin.train()(images), labels).backward()
    return Flops(forward.get_total_flops() / BATCH, both.get_total_flops() / BATCH)


def peak(device: torch.device, dtype: torch.dtype, seconds: float = SECONDS) -> float:
    """FLOP/s of the quickest of many products of two square matrices in ``seconds``: the machine's measured peak."""
    side = SIDES[device.type]
    left, right = (torch.randn(side, side, device=device).to(dtype) for _ in range(2))
    best, until = float("inf"), time.perf_counter() + seconds
    while time.perf_counter() < until:
        best = min(best, _seconds_of_product(left, right))
    return 2 * side**3 / best


def _seconds_of_product(left: torch.Tensor, right: torch.Tensor) -> float:
    started = time.perf_counter()
    product = left @ right
    product[0, 0].item()  # waits for the device
    return time.perf_counter() - started

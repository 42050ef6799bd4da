# /// script
# requires-python = ">=3.11"
# dependencies = []
# ///
"""3x3 convolutions in fp32 on a CPU: Winograd's transform against torch's own, forward and both gradients.

The shapes are those of the CIFAR-10 net at its full and at its smallest side, micro-batches of 250; channels_last on
both sides, the same weights. The two take turns; CPU seconds are counted, and outputs and gradients are compared.

    python3 dev.py bench winograd_vs_direct
"""

from __future__ import annotations

import argparse
import statistics
import time
from pathlib import Path

import torch
from torch import Tensor, nn

from daybreak.nn.winograd import Conv3x3
from daybreak.report.records import Measurement, Record, write

SHAPES = {
    "64_to_64_at_15": (64, 64, 15),
    "64_to_256_at_15": (64, 256, 15),
    "256_to_256_at_7": (256, 256, 7),
    "256_to_256_at_3": (256, 256, 3),
}
"""Channels in and out, and the side of the maps."""
BATCH, TURNS = 250, 9


def main() -> None:
    """Time both sides, print the figures, and write ``results/engine/winograd-vs-direct.json``."""
    arguments = argparse.ArgumentParser(description="Winograd's convolutions against torch's.")
    arguments.add_argument("--threads", type=int, default=torch.get_num_threads())
    arguments.add_argument("--results", type=Path, default=Path("results"))
    given = arguments.parse_args()
    torch.set_num_threads(given.threads)
    started = time.monotonic()
    how = f"{TURNS} interleaved turns, {given.threads} threads, fp32, {BATCH} images"
    measurements: list[Measurement] = []
    for name, (channels, out_channels, side) in SHAPES.items():
        ratios, error = compare(channels, out_channels, side)
        print(f"{name}: {statistics.median(ratios):.2f} times as fast; differs by {error:.1e} of the norm", flush=True)
        measurements.append(Measurement(f"{name}_ratio", "x", ratios, peer=f"torch {torch.__version__}", how=how))
        measurements.append(Measurement(f"{name}_error", "of the norm", [error], 1e-5, better="lower"))
    record = Record(
        system="engine",
        name="winograd-vs-direct",
        claim="3x3 convolutions train up to twice as fast on a CPU by Winograd's transform",
        commands=[f"python3 dev.py bench winograd_vs_direct --threads {given.threads}"],
        attempts="one call, all turns are listed",
        measurements=measurements,
        seconds=time.monotonic() - started,
    )
    print(write(record, given.results))


def compare(channels: int, out_channels: int, side: int) -> tuple[list[float], float]:
    """Ratios of CPU seconds, turn by turn, and the largest relative difference of output and gradients."""
    ours = Conv3x3(channels, out_channels).to(memory_format=torch.channels_last)
    torchs = nn.Conv2d(channels, out_channels, 3, padding=1, bias=False).to(memory_format=torch.channels_last)
    torchs.load_state_dict(ours.state_dict())
    x = torch.randn(BATCH, channels, side, side).to(memory_format=torch.channels_last)
    ratios: list[float] = []
    results: dict[str, list[Tensor]] = {}
    for turn in range(TURNS + 1):
        seconds: dict[str, float] = {}
        for name, layer in {"ours": ours, "torch": torchs}.items():
            before = time.process_time()
            results[name] = step(layer, x)
            seconds[name] = time.process_time() - before
        if turn:  # the first one allocates, and compiles
            ratios.append(seconds["torch"] / seconds["ours"])
    differences = [(a - b).norm() / b.norm() for a, b in zip(results["ours"], results["torch"], strict=True)]
    return ratios, max(map(float, differences))


def step(layer: nn.Module, x: Tensor) -> list[Tensor]:
    """Output, gradient of the input, gradient of the weight."""
    x = x.detach().requires_grad_(True)
    y = layer(x)
    y.square().mean().backward()
    weight = next(layer.parameters())
    gradients = [x.grad, weight.grad]
    weight.grad = None
    return [y.detach(), *(gradient for gradient in gradients if gradient is not None)]


if __name__ == "__main__":
    main()

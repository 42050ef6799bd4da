# /// script
# requires-python = ">=3.11"
# dependencies = []
# ///
"""Minutes and dollars of imagenet-93 on eight GPUs: a PROJECTION from counted FLOPs and the reader's measured speed.

python3 dev.py bench imagenet_projection
"""

from __future__ import annotations

import importlib.util
import tempfile
import time
from pathlib import Path

import torch
from PIL import Image

from daybreak.engine.rundir import processor
from daybreak.systems.dawnbench.imagenet.config import imagenet_93
from daybreak.systems.dawnbench.imagenet.data import RandomCrops
from daybreak.systems.dawnbench.imagenet.projection import Machine, Work, project, work_of

SHAPE, QUALITY = (
    (500, 375),
    98,
)  # of a usual picture of ImageNet, and what makes it about as heavy as their mean, 110 kB
BATCH, ROUNDS = 32, 7
V100, H100 = 125e12, 989e12  # dense FLOP/s in 16 bits, as NVIDIA states them
FAST_AI_EPOCHS, FAST_AI_SECONDS = (14.0, 18.0, 3.0), 6552  # to 93.00 % on one machine (imagenet18, train.py, 2018)


def main() -> None:
    """Count, measure the reader, and print both tables."""
    config = imagenet_93()
    work = work_of(config)
    config.epochs = FAST_AI_EPOCHS
    reached = sum(phase.flops for phase in work_of(config)) / (FAST_AI_SECONDS * 8 * V100)
    machines = [
        Machine("8 V100, share that fast.ai reached", 8, V100, reached, 32, 24.48),
        Machine("8 H100, the same share", 8, H100, reached, 96, 24.0),
        Machine("8 H100, four tenths", 8, H100, 0.4, 96, 24.0),
    ]
    with tempfile.TemporaryDirectory() as folder:
        pictures = photographs(Path(folder))
        rates = [reading_speed(pictures, phase) for phase in work]
        kilobytes = sum(path.stat().st_size for path in pictures) / len(pictures) / 1000
    print("PROJECTION: nothing below was trained on ImageNet.\n")
    print("| phase | images, million | GFLOP an image, training | PFLOP | images/s that one core reads |")
    print("|---|---|---|---|---|")
    for phase, rate in zip(work, rates, strict=True):
        flops = f"{phase.flops_per_image / 1e9:.1f} | {phase.flops / 1e15:.0f}"
        print(f"| {phase.size} px | {phase.images / 1e6:.1f} | {flops} | {rate:.0f} |")
    images, flops = sum(phase.images for phase in work), sum(phase.flops for phase in work)
    print(f"| all | {images / 1e6:.1f} | {flops / images / 1e9:.1f} | {flops / 1e15:.0f} | |")
    print(f"\nReader: CPU seconds of one core ({processor()}), JPEG of {SHAPE[0]}x{SHAPE[1]}, {kilobytes:.0f} kB.\n")
    print(
        "| machine | share of peak, assumed | cores | computing, min | reading, min | training, min | $ an hour | $ |"
    )
    print("|---|---|---|---|---|---|---|---|")
    for machine in machines:
        told = project(work, machine, rates)
        minutes = " | ".join(f"{s / 60:.0f}" for s in (sum(told.computing), sum(told.reading), told.seconds))
        what = f"{machine.name} | {machine.share:.0%} | {machine.cores}"
        print(f"| {what} | {minutes} | {machine.price_per_hour:.2f} | {told.cost:.2f} |")
    print("| 128 V100: fast.ai and DIUx 2018, measured by them | | 512 | | | 18 | 391.68 | 118 |")


def photographs(folder: Path) -> list[Path]:
    """The two photographs that come with scikit-learn, at the shape of ImageNet's, as a batch of files."""
    spec = importlib.util.find_spec("sklearn")
    assert spec is not None and spec.origin is not None
    found = sorted((Path(spec.origin).parent / "datasets" / "images").glob("*.jpg"))
    for path in found:
        Image.open(path).resize(SHAPE).save(folder / path.name, quality=QUALITY)
    return [folder / path.name for path in found] * (BATCH // len(found))


def reading_speed(pictures: list[Path], phase: Work) -> float:
    """Images a CPU second through the training reader, the median of several rounds."""
    crops, labels = RandomCrops(phase.size, phase.min_scale), torch.zeros(len(pictures), dtype=torch.int64)
    rates = []
    for seed in range(ROUNDS):
        started = time.process_time()
        crops((pictures, labels), torch.Generator().manual_seed(seed))
        rates.append(len(pictures) / (time.process_time() - started))
    return sorted(rates)[ROUNDS // 2]


if __name__ == "__main__":
    main()

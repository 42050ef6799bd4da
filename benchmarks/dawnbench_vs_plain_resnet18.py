# /// script
# requires-python = ">=3.11"
# dependencies = []
# ///
"""Time to 90 % on CIFAR-10: the recipe of `cifar10-94`, cut to five epochs and a half, against a plain ResNet-18 loop.

The plain side is what a tutorial does: torchvision's ResNet-18 with a 3x3 stem, torchvision transforms image by image,
a DataLoader, SGD with momentum 0.9, cosine decay over ten epochs, batches of 128, fp32 in torch's own layout. Both
sides train on the same 45,000 images and are tested on the same 5,000 others of the training set; both clocks take in
the validations. A side that is not there at its cap counts as "more than". Images a second come from interleaved pairs,
the plain side in bf16 with channels_last too.

    python3 dev.py bench dawnbench_vs_plain_resnet18 --cap-minutes 100
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import torch
import torchvision
from torch import Tensor, nn
from torch.nn.functional import cross_entropy
from torch.utils.data import DataLoader, Dataset
from torchvision.transforms import v2

from daybreak.data.images import Images
from daybreak.engine.device import Device
from daybreak.report.records import Measurement, Record, write
from daybreak.systems.dawnbench import Config, cifar10_94, train
from daybreak.systems.dawnbench.data import training_sets
from daybreak.systems.dawnbench.model import network
from daybreak.systems.dawnbench.train import Recipe, loss_of
from daybreak.systems.dawnbench.updates import optimizer_of

GOAL, EPOCHS, PEER_EPOCHS, BATCH, PAIRS = 90.0, 5.5, 10, 128, 5
MEAN, STD = (0.4914, 0.4822, 0.4465), (0.2470, 0.2435, 0.2616)


def main() -> None:
    """Time both sides, print the figures, and write ``results/dawnbench/vs-plain-resnet18.json``."""
    arguments = argparse.ArgumentParser(description="Time to 90 % against a plain ResNet-18 loop.")
    arguments.add_argument("--cap-minutes", type=float, default=100.0)
    arguments.add_argument("--threads", type=int, default=torch.get_num_threads())
    arguments.add_argument("--results", type=Path, default=Path("results"))
    given = arguments.parse_args()
    torch.set_num_threads(given.threads)
    started = time.monotonic()
    speeds = pairs()
    print(json.dumps({name: [round(value, 1) for value in values] for name, values in speeds.items()}), flush=True)
    ours = time_ours()
    print(f"the recipe: {GOAL:g} % after {ours:.0f} s", flush=True)
    peer, reached = time_plain(60.0 * given.cap_minutes)
    print(f"plain ResNet-18: {'' if reached else 'more than '}{peer:.0f} s", flush=True)
    measured = record(speeds, ours, peer, reached, given.cap_minutes, given.threads, time.monotonic() - started)
    print(write(measured, given.results))


# ----------------------------------------------------------------------------- our side


def our_config() -> Config:
    """The recipe for 5.5 epochs of 45,000 images, small ones first, validated twice an epoch."""
    config = cifar10_94()
    config.held_out, config.views = 5_000, False
    config.steps = int(EPOCHS * 45_000) // config.batch_size
    config.eval_every, config.save_every = 45_000 // config.batch_size // 2, config.steps
    return config


def time_ours() -> float:
    """Seconds until the held-out accuracy is at the goal; the run's own clock."""
    config = our_config()
    with tempfile.TemporaryDirectory() as folder:
        config.out = f"{folder}/run"
        log = train(config) / "log.jsonl"
        rows = [json.loads(line) for line in log.read_text().splitlines()]
    return next(row["seconds"] for row in rows if row.get("val_accuracy", 0.0) >= GOAL)


def our_steps() -> Iterator[int]:
    """Train by steps; yields the images of each."""
    config = our_config()
    train_set, _ = training_sets(config)
    device = Device.pick(config)
    net = network(config, 3, 10)
    net.look_at(train_set.images)
    model = device.wrap(net)
    optimizer, recipe = optimizer_of(net, config), Recipe(train_set, config, device)
    while True:
        images, targets = recipe.batch(torch.randint(len(train_set), (config.batch_size,)), 0, 0)
        optimizer.zero_grad()
        for some, theirs in zip(images.split(config.micro_batch), targets.split(config.micro_batch), strict=True):
            loss_of(model, some, theirs, config, device).backward()
        optimizer.step()
        yield len(images)


# ----------------------------------------------------------------------------- the plain side


class Plain(Dataset[tuple[Tensor, int]]):
    """Images one at a time, as a tutorial reads them."""

    def __init__(self, images: Images, transform: Callable[[Tensor], Tensor]) -> None:
        self.images, self.transform = images, transform

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        return self.transform(self.images.images[index]), int(self.images.labels[index])


NORMALISE = [v2.ToDtype(torch.float32, scale=True), v2.Normalize(MEAN, STD)]
AUGMENT = v2.Compose([v2.RandomCrop(32, padding=4), v2.RandomHorizontalFlip(), *NORMALISE])


def resnet18() -> nn.Module:
    """torchvision's, with the stem that everybody gives it for images of 32 pixels."""
    net = torchvision.models.resnet18(num_classes=10)
    net.conv1 = nn.Conv2d(3, 64, 3, padding=1, bias=False)
    net.maxpool = nn.Identity()
    return net


def time_plain(cap: float) -> tuple[float, bool]:
    """(seconds, True) until the goal, or (the seconds spent, False) at the cap."""
    torch.manual_seed(0)
    train_set, held_out = training_sets(our_config())
    assert held_out is not None
    data = DataLoader(Plain(train_set, AUGMENT), BATCH, shuffle=True, drop_last=True)
    others = DataLoader(Plain(held_out, v2.Compose(NORMALISE)), 500)
    net = resnet18()
    optimizer = torch.optim.SGD(net.parameters(), 0.1, momentum=0.9, weight_decay=5e-4)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, PEER_EPOCHS * len(data))
    started = time.monotonic()
    for epoch in range(PEER_EPOCHS):
        for images, labels in data:
            optimizer.zero_grad()
            cross_entropy(net(images), labels).backward()
            optimizer.step()
            schedule.step()
            if time.monotonic() - started > cap:
                return time.monotonic() - started, False
        right = share_right(net, others)
        print(f"plain ResNet-18, epoch {epoch + 1}: {right:.2f} % after {time.monotonic() - started:.0f} s", flush=True)
        if right >= GOAL:
            return time.monotonic() - started, True
    return time.monotonic() - started, False


@torch.no_grad()
def share_right(net: nn.Module, data: DataLoader) -> float:
    """Accuracy in percent."""
    net.eval()
    right = torch.cat([net(images).argmax(1) == labels for images, labels in data])
    net.train()
    return 100.0 * right.double().mean().item()


def plain_steps(bf16: bool) -> Iterator[int]:
    """Train by steps; yields the images of each."""
    train_set, _ = training_sets(our_config())
    layout = torch.channels_last if bf16 else torch.contiguous_format
    net = resnet18().to(memory_format=layout)  # pyright: ignore[reportCallIssue]
    optimizer = torch.optim.SGD(net.parameters(), 0.1, momentum=0.9, weight_decay=5e-4)
    while True:
        for images, labels in DataLoader(Plain(train_set, AUGMENT), BATCH, shuffle=True, drop_last=True):
            optimizer.zero_grad()
            with torch.autocast("cpu", dtype=torch.bfloat16, enabled=bf16):
                loss = cross_entropy(net(images.contiguous(memory_format=layout)), labels)
            loss.backward()
            optimizer.step()
            yield len(images)


# ----------------------------------------------------------------------------- both


def pairs() -> dict[str, list[float]]:
    """Images a second of each side, a turn each, ``PAIRS`` times; the first turn warms up and is not counted."""
    sides = {"recipe": (our_steps(), 1), "plain": (plain_steps(False), 4), "plain_bf16": (plain_steps(True), 4)}
    speeds: dict[str, list[float]] = {name: [] for name in sides}
    for turn in range(PAIRS + 1):
        for name, (steps, count) in sides.items():
            started = time.monotonic()
            images = sum(next(steps) for _ in range(count))
            if turn:
                speeds[name].append(images / (time.monotonic() - started))
    return speeds


def record(
    speeds: dict[str, list[float]], ours: float, peer: float, reached: bool, cap: float, threads: int, seconds: float
) -> Record:
    """The ratio, which is a lower bound where the plain side was not there at its cap."""
    plain = f"plain ResNet-18, fp32, {threads} threads"
    censored = "" if reached else f"; it was not there at its cap of {cap:g} minutes, so this is a lower bound"
    ratio = [a / b for a, b in zip(speeds["recipe"], speeds["plain"], strict=True)]
    ratio_bf16 = [a / b for a, b in zip(speeds["recipe"], speeds["plain_bf16"], strict=True)]
    return Record(
        system="dawnbench",
        name="vs-plain-resnet18",
        claim="the recipe is at 90 % on CIFAR-10 five times sooner than a plain ResNet-18 loop",
        commands=[f"python3 dev.py bench dawnbench_vs_plain_resnet18 --cap-minutes {cap:g} --threads {threads}"],
        attempts="one call",
        measurements=[
            Measurement("time_to_90_ratio", "x", [peer / ours], 5.0, peer=plain, how="seconds over seconds" + censored),
            Measurement("time_to_90", "s", [ours], better="lower"),
            Measurement("plain_time_to_90", "s", [peer], how="plain ResNet-18" + censored, better="lower"),
            Measurement(
                "images_per_second", "1/s", speeds["recipe"], how=f"median {statistics.median(speeds['recipe']):.0f}"
            ),
            Measurement("images_per_second_ratio", "x", ratio, peer=plain, how="interleaved pairs"),
            Measurement("bf16_images_per_second_ratio", "x", ratio_bf16, peer=f"{plain}, but bf16 and channels_last"),
        ],
        seconds=seconds,
    )


if __name__ == "__main__":
    main()

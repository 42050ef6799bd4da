# /// script
# requires-python = ">=3.11"
# dependencies = []
# ///
"""A training step of BigGAN: ours against the same step in the plain form, on images of CIFAR-10's shape.

The plain side is what the authors' code does by default on a CPU: fp32, torch's own layout, images enlarged before a
convolution and pooled after it, torch's Adam parameter by parameter, the average tensor by tensor; fake and real images
go through the discriminator at once. Ours is what ``train`` does: precision and layout as the device chooses them, one
convolution where the plain side has two operations, fused Adam and averaging. Both have the same networks from the same
weights, one step of D and one of G on 50 images, no augmentation. They take turns; counted are CPU seconds.

    python3 dev.py bench biggan_vs_plain --threads 1
"""

from __future__ import annotations

import argparse
import copy
import json
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from statistics import median

import torch
from torch import Tensor
from torch.optim import Adam, Optimizer

from daybreak.engine.device import Device
from daybreak.report.records import Measurement, Record, write
from daybreak.systems.biggan.config import Config
from daybreak.systems.biggan.game import Labelled, play, players
from daybreak.systems.biggan.losses import hinge_discriminator, hinge_generator
from daybreak.systems.biggan.model import Discriminator, Generator, Original, architecture, begin

CLASSES, SIDE = 10, 32
TARGETS = {32: 2.0, 64: 2.5, 96: 2.0}


def main() -> None:
    """Time both sides at each width, print the figures, and write ``results/biggan/vs-plain.json``."""
    arguments = argparse.ArgumentParser(description="A training step of BigGAN against its plain form.")
    arguments.add_argument("--ch", type=int, nargs="+", default=list(TARGETS))
    arguments.add_argument("--batch", type=int, default=50)
    arguments.add_argument("--pairs", type=int, default=7)
    arguments.add_argument("--threads", type=int, default=torch.get_num_threads())
    arguments.add_argument("--results", type=Path, default=Path("results"))
    given = arguments.parse_args()
    torch.set_num_threads(given.threads)
    started = time.monotonic()
    measured: list[Measurement] = []
    for ch in given.ch:
        seconds = pairs(ch, given.batch, given.pairs)
        print(json.dumps({"ch": ch, **{name: round(median(of), 3) for name, of in seconds.items()}}), flush=True)
        measured += measurements(ch, given.batch, seconds, given.threads)
    print(write(record(measured, given, time.monotonic() - started), given.results))


def config_of(ch: int, batch: int) -> Config:
    """The networks of ``cifar10`` at another width."""
    return Config(resolution=SIDE, ch=ch, dim_z=128, shared_dim=128, batch_size=batch, ema_start=0)


def drawn(batch: int) -> Iterator[tuple[Tensor, Tensor]]:
    """Images of noise and labels, endlessly: what they show costs no time."""
    while True:
        yield torch.rand(batch, 3, SIDE, SIDE) * 2 - 1, torch.randint(CLASSES, (batch,))


def networks(config: Config, original: Original) -> tuple[Generator, Discriminator]:
    """Both, with the same weights for each side."""
    torch.manual_seed(0)
    shape = replace(architecture(config, 3, CLASSES), original=original)
    generator, discriminator = Generator(shape), Discriminator(shape)
    begin(generator, config.init)
    begin(discriminator, config.init)
    return generator, discriminator


# ----------------------------------------------------------------------------- our side


def our_step(config: Config) -> Callable[[], None]:
    """A function that does a step as ``train`` does."""
    device = Device.pick(config)
    p = players(*networks(config, Original()), config, device)
    reals = (device.place(batch) for batch in drawn(config.batch_size))

    def noise() -> Labelled:
        return torch.randn(config.batch_size, p.average.module.dim_z), torch.randint(CLASSES, (config.batch_size,))

    def update(optimizer: Optimizer, loss: Tensor, *, accumulate: int) -> None:
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()

    def step() -> None:
        play(p, reals, noise, update, config, device)

    return step


# ----------------------------------------------------------------------------- the plain side


def plain_step(config: Config) -> Callable[[], None]:
    """A function that does the same in the plain form."""
    G, D = networks(config, Original(plain_resampling=True))
    average = copy.deepcopy(G)
    options = {"betas": (config.beta1, 0.999), "eps": config.adam_eps, "foreach": False, "fused": False}
    opt_G, opt_D = Adam(G.parameters(), config.lr_g, **options), Adam(D.parameters(), config.lr_d, **options)
    reals = drawn(config.batch_size)

    def step() -> None:
        images, labels = next(reals)
        D.requires_grad_(True)
        opt_D.zero_grad()
        z, classes = torch.randn(config.batch_size, G.dim_z), torch.randint(CLASSES, (config.batch_size,))
        with torch.no_grad():
            fake = G(z, classes)
        on_fake, on_real = D(torch.cat([fake, images]), torch.cat([classes, labels])).split(config.batch_size)
        hinge_discriminator(on_real, on_fake).backward()
        opt_D.step()
        D.requires_grad_(False)
        opt_G.zero_grad()
        z, classes = torch.randn(config.batch_size, G.dim_z), torch.randint(CLASSES, (config.batch_size,))
        hinge_generator(D(G(z, classes), classes)).backward()
        opt_G.step()
        with torch.no_grad():
            now = G.state_dict()
            for name, value in average.state_dict().items():
                value.copy_(value * config.ema + now[name] * (1 - config.ema))

    return step


# ----------------------------------------------------------------------------- both


def pairs(ch: int, batch: int, count: int) -> dict[str, list[float]]:
    """CPU seconds of a step of each side, a turn each; the first turn warms up and is not counted."""
    config = config_of(ch, batch)
    sides = {"ours": our_step(config), "plain": plain_step(config)}
    seconds: dict[str, list[float]] = {name: [] for name in sides}
    for turn in range(count + 1):
        for name, step in sides.items():
            started = time.process_time()
            step()
            if turn:
                seconds[name].append(time.process_time() - started)
    return seconds


def measurements(ch: int, batch: int, seconds: dict[str, list[float]], threads: int) -> list[Measurement]:
    """The ratio at one width, and images for a second of a processor."""
    ratios = [plain / ours for plain, ours in zip(seconds["plain"], seconds["ours"], strict=True)]
    per_second = [batch / of for of in seconds["ours"]]
    peer = f"the same step in plain fp32, {threads} thread{'s' if threads > 1 else ''}"
    how = f"interleaved pairs, CPU seconds, median {median(ratios):.2f}"
    return [
        Measurement(f"ch{ch}_speed_ratio", "x", ratios, TARGETS.get(ch), peer=peer, how=how),
        Measurement(f"ch{ch}_images_per_cpu_second", "1/s", per_second),
    ]


def record(measured: list[Measurement], given: argparse.Namespace, seconds: float) -> Record:
    """What was claimed, and how to repeat it."""
    widths = " ".join(map(str, given.ch))
    return Record(
        system="biggan",
        name="vs-plain",
        claim="a training step of BigGAN takes half of the plain form's processor time, or less",
        commands=[
            f"python3 dev.py bench biggan_vs_plain --ch {widths} --batch {given.batch} --pairs {given.pairs} "
            f"--threads {given.threads}"
        ],
        attempts="one call",
        measurements=measured,
        seconds=seconds,
    )


if __name__ == "__main__":
    main()

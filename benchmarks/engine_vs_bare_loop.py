# /// script
# requires-python = ">=3.11"
# dependencies = []
# ///
"""What the engine adds to a step: the loop of ``dawnbench train`` against the same loop without ``Run``.

Both sides train the same network on the same batches in one process, a step each in turns, the first of a pair drawn
at random. Blocks of pairs give one value each, the median of the pairs' differences; what the median does not see (a
line of the log, a checkpoint) is in the whole, which is reported beside it in CPU seconds.

    python3 dev.py bench engine_vs_bare_loop --threads 2
"""

from __future__ import annotations

import argparse
import random
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from daybreak.augment.images import random_crop
from daybreak.data.loader import Loader
from daybreak.engine.device import Device
from daybreak.engine.optim import Schedule, decay_groups, inverse_momentum, one_cycle
from daybreak.engine.run import Run
from daybreak.report.records import Measurement, Record, write
from daybreak.systems.dawnbench.config import Config, cifar10, tiny
from daybreak.systems.dawnbench.data import training_sets
from daybreak.systems.dawnbench.model import Network, network

BLOCKS, PAIRS = 5, 64


def main() -> None:
    """Measure both presets, print the figures, and write ``results/engine/overhead.json``."""
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("--threads", type=int, default=torch.get_num_threads())
    arguments.add_argument("--results", type=Path, default=Path("results"))
    given = arguments.parse_args()
    torch.set_num_threads(given.threads)
    started = time.monotonic()
    digits, digits_whole = compare(tiny())
    images, images_whole = compare(cifar10())
    how = f"median difference of {PAIRS} interleaved pairs a value, {given.threads} threads"
    whole = "CPU seconds of all steps, lines of the log and checkpoints included"
    record = Record(
        system="engine",
        name="overhead",
        claim="the engine costs a step at most 2 % on CIFAR-10 and 200 microseconds on the digits",
        commands=[f"python3 dev.py bench engine_vs_bare_loop --threads {given.threads}"],
        attempts="one call, all blocks are listed",
        measurements=[
            against("overhead_digits", "us", [1e6 * d for d, _ in digits], how, 200.0),
            against("overhead_cifar10", "us", [1e6 * d for d, _ in images], how),
            against("share_cifar10", "percent of a step", [100 * d / b for d, b in images], how, 2.0),
            against("whole_digits", "us", [1e6 * digits_whole], whole),
            against("whole_cifar10", "us", [1e6 * images_whole], whole),
        ],
        seconds=time.monotonic() - started,
    )
    for m in record.measurements:
        print(f"{m.metric:<18}{m.mean:12.2f} {m.unit}   {[round(v, 2) for v in m.values]}")
    print(write(record, given.results))


def against(metric: str, unit: str, values: list[float], how: str, target: float | None = None) -> Measurement:
    """A measurement beside the bare loop; less is better."""
    return Measurement(metric, unit, values, target, peer="the same loop without Run", how=how, better="lower")


def compare(config: Config) -> tuple[list[tuple[float, float]], float]:
    """(median difference, median bare step) of each block in seconds, and the mean difference in CPU seconds."""
    config.steps = BLOCKS * PAIRS + 2
    with tempfile.TemporaryDirectory() as folder:
        config.out = f"{folder}/run"
        sides = [engine_steps(config), bare_steps(config)]
        for side in sides:
            next(side)  # the first step sets everything up
        cpu = [0.0, 0.0]
        blocks: list[tuple[float, float]] = []
        for _ in range(BLOCKS):
            pairs = [timed_pair(sides, cpu) for _ in range(PAIRS)]
            difference = statistics.median(engine - bare for engine, bare in pairs)
            blocks.append((difference, statistics.median(bare for _, bare in pairs)))
        for side in sides:
            side.close()
    return blocks, (cpu[0] - cpu[1]) / (BLOCKS * PAIRS)


def timed_pair(sides: list[Iterator[None]], cpu: list[float]) -> tuple[float, float]:
    """Wall seconds of one step of each side, taken in random order; CPU seconds are added to ``cpu``."""
    wall = [0.0, 0.0]
    for i in random.sample((0, 1), 2):
        started, processor = time.perf_counter(), time.process_time()
        next(sides[i])
        wall[i] = time.perf_counter() - started
        cpu[i] += time.process_time() - processor
    return wall[0], wall[1]


def parts(config: Config) -> tuple[Network, torch.optim.Optimizer, Schedule, Loader]:
    """What both sides train."""
    torch.manual_seed(0)
    train_set, _ = training_sets(config)
    model = network(config, train_set.images.shape[1], len(train_set.classes))
    model.look_at(train_set.images)
    model = model.to(memory_format=torch.channels_last)
    optimizer = torch.optim.SGD(decay_groups(model, config.weight_decay), config.lr, momentum=0.9, nesterov=True)
    curves = {"lr": one_cycle(config.lr, config.steps), "momentum": inverse_momentum(0.95, 0.85, config.steps)}
    return model, optimizer, Schedule(optimizer, **curves), Loader(train_set, config.batch_size, config.seed)


def loss_of(model: Network, data: Loader, config: Config, place: Callable[[tuple], tuple]) -> Tensor:
    """Forward pass of one batch."""
    images, labels = place(next(data))
    return cross_entropy(model(random_crop(images, config.crop)), labels, label_smoothing=config.label_smoothing)


def engine_steps(config: Config) -> Iterator[None]:
    """The loop with ``Run``; yields after each step."""
    with Run(config) as run:
        model, optimizer, schedule, data = parts(config)
        for _ in run.steps(model=model, optimizer=optimizer, schedule=schedule, data=data):
            with run.device.autocast():
                loss = loss_of(model, data, config, run.device.place)
            run.update(optimizer, loss)
            schedule.step()
            run.log(loss=loss)
            yield


def bare_steps(config: Config) -> Iterator[None]:
    """The same without; no guard, no log, no checkpoint, no signals."""
    model, optimizer, schedule, data = parts(config)
    device = Device.pick(config)
    while True:
        with device.autocast():
            loss = loss_of(model, data, config, lambda batch: batch)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()
        schedule.step()
        yield


if __name__ == "__main__":
    main()

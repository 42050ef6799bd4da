"""The loop: a generator and a discriminator against each other."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import torch

from daybreak.augment.images import random_flip
from daybreak.data.images import Images
from daybreak.data.loader import Loader
from daybreak.engine.device import Device
from daybreak.engine.run import Run
from daybreak.engine.rundir import write_json
from daybreak.systems.biggan.config import Config
from daybreak.systems.biggan.data import as_floats, training_set
from daybreak.systems.biggan.game import Labelled, Players, play, players
from daybreak.systems.biggan.model import Discriminator, Generator, architecture, begin
from daybreak.systems.biggan.sample import CLASSES, latents, sample, sheet
from daybreak.systems.biggan.watch import Watch, compare, largest_sigma


def train(config: Config) -> Path:
    """Train a generator of images. Returns the run directory; run again, it resumes."""
    with Run(config) as run:
        data = training_set(config)
        write_json(run.assets / CLASSES, {"classes": data.classes, "channels": data.channels})
        write_json(run.assets / "data.json", {"digest": data.digest, "images": len(data.train)})
        shape = architecture(config, data.channels, len(data.classes))
        generator, discriminator = Generator(shape), Discriminator(shape)
        begin(generator, config.init)
        begin(discriminator, config.init)
        p = players(generator, discriminator, config, run.device)
        loader = Loader(data.train, config.batch_size, config.seed, workers=config.workers, shard=run.device.shard)
        reals = real_batches(loader, config.flip, run.device)
        noise = noise_of(generator, len(data.classes), config.batch_size // run.device.world, run.device)
        watch = Watch(config.patience)
        parts = {"opt_G": p.opt_G, "opt_D": p.opt_D, "average": p.average, "data": loader, "watch": watch}
        for step in run.steps(G=p.G, D=p.D, **parts):
            losses = play(p, reals, noise, run.update, config, run.device)
            run.log(**losses)
            if run.every(config.eval_every):
                numbers = validate(p, data.held_out, config.seed, run.device)
                run.log(**numbers)
                if why := watch.verdict({**numbers, **{name: float(loss) for name, loss in losses.items()}}):
                    run.stop(why)
            if run.every(config.sample_every) and run.device.main:
                sheet(p.average.module, data.classes, run.device, run.samples / f"step_{step + 1:07d}.png")
        run.save_weights(p.average.module)
    return run.folder


def real_batches(loader: Loader[Labelled], flip: bool, device: Device) -> Iterator[Labelled]:
    """Images (B, C, H, W) in [-1, 1] and labels (B,) of this rank's share, endlessly."""
    for batch in loader:
        images, labels = device.place(batch)
        yield device.place(as_floats(random_flip(images) if flip else images)), labels


def noise_of(generator: Generator, num_classes: int, count: int, device: Device) -> Callable[[], Labelled]:
    """A function that draws latents (B, dim_z) and labels (B,), every class as likely."""

    def draw() -> Labelled:
        z = torch.randn(count, generator.dim_z, device=device.torch)
        return z, torch.randint(num_classes, (count,), device=device.torch)

    return draw


def validate(p: Players, held_out: Images, seed: int, device: Device) -> dict[str, float]:
    """Samples of the averaged generator against held-out images, with the same latents each time."""
    average, labels = p.average.module, held_out.labels
    fake = sample(average, latents(len(labels), average.dim_z, seed=seed), labels, device)
    return {
        **compare(as_floats(held_out.images), fake, labels),
        "sigma_G": float(largest_sigma(p.G)),
        "sigma_D": float(largest_sigma(p.D)),
    }

"""A trained generator, opened from its run directory alone; or a published one, from its file."""

from __future__ import annotations

import copy
import difflib
import functools
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor

from daybreak.engine.config import RunConfig
from daybreak.engine.device import Device
from daybreak.engine.errors import UserError
from daybreak.engine.rundir import read_config
from daybreak.systems.biggan.data import as_bytes
from daybreak.systems.biggan.features.config import FeaturesConfig
from daybreak.systems.biggan.model import Generator, fold, standing_statistics
from daybreak.systems.biggan.model.public import TRUNCATION_OF_HUB, is_of_hub, read_generator
from daybreak.systems.biggan.sample import great_circle, latents, sample
from daybreak.systems.biggan.sample import read_generator as read_own_generator

DeviceName = Literal["auto", "cpu", "cuda", "mps"]
STANDING_BATCHES, STANDING_BATCH, STANDING_SEED = 16, 64, 2019
"""Of the standing statistics: fixed, so that a run gives the same images every time."""
Asked = str | int
"""A class by its name, or by its number from 0."""


class Sampler:
    """``sample`` images of classes, and ``interpolate`` between them. Images are uint8 (N, C, H, W), on the CPU.

    All is computed in fp32, and the same arguments give the same images. Image i of every class comes from the same
    latent vector, so that classes can be compared; asking for more of them, or for other classes, changes none.

    ``truncation`` draws latents anew that are beyond so many standard deviations: the fewer, the better and the more
    alike are the images (Brock et al. 2019, section 3.1). None draws from all of the normal distribution.
    """

    def __init__(
        self,
        classes: list[str],
        device: Device,
        generator: Callable[[float | None], Generator],
        draw: Callable[[int, float | None, int], Tensor],
    ) -> None:
        self.classes, self.device = classes, device
        self.generator = functools.lru_cache(maxsize=1)(generator)  # the same truncation is asked for again and again
        """Truncation -> the generator that samples there, its statistics being those of such latents."""
        self.draw = draw
        """Count, truncation, seed -> latents (N, dim_z)."""

    def sample(
        self,
        classes: Asked | Sequence[Asked] | None = None,
        n: int = 8,
        *,
        truncation: float | None = None,
        seed: int = 0,
    ) -> Tensor:
        """``n`` images of each class (all by default), class by class in the order asked for.

        Raises UserError for a class that there is not, and for numbers that cannot be.
        """
        labels = self.labels(classes)
        z = self._drawn(n, truncation, seed)
        return self.images(z.repeat(len(labels), 1), labels.repeat_interleave(n), truncation)

    def interpolate(
        self,
        classes: Asked | Sequence[Asked],
        steps: int = 8,
        n: int = 1,
        *,
        truncation: float | None = None,
        seed: int = 0,
    ) -> Tensor:
        """``n`` ways of ``steps`` images, way by way: between two classes, or between two latents of one.

        From class to class the latent stays and the embedding goes straight; within a class the latent goes on a great
        circle. Raises UserError for more than two classes, or two where the generator has no embedding to go between.
        """
        labels = self.labels(classes)
        if len(labels) > 2 or steps < 2:
            raise UserError(
                f"a way goes between one class or two in at least 2 steps, and not {len(labels)} in {steps}"
            )
        share = torch.linspace(0, 1, steps)
        if len(labels) == 1:
            z = self._drawn(2 * n, truncation, seed)
            return self.images(
                great_circle(z[0::2], z[1::2], share).flatten(0, 1), labels.repeat(n * steps), truncation
            )
        table = self.generator(truncation).embedding
        if table is None:
            raise UserError("this generator has no class embedding (--shared-dim 0): give one class to stay within")
        start, end = table.weight[labels.to(table.weight.device)].cpu()
        way = start.lerp(end, share[:, None])  # (steps, D)
        z = self._drawn(n, truncation, seed)
        return self.images(z.repeat_interleave(steps, 0), way.repeat(n, 1), truncation)

    def images(self, z: Tensor, conditions: Tensor, truncation: float | None = None) -> Tensor:
        """Latents (N, dim_z) and labels (N,) or embeddings (N, D) -> images."""
        return as_bytes(sample(self.generator(truncation), z, conditions, self.device)).contiguous()

    def labels(self, classes: Asked | Sequence[Asked] | None) -> Tensor:
        """Classes by name or number, None for all -> labels (K,). Raises UserError for one that there is not."""
        if classes is None:
            return torch.arange(len(self.classes))
        asked = [classes] if isinstance(classes, (str, int)) else classes
        if not asked:
            raise UserError("no class was asked for: name some, or leave them out for all")
        return torch.tensor([self._label(each) for each in asked])

    def _label(self, asked: Asked) -> int:
        if asked in self.classes:
            return self.classes.index(str(asked))
        is_number = isinstance(asked, int) or asked.isdecimal()
        if is_number and 0 <= int(asked) < len(self.classes):
            return int(asked)
        near = [] if is_number else difflib.get_close_matches(str(asked), self.classes, n=1)
        shown = [*self.classes[:12], "..."] if len(self.classes) > 12 else self.classes
        hint = f"did you mean {near[0]!r}?" if near else f"they are {', '.join(shown)}"
        raise UserError(f"there is no class {asked!r} among the {len(self.classes)}; {hint}")

    def _drawn(self, n: int, truncation: float | None, seed: int) -> Tensor:
        if n < 1 or not 0 <= seed < 2**63:
            raise UserError(f"{n} images by the seed {seed} cannot be: both are whole numbers, and n at least 1")
        return self.draw(n, truncation, seed)


def load(run_dir: Path, device: DeviceName = "auto") -> Any:
    """Open a run directory. Raises UserError when its training is unfinished, or its files are damaged."""
    if read_config(run_dir)["loop"] == FeaturesConfig.loop:
        from daybreak.systems.biggan.features import predict

        return predict.load(run_dir, device)
    generator, classes = read_own_generator(run_dir)
    return _sampler(generator, classes, device)


def open_generator(path: Path, device: DeviceName = "auto") -> Sampler:
    """What a verb was given: a run directory, or a published generator's safetensors file.

    The classes of the latter are called by their numbers. Raises UserError for what is neither.
    """
    if path.is_dir() or not path.suffix:
        opened = load(path, device)
        if not isinstance(opened, Sampler):
            raise UserError(f"{path} is a feature net's run: give one of daybreak biggan train")
        return opened
    if is_of_hub(path):
        return _hub_sampler(path, device)
    generator = read_generator(path)
    return _sampler(generator, _numbers(generator), device)


def _sampler(generator: Generator, classes: list[str], device: DeviceName) -> Sampler:
    """One whose truncations need statistics of their own."""
    place = _place(device)
    folded: Generator = place.wrap(fold(generator))

    def at(truncation: float | None) -> Generator:
        return folded if truncation is None else restated(folded, truncation, place)

    def draw(count: int, truncation: float | None, seed: int) -> Tensor:
        if truncation is None:
            return latents(count, folded.dim_z, seed=seed)
        if not truncation > 0:
            raise UserError(f"a truncation of {truncation:g} leaves nothing to draw from: give more than 0")
        return latents(count, folded.dim_z, truncation, seed)

    return Sampler(classes, place, at, draw)


def restated(generator: Generator, truncation: float, device: Device) -> Generator:
    """A copy with the standing statistics of latents of that truncation, every class as frequent.

    The generator is one whose weights are divided for good, so that they stay what they are.
    """
    made = copy.deepcopy(generator)
    z = latents(STANDING_BATCHES * STANDING_BATCH, made.dim_z, truncation, STANDING_SEED)
    labels = torch.arange(len(z)) % made.architecture.num_classes
    batches = zip(z.split(STANDING_BATCH), labels.split(STANDING_BATCH), strict=True)
    standing_statistics(made, (device.place(batch) for batch in batches))
    return made


def _hub_sampler(path: Path, device: DeviceName) -> Sampler:
    """One of TF-Hub, whose file has statistics for truncations from 0 to 1.

    There z is normal within two standard deviations, and truncation a factor of it.
    """
    place, widest = _place(device), read_generator(path)

    def at(truncation: float | None) -> Generator:
        return place.wrap(read_generator(path, 1.0 if truncation is None else truncation))

    def draw(count: int, truncation: float | None, seed: int) -> Tensor:
        return (1.0 if truncation is None else truncation) * latents(count, widest.dim_z, TRUNCATION_OF_HUB, seed)

    return Sampler(_numbers(widest), place, at, draw)


def _place(device: DeviceName) -> Device:
    return Device.pick(RunConfig(device=device, precision="fp32"))


def _numbers(generator: Generator) -> list[str]:
    return [str(number) for number in range(generator.architecture.num_classes)]

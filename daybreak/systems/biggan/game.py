"""One step of the game: the discriminator's updates, then the generator's, then the averaged weights'."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Protocol

import torch
from torch import Tensor, nn
from torch.optim import Adam, Optimizer

from daybreak.engine.device import Device, unwrap
from daybreak.systems.biggan.augment import augment
from daybreak.systems.biggan.average import Average
from daybreak.systems.biggan.config import Config
from daybreak.systems.biggan.losses import hinge_discriminator, hinge_generator, orthogonal_penalty
from daybreak.systems.biggan.model import Discriminator, Generator

Labelled = tuple[Tensor, Tensor]


class Update(Protocol):
    """``run.update``: backward, and with every ``accumulate``-th call a step of the optimizer."""

    def __call__(self, optimizer: Optimizer, loss: Tensor, *, accumulate: int) -> None:
        """Move the optimizer's parameters down the gradient of the loss."""
        ...


@dataclass
class Players:
    """The networks as :meth:`Device.wrap` gives them, their optimizers, and the generator's average."""

    G: nn.Module
    D: nn.Module
    opt_G: Optimizer
    opt_D: Optimizer
    average: Average


def players(generator: Generator, discriminator: Discriminator, config: Config, device: Device) -> Players:
    """Put both networks on the device and make what trains them."""
    G, D = device.wrap(generator), device.wrap(discriminator)
    betas = (config.beta1, 0.999)
    opt_G = Adam(generator.parameters(), config.lr_g, betas, config.adam_eps, fused=True)
    opt_D = Adam(discriminator.parameters(), config.lr_d, betas, config.adam_eps, fused=True)
    return Players(G, D, opt_G, opt_D, Average(generator, config.ema, config.ema_start))


def play(
    p: Players,
    reals: Iterator[Labelled],
    noise: Callable[[], Labelled],
    update: Update,
    config: Config,
    device: Device,
) -> dict[str, Tensor]:
    """One step of G after ``config.d_steps`` of D. Returns what to log.

    ``reals`` gives images (B, C, H, W) in [-1, 1] with labels, ``noise`` latents with labels: one of each is taken for
    each pass of D, and of the latter for each pass of G, in this order. While one player learns, the other's weights
    have no gradients; but batch norm and the power iterations of both go on in every pass.
    """
    numbers: dict[str, Tensor] = {}
    p.D.requires_grad_(True)
    for _ in range(config.d_steps * config.accumulate):
        loss, numbers = _discriminator_pass(p, next(reals), noise(), config, device)
        update(p.opt_D, loss, accumulate=config.accumulate)
    p.D.requires_grad_(False)
    for _ in range(config.accumulate):
        loss, seen = _generator_pass(p, noise(), config, device)
        update(p.opt_G, loss, accumulate=config.accumulate)
        numbers |= seen
    p.average.update()
    return numbers


def _discriminator_pass(
    p: Players, real: Labelled, drawn: Labelled, config: Config, device: Device
) -> tuple[Tensor, dict[str, Tensor]]:
    """The loss of D, and what to log."""
    (images, labels), (z, classes) = real, drawn
    with torch.no_grad(), device.autocast():
        fake = unwrap(p.G)(z, classes)  # under torchrun: no gradients, so nothing to agree on
    fake, images = augment(fake, config.augment), augment(images, config.augment)
    with device.autocast():
        if config.split_d:
            logits = p.D(fake, classes), p.D(images, labels)
        else:
            logits = p.D(torch.cat([fake, images]), torch.cat([classes, labels])).split(len(fake))
    loss = hinge_discriminator(logits[1], logits[0])
    numbers = {
        "loss_D": loss.detach(),
        "logit_real": logits[1].mean().detach(),
        "logit_fake": logits[0].mean().detach(),
    }
    return loss + _regularisation(unwrap(p.D), config.ortho_d), numbers


def _generator_pass(p: Players, drawn: Labelled, config: Config, device: Device) -> tuple[Tensor, dict[str, Tensor]]:
    """The loss of G, and what to log."""
    z, classes = drawn
    with device.autocast():
        logits = unwrap(p.D)(augment(p.G(z, classes), config.augment), classes)
    loss = hinge_generator(logits)
    return loss + _regularisation(unwrap(p.G), config.ortho_g), {"loss_G": loss.detach()}


def _regularisation(network: Any, strength: float) -> Tensor | float:
    """Orthogonal regularisation of all but G's class embedding, whose rows may be alike as the classes are."""
    if not strength:
        return 0.0
    shared = network.embedding.weight if isinstance(network, Generator) and network.embedding else None
    return strength * orthogonal_penalty(w for w in network.parameters() if w.dim() > 1 and w is not shared)

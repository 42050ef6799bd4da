"""Training: batches on the device they are trained on, and the parts of the recipe that the config turns on."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from daybreak.augment.images import alternating_flip, cutmix, cutout, mixup, one_hot, random_crop, random_flip
from daybreak.data.images import Images, digest
from daybreak.data.loader import Loader
from daybreak.engine.device import Device
from daybreak.engine.optim import EMA
from daybreak.engine.run import Run
from daybreak.engine.rundir import write_json
from daybreak.systems.dawnbench.config import Config
from daybreak.systems.dawnbench.data import Rows, training_sets
from daybreak.systems.dawnbench.model import Network, SpeedNet, network
from daybreak.systems.dawnbench.parts import SAM, hardest, resize
from daybreak.systems.dawnbench.predict import accuracy, predictions
from daybreak.systems.dawnbench.updates import optimizer_of, schedule_of, side_of

WHITENING_BIAS = 3 / 8  # of the steps: then the first layer is done, and no gradient need reach it


def train(config: Config) -> Path:
    """Train a classifier. Returns the run directory; run again, it resumes."""
    with Run(config) as run:
        train_set, held_out = training_sets(config)
        write_json(run.assets / "classes.json", {"classes": train_set.classes, "channels": train_set.images.shape[1]})
        write_json(run.assets / "data.json", {"digest": digest(train_set)})
        net = network(config, train_set.images.shape[1], len(train_set.classes))
        net.look_at(train_set.images)
        model = run.device.wrap(net)
        optimizer = optimizer_of(net, config)
        schedule = schedule_of(optimizer, config)
        sam = SAM(optimizer, config.sam) if config.sam else None
        average = EMA(net, config.ema) if config.ema else None
        data = Loader(Rows(len(train_set)), config.batch_size, config.seed, shard=run.device.shard)
        recipe = Recipe(train_set, config, run.device)
        parts = {"average": average} if average else {}
        for step in run.steps(model=model, optimizer=optimizer, schedule=schedule, data=data, **parts):
            if isinstance(net, SpeedNet) and step >= WHITENING_BIAS * config.steps:
                net.whiten.requires_grad_(False)
            images, targets = recipe.batch(next(data), step, step // data.batches_per_epoch)
            if config.keep < 1:
                images, targets = the_hardest(net, images, targets, config, run.device)
            if sam:
                sam.perturb(loss_of(net, images, targets, config, run.device))
            micro = config.batch_size // (config.micro_batch or config.batch_size)
            for some, theirs in zip(images.tensor_split(micro), targets.tensor_split(micro), strict=True):
                loss = loss_of(model, some, theirs, config, run.device)
                run.update(optimizer, loss, accumulate=micro)
                run.log(loss=loss)
            schedule.step()
            if average:
                average.update()
            if run.every(config.eval_every) and held_out:
                evaluated = average.module if average else net
                logits = predictions(evaluated, held_out, run.device, six_views=config.views)
                run.log(epoch=(step + 1) / data.batches_per_epoch, val_accuracy=accuracy(logits, held_out.labels))
        run.save_weights(average.module if average else net)
    return run.folder


# ----------------------------------------------------------------------------- a batch


class Recipe:
    """Turns rows of the training set into what the net is trained on; the images stay on the device."""

    def __init__(self, train_set: Images, config: Config, device: Device) -> None:
        self.images, self.labels = train_set.images.to(device.torch), train_set.labels.to(device.torch)
        self.classes = len(train_set.classes)
        self.config = config
        self.grey = self.images[:1_000].float().mean((0, 2, 3))[:, None, None].round()  # (C, 1, 1)
        self.side = side_of(config, train_set.images.shape[3])

    def batch(self, rows: Tensor, step: int, epoch: int) -> tuple[Tensor, Tensor]:
        """Rows (B,) -> images (B, C, H, W), uint8, and targets: labels (B,), or probabilities (B, K) if blended."""
        config = self.config
        there = rows.to(self.images.device)
        images, targets = self.images[there], self.labels[there]
        images = random_crop(images, config.crop)
        if config.flip == "alternating":
            images = alternating_flip(images, rows, epoch)
        elif config.flip == "random":
            images = random_flip(images)
        if config.cutout:
            images = cutout(images, config.cutout, self.grey)
        if config.mixup or config.cutmix:
            targets = one_hot(targets, self.classes)
            images, targets = mixup(images, targets, config.mixup)
            images, targets = cutmix(images, targets, config.cutmix)
        return resize(images, self.side(step)), targets


def loss_of(model: nn.Module, images: Tensor, targets: Tensor, config: Config, device: Device) -> Tensor:
    """Cross entropy with smoothed labels, in fp32."""
    with device.autocast():
        return cross_entropy(model(images), targets, label_smoothing=config.label_smoothing)


@torch.no_grad()
def the_hardest(net: Network, images: Tensor, targets: Tensor, config: Config, device: Device) -> tuple[Tensor, Tensor]:
    """Selective backprop: the part ``config.keep`` of a batch, by a forward pass in evaluation mode."""
    net.eval()
    with device.autocast():
        losses = cross_entropy(net(images), targets, reduction="none")
    net.train()
    chosen = hardest(losses, config.keep)
    return images[chosen], targets[chosen]

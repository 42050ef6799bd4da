"""Training on ImageNet: SGD over phases of growing images, validated on rectangles."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from daybreak.data.images import ImageFolder
from daybreak.data.loader import Loader
from daybreak.engine.device import Device
from daybreak.engine.optim import Schedule, decay_groups
from daybreak.engine.run import Run
from daybreak.engine.rundir import write_json
from daybreak.systems.dawnbench.imagenet.config import ImagenetConfig
from daybreak.systems.dawnbench.imagenet.data import (
    EVAL_BATCH,
    PhasedBatches,
    Rectangles,
    aspects,
    digest,
    open_sets,
    rectangles,
)
from daybreak.systems.dawnbench.imagenet.model import ResNet
from daybreak.systems.dawnbench.imagenet.phases import learning_rate, phase_at, phases_of
from daybreak.systems.dawnbench.imagenet.pictures import generate


def train_imagenet(config: ImagenetConfig) -> Path:
    """Train a ResNet, alone or as one process of torchrun's. Returns the run directory; run again, it resumes."""
    phases = phases_of(config)
    with Run(config) as run:
        train_set, val_set = prepare(config, run)
        shapes = aspects(val_set)
        network = ResNet(len(train_set.classes), config.width, config.blocks)
        model = run.device.wrap(network)
        optimizer = torch.optim.SGD(decay_groups(network, config.weight_decay), config.lr, momentum=0.9)
        schedule = Schedule(optimizer, lr=learning_rate(config, phases))
        data = PhasedBatches(train_set, phases, config, run.device.shard)
        for step in run.steps(model=model, optimizer=optimizer, schedule=schedule, data=data):
            shards = next(data)
            for images, labels in map(run.device.place, shards):  # (B, 3, size, size) uint8, (B,)
                with run.device.autocast():
                    loss = cross_entropy(model(images), labels, label_smoothing=config.label_smoothing)
                run.update(optimizer, loss, accumulate=len(shards))
                run.log(loss=loss)
            schedule.step()
            if run.every(config.eval_every):
                phase = phase_at(phases, step)
                numbers = validate(network, val_set, shapes, phase.size, run.device, config.workers)
                run.log(epoch=phase.epoch(step + 1), **numbers)
        run.save_weights(network)
    return run.folder


def prepare(config: ImagenetConfig, run: Run) -> tuple[ImageFolder, ImageFolder]:
    """The pictures to train and to validate on, generated where the config says so, and noted in the assets."""
    if run.device.main:
        assets = run.assets
        if config.images == "generated":
            generate(assets / "pictures")
    run.device.wait()
    train_set, val_set = open_sets(config, run.assets)
    if run.device.main:
        write_json(run.assets / "classes.json", {"classes": train_set.classes, "channels": 3})
        write_json(run.assets / "data.json", {"digest": digest(train_set, val_set)})
    return train_set, val_set


@torch.no_grad()
def validate(
    model: nn.Module, pictures: ImageFolder, shapes: list[float], size: int, device: Device, workers: int = 0
) -> dict[str, float]:
    """Percent of all pictures, over all processes, whose class is the likeliest, and among the five likeliest.

    ``shapes``: the pictures' aspect ratios. The model is left in training mode, with the processes' batch norm
    statistics averaged.
    """
    for statistic in model.buffers():
        if statistic.is_floating_point():
            statistic.copy_(device.mean(statistic))
    batches = rectangles(shapes, size, EVAL_BATCH, device.world)
    loader = Loader(Rectangles(pictures, batches), device.world, 0, shuffle=False, workers=workers, shard=device.shard)
    model.eval()
    right = torch.zeros(2, device=device.torch)
    for _ in range(loader.batches_per_epoch):
        images, labels = device.place(next(loader))
        with device.autocast():
            logits = model(images).float()
        right += top_1_and_5(logits, labels)
    model.train()
    top1, top5 = (device.mean(right) * device.world / len(pictures) * 100).tolist()
    return {"val_accuracy": top1, "val_top5": top5}


def top_1_and_5(logits: Tensor, labels: Tensor) -> Tensor:
    """How many labels (B,) are the first, and how many among the first five, of the logits (B, num_classes)."""
    best = logits.topk(min(5, logits.shape[1])).indices == labels[:, None]
    return torch.stack([best[:, 0].sum(), best.sum()])

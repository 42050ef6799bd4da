"""Training: SGD with 1cycle, validated on held-out training images."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from daybreak.augment.images import random_crop, random_flip
from daybreak.data.images import Images, digest
from daybreak.data.loader import Loader, batches
from daybreak.engine.device import Device
from daybreak.engine.optim import Schedule, decay_groups, inverse_momentum, one_cycle
from daybreak.engine.run import Run
from daybreak.engine.rundir import write_json
from daybreak.systems.dawnbench.config import Config
from daybreak.systems.dawnbench.data import training_sets
from daybreak.systems.dawnbench.model import ResNet9

EVAL_BATCH = 500


def train(config: Config) -> Path:
    """Train a classifier. Returns the run directory; run again, it resumes."""
    with Run(config) as run:
        train_set, held_out = training_sets(config)
        write_json(run.assets / "classes.json", {"classes": train_set.classes, "channels": train_set.images.shape[1]})
        write_json(run.assets / "data.json", {"digest": digest(train_set)})
        network = ResNet9(train_set.images.shape[1], len(train_set.classes), config.width)
        network.normalise_by(train_set.images)
        model = run.device.wrap(network)
        optimizer = torch.optim.SGD(decay_groups(network, config.weight_decay), config.lr, momentum=0.9, nesterov=True)
        schedule = Schedule(
            optimizer, lr=one_cycle(config.lr, config.steps), momentum=inverse_momentum(0.95, 0.85, config.steps)
        )
        data = Loader(train_set, config.batch_size, config.seed, shard=run.device.shard)
        for _ in run.steps(model=model, optimizer=optimizer, schedule=schedule, data=data):
            images, labels = run.device.place(next(data))  # (B, C, H, W) uint8, (B,)
            images = augment(images, config)
            with run.device.autocast():
                loss = cross_entropy(model(images), labels, label_smoothing=config.label_smoothing)
            run.update(optimizer, loss)
            schedule.step()
            run.log(loss=loss)
            if run.every(config.eval_every):
                run.log(val_accuracy=accuracy(predictions(network, held_out, run.device), held_out.labels))
        run.save_weights(network)
    return run.folder


def augment(images: Tensor, config: Config) -> Tensor:
    """Shift and mirror a batch (B, C, H, W) as the config asks."""
    images = random_crop(images, config.crop)
    return random_flip(images) if config.flip else images


@torch.no_grad()
def predictions(model: nn.Module, dataset: Images, device: Device) -> Tensor:
    """Logits (N, num_classes) of all images, on the CPU in fp32; the model is left in training mode."""
    model.eval()
    with device.autocast():
        logits = [model(device.place(images)).float().cpu() for images, _ in batches(dataset, EVAL_BATCH)]
    model.train()
    return torch.cat(logits)


def accuracy(logits: Tensor, labels: Tensor) -> float:
    """Percent of images (N, num_classes) whose largest logit is that of their label (N,)."""
    return 100.0 * (logits.argmax(1) == labels).double().mean().item()

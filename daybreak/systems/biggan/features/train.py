"""Training of the feature net: SGD with a 1cycle schedule over all sets at once."""

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
from daybreak.nn.features import PHOTOGRAPHS, FeatureNet, in_half
from daybreak.systems.biggan.features.config import FeaturesConfig
from daybreak.systems.biggan.features.data import training_sets

MOMENTUM = (0.95, 0.85)  # where the learning rate is low, and at its peak
EVAL_BATCH = 500


def train_features(config: FeaturesConfig) -> Path:
    """Train the feature net. Returns the run directory, whose weights are in fp16; run again, it resumes."""
    with Run(config) as run:
        train_set, held_out = training_sets(config)
        write_json(run.assets / "data.json", {"digest": digest(train_set)})
        net = FeatureNet()
        model = run.device.wrap(net)
        optimizer = torch.optim.SGD(decay_groups(net, config.weight_decay), config.lr, momentum=0.9, nesterov=True)
        schedule = Schedule(
            optimizer,
            lr=one_cycle(config.lr, config.steps),
            momentum=inverse_momentum(*MOMENTUM, config.steps),
        )
        data = Loader(train_set, config.batch_size, config.seed, shard=run.device.shard)
        for _ in run.steps(model=model, optimizer=optimizer, schedule=schedule, data=data):
            images, labels = run.device.place(next(data))
            with run.device.autocast():
                _, logits = model(augmented(images, labels, config.crop))
                loss = cross_entropy(logits, labels, label_smoothing=config.label_smoothing)
            run.update(optimizer, loss)
            run.log(loss=loss)
            schedule.step()
            if run.every(config.eval_every):
                run.log(val_accuracy=accuracy(net, held_out, run.device))
        run.save_weights(in_half(net))
    return run.folder


def augmented(images: Tensor, labels: Tensor, crop: int) -> Tensor:
    """Shift every image, and mirror every other photograph: a mirrored letter is none, or another."""
    images = random_crop(images, crop)
    is_photograph = labels < len(PHOTOGRAPHS)  # they come first
    return torch.where(is_photograph[:, None, None, None], random_flip(images), images)


@torch.no_grad()
def accuracy(net: nn.Module, dataset: Images, device: Device) -> float:
    """Percent of images that are taken for what they are; the net's mode is what it was."""
    training = net.training
    net.eval()
    right = 0
    for images, labels in batches(dataset, EVAL_BATCH):
        with device.autocast():
            _, logits = net(device.place(images))
        right += int((logits.argmax(1).cpu() == labels).sum())
    net.train(training)
    return 100.0 * right / len(dataset)

"""What is dawnbench's own; what every system promises is in test_conformance.py."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Literal

import pytest
import torch
from PIL import Image
from safetensors.torch import load_file
from torch.nn.functional import cross_entropy

import daybreak
from daybreak import cli
from daybreak.data.images import Images
from daybreak.data.toy.digits import digits
from daybreak.engine.device import Device
from daybreak.engine.rundir import WEIGHTS
from daybreak.systems import dawnbench
from daybreak.systems.dawnbench.config import Config
from daybreak.systems.dawnbench.data import test_set as the_test_set
from daybreak.systems.dawnbench.data import training_sets
from daybreak.systems.dawnbench.model import network
from daybreak.systems.dawnbench.parts import resize
from daybreak.systems.dawnbench.train import Recipe

Net = Literal["resnet9", "speed"]
each_net = pytest.mark.parametrize("net", ["resnet9", "speed"])


@each_net
def test_one_batch_can_be_learned_by_heart(net: Net) -> None:
    torch.manual_seed(0)
    images, labels = digits(train=True)[torch.arange(32)]
    images = resize(images, 16)  # the speed net needs nine pixels
    model = network(Config(net=net, width=8), 1, 10)
    model.look_at(images)
    optimizer = torch.optim.SGD(model.parameters(), 0.2, momentum=0.9)
    for _ in range(60):
        optimizer.zero_grad()
        cross_entropy(model(images), labels).backward()
        optimizer.step()
    assert (model(images).argmax(1) == labels).all()


@each_net
@pytest.mark.parametrize(("side", "batch"), [(9, 1), (32, 3), (45, 2)])
def test_images_of_any_size_from_9_on_give_logits(net: Net, side: int, batch: int) -> None:
    model = network(Config(net=net, width=4), 3, 7).eval()
    assert model(torch.zeros(batch, 3, side, side, dtype=torch.uint8)).shape == (batch, 7)


@each_net
def test_weights_carry_the_normalisation(net: Net) -> None:
    images, _ = digits(train=True)[torch.arange(100)]
    model = network(Config(net=net, width=4), 1, 10)
    model.look_at(images)
    assert torch.allclose(model.mean.flatten(), images.double().mean().float())
    assert {"mean", "std"} <= set(model.state_dict())


def test_held_out_images_are_the_same_for_every_seed_and_never_trained_on() -> None:
    first, second = dawnbench.tiny(), dawnbench.tiny()
    second.seed = 7
    (train, held_out), (_, again) = training_sets(first), training_sets(second)
    assert held_out is not None and again is not None
    assert torch.equal(held_out.images, again.images) and len(held_out) == first.held_out
    rows = {image.numpy().tobytes() for image in train.images}
    assert len(train) + len(held_out) == 1437
    seen = sum(image.numpy().tobytes() in rows for image in held_out.images)
    assert seen <= 1  # two digits of the set are equal by chance
    assert sum(image.numpy().tobytes() in rows for image in the_test_set(first).images) <= 1


def trained(tmp_path: Path, name: str, **fields: object) -> dict[str, torch.Tensor]:
    """The weights after five steps on digits."""
    config = dawnbench.tiny()
    config.out, config.precision, config.steps, config.batch_size = str(tmp_path / name), "fp32", 5, 64
    for field, value in fields.items():
        setattr(config, field, value)
    return load_file(dawnbench.train(config) / WEIGHTS)


def apart(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> float:
    """The largest difference of a trained weight; running statistics are not weights."""
    weights = [name for name in one if "running" not in name and "num_batches" not in name]
    return max((one[name] - other[name]).abs().max().item() for name in weights)


def test_micro_batches_train_as_the_whole_batch_does_with_ghost_norm(tmp_path: Path) -> None:
    micro = trained(tmp_path, "micro", micro_batch=16, weight_decay=0.0)
    ghost = trained(tmp_path, "ghost", ghost=16, weight_decay=0.0)
    whole = trained(tmp_path, "whole", weight_decay=0.0)
    assert apart(micro, ghost) < 1e-5 < 1e-3 < apart(micro, whole)


@pytest.mark.parametrize(
    "fields",
    [
        {"cutout": 4},
        {"mixup": 0.2},
        {"cutmix": 1.0},
        {"mixup": 0.2, "cutmix": 1.0},
        {"sam": 0.05},
        {"keep": 0.5},
        {"ema": 0.9},
        {"ghost": 16},
        {"schedule": "steps"},
        {"optimizer": "muon", "lr": 0.05},
        {"flip": "random"},
        {"flip": "alternating"},
        {"decay_all": True, "weight_decay": 0.01},
        {"bias_scale": 8.0},
    ],
    ids=lambda fields: " ".join(fields),
)
def test_every_part_changes_what_is_trained(fields: dict[str, object], tmp_path: Path) -> None:
    plain, other = trained(tmp_path, "plain"), trained(tmp_path, "other", **fields)
    assert all(weight.isfinite().all() for weight in other.values())
    assert apart(plain, other) > 1e-5


def test_images_grow_as_training_goes_on() -> None:
    images = Images(torch.randint(256, (40, 3, 32, 32), dtype=torch.uint8), torch.arange(40) % 10, list("0123456789"))
    config = Config(data="cifar10", smallest=24, steps=10)
    recipe = Recipe(images, config, Device.pick(config))
    sides = [recipe.batch(torch.arange(4), step, 0)[0].shape[2:] for step in range(10)]
    assert sides[0] == (24, 24) and sides[-1] == (32, 32) and sides == sorted(sides)


@each_net
def test_blurpool_takes_the_place_of_pooling(net: Net) -> None:
    images = torch.randint(256, (4, 3, 32, 32), dtype=torch.uint8)
    plain, blurred = (
        network(Config(net=net, width=8, blurpool=b, data="cifar10"), 3, 10).eval() for b in (False, True)
    )
    blurred.load_state_dict(plain.state_dict())
    assert (plain(images) - blurred(images)).abs().max() > 1e-4


def test_the_training_set_can_be_whole_or_a_part() -> None:
    config = dawnbench.tiny()
    config.held_out = 0
    everything, none = training_sets(config)
    assert len(everything) == 1437 and none is None
    config.train_on, config.held_out = 100, 200
    some, held_out = training_sets(config)
    assert held_out is not None and len(some) == 100 and len(held_out) == 200
    seen = {image.numpy().tobytes() for image in held_out.images}
    assert sum(image.numpy().tobytes() in seen for image in some.images) <= 1


def test_classify_names_a_picture(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    config = dawnbench.tiny()
    config.out, config.steps = str(tmp_path / "run"), 120
    run = dawnbench.train(config)
    test = the_test_set(config)
    paths = []
    for i in range(8):
        paths.append(tmp_path / f"digit {i}.png")
        Image.fromarray(test.images[i, 0].numpy()).save(paths[-1])
    named = daybreak.load(run).classify(paths)
    right = sum(test.classes.index(name) == int(label) for (name, _), label in zip(named, test.labels, strict=False))
    assert right >= 6 and all(0.1 <= chance <= 1 for _, chance in named)
    assert cli.main(["dawnbench", "classify", str(run), *map(str, paths)]) == 0
    assert capsys.readouterr().out.splitlines()[-8].startswith(str(paths[0]))
    (tmp_path / "page.png").write_text("<html>")
    assert cli.main(["dawnbench", "classify", str(run), str(tmp_path / "page.png")]) == 2
    assert "page.png" in capsys.readouterr().err
    assert daybreak.load(run).classify([]) == []


def test_an_unfinished_run_says_what_to_do(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["dawnbench", "train", "tiny", "--out", str(tmp_path / "r"), "--minutes", "0"]) == 0
    (tmp_path / "r" / "weights.safetensors").unlink()
    assert cli.main(["dawnbench", "evaluate", str(tmp_path / "r")]) == 2
    assert "finish its training first" in capsys.readouterr().err


@pytest.mark.realdata
def test_cifar10_preset_learns_from_the_real_images(real_data: Callable[[str], Path], tmp_path: Path) -> None:
    real_data("cifar-10-batches-bin")
    config = dawnbench.cifar10()
    config.out, config.steps, config.width, config.batch_size = str(tmp_path / "r"), 12, 8, 64
    config.log_every, config.held_out, config.eval_every = 4, 500, 12
    run = dawnbench.train(config)
    numbers = dawnbench.evaluate(run)
    assert numbers["test_images"] == 10_000 and numbers["largest_class_accuracy"] == 10.0
    assert numbers["test_accuracy"] > 12.0

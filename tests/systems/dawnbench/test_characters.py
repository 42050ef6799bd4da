"""dawnbench on MNIST and EMNIST-Letters: written here in their format, and the real sets."""

from __future__ import annotations

import struct
from collections.abc import Callable
from pathlib import Path
from typing import Literal

import numpy as np
import pytest
import torch
from PIL import Image

from daybreak.data.images import Images
from daybreak.engine.errors import UserError
from daybreak.systems import dawnbench
from daybreak.systems.dawnbench.config import SHAPES, Config
from daybreak.systems.dawnbench.data import READERS, training_sets
from daybreak.systems.dawnbench.data import test_set as the_test_set
from daybreak.systems.dawnbench.networks import image_shapes, network
from daybreak.systems.dawnbench.parts import resize
from daybreak.systems.dawnbench.predict import accuracy

Characters = Literal["mnist", "emnist-letters"]
each_set = pytest.mark.parametrize("data", ["mnist", "emnist-letters"])


def write(path: Path, array: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(bytes([0, 0, 8, array.ndim]) + struct.pack(f">{array.ndim}I", *array.shape) + array.tobytes())


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A data root with both sets: three images a class to train on, two a class to test."""
    place, draw = tmp_path / "data", np.random.default_rng(0)
    for name, first, classes in (("mnist/{}", 0, 10), ("emnist/emnist-letters-{}", 1, 26)):
        for part, count in (("train", 3), ("t10k" if first == 0 else "test", 2)):
            stem = place / name.format(part)
            pixels = draw.integers(0, 256, (count * classes, 28, 28), dtype=np.uint8)
            write(stem.with_name(f"{stem.name}-images-idx3-ubyte"), pixels)
            labels = np.arange(first, first + classes, dtype=np.uint8).repeat(count)
            write(stem.with_name(f"{stem.name}-labels-idx1-ubyte"), labels)
    monkeypatch.setenv("DAYBREAK_DATA", str(place))
    return place


def small(data: Characters, out: Path) -> Config:
    """A config of seconds on any of these sets."""
    config = dawnbench.tiny()
    config.data, config.out, config.held_out, config.width = data, str(out), 5, 4
    config.steps, config.batch_size, config.eval_every, config.save_every = 3, 16, 2, 3
    return config


@each_set
def test_a_run_knows_its_characters(data: Characters, root: Path, tmp_path: Path) -> None:
    run = dawnbench.train(small(data, tmp_path / "run"))
    classes = SHAPES[data].classes
    numbers = dawnbench.evaluate(run)
    assert numbers["test_images"] == 2 * classes
    assert numbers["largest_class_accuracy"] == pytest.approx(100 / classes)
    assert (run / "samples" / "confusion.png").exists() and (run / "samples" / "predictions.png").exists()
    Image.new("RGB", (90, 60), "white").save(tmp_path / "a.png")
    classifier = dawnbench.load(run)
    ((name, _),) = classifier.classify(tmp_path / "a.png")
    assert len(classifier.classes) == classes and name in classifier.classes
    assert classifier.probabilities(the_test_set(classifier.config).images[:3]).shape == (3, classes)


def test_every_set_is_of_the_shape_that_the_config_names(root: Path) -> None:
    assert READERS.keys() == SHAPES.keys()
    for data in ("digits", "mnist", "emnist-letters"):
        read: Images = READERS[data](root, True)
        shape = SHAPES[data]
        assert read.images.shape[1:] == (shape.channels, shape.side, shape.side)
        assert len(read.classes) == shape.classes


@pytest.mark.parametrize("data", SHAPES)
def test_a_network_without_its_data_has_their_channels_and_classes(data: Characters) -> None:
    config, shape = Config(data=data, width=4), SHAPES[data]
    (images,) = image_shapes(config)
    logits = network(config).eval()(torch.zeros(1, *images, dtype=torch.uint8))
    assert images == (shape.channels, shape.side, shape.side) and logits.shape == (1, shape.classes)


def test_images_of_other_sizes_are_scaled_to_the_training_size(root: Path, tmp_path: Path) -> None:
    classifier = dawnbench.load(dawnbench.train(small("mnist", tmp_path / "run")))
    images = the_test_set(classifier.config).images
    larger = resize(images, 56)
    assert torch.equal(classifier.probabilities(larger), classifier.probabilities(resize(larger, 28)))


@each_set
@pytest.mark.parametrize("mirrored", [{"flip": "random"}, {"flip": "alternating"}, {"views": True}], ids=str)
def test_characters_are_never_mirrored(data: Characters, mirrored: dict[str, object]) -> None:
    Config(data=data).check()
    config = Config(data=data)
    for field, value in mirrored.items():
        setattr(config, field, value)
    with pytest.raises(UserError, match=f"give --flip off --no-views with --data {data}"):
        config.check()
    config.data = "cifar10"
    config.check()


def test_images_cannot_grow_beyond_their_size() -> None:
    for smallest in (12, 28):
        Config(data="mnist", smallest=smallest).check()
    with pytest.raises(UserError, match="give 0, or 12 to 28 in steps of 4"):
        Config(data="mnist", smallest=32).check()


@pytest.mark.realdata
@pytest.mark.parametrize(("data", "folder", "least"), [("mnist", "mnist", 50.0), ("emnist-letters", "emnist", 15.0)])
def test_real_characters_are_learned(
    data: Characters, folder: str, least: float, real_data: Callable[[str], Path], tmp_path: Path
) -> None:
    real_data(folder)
    config = small(data, tmp_path / "run")
    config.held_out, config.steps, config.batch_size, config.width, config.eval_every = 500, 50, 64, 8, 50
    _, held_out = training_sets(config)
    assert held_out is not None
    chances = dawnbench.load(dawnbench.train(config)).probabilities(held_out.images)
    assert accuracy(chances, held_out.labels) > least

"""What is trained on: sets, folders of other people's images, latents, augmentation."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from daybreak.data.images import Images, digest
from daybreak.engine.device import Device
from daybreak.engine.errors import UserError
from daybreak.systems import biggan
from daybreak.systems.biggan.augment import augment, recolour, translate
from daybreak.systems.biggan.config import Config
from daybreak.systems.biggan.data import as_bytes, as_floats, at_resolution, training_set
from daybreak.systems.biggan.model import Generator, architecture
from daybreak.systems.biggan.sample import latents, sample, sheet

CPU = Device(torch.device("cpu"), bf16=False)


def picture(path: Path, mode: str = "RGB", size: tuple[int, int] = (20, 14)) -> None:
    channels = len(mode.removeprefix("L")) or 1
    pixels = np.random.default_rng(0).integers(0, 256, (size[1], size[0], channels), dtype=np.uint8)
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels.squeeze(), mode).save(path)


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """Two classes of images of all sizes and kinds."""
    photos = tmp_path / "photos"
    for i in range(6):
        picture(photos / "cat" / f"{i}.png", ("RGB", "L", "RGBA")[i % 3], (12 + 5 * i, 30 - 2 * i))
        picture(photos / "dog" / f"{i}.jpg", "RGB", (9, 40))
    return photos


def of_folder(path: Path, **fields: Any) -> Config:
    settings: dict[str, Any] = {
        "data": "folder", "images": str(path), "resolution": 8, "held_out": 3, "batch_size": 4, "ch": 2, "dim_z": 4,
        "shared_dim": 4, "steps": 2, "eval_every": 2, "out": str(path.parent / "run"), "precision": "fp32",
    }  # fmt: skip
    return Config(**{**settings, **fields})


# ----------------------------------------------------------------------------- sets


def test_digits_are_parted_the_same_way_in_every_run() -> None:
    first, second = (training_set(Config(seed=seed)) for seed in (0, 1))
    assert (len(first.train), len(first.held_out), first.channels) == (1_237, 200, 1)
    assert digest(first.held_out) == digest(second.held_out) and first.digest == second.digest
    assert first.held_out.images.shape[1:] == (1, 8, 8) and first.classes == [str(i) for i in range(10)]


def test_images_that_lack_little_get_an_edge_and_others_are_resized() -> None:
    letters = Images(torch.full((2, 1, 28, 28), 200, dtype=torch.uint8), torch.zeros(2, dtype=torch.int64), ["a"])
    there = at_resolution(letters, 32).images
    assert there.shape == (2, 1, 32, 32) and there[:, :, 2:30, 2:30].eq(200).all() and int(there.sum()) == 2 * 784 * 200
    assert at_resolution(letters, 16).images.eq(200).all() and at_resolution(letters, 16).images.shape[3] == 16
    assert at_resolution(letters, 64).images.shape[3] == 64 and at_resolution(letters, 28).images is letters.images


def test_bytes_survive_the_way_to_floats_and_back() -> None:
    pixels = torch.arange(256, dtype=torch.uint8).view(1, 1, 16, 16)
    floats = as_floats(pixels)
    assert float(floats.min()) == -1 and float(floats.max()) == 1
    assert torch.equal(as_bytes(floats), pixels)


def test_without_classes_all_images_are_one() -> None:
    data = training_set(Config(unconditional=True))
    assert data.classes == ["image"]
    assert not data.train.labels.any() and not data.held_out.labels.any()


@pytest.mark.realdata
def test_letters_are_read_at_32_pixels(real_data: Callable[[str], Path]) -> None:
    real_data("emnist")
    config = biggan.letters()
    data = training_set(config)
    assert len(data.classes) == 26 and data.held_out.images.shape == (config.held_out, 1, 32, 32)


# ----------------------------------------------------------------------------- other people's images


def test_a_folder_of_all_sizes_and_kinds_is_trained_on(photos: Path) -> None:
    data = training_set(of_folder(photos))
    assert data.classes == ["cat", "dog"] and len(data.train) == 9 and data.channels == 3
    images, labels = data.train[torch.arange(9)]
    assert images.shape == (9, 3, 8, 8) and sorted({*labels.tolist(), *data.held_out.labels.tolist()}) == [0, 1]
    run = biggan.train(of_folder(photos))
    assert (run / "weights.safetensors").exists()


def test_one_class_is_enough(photos: Path) -> None:
    only = photos / "cat"
    picture(only / "all" / "7.png")
    for path in list(only.glob("*.png")):
        path.rename(only / "all" / path.name)
    config = of_folder(only)
    assert training_set(config).classes == ["all"]
    assert (biggan.train(config) / "weights.safetensors").exists()


def test_without_classes_a_folder_needs_no_sub_folders(photos: Path) -> None:
    data = training_set(of_folder(photos / "cat", unconditional=True))
    assert data.classes == ["image"] and len(data.train) + len(data.held_out) == 6
    assert len(training_set(of_folder(photos, unconditional=True)).train) == 9, "and takes those that there are"


def empty(folder: Path) -> None:
    for path in [*folder.rglob("*.png"), *folder.rglob("*.jpg")]:
        path.unlink()


def leave_one(folder: Path) -> None:
    empty(folder)
    picture(folder / "cat" / "0.png")
    (folder / "dog").rmdir()


@pytest.mark.parametrize(
    ("spoil", "fields", "words"),
    [
        (leave_one, {}, "has 1 images, not more than the 3 to hold out"),
        (empty, {}, "has no images"),
        (empty, {"unconditional": True}, "has no images"),
        (lambda _: None, {"batch_size": 10}, "has 9 rows, fewer than a batch of 10"),
        (lambda _: None, {"images": "/nowhere/at/all"}, "there is no folder /nowhere/at/all"),
        (lambda _: None, {"images": "/nowhere/at/all", "unconditional": True}, "there is no folder /nowhere/at/all"),
        (lambda _: None, {"held_out": 12}, "has 12 images, not more than the 12 to hold out"),
    ],
)
def test_a_folder_that_will_not_do_is_told_in_one_sentence(
    spoil: Callable[[Path], None], fields: dict[str, Any], words: str, photos: Path
) -> None:
    spoil(photos)
    with pytest.raises(UserError) as mistake:
        biggan.train(of_folder(photos, **fields))
    assert words in str(mistake.value) and "\n" not in str(mistake.value)


def test_a_corrupt_file_is_named(photos: Path) -> None:
    whole = (photos / "dog" / "3.jpg").read_bytes()
    for path in photos.glob("dog/*.jpg"):
        path.write_bytes(whole[:100])
    with pytest.raises(UserError, match=r"dog/\d\.jpg is (damaged or cut short|not a PNG)"):
        biggan.train(of_folder(photos))


# ----------------------------------------------------------------------------- latents and samples


def test_truncated_latents_stay_within_and_fill_the_threshold() -> None:
    z = latents(500, 8, truncation=0.5, seed=3)
    assert 0.49 < float(z.abs().max()) <= 0.5
    assert float(z.std()) == pytest.approx(0.282, abs=0.02)  # of a normal distribution cut at half a deviation
    assert torch.equal(z, latents(500, 8, truncation=0.5, seed=3))
    whole = latents(500, 8, seed=3)
    assert float(whole.std()) == pytest.approx(1.0, abs=0.05) and torch.isfinite(whole).all()
    assert torch.equal(z.argsort(0), whole.argsort(0)), "the same draw, nearer to the middle"
    with pytest.raises(ValueError, match="leaves nothing"):
        latents(1, 8, truncation=0)


def small_generator(classes: int) -> Generator:
    torch.manual_seed(0)
    return Generator(architecture(Config(ch=2, dim_z=4, shared_dim=3), 1, classes)).eval()


def test_samples_do_not_depend_on_the_size_of_batches() -> None:
    generator = small_generator(5)
    z, labels = latents(7, 4), torch.arange(7) % 5
    whole = sample(generator, z, labels, CPU)
    assert whole.shape == (7, 1, 8, 8) and not whole.requires_grad
    assert torch.allclose(sample(generator, z, labels, CPU, batch_size=2), whole, atol=1e-6)
    assert generator.embedding is not None
    embedded = sample(generator, z, generator.embedding(labels), CPU)
    assert torch.equal(embedded, whole)


@pytest.mark.parametrize(("classes", "rows"), [(1, 4), (3, 6), (10, 10), (100, 40)])
def test_a_sheet_has_some_rows_for_any_number_of_classes(
    classes: int, rows: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    drawn: list[tuple[Any, list[str]]] = []

    def keep(images: Any, captions: list[str], path: Path, **_: Any) -> Path:
        drawn.append((images, captions))
        return path

    monkeypatch.setattr("daybreak.systems.biggan.sample.grid", keep)
    sheet(small_generator(classes), [f"c{i}" for i in range(classes)], CPU, tmp_path / "s.png")
    images, captions = drawn[0]
    named = [caption for caption in captions if caption]
    assert len(images) == len(captions) == 8 * rows
    assert named[0] == "c0" and named[-1] == f"c{classes - 1}" and len(named) == min(classes, 40)


# ----------------------------------------------------------------------------- augmentation


@pytest.fixture
def images() -> Tensor:
    torch.manual_seed(0)
    return torch.rand(16, 3, 16, 16) * 2 - 1


def test_augmentation_lets_gradients_through_and_is_off_by_default(images: Tensor) -> None:
    assert augment(images, ()) is images
    images.requires_grad_(True)
    assert augment(images, ("colour", "translation", "cutout")).shape == images.shape
    augment(images, ("translation", "cutout")).square().sum().backward()
    assert images.grad is not None
    assert 0.3 < float(images.grad.ne(0).float().mean()) < 1, "what was cut out or pushed out gets none"


def test_translation_moves_each_image_and_brings_in_zeros(images: Tensor) -> None:
    moved = translate(images, 2)
    padded = torch.nn.functional.pad(images, [2] * 4)
    shifts = [(top, left) for top in range(5) for left in range(5)]
    found = [
        [s for s in shifts if torch.equal(one, whole[:, s[0] : s[0] + 16, s[1] : s[1] + 16])]
        for one, whole in zip(moved, padded, strict=True)
    ]
    assert all(len(places) == 1 for places in found) and len({places[0] for places in found}) > 5


def test_colours_change_by_image_and_within_bounds(images: Tensor) -> None:
    change = recolour(images).mean((1, 2, 3)) - images.mean((1, 2, 3))  # only brightness moves the mean
    assert float(change.abs().max()) <= 0.5 and float(change.std()) > 0.1
    contrast = recolour(images).std((1, 2, 3)) / images.std((1, 2, 3))
    assert float(contrast.min()) > 0.2 and float(contrast.max()) < 3 and math.isfinite(float(contrast.sum()))

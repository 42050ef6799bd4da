"""The parts of imagenet-93: the network, the phases, random crops, rectangles, the generated pictures."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from torch.nn.functional import cross_entropy

from daybreak.data.images import ImageFolder
from daybreak.engine.errors import UserError
from daybreak.systems.dawnbench.imagenet.config import ImagenetConfig, imagenet_93, imagenet_tiny
from daybreak.systems.dawnbench.imagenet.data import (
    MOST_OBLONG,
    PhasedBatches,
    Rectangles,
    aspects,
    fit,
    open_sets,
    random_box,
    rectangles,
)
from daybreak.systems.dawnbench.imagenet.model import Bottleneck, ResNet
from daybreak.systems.dawnbench.imagenet.phases import learning_rate, phase_at, phases_of
from daybreak.systems.dawnbench.imagenet.pictures import generate
from daybreak.systems.dawnbench.imagenet.train import top_1_and_5


@pytest.fixture(scope="module")
def sets(tmp_path_factory: pytest.TempPathFactory) -> tuple[ImageFolder, ImageFolder]:
    """32 generated pictures to train on, 24 to validate."""
    folder = tmp_path_factory.mktemp("generated")
    generate(folder / "pictures", train=8, val=6)
    return open_sets(imagenet_tiny(), folder)


# ------------------------------------------------------------------------------- the network


def test_the_network_is_the_resnet_50() -> None:
    with torch.device("meta"):
        model = ResNet(1000)
        assert model(torch.empty(2, 3, 224, 224, dtype=torch.uint8)).shape == (2, 1000)
    assert sum(p.numel() for p in model.parameters()) == 25_557_032  # as He et al.'s, and everybody's since
    assert sum(isinstance(layer, torch.nn.Conv2d) for layer in model.modules()) == 53
    strides = [layer.stride[0] for layer in model.modules() if isinstance(layer, torch.nn.Conv2d)]
    assert strides.count(2) == 7  # the stem, and a 3x3 and a shortcut in each of three stages


def test_a_block_begins_as_the_identity() -> None:
    block, x = Bottleneck(16, 4, stride=1), torch.randn(2, 16, 5, 7)
    assert torch.equal(block(x), x.relu())


@pytest.mark.parametrize(("height", "width"), [(32, 32), (32, 64), (41, 33)])
def test_pictures_of_any_shape_give_logits(height: int, width: int) -> None:
    model = ResNet(5, width=4, blocks=(1, 1, 1, 1)).eval()
    assert model(torch.zeros(1, 3, height, width, dtype=torch.uint8)).shape == (1, 5)


def test_one_batch_can_be_learned_by_heart(sets: tuple[ImageFolder, ImageFolder]) -> None:
    torch.manual_seed(0)
    train, _ = sets
    ((images, labels),) = next(PhasedBatches(train, phases_of(one_shard()), one_shard(), (0, 1)))
    labels = labels[torch.randperm(len(labels))]  # nothing to see: only memory helps
    model = ResNet(4, width=8, blocks=(1, 1, 1, 1))
    optimizer = torch.optim.SGD(model.parameters(), 0.1, momentum=0.9)
    for _ in range(40):
        optimizer.zero_grad()
        cross_entropy(model(images), labels).backward()
        optimizer.step()
    assert (model(images).argmax(1) == labels).all()


def test_top_5_counts_labels_among_the_five_largest_logits() -> None:
    logits = torch.tensor([[6.0, 5, 4, 3, 2, 1]]).repeat(3, 1)
    assert top_1_and_5(logits, torch.tensor([0, 4, 5])).tolist() == [1, 2]
    assert top_1_and_5(logits[:, :3], torch.tensor([0, 2, 1])).tolist() == [1, 3]  # there may be fewer than five


# ------------------------------------------------------------------------------- the phases


def one_shard() -> ImagenetConfig:
    config = imagenet_tiny()
    config.shards, config.batch_sizes = 1, (32, 16, 8)
    return config


def test_the_real_preset_has_fast_ais_epochs_at_fast_ais_sizes() -> None:
    config = imagenet_93()
    first, second, third = phases_of(config)
    assert [first.size, second.size, third.size] == [128, 224, 288]
    images = [(p.stop - p.start) * p.batch_size / 1_281_167 for p in (first, second, third)]
    assert images == pytest.approx([13, 12, 3], rel=1e-3) and third.stop == config.steps
    assert [first.epoch(0), second.epoch(second.start), third.epoch(third.stop)] == [0, 13, 28]
    assert all(b % 8 == 0 for b in config.batch_sizes) and third.min_scale > second.min_scale > first.min_scale


def test_the_learning_rate_is_fast_ais_and_grows_with_the_batch() -> None:
    config = imagenet_93()
    phases = phases_of(config)
    curve = learning_rate(config, phases)
    first, second, third = phases
    assert curve(0) == pytest.approx(1.0)  # of a batch of 4,096
    assert max(map(curve, range(config.steps))) == pytest.approx(2.0, rel=1e-3) == curve(round(7 / 13 * first.stop))
    assert curve(first.stop - 1) == pytest.approx(0.25, rel=0.01)
    assert curve(second.start) == pytest.approx(224 / 512)
    assert curve(second.start + round(9 / 12 * (second.stop - second.start))) == pytest.approx(224 / 512 / 10, rel=0.01)
    assert curve(third.start) == pytest.approx(128 / 512 / 100)
    assert curve(third.stop) == pytest.approx(128 / 512 / 1000) == curve(third.stop + 5)


def test_sizes_and_batch_sizes_come_at_the_declared_steps(sets: tuple[ImageFolder, ImageFolder]) -> None:
    config = one_shard()
    config.steps, config.epochs = 14, (1.0, 1.0, 1.0)
    phases = phases_of(config)
    assert [(p.start, p.stop) for p in phases] == [(0, 2), (2, 6), (6, 14)]
    batches = PhasedBatches(sets[0], phases, config, (0, 1))
    for step in range(config.steps):
        ((images, labels),) = next(batches)
        phase = phase_at(phases, step)
        assert images.shape == (phase.batch_size, 3, phase.size, phase.size) and len(labels) == phase.batch_size
        assert images.is_contiguous(memory_format=torch.channels_last)
    assert [phase_at(phases, step).size for step in (1, 2, 5, 6, 13, 14)] == [32, 40, 40, 48, 48, 48]


def test_what_a_shard_holds_does_not_depend_on_the_number_of_processes(sets: tuple[ImageFolder, ImageFolder]) -> None:
    config = imagenet_tiny()
    config.batch_sizes, config.steps = (16, 8, 8), 12
    one = PhasedBatches(sets[0], phases_of(config), config, (0, 1))
    two = [PhasedBatches(sets[0], phases_of(config), config, (rank, 2)) for rank in range(2)]
    for _ in range(config.steps):
        together = next(one)
        apart = [batch for each in two for batch in next(each)]
        assert len(together) == len(apart) == 2
        assert all(torch.equal(a, b) for x, y in zip(together, apart, strict=True) for a, b in zip(x, y, strict=True))
        assert not torch.equal(together[0][0], together[1][0])


def test_a_loader_put_to_a_step_goes_on_as_if_it_had_come_there(sets: tuple[ImageFolder, ImageFolder]) -> None:
    config = one_shard()
    config.steps = 14
    phases = phases_of(config)
    whole = PhasedBatches(sets[0], phases, config, (0, 1))
    steps = [next(whole)[0] for _ in range(14)]
    for done in (0, phases[0].stop - 1, phases[0].stop, phases[1].start + 3, 13):
        resumed = PhasedBatches(sets[0], phases, config, (0, 1))
        next(resumed)
        resumed.load_state_dict({"done": done})
        ((images, labels),) = next(resumed)
        assert torch.equal(images, steps[done][0]) and torch.equal(labels, steps[done][1])
        assert resumed.state_dict() == {"done": done + 1}


@pytest.mark.parametrize(
    ("field", "value", "sentence"),
    [
        ("sizes", (32, 40), "--sizes needs 3 values"),
        ("batch_sizes", (32, 15, 16), "--batch-sizes 15"),
        ("batch_sizes", (2, 16, 16), "--batch-sizes 2 "),
        ("min_scales", (0.0, 0.5, 0.5), "--min-scales"),
        ("epochs", (1.0, 0.0, 1.0), "--epochs"),
        ("blocks", (1, 1, 1), "--blocks"),
        ("lr_epochs", (0.0, 2.0, 1.0, 7.0, 8.0), "--lr-epochs must rise"),
        ("lr_shares", (1.0,), "--lr-shares needs as many"),
        ("steps", 2, "--steps 2 are too few for 3 phases"),
    ],
)
def test_phases_that_do_not_fit_together_are_refused(field: str, value: object, sentence: str) -> None:
    config = imagenet_tiny()
    setattr(config, field, value)
    with pytest.raises(UserError, match=sentence):
        phases_of(config)


# ------------------------------------------------------------------------------- random crops


@given(st.integers(1, 2000), st.integers(1, 2000), st.floats(0.01, 1.0), st.integers(0, 2**31))
def test_a_random_box_lies_in_the_picture_and_shows_enough_of_it(
    width: int, height: int, min_scale: float, seed: int
) -> None:
    left, top, right, bottom = random_box(width, height, min_scale, torch.Generator().manual_seed(seed))
    assert 0 <= left < right <= width and 0 <= top < bottom <= height
    assert 0.749 < (right - left) / (bottom - top) < 1.334
    is_whole = right - left > 0.999 * width or bottom - top > 0.999 * height  # no draw fitted: one side is all of it
    assert is_whole or (right - left) * (bottom - top) >= 0.999 * min_scale * width * height


def test_random_boxes_are_random_in_size_and_place() -> None:
    generator = torch.Generator().manual_seed(0)
    boxes = np.array([random_box(400, 300, 0.08, generator) for _ in range(300)])
    areas = (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1]) / (400 * 300)
    assert areas.min() < 0.15 and areas.max() > 0.8 and 0.35 < areas.mean() < 0.6
    assert boxes[:, 0].std() > 40 and boxes[:, 1].std() > 30


def test_an_epoch_shows_each_picture_once_and_the_next_in_another_order(
    sets: tuple[ImageFolder, ImageFolder],
) -> None:
    config = one_shard()
    config.batch_sizes, config.epochs, config.steps = (8,), (2.0,), 8
    config.sizes, config.min_scales = (32,), (1.0,)
    batches = PhasedBatches(sets[0], phases_of(config), config, (0, 1))
    first, second = ([label for _ in range(4) for label in next(batches)[0][1].tolist()] for _ in range(2))
    assert sorted(first) == sorted(second) == sorted(sets[0].labels.tolist()) and first != second


# ------------------------------------------------------------------------------- rectangles


@given(
    st.lists(st.floats(0.1, 10.0), min_size=1, max_size=60), st.integers(8, 300), st.integers(1, 9), st.integers(1, 3)
)
def test_rectangles_show_every_picture_once_near_its_aspect_ratio(
    ratios: list[float], size: int, batch_size: int, parts: int
) -> None:
    if len(ratios) < parts:
        with pytest.raises(UserError, match=f"cannot be shared among {parts}"):
            rectangles(ratios, size, batch_size, parts)
        return
    batches = rectangles(ratios, size, batch_size, parts)
    assert sorted(row for batch in batches for row in batch.rows) == list(range(len(ratios)))
    assert len(batches) % parts == 0
    for batch in batches:
        assert min(batch.height, batch.width) == size
        assert max(batch.height, batch.width) <= MOST_OBLONG * size + 4
        bounds = [min(max(ratios[row], 1 / MOST_OBLONG), MOST_OBLONG) for row in batch.rows]
        rounding = 1 + 4 / size  # the longer side is a multiple of eight pixels
        assert min(bounds) / rounding <= batch.width / batch.height * 1.000001
        assert batch.width / batch.height <= max(bounds) * rounding * 1.000001
    tallest = [max(ratios[row] for row in batch.rows) for batch in batches]
    assert tallest == sorted(tallest)  # by aspect ratio, so that like comes with like


def test_no_batch_of_rectangles_is_larger_than_asked() -> None:
    assert {len(batch.rows) for batch in rectangles([1.0] * 20, 32, 6)} == {5}
    assert [len(batch.rows) for batch in rectangles([1.0] * 7, 32, 3)] == [3, 2, 2]


def test_validation_crops_are_of_their_batchs_shape(sets: tuple[ImageFolder, ImageFolder]) -> None:
    _, val = sets
    batches = rectangles(aspects(val), 40, 5)
    dataset = Rectangles(val, batches)
    shapes = set()
    for i, batch in enumerate(batches):
        images, labels = dataset[torch.tensor([i])]
        assert images.shape == (len(batch.rows), 3, batch.height, batch.width)
        assert labels.tolist() == val.labels[batch.rows].tolist()
        shapes.add(tuple(images.shape[2:]))
    assert len(shapes) >= 3 and min(min(shape) for shape in shapes) == 40


def test_aspects_are_those_of_the_picture_as_it_is_seen(tmp_path: Path) -> None:
    lying = Image.Exif()
    lying[0x0112] = 6
    Image.new("RGB", (60, 30)).save(tmp_path / "a.jpg")
    Image.new("RGB", (60, 30)).save(tmp_path / "b.jpg", exif=lying)
    pictures = ImageFolder([tmp_path / "a.jpg", tmp_path / "b.jpg"], torch.zeros(2), ["x"], None)
    assert aspects(pictures) == [2.0, 0.5]


def test_a_crop_shows_the_middle_of_the_picture_unstretched() -> None:
    pixels = np.zeros((64, 128, 3), np.uint8)
    pixels[:, :, 0] = np.arange(128)  # the column
    crop = np.asarray(fit(Image.fromarray(pixels), 56, 112), np.int64)[:, :, 0]
    assert crop[0, 0] == 8 and crop[0, -1] == 119  # seven eighths are left
    square = np.asarray(fit(Image.fromarray(pixels), 56, 56), np.int64)[0, :, 0]
    assert square[-1] - square[0] == 55 and (square[0] + square[-1]) // 2 == 63


# ------------------------------------------------------------------------------- generated pictures


def test_generated_pictures_are_the_same_each_time_and_of_many_shapes(
    tmp_path: Path, sets: tuple[ImageFolder, ImageFolder]
) -> None:
    generate(tmp_path / "again", train=8, val=6)
    for part in sets:
        for path in part.paths:
            again = tmp_path / "again" / path.relative_to(path.parents[2])
            assert again.read_bytes() == path.read_bytes()
    ratios = aspects(sets[0])
    assert min(ratios) < 0.7 and max(ratios) > 1.4 and len(set(ratios)) > 20
    assert not list(tmp_path.glob(".tmp*"))


def test_an_interrupted_generation_leaves_no_half_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(Image.Image, "save", full)
        with pytest.raises(UserError, match="pictures could not be written"):
            generate(tmp_path / "pictures", train=1, val=1)
    assert not (tmp_path / "pictures").exists()
    generate(tmp_path / "pictures", train=1, val=1)
    assert len(list((tmp_path / "pictures").rglob("*.png"))) == 8

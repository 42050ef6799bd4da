"""Batched augmentation against the same thing done image by image."""

from __future__ import annotations

import pytest
import torch
from torch.nn.functional import cross_entropy, pad

from daybreak.augment.images import alternating_flip, cutmix, cutout, mixup, one_hot, random_crop, random_flip


@pytest.mark.parametrize("dtype", [torch.uint8, torch.float32])
def test_every_crop_is_a_window_of_its_own_padded_image(dtype: torch.dtype) -> None:
    torch.manual_seed(0)
    images = torch.randint(0, 256, (40, 3, 9, 7)).to(dtype)
    cropped = random_crop(images, 2)
    assert cropped.dtype == dtype and cropped.shape == images.shape
    places = set()
    for image, crop in zip(images, cropped, strict=True):
        padded = pad(image[None].float(), [2] * 4, mode="reflect")[0].to(dtype)
        windows = {(y, x): padded[:, y : y + 9, x : x + 7] for y in range(5) for x in range(5)}
        matching = [place for place, window in windows.items() if torch.equal(window, crop)]
        assert matching, "a crop that is no window of its image"
        places.update(matching)
    assert len(places) > 15, "the shifts are the same for the whole batch"


def test_no_padding_gives_the_images_back() -> None:
    images = torch.rand(2, 3, 4, 4)
    assert random_crop(images, 0) is images


def test_flip_mirrors_about_half_and_changes_nothing_else() -> None:
    torch.manual_seed(0)
    images = torch.arange(1000 * 4, dtype=torch.uint8).view(1000, 1, 1, 4)
    flipped = random_flip(images)
    mirrored = (flipped == images.flip(3)).flatten(1).all(1)
    same = (flipped == images).flatten(1).all(1)
    assert bool((mirrored ^ same).all()) and 430 < int(mirrored.sum()) < 570


def test_augmentation_repeats_with_the_generator() -> None:
    images = torch.rand(8, 3, 6, 6)
    torch.manual_seed(3)
    first = random_flip(random_crop(images, 1))
    torch.manual_seed(3)
    assert torch.equal(first, random_flip(random_crop(images, 1)))


# ----------------------------------------------------------------------------- alternating flip

NUMBERS = torch.arange(50_000)
ARROWS = torch.tensor([[[[1, 2]]]], dtype=torch.uint8).expand(50_000, 1, 1, 2)  # mirrored: [2, 1]


def mirrored(epoch: int) -> torch.Tensor:
    """Whether each of 50,000 images is mirrored in an epoch."""
    return alternating_flip(ARROWS, NUMBERS, epoch)[:, 0, 0, 0] == 2


def test_two_epochs_in_a_row_show_both_views_of_every_image() -> None:
    assert torch.equal(mirrored(0), ~mirrored(1))
    assert torch.equal(mirrored(7), ~mirrored(8))
    assert torch.equal(mirrored(0), mirrored(2))


def test_which_view_comes_first_looks_random() -> None:
    first = mirrored(0).float()
    for distance in (1, 2, 10, 256, 5_000):  # neighbours agree half of the time, as independent ones do
        agree = (first[distance:] == first[:-distance]).float().mean()
        assert 0.48 < agree < 0.52, f"images {distance} apart"
    assert 0.49 < first.mean() < 0.51
    assert all(0.4 < part.mean() < 0.6 for part in first.split(500))


def test_the_view_depends_on_the_image_alone_and_not_on_its_batch() -> None:
    order = torch.randperm(50_000)
    assert torch.equal(alternating_flip(ARROWS, order, 3)[:, 0, 0, 0] == 2, mirrored(3)[order])


# ----------------------------------------------------------------------------- cutout


@pytest.mark.parametrize("size", [1, 2, 3, 6])
def test_cutout_paints_one_square_that_the_edge_may_cut(size: int) -> None:
    torch.manual_seed(0)
    painted = cutout(torch.ones(500, 2, 9, 8), size, fill=7.0) == 7.0
    assert torch.equal(painted[:, 0], painted[:, 1])
    rows, columns = painted[:, 0].any(2), painted[:, 0].any(1)  # (B, H), (B, W)
    assert torch.equal(painted[:, 0], rows[:, :, None] & columns[:, None, :]), "not a rectangle"
    for spans in (rows, columns):
        assert ((spans[:, 1:] != spans[:, :-1]).sum(1) <= 2).all(), "more than one span"
        lengths = spans.sum(1)
        inside = ~spans[:, 0] & ~spans[:, -1]
        assert (lengths[inside] == size).all() and lengths.min() >= max(1, size // 2) and lengths.max() == size
    assert painted[:, 0].any(0).all(), "some pixel is never painted"


def test_cutout_fills_each_channel_with_its_own_colour() -> None:
    images = cutout(torch.zeros(4, 3, 5, 5, dtype=torch.uint8), 20, torch.tensor([125, 123, 114])[:, None, None])
    assert images.dtype == torch.uint8 and images[:, :, 2, 2].tolist() == [[125, 123, 114]] * 4


# ----------------------------------------------------------------------------- soft targets, mixup, cutmix


@pytest.mark.parametrize("smoothing", [0.0, 0.2])
def test_cross_entropy_with_soft_targets_is_that_with_labels(smoothing: float) -> None:
    logits, labels = torch.randn(6, 5), torch.tensor([0, 4, 2, 2, 1, 3])
    expected = cross_entropy(logits, labels, label_smoothing=smoothing)
    torch.testing.assert_close(cross_entropy(logits, one_hot(labels, 5, smoothing)), expected)


def batch(size: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Images of one colour each, their number in the batch, and that number as their class."""
    colours = torch.arange(size, dtype=torch.float32)[:, None, None, None].expand(size, 3, 12, 10)
    return colours.contiguous(), one_hot(torch.arange(size), size)


@pytest.mark.parametrize("alpha", [0.2, 1.0])
def test_mixup_blends_image_and_target_with_one_neighbour_by_the_same_share(alpha: float) -> None:
    torch.manual_seed(0)
    images, targets = batch(300)
    mixed, soft = mixup(images, targets, alpha)
    own, before = torch.arange(300), torch.arange(300).roll(1)
    share = soft[own, own]
    torch.testing.assert_close(soft[own, before], 1 - share)
    torch.testing.assert_close(mixed, (share * own + (1 - share) * before)[:, None, None, None].expand_as(mixed))
    assert share.unique().numel() > 100, "one share for the whole batch"
    variance = 1 / (4 * (2 * alpha + 1))  # of Beta(alpha, alpha)
    assert share.mean() == pytest.approx(0.5, abs=0.08) and share.var() == pytest.approx(variance, rel=0.2)


def test_mixup_of_bytes_is_rounded() -> None:
    images, targets = torch.zeros(200, 1, 2, 2, dtype=torch.uint8), one_hot(torch.arange(200) % 2, 2)
    images[1::2] = 255
    mixed, soft = mixup(images, targets, 1.0)
    assert mixed.dtype == torch.uint8
    assert (mixed[:, 0, 0, 0] - 255 * soft[:, 1]).abs().max() <= 0.5 + 1e-3


def test_cutmix_pastes_a_rectangle_and_blends_targets_by_its_area() -> None:
    torch.manual_seed(0)
    images, targets = batch(400)
    mixed, soft = cutmix(images, targets, 1.0)
    own, before = torch.arange(400), torch.arange(400).roll(1)
    pasted = mixed == before[:, None, None, None]
    assert ((mixed == own[:, None, None, None]) ^ pasted).all(), "a pixel of neither image"
    rows, columns = pasted[:, 0].any(2), pasted[:, 0].any(1)
    assert torch.equal(pasted[:, 0], rows[:, :, None] & columns[:, None, :]), "not a rectangle"
    torch.testing.assert_close(soft[own, before], pasted[:, 0].float().mean((1, 2)))
    torch.testing.assert_close(soft.sum(1), torch.ones(400))
    assert pasted[:, 0].sum((1, 2)).unique().numel() > 20, "one rectangle for the whole batch"
    area = 1 / 2 - 1 / 5 + 1 / 48  # mean of (s - s²/4)² for sides s = sqrt(1 - share): the edge takes s²/4 of each
    assert pasted[:, 0].float().mean() == pytest.approx(area, abs=0.03)
    sides = torch.stack([rows.sum(1) / 12, columns.sum(1) / 10])
    whole = (~rows[:, 0] & ~rows[:, -1] & ~columns[:, 0] & ~columns[:, -1]) & (sides > 0).all(0)
    assert (sides[0] - sides[1])[whole].abs().max() < 0.1, "not of the image's shape"


def test_alpha_zero_mixes_nothing() -> None:
    images, targets = batch(3)
    for mix in (mixup, cutmix):
        mixed, soft = mix(images, targets, 0.0)
        assert mixed is images and soft is targets


# ----------------------------------------------------------------------------- of all of them

OPERATIONS = {
    "flip": random_flip,
    "alternating flip": lambda images: alternating_flip(images, torch.arange(len(images)), 1),
    "cutout": lambda images: cutout(images, 3),
    "mixup": lambda images: mixup(images, one_hot(torch.zeros(len(images), dtype=torch.long), 2), 1.0)[0],
    "cutmix": lambda images: cutmix(images, one_hot(torch.zeros(len(images), dtype=torch.long), 2), 1.0)[0],
}


@pytest.mark.parametrize("name", OPERATIONS)
@pytest.mark.parametrize("dtype", [torch.uint8, torch.float32, torch.bfloat16])
@pytest.mark.parametrize("layout", [torch.channels_last, torch.contiguous_format])
def test_type_and_memory_format_stay_and_the_input_is_not_touched(
    name: str, dtype: torch.dtype, layout: torch.memory_format
) -> None:
    torch.manual_seed(0)
    images = torch.randint(0, 256, (16, 3, 8, 6)).to(dtype).contiguous(memory_format=layout)
    before = images.clone()
    result = OPERATIONS[name](images)
    assert torch.equal(images, before) and not torch.equal(result, images)
    assert result.dtype == dtype and result.shape == images.shape and result.is_contiguous(memory_format=layout)
    torch.manual_seed(1)
    first = OPERATIONS[name](images)
    torch.manual_seed(1)
    assert torch.equal(first, OPERATIONS[name](images))

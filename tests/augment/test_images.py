"""Batched augmentation against the same thing done image by image."""

from __future__ import annotations

import pytest
import torch
from torch.nn.functional import pad

from daybreak.augment.images import random_crop, random_flip


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

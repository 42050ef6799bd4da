from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from daybreak.draw import grid
from daybreak.draw.figure import RIGHT, WRONG
from daybreak.engine.errors import UserError


def colours(path):
    with Image.open(path) as picture:
        return {pixel: count for count, pixel in picture.convert("RGB").getcolors(2**24)}


def size(path):
    with Image.open(path) as picture:
        return picture.size


def rgb(colour):
    return tuple(bytes.fromhex(colour[1:]))


def test_small_images_are_enlarged_pixel_by_pixel(tmp_path):
    images = np.zeros((1, 3, 8, 8), np.uint8)
    images[0, :, 2, 5] = 10, 200, 30
    counted = colours(grid(images, [""], tmp_path / "g.png"))
    assert counted[10, 200, 30] == 14 * 14  # one pixel of eight, brought to 112 by a whole factor: nothing is blurred
    assert counted[0, 0, 0] == 63 * 14 * 14


def test_right_is_framed_in_green_and_wrong_in_red(tmp_path):
    images = np.full((3, 1, 8, 8), 90, np.uint8)
    counted = colours(grid(images, ["", "", ""], tmp_path / "g.png", marks=[True, True, False]))
    assert counted[rgb(RIGHT)] == 2 * counted[rgb(WRONG)] > 0


def test_images_are_laid_out_in_rows(tmp_path):
    images = np.zeros((7, 1, 8, 8), np.uint8)
    wide = size(grid(images, [""] * 7, tmp_path / "w.png", columns=7))
    high = size(grid(images, [""] * 7, tmp_path / "h.png", columns=2))
    assert wide[0] > 3 * high[0]
    assert high[1] > 3 * wide[1]


def test_a_large_image_keeps_its_pixels(tmp_path):
    assert colours(grid(np.full((1, 3, 200, 301), 7, np.uint8), [""], tmp_path / "g.png"))[7, 7, 7] == 200 * 301


@pytest.mark.parametrize("caption", ["$x", r"$\frac$", "word " * 80, "x" * 500, "two\nlines", "", "\n"])
def test_any_caption_fits_below_its_image(tmp_path, caption):
    width, height = size(grid(np.zeros((2, 1, 8, 8), np.uint8), [caption, "a"], tmp_path / "g.png"))
    assert width <= 300 and height <= 112 + 120


def test_a_caption_can_be_read_where_a_page_shows_six_columns_at_450_pixels(tmp_path):
    images = np.full((6, 1, 8, 8), 255, np.uint8)
    path = grid(images, ["H"] * 6, tmp_path / "g.png")
    with Image.open(path) as picture:
        ink = np.asarray(picture.convert("L")) < 128
        height_of_h = ink.any(axis=1).sum()
        assert height_of_h * 450 / picture.width >= 7  # pixels of a capital letter: a font of ten


@pytest.mark.parametrize(
    ("images", "sentence"),
    [
        (np.zeros((2, 8, 8), np.uint8), "uint8 images"),
        (np.zeros((2, 3, 8, 8), np.float32), "uint8 images"),
        (np.zeros((2, 2, 8, 8), np.uint8), "uint8 images"),
        (np.zeros((0, 3, 8, 8), np.uint8), "uint8 images"),
        (np.zeros((3, 3, 8, 8), np.uint8), "as many captions, not 2"),
    ],
)
def test_what_is_no_sheet_is_refused(tmp_path, images, sentence):
    with pytest.raises(UserError, match=sentence):
        grid(images, ["a", "b"], tmp_path / "g.png")


def test_marks_must_be_as_many_as_images(tmp_path):
    with pytest.raises(UserError, match="as many marks, not 1"):
        grid(np.zeros((2, 1, 8, 8), np.uint8), ["a", "b"], tmp_path / "g.png", marks=[True])

"""Image files that somebody else made: decoded correctly, or refused in one sentence."""

from __future__ import annotations

import contextlib
import io
import struct
import warnings
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from daybreak.data.photo import FORMATS, open_image
from daybreak.engine.errors import UserError

RED, GREEN, BLUE, WHITE = (255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 255)
ORIENTATION = 0x0112


def corners(size: tuple[int, int] = (48, 32)) -> Image.Image:
    """Red on the left, blue on the right, and a green upper left corner."""
    image = Image.new("RGB", size, RED)
    image.paste(BLUE, (size[0] // 2, 0, *size))
    image.paste(GREEN, (0, 0, size[0] // 4, size[1] // 4))
    return image


def saved(image: Image.Image, kind: str, **options: Any) -> bytes:
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def pixel(image: Image.Image, xy: tuple[int, int]) -> tuple[int, ...]:
    value = image.getpixel(xy)
    assert isinstance(value, tuple)
    return value


def is_near(found: tuple[int, ...], meant: tuple[int, ...], tolerance: int = 40) -> bool:
    return all(abs(a - b) <= tolerance for a, b in zip(found, meant, strict=True))


def chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def png_that_claims(width: int, height: int) -> bytes:
    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    pixels = zlib.compress(bytes((width + 1) * 8))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", pixels) + chunk(b"IEND", b"")


ENCODED = {
    "PNG": saved(corners(), "PNG"),
    "JPEG": saved(corners(), "JPEG", quality=95),
    "WEBP": saved(corners(), "WEBP", lossless=True),
    "BMP": saved(corners(), "BMP"),
    "GIF": saved(corners(), "GIF"),
    "TIFF": saved(corners(), "TIFF", compression="tiff_lzw"),
}


@pytest.mark.parametrize("kind", FORMATS)
def test_every_format_is_decoded_from_bytes_and_from_a_path(kind: str, tmp_path: Path) -> None:
    path = tmp_path / "with a space"
    path.write_bytes(ENCODED[kind])
    for source in (ENCODED[kind], path, str(path)):
        image = open_image(source)
        assert (image.mode, image.size) == ("RGB", (48, 32))
        assert is_near(pixel(image, (3, 3)), GREEN)
        assert is_near(pixel(image, (3, 30)), RED)
        assert is_near(pixel(image, (45, 16)), BLUE)


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "TIFF"])
@pytest.mark.parametrize(
    ("orientation", "green"),  # where the green corner of the stored image is when it is looked at
    [(1, (0, 0)), (2, (1, 0)), (3, (1, 1)), (4, (0, 1)), (5, (0, 0)), (6, (1, 0)), (7, (1, 1)), (8, (0, 1))],
)
def test_exif_orientation_turns_the_image_upright(kind: str, orientation: int, green: tuple[int, int]) -> None:
    exif = Image.Exif()
    exif[ORIENTATION] = orientation
    image = open_image(saved(corners(), kind, exif=exif))
    assert image.size == ((48, 32) if orientation < 5 else (32, 48))
    x, y = (3 + g * (side - 7) for g, side in zip(green, image.size, strict=True))
    assert is_near(pixel(image, (x, y)), GREEN, tolerance=90)
    assert image.getexif().get(ORIENTATION) in (None, 1), "or the next reader would turn it again"


def test_cmyk_becomes_the_same_colours() -> None:
    image = open_image(saved(corners().convert("CMYK"), "JPEG", quality=95))
    assert image.mode == "RGB"
    assert is_near(pixel(image, (45, 16)), BLUE)


def test_a_palette_grey_and_black_and_white_become_rgb() -> None:
    assert pixel(open_image(saved(corners().quantize(8), "PNG")), (45, 16)) == BLUE
    assert pixel(open_image(saved(Image.new("L", (2, 2), 77), "PNG")), (0, 0)) == (77, 77, 77)
    assert pixel(open_image(saved(Image.new("1", (2, 2), 1), "PNG")), (0, 0)) == WHITE


@pytest.mark.parametrize("kind", ["PNG", "TIFF"])
def test_16_bit_grey_is_scaled_and_not_clipped(kind: str) -> None:
    ramp = np.array([[0, 200, 257, 32_768, 65_279, 65_535]], np.uint16)
    image = open_image(saved(Image.fromarray(ramp), kind))
    assert np.asarray(image)[0, :, 0].tolist() == [0, 1, 1, 128, 254, 255]


def test_16_bit_colour_keeps_its_high_byte() -> None:
    row = b"\0" + struct.pack(">6H", 65_535, 0, 32_896, 0, 257, 65_535)
    header = struct.pack(">IIBBBBB", 2, 1, 16, 2, 0, 0, 0)
    content = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(row)) + chunk(b"IEND", b"")
    assert np.asarray(open_image(b"\x89PNG\r\n\x1a\n" + content)).tolist() == [[[255, 0, 128], [0, 1, 255]]]


def test_32_bit_samples_are_refused_for_their_white_is_not_known() -> None:
    for dtype in (np.float32, np.int32):
        with pytest.raises(UserError, match="32-bit samples"):
            open_image(saved(Image.fromarray(np.ones((2, 2), dtype)), "TIFF"))


@pytest.mark.parametrize("kind", ["PNG", "WEBP", "TIFF"])
def test_transparency_is_laid_over_white(kind: str) -> None:
    image = Image.new("RGBA", (4, 4), (0, 0, 0, 0))
    image.paste((255, 0, 0, 255), (2, 0, 4, 4))
    image.putpixel((0, 3), (0, 0, 0, 128))
    options = {"lossless": True, "exact": True} if kind == "WEBP" else {}
    decoded = open_image(saved(image, kind, **options))
    assert (pixel(decoded, (0, 0)), pixel(decoded, (3, 0)), pixel(decoded, (0, 3))) == (WHITE, RED, (127, 127, 127))


def test_a_transparent_palette_colour_is_white_too() -> None:
    image = corners().quantize(8)
    blue = image.getpixel((45, 16))
    for kind in ("PNG", "GIF"):
        decoded = open_image(saved(image, kind, transparency=blue))
        assert (pixel(decoded, (45, 16)), pixel(decoded, (3, 30))) == (WHITE, RED)


@pytest.mark.parametrize("kind", ["GIF", "WEBP", "PNG", "TIFF"])
def test_an_animation_gives_its_first_frame(kind: str) -> None:
    second = Image.new("RGB", (48, 32), WHITE)
    image = open_image(saved(corners(), kind, save_all=True, append_images=[second]))
    assert image.size == (48, 32)
    assert is_near(pixel(image, (45, 16)), BLUE)


def test_one_pixel_and_a_very_wide_image_are_images() -> None:
    assert open_image(saved(Image.new("RGB", (1, 1), RED), "PNG")).size == (1, 1)
    assert open_image(saved(Image.new("RGB", (65_535, 2), RED), "PNG")).size == (65_535, 2)


@pytest.mark.parametrize("side", [4_473, 9_000, 12_000, 60_000])
def test_too_many_pixels_are_refused_before_they_are_decoded(side: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("PIL.ImageFile.ImageFile.load", lambda self: pytest.fail("it was decoded"))
    with pytest.raises(UserError, match="more than 20 million pixels"):
        open_image(png_that_claims(side, side))


def test_a_bomb_of_real_zeros_is_refused() -> None:
    bomb = saved(Image.new("1", (9_000, 9_000)), "PNG")
    assert len(bomb) < 20_000
    with pytest.raises(UserError, match="more than 20 million pixels"):
        open_image(bomb)


@pytest.mark.parametrize(
    "content",
    [
        b"<svg xmlns='http://www.w3.org/2000/svg' width='9' height='9'/>",
        b"<!DOCTYPE html><html><body>404</body></html>",
        b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n",
        b"P6 1 1 255 abc",
        b"",
        b"\0" * 100,
    ],
)
def test_what_is_no_image_is_refused_whatever_its_name(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "photo.png"
    path.write_bytes(content)
    with pytest.raises(UserError, match=r"photo\.png is not a PNG, JPEG, WebP, BMP, GIF or TIFF image"):
        open_image(path)


def test_a_missing_file_and_a_folder_are_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"there is no .*gone\.png: give the path"):
        open_image(tmp_path / "gone.png")
    with pytest.raises(UserError, match=f"^{tmp_path} "):
        open_image(tmp_path)


@settings(max_examples=60)
@given(kind=st.sampled_from(FORMATS), part=st.floats(0, 1))
def test_a_truncated_file_is_refused_or_lost_nothing(kind: str, part: float) -> None:
    whole = ENCODED[kind]
    try:
        image = open_image(whole[: int(part * len(whole))])
    except UserError as error:
        assert "\n" not in str(error)
    else:
        assert image.tobytes() == open_image(whole).tobytes()


@settings(max_examples=100)
@given(kind=st.sampled_from(FORMATS), where=st.integers(0, 10_000), value=st.integers(0, 255))
def test_a_changed_byte_gives_an_image_or_one_sentence(kind: str, where: int, value: int) -> None:
    content = bytearray(ENCODED[kind])
    content[where % len(content)] = value
    try:
        assert open_image(bytes(content)).mode == "RGB"
    except UserError as error:
        assert "\n" not in str(error)


def test_the_oddities_of_a_file_are_no_warnings() -> None:
    exif = Image.Exif()
    exif[0x010E] = "text"
    content = saved(corners(), "TIFF", exif=exif).replace(b"text\0", b"tex")
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        with contextlib.suppress(UserError):
            open_image(content)
    assert not caught

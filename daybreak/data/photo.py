"""One image file that somebody else made, decoded to 8-bit RGB without trusting it. Imports no torch."""

from __future__ import annotations

import io
import struct
import warnings
import zlib
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from daybreak.engine.errors import UserError

FORMATS = ("PNG", "JPEG", "WEBP", "BMP", "GIF", "TIFF")
MAX_PIXELS = 20_000_000
_BROKEN = (OSError, EOFError, SyntaxError, ValueError, TypeError, KeyError, IndexError, struct.error, zlib.error)
"""What Pillow's decoders raise on a damaged file; OSError covers most."""


def open_image(source: Path | str | bytes) -> Image.Image:
    """Decode a file, or the bytes of one, to an RGB image, turned upright as its EXIF orientation says.

    Transparency is laid over white, 16-bit grey is scaled to 8 bits, an animation gives its first frame.
    Raises UserError for anything but PNG, JPEG, WebP, BMP, GIF and TIFF, for more than 20 million pixels (before they
    are decoded), and for a file that is damaged or cut short.
    """
    name = "the image" if isinstance(source, bytes) else str(source)
    try:
        with warnings.catch_warnings():
            # A file's oddities are no news to the user: it decodes, or it is refused.
            warnings.simplefilter("ignore")
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            return _decode(io.BytesIO(source) if isinstance(source, bytes) else Path(source), name)
    except FileNotFoundError as error:
        raise UserError(f"there is no {name}: give the path of an image file") from error
    except UnidentifiedImageError as error:
        raise UserError(
            f"{name} is not a PNG, JPEG, WebP, BMP, GIF or TIFF image: convert it to one of these"
        ) from error
    except (Image.DecompressionBombWarning, Image.DecompressionBombError) as error:
        raise _too_large(name) from error
    except _BROKEN as error:
        raise UserError(f"{name} is damaged or cut short ({error}): get it again, or save it anew") from error


def _decode(file: Path | io.BytesIO, name: str) -> Image.Image:
    with Image.open(file, formats=FORMATS) as image:
        if image.width * image.height > MAX_PIXELS:
            raise _too_large(name)
        image.load()
        return _to_rgb(ImageOps.exif_transpose(image), name)


def _to_rgb(image: Image.Image, name: str) -> Image.Image:
    if image.mode in ("I", "F"):
        raise UserError(f"{name} has 32-bit samples, whose white is not known: save it with 8 or 16 bits")
    if image.mode.startswith("I;16"):
        samples = np.asarray(image).astype(np.uint32)
        return Image.fromarray(((samples + 128) // 257).astype(np.uint8)).convert("RGB")
    if image.has_transparency_data:
        rgba = image.convert("RGBA")
        return Image.alpha_composite(Image.new("RGBA", rgba.size, "white"), rgba).convert("RGB")
    return image.convert("RGB")


def _too_large(name: str) -> UserError:
    return UserError(f"{name} has more than {MAX_PIXELS // 1_000_000} million pixels: make it smaller")

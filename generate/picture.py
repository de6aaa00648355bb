"""Reading a still image of any kind as upright 8-bit sRGB."""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
import numpy.typing as npt

from vasari.errors import PortraitError

ImageArray = npt.NDArray[np.uint8]

MAX_PIXELS = 50_000_000  # a 50-megapixel camera; larger files are more often bombs than portraits
MATTE = (255, 255, 255)  # what shows through a transparent image, as in a browser


def read_picture(path: Path) -> ImageArray:
    """Read an image file as (H, W, 3) uint8 sRGB, turned as its EXIF orientation asks.

    JPEG, PNG, WebP and what else Pillow reads; HEIC where pillow-heif is installed. Greyscale,
    16-bit, CMYK, palette and transparent images are converted, embedded colour profiles applied.

    Raises:
        PortraitError: the file is missing, no image, damaged, or above MAX_PIXELS.
    """
    from PIL import Image, ImageOps, UnidentifiedImageError

    _register_heic()
    if path.is_dir():
        raise PortraitError(f"{path} is a folder; give an image file")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Pillow's own size warning: the limit is ours
            with Image.open(path) as image:
                width, height = image.size
                if width * height > MAX_PIXELS:
                    raise PortraitError(
                        f"{path} has {width * height / 1e6:.0f} megapixels; "
                        f"at most {MAX_PIXELS / 1e6:.0f} are accepted"
                    )
                image.load()
                upright = ImageOps.exif_transpose(image)
                return np.array(_to_srgb(upright), np.uint8)
    except FileNotFoundError as error:
        raise PortraitError(f"{path} does not exist; give an image file") from error
    except UnidentifiedImageError as error:
        raise PortraitError(f"{path} is no image; JPEG, PNG and WebP are accepted") from error
    except Image.DecompressionBombError as error:
        raise PortraitError(f"{path} is too large an image") from error
    except (OSError, SyntaxError, ValueError, EOFError) as error:
        raise PortraitError(f"{path} cannot be read as an image: {error}") from error


def _register_heic() -> None:
    """Let Pillow read HEIC where its plug-in is installed."""
    try:
        import pillow_heif
    except ImportError:
        return
    pillow_heif.register_heif_opener()


def _to_srgb(image: object) -> object:
    """A Pillow image in mode RGB: profile applied, depth reduced, transparency filled."""
    from PIL import Image

    assert isinstance(image, Image.Image)
    if image.mode.startswith("I") or image.mode == "F":
        levels = np.asarray(image, np.float32)
        peak = 65535.0 if levels.max() > 255 else 255.0
        return Image.fromarray(np.uint8(levels.clip(0, peak) * (255 / peak))).convert("RGB")
    if "A" in image.getbands() or "transparency" in image.info:
        layer = image.convert("RGBA")
        ground = Image.new("RGBA", layer.size, (*MATTE, 255))
        return Image.alpha_composite(ground, layer).convert("RGB")
    return _apply_profile(image)


def _apply_profile(image: object) -> object:
    """Convert from an embedded colour profile to sRGB; a damaged profile is left out."""
    import io

    from PIL import Image, ImageCms

    assert isinstance(image, Image.Image)
    profile = image.info.get("icc_profile")
    if profile:
        try:
            source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
            target = ImageCms.createProfile("sRGB")
            converted = ImageCms.profileToProfile(image, source, target, outputMode="RGB")
        except (ImageCms.PyCMSError, OSError):
            converted = None
        if converted is not None:
            return converted
    return image.convert("RGB")

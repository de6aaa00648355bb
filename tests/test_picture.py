"""Pictures of every kind are read alike, and what is no picture is named."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageCms

from vasari.errors import PortraitError
from vasari.generate import picture
from vasari.generate.picture import read_picture

COLOUR = (200, 120, 40)


def _save(path: Path, image: Image.Image, **options: object) -> Path:
    image.save(path, **options)
    return path


@pytest.mark.parametrize(
    ("name", "mode"),
    [("a.png", "RGB"), ("a.png", "P"), ("a.webp", "RGB"), ("a.jpg", "RGB"), ("a.jpg", "CMYK")],
)
def test_colours_survive(tmp_path: Path, name: str, mode: str) -> None:
    image = Image.new("RGB", (40, 30), COLOUR)
    image = image.quantize(4) if mode == "P" else image.convert(mode)
    pixels = read_picture(_save(tmp_path / name, image))
    assert pixels.shape == (30, 40, 3)
    assert pixels.dtype == np.uint8
    assert np.abs(pixels.astype(int) - COLOUR).max() <= 4


def test_exif_orientation_is_applied(tmp_path: Path) -> None:
    image = Image.new("RGB", (40, 20), COLOUR)
    exif = Image.Exif()
    exif[0x0112] = 6  # stored lying on its side
    assert read_picture(_save(tmp_path / "a.jpg", image, exif=exif)).shape == (40, 20, 3)


def test_transparency_shows_white(tmp_path: Path) -> None:
    image = Image.new("RGBA", (8, 8), (0, 0, 0, 0))
    assert (read_picture(_save(tmp_path / "a.png", image)) == 255).all()


def test_sixteen_bits_are_reduced_not_clipped(tmp_path: Path) -> None:
    levels = np.linspace(0, 65535, 256).astype(np.uint16).reshape(16, 16)
    pixels = read_picture(_save(tmp_path / "a.png", Image.fromarray(levels)))
    assert np.abs(pixels[..., 0].ravel().astype(int) - np.arange(256)).max() <= 1


def test_greyscale_has_three_equal_channels(tmp_path: Path) -> None:
    pixels = read_picture(_save(tmp_path / "a.png", Image.new("L", (9, 9), 77)))
    assert (pixels == 77).all()
    assert pixels.shape == (9, 9, 3)


def test_a_damaged_colour_profile_is_left_out(tmp_path: Path) -> None:
    image = Image.new("RGB", (8, 8), COLOUR)
    pixels = read_picture(_save(tmp_path / "a.png", image, icc_profile=b"no profile at all"))
    assert (pixels == COLOUR).all()


def test_an_srgb_profile_changes_nothing(tmp_path: Path) -> None:
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    image = Image.new("RGB", (8, 8), COLOUR)
    pixels = read_picture(_save(tmp_path / "a.png", image, icc_profile=profile))
    assert np.abs(pixels.astype(int) - COLOUR).max() <= 1


def _jpeg() -> bytes:
    stream = io.BytesIO()
    noise = np.random.default_rng(0).integers(0, 255, (200, 200, 3), np.uint8)
    Image.fromarray(noise).save(stream, "jpeg")
    return stream.getvalue()


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "no image"),
        (b"just text", "no image"),
        (_jpeg()[:400], "cannot be read|no image"),
        (_jpeg()[: len(_jpeg()) // 2], "cannot be read"),
    ],
)
def test_damage_is_named(tmp_path: Path, content: bytes, words: str) -> None:
    path = tmp_path / "a.jpg"
    path.write_bytes(content)
    with pytest.raises(PortraitError, match=words) as caught:
        read_picture(path)
    assert str(path) in str(caught.value)


def test_missing_and_folder(tmp_path: Path) -> None:
    with pytest.raises(PortraitError, match="does not exist"):
        read_picture(tmp_path / "none.png")
    with pytest.raises(PortraitError, match="is a folder"):
        read_picture(tmp_path)


def test_more_pixels_than_allowed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(picture, "MAX_PIXELS", 99)
    with pytest.raises(PortraitError, match="megapixels"):
        read_picture(_save(tmp_path / "a.png", Image.new("RGB", (10, 10))))

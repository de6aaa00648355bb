"""Teeth, tongue and the dark behind them, drawn in the portrait's own light and colours."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from vasari.generate.portrait import Portrait
from vasari.generate.topology import (
    FACE_OVAL,
    LOWER_LIP_INNER,
    LOWER_LIP_OUTER,
    UPPER_LIP_INNER,
    UPPER_LIP_OUTER,
)

Float32Array = npt.NDArray[np.float32]
ImageArray = npt.NDArray[np.uint8]

# Mesiodistal widths of the crowns from the middle line outward, cm (Wheeler, Dental Anatomy).
UPPER_WIDTHS = (0.85, 0.65, 0.75, 0.70, 0.70, 1.0)
LOWER_WIDTHS = (0.52, 0.56, 0.68, 0.70, 0.70, 1.1)
UPPER_HEIGHTS = (1.05, 0.92, 1.0, 0.85, 0.75, 0.7)
LOWER_HEIGHTS = (0.85, 0.88, 0.95, 0.82, 0.75, 0.7)
ARCH_RADIUS = 2.7  # cm: the teeth stand on a half circle, those at the sides seen from the edge

HIGHLIGHT_PERCENTILE = 96  # of a face's brightness: the highlights show the light's own colour
TOOTH_LIGHT = 0.93  # of that light, which the front teeth give back
BLEACH = 0.22  # how far teeth are whiter than that light on skin
TONGUE = np.array([0.92, 0.74, 0.76], np.float32)  # of the lips' colour: wet, and redder than they
TONGUE_WIDTH, TONGUE_HEIGHT = 2.4, 1.6  # cm: half of its back's width, and how high it stands

SHEET_HALF_WIDTH, SHEET_HEIGHT = 3.0, 3.0  # cm that a drawing spans: sideways, and downward
SHEET_ABOVE = 1.5  # cm of it above the edges of the teeth


@dataclass(frozen=True)
class Palette:
    """Colours inside a mouth, each (3,) float32 RGB 0..255."""

    tooth: Float32Array
    gum: Float32Array
    tongue: Float32Array
    dark: Float32Array


@dataclass(frozen=True)
class Drawing:
    """A drawing in the plane of the teeth; its origin is the middle of their edges."""

    pixels: ImageArray  # (h, w, 4) RGBA, straight alpha
    density: float  # pixels per cm

    @property
    def origin(self) -> Float32Array:
        """Where in the drawing its origin lies, (2,) pixels."""
        return np.array([SHEET_HALF_WIDTH, SHEET_ABOVE], np.float32) * self.density


def palette(portrait: Portrait, *, teeth_shown: bool) -> Palette:
    """Colours fitting a portrait: its own teeth's if it shows them, or such as its light makes.

    Args:
        portrait: whose.
        teeth_shown: whether there are teeth between its lips.
    """
    lower = _colours_inside(portrait, LOWER_LIP_OUTER + LOWER_LIP_INNER[::-1])
    upper = _colours_inside(portrait, UPPER_LIP_OUTER + UPPER_LIP_INNER[::-1])
    lips = np.median(np.concatenate([lower, upper]), axis=0)
    tooth = _own_teeth(portrait) if teeth_shown else _teeth_in(_light(portrait))
    return Palette(
        tooth,
        (0.75 * lips).astype(np.float32),
        (TONGUE * lips).astype(np.float32),
        (0.2 * lips).astype(np.float32),
    )


def draw_upper(colours: Palette, density: float) -> Drawing:
    """The upper teeth and gum, edges downward."""
    return _draw_row(colours, density, UPPER_WIDTHS, UPPER_HEIGHTS, upper=True)


def draw_lower(colours: Palette, density: float) -> Drawing:
    """The lower teeth, edges upward, and the tongue that lies behind them."""
    row = _draw_row(colours, density, LOWER_WIDTHS, LOWER_HEIGHTS, upper=False)
    return Drawing(_under(row.pixels, _tongue(colours, density)), density)


def _own_teeth(portrait: Portrait) -> Float32Array:
    """The colour of the brighter half of what shows between the lips, (3,)."""
    shown = _colours_inside(portrait, UPPER_LIP_INNER + LOWER_LIP_INNER[::-1])
    luma = shown.mean(axis=1)
    return np.asarray(shown[luma >= np.percentile(luma, 70)].mean(axis=0), np.float32)


def _teeth_in(light: Float32Array) -> Float32Array:
    """The colour of teeth in a light that was measured on skin, (3,)."""
    return np.asarray(TOOTH_LIGHT * ((1 - BLEACH) * light + BLEACH * light.max()), np.float32)


def _light(portrait: Portrait) -> Float32Array:
    """The colour of the light on a face, (3,): that of the brightest of its skin."""
    skin = _colours_inside(portrait, FACE_OVAL)
    luma = skin.mean(axis=1)
    bright = skin[luma >= np.percentile(luma, HIGHLIGHT_PERCENTILE)]
    return np.asarray(bright.mean(axis=0), np.float32)


def _colours_inside(portrait: Portrait, outline: tuple[int, ...]) -> Float32Array:
    """The colours inside an outline of mesh points, (N, 3)."""
    import cv2

    mask = np.zeros(portrait.image.shape[:2], np.uint8)
    polygon = np.rint(portrait.mesh[list(outline), :2]).astype(np.int32)
    cv2.fillPoly(mask, [polygon], 1)
    return np.asarray(portrait.image[mask > 0], np.float32)


def _plane(density: float) -> tuple[Float32Array, Float32Array]:
    """The cm coordinates, x to the right and y down, of each pixel of a drawing."""
    columns = np.arange(round(2 * SHEET_HALF_WIDTH * density), dtype=np.float32)
    rows = np.arange(round(SHEET_HEIGHT * density), dtype=np.float32)
    x, y = np.meshgrid(columns / density - SHEET_HALF_WIDTH, rows / density - SHEET_ABOVE)
    return x, y


def _draw_row(
    colours: Palette,
    density: float,
    widths: tuple[float, ...],
    heights: tuple[float, ...],
    *,
    upper: bool,
) -> Drawing:
    """One row of teeth over its gum."""
    x, y = _plane(density)
    inward = -y if upper else y  # from the edge toward the gum
    around = np.arcsin(np.clip(x / ARCH_RADIUS, -0.999, 0.999)) * ARCH_RADIUS  # along the arch
    tooth, seam, height = _crowns(np.abs(around), inward, widths, heights)
    side = np.cos(np.clip(x / ARCH_RADIUS, -1, 1) * 1.35)  # light falls off along the arch
    body = np.clip(inward / height, 0, 1)
    shade = side * (1 - 0.28 * body**1.5) * (1 - 0.3 * seam)
    if not upper:
        shade = shade * 0.82  # the lower row stands in the upper one's shadow
    gum = (inward > 0.5 * height) * (np.abs(x) < ARCH_RADIUS * 0.98) * (1 - tooth)
    rgb = tooth[..., None] * colours.tooth * shade[..., None]
    rgb += gum[..., None] * colours.gum * (0.75 * side)[..., None]
    alpha = np.clip(tooth + gum, 0, 1)
    pixels = np.dstack([rgb / np.maximum(alpha, 1e-3)[..., None], alpha * 255])
    return Drawing(np.asarray(np.clip(pixels, 0, 255), np.uint8), density)


def _crowns(
    around: Float32Array,
    inward: Float32Array,
    widths: tuple[float, ...],
    heights: tuple[float, ...],
) -> tuple[Float32Array, Float32Array, Float32Array]:
    """Coverage, nearness to a seam (both 0..1) and crown height (cm) of a row of teeth."""
    tooth, seam = np.zeros_like(around), np.zeros_like(around)
    height = np.full_like(around, heights[-1])
    start = 0.0
    for width, tall in zip(widths, heights, strict=True):
        across = (around - start - width / 2) / (width / 2)
        along = (inward - tall / 2) / (tall / 2)
        inside = np.clip((1.9 - np.abs(across) ** 10 - np.abs(along) ** 8) * 3, 0, 1)
        here = (around >= start) & (around < start + width)
        tooth = np.maximum(tooth, inside)
        seam = np.where(here, np.abs(across) ** 10, seam)
        height = np.where(here, tall, height)
        start += width
    return tooth, seam, height


def _tongue(colours: Palette, density: float) -> Float32Array:
    """The tongue's rounded back, (h, w, 4) RGBA."""
    x, y = _plane(density)
    hump = 1 - (x / TONGUE_WIDTH) ** 2 - ((y - 0.25) / TONGUE_HEIGHT) ** 2
    furrow = 1 - 0.12 * np.exp(-((x / 0.18) ** 2))
    lit = np.clip(0.5 + 0.45 * hump, 0, 1) * furrow
    alpha = np.clip(hump * 2, 0, 1)
    return np.dstack([colours.tongue * lit[..., None], alpha * 255]).astype(np.float32)


def _under(top: ImageArray, bottom: Float32Array) -> ImageArray:
    """One RGBA picture over another, straight alpha."""
    over, under = top[..., 3:] / 255, bottom[..., 3:] / 255
    alpha = over + under * (1 - over)
    rgb = (top[..., :3] * over + bottom[..., :3] * under * (1 - over)) / np.maximum(alpha, 1e-3)
    return np.asarray(np.clip(np.dstack([rgb, alpha * 255]), 0, 255), np.uint8)

"""Fakes made of real crops alone, so that a detector learns what no single generator does.

Blending follows self-blended images (Shiohara & Yamasaki, CVPR 2022): a face pasted back into
its own picture after a small change of colour, sharpness and place. Warping is what renderers
that move a portrait do. Enlarging leaves the traces of the layers by which nearly every neural
generator makes its picture larger (Zhang, Karaman & Chang, WIFS 2019).
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

ImageArray = npt.NDArray[np.uint8]
Float32Array = npt.NDArray[np.float32]
Random = np.random.Generator

# Parts of a face in a crop that has it in its middle: middle and half axes in shares of the side.
PARTS = (
    ((0.50, 0.52), (0.28, 0.36)),  # the face
    ((0.50, 0.50), (0.36, 0.44)),  # the head
    ((0.50, 0.62), (0.24, 0.20)),  # its lower half
    ((0.50, 0.66), (0.15, 0.09)),  # the mouth
    ((0.50, 0.42), (0.24, 0.09)),  # the eyes
)
WEIGHTS = (0.35, 0.15, 0.2, 0.15, 0.15)  # how often each is pasted


def blended(crop: ImageArray, random: Random) -> ImageArray:
    """Paste a changed part of the face back into its own picture, (S, S, 3) uint8."""
    mask = _mask(len(crop), random)[..., None]
    changed = _changed(crop, random)
    mixed = crop + mask * (changed.astype(np.float32) - crop)
    return np.clip(mixed, 0, 255).astype(np.uint8)


def warped(crop: ImageArray, random: Random) -> ImageArray:
    """Bend the face smoothly, as a renderer that moves a portrait does, (S, S, 3) uint8."""
    side = len(crop)
    mask = _mask(side, random)[..., None]
    bend = _smooth_field(side, random, float(random.uniform(1.5, 5)))
    moved = _remap(crop, mask * bend)
    if random.random() < 0.5:  # some render at another size than they show
        moved = _resampled(moved, random, 0.5, 0.95)
    return moved


def enlarged(crop: ImageArray, random: Random) -> ImageArray:
    """Halve the crop and enlarge it as a transposed convolution does, (S, S, 3) uint8.

    The pixels go apart, zeros between them, and a kernel that was learned, so is never quite
    even, fills the gaps. The detail that generators do keep is kept in part.
    """
    import cv2

    side = len(crop) // 2 * 2
    half = cv2.resize(crop, (side // 2, side // 2), interpolation=cv2.INTER_AREA)
    apart = np.zeros((side, side, 3), np.float32)
    apart[::2, ::2] = half
    tent = np.outer([1, 3, 3, 1], [1, 3, 3, 1]) / 16
    kernel = tent * (1 + random.normal(0, random.uniform(0.02, 0.2), (4, 4)))
    kernel *= 4 / kernel.sum()
    filled = cv2.filter2D(apart, -1, kernel, borderType=cv2.BORDER_REFLECT_101)
    kept = random.uniform(0, 0.6)
    where = _mask(side, random)[..., None] if random.random() < 0.5 else np.ones((1, 1, 1))
    mixed = crop + where * (1 - kept) * (filled - crop)
    return np.asarray(np.clip(mixed, 0, 255), np.uint8)


MAKERS: tuple[Callable[[ImageArray, Random], ImageArray], ...] = (blended, warped, enlarged)
SHARES = (0.5, 0.2, 0.3)


def pseudo_fake(crop: ImageArray, random: Random) -> ImageArray:
    """One of the above."""
    return MAKERS[random.choice(len(MAKERS), p=SHARES)](crop, random)


def _mask(side: int, random: Random) -> Float32Array:
    """A soft, deformed part of the face, (side, side) 0..1."""
    import cv2

    (x, y), (half_width, half_height) = PARTS[random.choice(len(PARTS), p=WEIGHTS)]
    x, y = (np.array([x, y]) + random.normal(0, 0.02, 2)) * side
    axes = np.array([half_width, half_height]) * random.uniform(0.8, 1.2, 2) * side
    angles = np.linspace(0, 2 * np.pi, 24, endpoint=False)
    radius = 1 + 0.12 * sum(
        random.normal() * np.cos(k * angles + random.uniform(0, 6.3)) / k for k in (2, 3, 4)
    )
    circle = np.stack([np.cos(angles), np.sin(angles)], axis=1)
    rim = np.array([x, y]) + axes * radius[:, None] * circle
    mask = np.zeros((side, side), np.float32)
    cv2.fillPoly(mask, [np.rint(rim).astype(np.int32)], 1.0)
    soft = cv2.GaussianBlur(mask, (0, 0), float(random.uniform(0.01, 0.05)) * side)
    strength = random.choice([0.5, 0.75, 1.0, 1.0, 1.0])
    return np.asarray(soft * strength, np.float32)


def _changed(crop: ImageArray, random: Random) -> ImageArray:
    """A crop whose colour, sharpness and place differ a little."""
    import cv2

    changed = crop
    if random.random() < 0.6:
        coloured = crop * random.uniform(0.92, 1.08, 3) + random.normal(0, 5, 3)
        changed = np.clip(coloured, 0, 255).astype(np.uint8)
    soft = random.random()
    if soft < 0.5:
        changed = _resampled(changed, random, 0.3, 0.9)
    elif soft < 0.75:
        fine = cv2.GaussianBlur(changed, (0, 0), 1.2)
        changed = cv2.addWeighted(changed, 1.6, fine, -0.6, 0)
    shift = random.uniform(-0.02, 0.02, 2) * len(crop)
    scale = random.uniform(0.97, 1.03)
    middle = len(crop) / 2
    warp = np.array(
        [
            [scale, 0, middle * (1 - scale) + shift[0]],
            [0, scale, middle * (1 - scale) + shift[1]],
        ]
    )
    return np.asarray(
        cv2.warpAffine(changed, warp, crop.shape[:2], borderMode=cv2.BORDER_REFLECT_101), np.uint8
    )


def _resampled(crop: ImageArray, random: Random, low: float, high: float) -> ImageArray:
    """A crop scaled down and up again by methods drawn by chance."""
    import cv2

    side = len(crop)
    small = max(round(side * float(random.uniform(low, high))), 8)
    down = int(random.choice([cv2.INTER_AREA, cv2.INTER_LINEAR, cv2.INTER_CUBIC]))
    up = int(random.choice([cv2.INTER_LINEAR, cv2.INTER_CUBIC, cv2.INTER_LANCZOS4]))
    reduced = cv2.resize(crop, (small, small), interpolation=down)
    return np.asarray(cv2.resize(reduced, (side, side), interpolation=up), np.uint8)


def _smooth_field(side: int, random: Random, strength: float) -> Float32Array:
    """Shifts in pixels, (side, side, 2), of a few waves across the crop."""
    import cv2

    knots = random.normal(0, strength, (int(random.integers(4, 9)),) * 2 + (2,))
    field = cv2.resize(knots.astype(np.float32), (side, side), interpolation=cv2.INTER_CUBIC)
    return np.asarray(field, np.float32)


def _remap(crop: ImageArray, field: Float32Array) -> ImageArray:
    import cv2

    rows, columns = np.indices(crop.shape[:2], dtype=np.float32)
    return np.asarray(
        cv2.remap(
            crop,
            columns + field[..., 0],
            rows + field[..., 1],
            cv2.INTER_LINEAR,
            borderMode=cv2.BORDER_REFLECT_101,
        ),
        np.uint8,
    )

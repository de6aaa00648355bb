"""The touch-up: a small network repairs the eyes, where a moved picture cannot know better.

It sees an upright patch of a frame beside the same patch of the portrait, and answers with what to
change: how far pixels move and how their colours shift. That fades to nothing at the patch's
border, and at rest nothing changes.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt

from vasari.generate.patch import FINER_BITS, Window, finer
from vasari.generate.portrait import Portrait
from vasari.generate.topology import (
    LEFT_LOWER_LID,
    LEFT_UPPER_LID,
    RIGHT_LOWER_LID,
    RIGHT_UPPER_LID,
)

Float32Array = npt.NDArray[np.float32]
ImageArray = npt.NDArray[np.uint8]

PATCH_DENSITY = 11.0  # pixels of a patch per cm of the face; a frame of 512 pixels has about 13
GAZE_SPARED = (4.0, 10.0)  # degrees: where the change between the lids begins to fade, and ends
BLURRED_FROM = 1.25  # of the frame's pixels for one of a patch
BLUR = 0.35  # of the frame's pixels for one of a patch beyond the first: keeps a patch smooth


class Retoucher(Protocol):
    """What a renderer hands its finished frames to."""

    @property
    def anchors(self) -> Float32Array:
        """(N, 3) pixels of the portrait: points on the skull, which move with the head."""

    def apply(
        self, frame: ImageArray, *, anchors: Float32Array, mesh: Float32Array, gaze: Float32Array
    ) -> None:
        """Change a frame.

        Args:
            frame: (S, S, 3) sRGB, changed.
            anchors: (N, 2) pixels, where the anchors now stand.
            mesh: (478, 2) pixels, the face as it is shown.
            gaze: (2,) degrees, by how much the eyes are turned.
        """


@dataclass(frozen=True)
class Region:
    """A part of the face that is touched up: an upright rectangle fixed to the skull."""

    centre: tuple[int, int]  # the mesh points between which it lies
    mirrored: bool  # whether the patch is flipped, so that one network knows both eyes
    opening: tuple[int, ...]  # mesh points around the lids
    below: float = -0.2  # cm from the centre to the patch's middle
    width: int = 48  # pixels of the patch
    height: int = 40


RIGHT_EYE = Region((33, 133), False, RIGHT_UPPER_LID + RIGHT_LOWER_LID[-2:0:-1])
LEFT_EYE = Region((263, 362), True, LEFT_UPPER_LID + LEFT_LOWER_LID[-2:0:-1])
REGIONS = (RIGHT_EYE, LEFT_EYE)


@dataclass(frozen=True)
class Look:
    """One region as it stands in a picture."""

    colours: ImageArray  # (h, w, 3) sRGB
    opening: ImageArray  # (h, w) 0..255: how much of each pixel lies between the lids

    def inputs(self, portrait: Look) -> Float32Array:
        """What the network sees, (7, h, w) 0..1: this look, the portrait's, and the opening."""
        planes = np.empty((7, *self.opening.shape), np.float32)
        planes[:3] = self.colours.transpose(2, 0, 1)
        planes[3:6] = portrait.colours.transpose(2, 0, 1)
        planes[6] = self.opening
        planes /= np.float32(255)
        return planes


def place_regions(portrait: Portrait) -> Float32Array:
    """The anchors of all REGIONS, (6, 3) pixels: of each its middle, 1 cm across, 1 cm down."""
    own = portrait.placement.unplace(portrait.mesh)
    corners = [
        own[list(region.centre)].mean(axis=0) + np.array(offset, np.float32)
        for region in REGIONS
        for offset in (
            (0, region.below, 0),
            (-1 if region.mirrored else 1, region.below, 0),
            (0, region.below + 1, 0),
        )
    ]
    return portrait.placement.place(np.stack(corners))


def patch_warp(region: Region, anchors: Float32Array) -> Float32Array:
    """The affine map, (2, 3), from a patch's pixels to a frame's, by the region's three anchors."""
    middle, across, down = anchors[:, :2]
    warp = np.empty((2, 3), np.float32)
    warp[:, 0], warp[:, 1] = (across - middle) / PATCH_DENSITY, (down - middle) / PATCH_DENSITY
    warp[:, 2] = middle - warp[:, 0] * ((region.width - 1) / 2)
    warp[:, 2] -= warp[:, 1] * ((region.height - 1) / 2)
    return warp


def patch_warps(anchors: Float32Array) -> list[Float32Array]:
    """`patch_warp` of each of REGIONS, by the anchors of all."""
    return [patch_warp(region, anchors[3 * i : 3 * i + 3]) for i, region in enumerate(REGIONS)]


def looks(frame: ImageArray, warps: Sequence[Float32Array], mesh: Float32Array) -> list[Look]:
    """`look` at each of REGIONS."""
    pairs = zip(REGIONS, warps, strict=True)
    return [look(frame, region, warp, mesh) for region, warp in pairs]


def look(frame: ImageArray, region: Region, warp: Float32Array, mesh: Float32Array) -> Look:
    """Cut a region out of a frame, given the face's mesh, (478, 2) pixels, in it."""
    import cv2

    size = (region.width, region.height)
    window = patch_window(region, warp, len(frame))
    cut = frame[window.top : window.top + window.height, window.left : window.left + window.width]
    density = float(np.hypot(*warp[:, 1]))  # of the frame's pixels for one of the patch
    if density > BLURRED_FROM:
        cut = cv2.GaussianBlur(cut, (0, 0), BLUR * density)
    inside = warp.copy()
    inside[:, 2] -= window.corner
    colours = cv2.warpAffine(
        cut,
        inside,
        size,
        flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
        borderMode=cv2.BORDER_REPLICATE,
    )
    back = cv2.invertAffineTransform(warp)
    rim = mesh[list(region.opening), :2] @ back[:, :2].T + back[:, 2]
    opening = np.zeros((region.height, region.width), np.uint8)
    cv2.fillPoly(opening, [finer(rim)], 255, cv2.LINE_AA, shift=FINER_BITS)
    return Look(np.asarray(colours, np.uint8), opening)


def patch_window(region: Region, warp: Float32Array, size: int) -> Window:
    """The pixels of a frame of a size in which a patch lies."""
    return Window.around(_corners(region) @ warp[:, :2].T + warp[:, 2], 1, size)


@functools.cache
def _corners(region: Region) -> Float32Array:
    """The middles of a patch's outermost pixels, (4, 2)."""
    right, bottom = region.width - 1, region.height - 1
    return np.array([[0, 0], [right, 0], [0, bottom], [right, bottom]], np.float32)


def change(frame: ImageArray, region: Region, warp: Float32Array, fields: Float32Array) -> None:
    """Change a frame as a network says.

    Args:
        frame: (S, S, 3) sRGB, changed.
        region: where.
        warp: (2, 3) from the patch's pixels to the frame's.
        fields: (5, h, w): from how far right and down in the patch each pixel comes, pixels, then
            what is added to its colours, 0..1; nothing at the borders.
    """
    import cv2

    from vasari.generate.retouch import retouch

    window = patch_window(region, warp, len(frame))
    area = np.s_[window.top : window.top + window.height, window.left : window.left + window.width]
    inside = warp.copy()
    inside[:, 2] -= window.corner
    back = cv2.invertAffineTransform(inside)
    retouch(frame[area], frame[area].copy(), fields, inside, back)


def spared_balls(gaze: Float32Array) -> np.float32:
    """How far the eyeballs are left alone, 0..1, at a gaze, (2,) degrees.

    The network learned from gazes that were tracked too weakly: it draws a pupil that is turned
    far half back, and leaves a ghost of it.
    """
    none, all_of_it = GAZE_SPARED
    return np.float32(np.clip((np.hypot(*gaze) - none) / (all_of_it - none), 0, 1))


class TouchUp:
    """Touches up the frames of one portrait."""

    def __init__(self, portrait: Portrait) -> None:
        from vasari.models.touchup import load_touch_up

        self.anchors = place_regions(portrait)
        self._network = load_touch_up()
        self._portrait = looks(portrait.image, patch_warps(self.anchors), portrait.mesh)
        self._at_rest = self._ask(self._portrait)

    def apply(
        self, frame: ImageArray, *, anchors: Float32Array, mesh: Float32Array, gaze: Float32Array
    ) -> None:
        """Change a frame, as `Retoucher` says."""
        warps = patch_warps(anchors)
        if any(
            patch_window(region, warp, len(frame)).empty
            for region, warp in zip(REGIONS, warps, strict=True)
        ):
            return  # the face has left the frame
        seen = looks(frame, warps, mesh)
        changes = self._ask(seen) - self._at_rest
        spared = spared_balls(gaze)
        for region, warp, shown, fields in zip(REGIONS, warps, seen, changes, strict=True):
            left = 1 - spared * (shown.opening / np.float32(255))
            change(frame, region, warp, left * fields)

    def _ask(self, seen: list[Look]) -> Float32Array:
        """The network's answers, (REGIONS, 5, h, w)."""
        pairs = zip(seen, self._portrait, strict=True)
        return self._network(np.stack([shown.inputs(own) for shown, own in pairs]))

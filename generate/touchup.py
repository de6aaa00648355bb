"""The touch-up: a small network repairs eyes and mouth, where a moved picture cannot know better.

It sees an upright patch of a frame beside the same patch of the portrait, and answers with what to
change: how far pixels move and how their colours shift. That fades to nothing at the patch's
border, and at rest nothing changes.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from vasari.generate.patch import FINER_BITS, Window, finer
from vasari.generate.portrait import Portrait
from vasari.generate.topology import (
    LEFT_LOWER_LID,
    LEFT_UPPER_LID,
    LOWER_LIP_INNER,
    RIGHT_LOWER_LID,
    RIGHT_UPPER_LID,
    UPPER_LIP_INNER,
)

Float32Array = npt.NDArray[np.float32]
ImageArray = npt.NDArray[np.uint8]

GAZE_SPARED = (4.0, 10.0)  # degrees: where the change between the lids begins to fade, and ends
# How far what lies between the lips is left alone: how it looks there nobody can know, and the
# mean of all that may be is a grey. The least, and from how much of a patch on it grows, to all.
LIPS_SPARED, LITTLE, MUCH = 0.6, 0.12, 0.28
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
    opening: tuple[int, ...]  # mesh points around the lids or the lips
    below: float  # cm from the centre to the patch's middle
    density: float  # pixels of the patch per cm of the face; a frame of 512 pixels has about 13
    mirrored: bool = False  # whether the patch is flipped, so that one network knows both eyes
    ball: bool = True  # whether it is an eyeball that the opening shows


PATCH_WIDTH, PATCH_HEIGHT = 48, 40  # pixels, of every region's: all are looked at in one go
RIGHT_EYE = Region((33, 133), RIGHT_UPPER_LID + RIGHT_LOWER_LID[-2:0:-1], -0.2, 11.0)
LEFT_EYE = Region((263, 362), LEFT_UPPER_LID + LEFT_LOWER_LID[-2:0:-1], -0.2, 11.0, mirrored=True)
MOUTH = Region((61, 291), UPPER_LIP_INNER + LOWER_LIP_INNER[-2:0:-1], 0.3, 6.6, ball=False)
REGIONS = (RIGHT_EYE, LEFT_EYE, MOUTH)


@dataclass(frozen=True)
class Look:
    """One region as it stands in a picture."""

    colours: ImageArray  # (h, w, 3) sRGB
    opening: ImageArray  # (h, w) 0..255: how much of each pixel lies between lids or lips

    def inputs(self, portrait: Look) -> Float32Array:
        """What the network sees, (7, h, w) 0..1: this look, the portrait's, and the opening."""
        planes = np.empty((7, *self.opening.shape), np.float32)
        planes[:3] = self.colours.transpose(2, 0, 1)
        planes[3:6] = portrait.colours.transpose(2, 0, 1)
        planes[6] = self.opening
        planes /= np.float32(255)
        return planes


def place_regions(portrait: Portrait) -> Float32Array:
    """The anchors of all REGIONS, (9, 3) pixels: of each its middle, 1 cm across, 1 cm down."""
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
    warp[:, 0], warp[:, 1] = (across - middle) / region.density, (down - middle) / region.density
    warp[:, 2] = middle - warp[:, 0] * ((PATCH_WIDTH - 1) / 2)
    warp[:, 2] -= warp[:, 1] * ((PATCH_HEIGHT - 1) / 2)
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

    window = patch_window(warp, len(frame))
    cut = frame[window.top : window.top + window.height, window.left : window.left + window.width]
    density = float(np.hypot(*warp[:, 1]))  # of the frame's pixels for one of the patch
    if density > BLURRED_FROM:
        cut = cv2.GaussianBlur(cut, (0, 0), BLUR * density)
    inside = warp.copy()
    inside[:, 2] -= window.corner
    colours = cv2.warpAffine(
        cut,
        inside,
        (PATCH_WIDTH, PATCH_HEIGHT),
        flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
        borderMode=cv2.BORDER_REPLICATE,
    )
    back = cv2.invertAffineTransform(warp)
    rim = mesh[list(region.opening), :2] @ back[:, :2].T + back[:, 2]
    opening = np.zeros((PATCH_HEIGHT, PATCH_WIDTH), np.uint8)
    cv2.fillPoly(opening, [finer(rim)], 255, cv2.LINE_AA, shift=FINER_BITS)
    return Look(np.asarray(colours, np.uint8), opening)


def patch_window(warp: Float32Array, size: int) -> Window:
    """The pixels of a frame of a size in which a patch lies."""
    return Window.around(_corners() @ warp[:, :2].T + warp[:, 2], 1, size)


@functools.cache
def _corners() -> Float32Array:
    """The middles of a patch's outermost pixels, (4, 2)."""
    right, bottom = PATCH_WIDTH - 1, PATCH_HEIGHT - 1
    return np.array([[0, 0], [right, 0], [0, bottom], [right, bottom]], np.float32)


def change(frame: ImageArray, warp: Float32Array, fields: Float32Array) -> None:
    """Change a frame as a network says.

    Args:
        frame: (S, S, 3) sRGB, changed.
        warp: (2, 3) from the patch's pixels to the frame's.
        fields: (5, h, w): from how far right and down in the patch each pixel comes, pixels, then
            what is added to its colours, 0..1; nothing at the borders.
    """
    import cv2

    from vasari.generate.retouch import retouch

    window = patch_window(warp, len(frame))
    edges = (window.left, window.top, window.width, window.height)
    retouch(frame, *edges, fields, warp, cv2.invertAffineTransform(warp))


def spared_ball(gaze: Float32Array) -> np.float32:
    """How far an eyeball is left alone, 0..1, at a gaze, (2,) degrees.

    The network learned from gazes that were tracked too weakly: it draws a pupil that is turned
    far half back, and leaves a ghost of it.
    """
    none, all_of_it = GAZE_SPARED
    return np.float32(np.clip((np.hypot(*gaze) - none) / (all_of_it - none), 0, 1))


def spared_teeth(open_share: Any) -> Any:
    """How far what lies between the lips is left alone, 0..1, as many as given: NumPy or PyTorch.

    Args:
        open_share: how much of a patch lies there, 0..1.
    """
    wide = (open_share - LITTLE) / (MUCH - LITTLE)
    return LIPS_SPARED + (1 - LIPS_SPARED) * wide.clip(0, 1)


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
        if any(patch_window(warp, len(frame)).empty for warp in warps):
            return  # the face has left the frame
        seen = looks(frame, warps, mesh)
        changes = self._ask(seen) - self._at_rest
        for region, warp, shown, fields in zip(REGIONS, warps, seen, changes, strict=True):
            opening = shown.opening / np.float32(255)
            spared = spared_ball(gaze) if region.ball else np.float32(spared_teeth(opening.mean()))
            change(frame, warp, (1 - spared * opening) * fields)

    def _ask(self, seen: list[Look]) -> Float32Array:
        """The network's answers, (REGIONS, 5, h, w)."""
        pairs = zip(seen, self._portrait, strict=True)
        return self._network(np.stack([shown.inputs(own) for shown, own in pairs]))

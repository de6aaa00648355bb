"""The touch-up: a small network repairs mouth and eyes, where a moved picture cannot know better.

It sees upright patches of a frame beside the same patches of the portrait, and answers with what
to change: how far pixels move and how their colours shift. That fades to nothing at a patch's
border, and at rest nothing changes.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt

from vasari.generate.patch import Window
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

PATCH_DENSITY = 11.0  # pixels of a patch per cm of the face; a frame of 512 pixels has about 13
LIP_BLUR = 1.0  # pixels of a patch: how softly colours begin to change outside the lips
BLUR = 0.35  # of the frame's pixels for one of a patch beyond the first: keeps a patch smooth


class Retoucher(Protocol):
    """What a renderer hands its finished frames to."""

    @property
    def anchors(self) -> Float32Array:
        """(N, 3) pixels of the portrait: points on the skull, which move with the head."""

    def apply(self, frame: ImageArray, *, anchors: Float32Array, mesh: Float32Array) -> None:
        """Change a frame.

        Args:
            frame: (S, S, 3) sRGB, changed.
            anchors: (N, 2) pixels, where the anchors now stand.
            mesh: (478, 2) pixels, the face as it is shown.
        """


@dataclass(frozen=True)
class Region:
    """A part of the face that is touched up: an upright rectangle fixed to the skull."""

    network: str  # which network knows it
    width: int  # pixels of the patch
    height: int
    centre: tuple[int, int]  # the mesh points between which it lies
    below: float  # cm from there to the patch's middle
    mirrored: bool  # whether the patch is flipped, so that one network knows both eyes
    opening: tuple[int, ...]  # mesh points around lips or lids


MOUTH = Region(
    "mouth", 96, 80, (61, 291), 1.3, False, UPPER_LIP_INNER + LOWER_LIP_INNER[-2:0:-1]
)  # fmt: skip
RIGHT_EYE = Region(
    "eye", 48, 40, (33, 133), -0.2, False, RIGHT_UPPER_LID + RIGHT_LOWER_LID[-2:0:-1]
)  # fmt: skip
LEFT_EYE = Region("eye", 48, 40, (263, 362), -0.2, True, LEFT_UPPER_LID + LEFT_LOWER_LID[-2:0:-1])
REGIONS = (MOUTH, RIGHT_EYE, LEFT_EYE)


@dataclass(frozen=True)
class Look:
    """One region as it stands in a picture."""

    colours: ImageArray  # (h, w, 3) sRGB
    opening: ImageArray  # (h, w) 0..255: how much of each pixel lies between lips or lids

    def inputs(self, portrait: Look) -> Float32Array:
        """What the network sees, (7, h, w) 0..1: this look, the portrait's, and the opening."""
        planes = np.dstack([self.colours, portrait.colours, self.opening])
        return np.ascontiguousarray(planes.transpose(2, 0, 1), np.float32) / np.float32(255)


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
    axes = np.column_stack([across - middle, down - middle]) / PATCH_DENSITY
    start = middle - axes @ np.array([(region.width - 1) / 2, (region.height - 1) / 2])
    return np.column_stack([axes, start]).astype(np.float32)


def look(frame: ImageArray, region: Region, warp: Float32Array, mesh: Float32Array) -> Look:
    """Cut a region out of a frame, given the face's mesh, (478, 2) pixels, in it."""
    import cv2

    size = (region.width, region.height)
    window = patch_window(region, warp, len(frame))
    cut = frame[window.top : window.top + window.height, window.left : window.left + window.width]
    density = float(np.hypot(*warp[:, 1]))  # of the frame's pixels for one of the patch
    if density > 1.25:
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
    cv2.fillPoly(opening, [np.rint(rim * 16).astype(np.int32)], 255, cv2.LINE_AA, shift=4)
    return Look(np.asarray(colours, np.uint8), opening)


def patch_window(region: Region, warp: Float32Array, size: int) -> Window:
    """The pixels of a frame of a size in which a patch lies."""
    right, bottom = region.width - 1, region.height - 1
    corners = np.array([[0, 0], [right, 0], [0, bottom], [right, bottom]], np.float32)
    return Window.around(corners @ warp[:, :2].T + warp[:, 2], 1, size)


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


def _outside(opening: ImageArray) -> Float32Array:
    """1 where a pixel lies outside an opening, (h, w) 0..255, and 0 inside: (h, w)."""
    import cv2

    near = cv2.GaussianBlur(cv2.dilate(opening, np.ones((3, 3), np.uint8)), (0, 0), LIP_BLUR)
    return np.float32(1) - near / np.float32(255)


class TouchUp:
    """Touches up the frames of one portrait."""

    def __init__(self, portrait: Portrait) -> None:
        from vasari.models.touchup import load_touch_up

        self.anchors = place_regions(portrait)
        warps = self._warps(self.anchors)
        self._networks = {region.network: load_touch_up(region.network) for region in REGIONS}
        self._portrait = [
            look(portrait.image, region, warp, portrait.mesh)
            for region, warp in zip(REGIONS, warps, strict=True)
        ]
        self._at_rest = self._ask(self._portrait)

    def apply(self, frame: ImageArray, *, anchors: Float32Array, mesh: Float32Array) -> None:
        """Change a frame, as `Retoucher` says."""
        shown = [(region, warp) for region, warp in zip(REGIONS, self._warps(anchors), strict=True)]
        if any(patch_window(region, warp, len(frame)).empty for region, warp in shown):
            return  # the face has left the frame
        looks = [look(frame, region, warp, mesh) for region, warp in shown]
        answers = self._ask(looks)
        for (region, warp), seen, answer, rest in zip(
            shown, looks, answers, self._at_rest, strict=True
        ):
            fields = answer - rest
            if region is MOUTH:  # what it would add between the lips is a blur of all teeth
                fields[2:] *= _outside(seen.opening)
            change(frame, region, warp, fields)

    @staticmethod
    def _warps(anchors: Float32Array) -> list[Float32Array]:
        return [patch_warp(region, anchors[3 * i : 3 * i + 3]) for i, region in enumerate(REGIONS)]

    def _ask(self, looks: list[Look]) -> list[Float32Array]:
        """The networks' answers, (5, h, w) each."""
        mouth, *eyes = (shown.inputs(own) for shown, own in zip(looks, self._portrait, strict=True))
        return [*self._networks["mouth"](mouth[None]), *self._networks["eye"](np.stack(eyes))]

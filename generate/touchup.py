"""The touch-up: a small network repairs eyes and mouth, where a moved picture cannot know better.

It sees an upright patch of a frame beside the same patch of the portrait, and answers with what to
change: how far pixels move and how their colours shift. That fades to nothing at the patch's
border, and at rest nothing changes.
"""

from __future__ import annotations

import functools
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


@dataclass(frozen=True)
class Patch:
    """A region as it lies in a frame."""

    region: Region
    forth: Float32Array  # (2, 3), affine, from the patch's pixels to the frame's
    back: Float32Array  # (2, 3), the inverse
    window: Window  # the pixels of the frame around it

    @classmethod
    def at(cls, region: Region, forth: Float32Array, size: int) -> Patch:
        """The patch of a region whose place in a frame of a size is known."""
        import cv2

        window = Window.around(_corners() @ forth[:, :2].T + forth[:, 2], 1, size)
        return cls(region, forth, np.asarray(cv2.invertAffineTransform(forth)), window)

    @classmethod
    def between(cls, region: Region, anchors: Float32Array, size: int) -> Patch:
        """The patch of a region by its three anchors in a frame of a size."""
        middle, across, down = anchors[:, :2]
        forth = np.empty((2, 3), np.float32)
        forth[:, 0] = (across - middle) / region.density
        forth[:, 1] = (down - middle) / region.density
        forth[:, 2] = middle - forth[:, 0] * ((PATCH_WIDTH - 1) / 2)
        forth[:, 2] -= forth[:, 1] * ((PATCH_HEIGHT - 1) / 2)
        return cls.at(region, forth, size)


def lay_patches(anchors: Float32Array, size: int) -> list[Patch]:
    """The patches of REGIONS in a frame of a size, by the anchors of all."""
    parts = anchors.reshape(len(REGIONS), 3, -1)
    pairs = zip(REGIONS, parts, strict=True)
    return [Patch.between(region, part, size) for region, part in pairs]


def look(frame: ImageArray, patch: Patch, mesh: Float32Array) -> Look:
    """Cut a region out of a frame, given the face's mesh, (478, 2) pixels, in it."""
    import cv2

    window, forth = patch.window, patch.forth
    cut = frame[window.top : window.top + window.height, window.left : window.left + window.width]
    density = float(np.hypot(*forth[:, 1]))  # of the frame's pixels for one of the patch
    if density > BLURRED_FROM:
        cut = cv2.GaussianBlur(cut, (0, 0), BLUR * density)
    inside = forth.copy()
    inside[:, 2] -= window.corner
    colours = cv2.warpAffine(
        cut,
        inside,
        (PATCH_WIDTH, PATCH_HEIGHT),
        flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
        borderMode=cv2.BORDER_REPLICATE,
    )
    rim = mesh[list(patch.region.opening), :2] @ patch.back[:, :2].T + patch.back[:, 2]
    opening = np.zeros((PATCH_HEIGHT, PATCH_WIDTH), np.uint8)
    cv2.fillPoly(opening, [finer(rim)], 255, cv2.LINE_AA, shift=FINER_BITS)
    return Look(np.asarray(colours, np.uint8), opening)


@functools.cache
def _corners() -> Float32Array:
    """The middles of a patch's outermost pixels, (4, 2)."""
    right, bottom = PATCH_WIDTH - 1, PATCH_HEIGHT - 1
    return np.array([[0, 0], [right, 0], [0, bottom], [right, bottom]], np.float32)


def change(frame: ImageArray, patch: Patch, fields: Float32Array) -> None:
    """Change a frame as a network says.

    Args:
        frame: (S, S, 3) sRGB, changed.
        patch: where.
        fields: (5, h, w): from how far right and down in the patch each pixel comes, pixels, then
            what is added to its colours, 0..1; nothing at the borders.
    """
    from vasari.generate.retouch import retouch

    window = patch.window
    edges = (window.left, window.top, window.width, window.height)
    retouch(frame, *edges, fields, patch.forth, patch.back)


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
        patches = lay_patches(self.anchors, portrait.size)
        self._portrait = [look(portrait.image, patch, portrait.mesh) for patch in patches]
        self._at_rest = self._ask(self._portrait)

    def apply(
        self, frame: ImageArray, *, anchors: Float32Array, mesh: Float32Array, gaze: Float32Array
    ) -> None:
        """Change a frame, as `Retoucher` says."""
        patches = lay_patches(anchors, len(frame))
        if any(patch.window.empty for patch in patches):
            return  # the face has left the frame
        seen = [look(frame, patch, mesh) for patch in patches]
        changes = self._ask(seen) - self._at_rest
        ball = spared_ball(gaze)
        for patch, shown, fields in zip(patches, seen, changes, strict=True):
            opening = shown.opening / np.float32(255)
            spared = ball if patch.region.ball else np.float32(spared_teeth(opening.mean()))
            change(frame, patch, (1 - spared * opening) * fields)

    def _ask(self, seen: list[Look]) -> Float32Array:
        """The network's answers, (REGIONS, 5, h, w)."""
        pairs = zip(seen, self._portrait, strict=True)
        return self._network(np.stack([shown.inputs(own) for shown, own in pairs]))

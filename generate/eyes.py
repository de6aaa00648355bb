"""The eyes: the ball behind the lids stays round and turns with the gaze, the lids slide over it.

FaceMesh draws the opening of an eye a little inside its lids, far inside in big cartoon eyes. The
opening is therefore sought again in the picture; how far it closes is taken from the mesh.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from vasari.compiled import kernel
from vasari.generate.blendshapes import LID_MEETING
from vasari.generate.eyeball import complete_ball
from vasari.generate.inpaint import fill
from vasari.generate.patch import Window, affine_fit, outline, paint, soften, stroke
from vasari.generate.portrait import Portrait
from vasari.generate.raster import blend_ball, blend_layer
from vasari.generate.topology import (
    LEFT_IRIS,
    LEFT_LOWER_LID,
    LEFT_UPPER_LID,
    RIGHT_IRIS,
    RIGHT_LOWER_LID,
    RIGHT_UPPER_LID,
)

Float32Array = npt.NDArray[np.float32]
Float64Array = npt.NDArray[np.float64]
ImageArray = npt.NDArray[np.uint8]

BALL_RADIUS = 1.2  # cm, of an adult's eye
IRIS_RIM = 1.15  # of the iris' radius: what moves as one disc
WHITE_STRETCH = 1.6  # of the iris' radius beyond the rim: where the white gives way
MIN_OPENING = 0.1  # cm: an eye that is shut in the portrait has no ball to show
MAX_WIDENING = 1.7  # of FaceMesh's opening: how far the lids are sought beyond it
SEGMENT_ROUNDS = 3  # of GrabCut
LID_SHADE = 0.25  # how far a lid that comes down darkens the ball under it
SHADE_FADE = 0.35  # of the opening: how far down that shade falls to a third
LASH_FRINGE = 0.16  # cm around the opening that lashes take up
HAIR_DARKNESS = 0.8  # of the skin's brightness: what is darker is lash, brow or shadow
LID_SHOWS = (0.04, 0.25)  # of the opening closed: where the made lid begins to show, and is whole
LID_TONE = 0.95  # of the brightness of the skin around, which a lid has by itself ...
LID_LIGHT = 0.6  # ... and its share; the rest is that of the lid's own rim
GRAIN = 1.5  # standard deviation of a lid's grain, for the mean of the skin's own
LASH_WIDTH, LASH_OPACITY = 0.1, 0.65  # cm; of the line of lashes on a lowered lid
LID_SOFTNESS = 0.05  # cm: the blur of the made lid's edge

# Around the opening: nine points of the upper lid, corners included, then seven of the lower.
EYES = (
    (RIGHT_UPPER_LID + RIGHT_LOWER_LID[-2:0:-1], RIGHT_IRIS),
    (LEFT_UPPER_LID + LEFT_LOWER_LID[-2:0:-1], LEFT_IRIS),
)
UPPER, LOWER = np.arange(1, 8), np.arange(15, 8, -1)  # partners: the lids' points
UPPER_RIM = np.s_[:9]  # the upper lid, corners included


@dataclass(frozen=True)
class Eye:
    """One eye of a portrait."""

    rim: tuple[int, ...]  # indices of the mesh points around the opening
    fit: Float64Array  # (3, 16): finds the affine map from those points in the portrait
    home: Float32Array  # (16, 2) pixels: the opening itself in the portrait
    ball: ImageArray  # (S, S, 3) the picture, the white continued under the lids
    lid: ImageArray  # (h, w, 4) RGBA: the lid's skin continued over the ball, fading around it
    corner: Float32Array  # (2,) pixels: where in the picture the lid's first pixel lies
    lash: Float32Array  # (3,) colour of the lashes
    iris: Float32Array  # (2,) pixels
    radius: float  # pixels
    reach: float  # pixels by which the iris can move before it touches the rim's end
    scale: float  # pixels per cm

    @property
    def margin(self) -> int:
        """Pixels around the opening that are painted."""
        return round(3 * LASH_FRINGE * self.scale) + 2


def find_eyes(portrait: Portrait) -> list[Eye]:
    """The eyes of a portrait that are open."""
    return [
        _eye(portrait, rim, iris) for rim, iris in EYES if _opening(portrait, rim) > MIN_OPENING
    ]


def paint_eye(
    eye: Eye, frame: ImageArray, *, rest: Float32Array, closing: Float32Array, gaze: Float32Array
) -> None:
    """Paint one eye between its lids.

    Args:
        eye: which.
        frame: (S, S, 3), changed.
        rest: (16, 2) pixels, the mesh's rim as it would stand had no lid moved.
        closing: (7,) how far the lids have come together along the eye: 0 as in the portrait, 1
            shut, less than 0 wider.
        gaze: (2,) degrees, yaw and pitch as in ``Motion``.
    """
    import cv2

    forth = np.asarray((eye.fit @ rest).T, np.float32)
    opening = _apply(forth, eye.home)
    window = Window.around(opening, eye.margin, len(frame))
    if window.empty:
        return
    back = np.asarray(cv2.invertAffineTransform(forth), np.float32)
    lids = _close(opening, closing)
    shut = float(closing.max())
    low, high = LID_SHOWS
    made = float(np.clip((shut - low) / (high - low), 0, 1))
    if made:
        _paint_lid(eye, frame, window, forth, made)
    if shut < 1:
        shift = gaze_shift(eye, gaze)
        _paint_ball(eye, frame, window, lids=lids, opening=opening, back=back, shift=shift)
    if made:
        line = stroke(lids[UPPER_RIM], window, LASH_WIDTH * eye.scale)
        mask = soften(line, LID_SOFTNESS * eye.scale) * np.float32(LASH_OPACITY * made)
        paint(frame, window, np.broadcast_to(eye.lash, (*mask.shape, 3)), mask)


@kernel()
def closing(rim: Float32Array, rest: Float32Array) -> Float32Array:
    """How far lids have come together, (7,), from the mesh's rim, (16, 2), now and at rest."""
    closed = np.empty(len(UPPER), np.float32)
    for i in range(len(UPPER)):
        upper, lower = UPPER[i], LOWER[i]
        now = np.hypot(rim[lower, 0] - rim[upper, 0], rim[lower, 1] - rim[upper, 1])
        before = np.hypot(rest[lower, 0] - rest[upper, 0], rest[lower, 1] - rest[upper, 1])
        closed[i] = 1 - now / max(before, np.float32(1e-3))
    return closed


def gaze_shift(eye: Eye, gaze: Float32Array) -> Float32Array:
    """By how much the iris moves, (2,) pixels of the portrait, for a gaze in degrees."""
    yaw, pitch = (math.radians(angle) for angle in gaze)
    across, up = BALL_RADIUS * eye.scale * math.sin(yaw), BALL_RADIUS * eye.scale * math.sin(pitch)
    return np.array([eye.reach * math.tanh(across / eye.reach), -up], np.float32)


def _opening(portrait: Portrait, rim: tuple[int, ...]) -> float:
    """How far the lids stand apart in the middle of the eye, cm."""
    upper, lower = portrait.mesh[rim[4]], portrait.mesh[rim[12]]
    return float(np.linalg.norm(lower - upper)) / portrait.placement.scale


def _eye(portrait: Portrait, rim: tuple[int, ...], iris: tuple[int, ...]) -> Eye:
    points, scale = portrait.mesh[:, :2], portrait.placement.scale
    mesh = points[list(rim)]
    home = _find_opening(portrait.image, mesh)
    centre = points[iris[0]]
    radius = float(np.linalg.norm(points[list(iris[1:])] - centre, axis=1).mean())
    reach = float(np.linalg.norm(home[[0, 8]] - centre, axis=1).min())
    window = Window.around(home, round(0.8 * scale), portrait.size)
    shown = outline(home, window)
    return Eye(
        rim,
        affine_fit(mesh),
        home,
        _ball(portrait.image, window, shown > 0.5, centre, radius),
        _lid(portrait.image, window, shown, scale),
        window.corner,
        _lash_colour(portrait.image, window, home, scale),
        centre,
        radius,
        max(reach, radius * 0.5),
        scale,
    )


def _find_opening(picture: ImageArray, mesh: Float32Array) -> Float32Array:
    """The opening between the lids, (16, 2), found by colour around the mesh's, (16, 2).

    GrabCut (Rother et al. 2004) tells ball and lashes from skin; the mesh's opening is widened
    along its radii as far as they reach.
    """
    import cv2

    centre = mesh.mean(axis=0)
    widest = centre + (mesh - centre) * MAX_WIDENING
    window = Window.around(widest, 4, len(picture))
    labels = np.full((window.height, window.width), cv2.GC_BGD, np.uint8)
    labels[outline(widest, window) > 0.5] = cv2.GC_PR_BGD
    labels[outline(centre + (mesh - centre) * 1.1, window) > 0.5] = cv2.GC_PR_FGD
    labels[outline(centre + (mesh - centre) * 0.8, window) > 0.5] = cv2.GC_FGD
    if not (labels == cv2.GC_FGD).any():
        return mesh
    cut = np.ascontiguousarray(picture[_area(window)])
    models = np.zeros((2, 1, 65), np.float64)
    cv2.setRNGSeed(0)  # its clustering starts at random
    cv2.grabCut(cut, labels, None, models[0], models[1], SEGMENT_ROUNDS, cv2.GC_INIT_WITH_MASK)
    eye = (labels == cv2.GC_FGD) | (labels == cv2.GC_PR_FGD)
    return np.asarray(centre + (mesh - centre) * _radii(eye, window, centre, mesh)[:, None])


def _radii(
    eye: npt.NDArray[np.bool_], window: Window, centre: Float32Array, mesh: Float32Array
) -> Float32Array:
    """How much farther than the mesh's rim the eye reaches along each radius, (16,) >= 1."""
    steps = np.linspace(1, MAX_WIDENING, 29, dtype=np.float32)
    spots = centre + (mesh - centre)[:, None] * steps[:, None] - window.corner
    columns = np.clip(np.rint(spots[..., 0]), 0, window.width - 1).astype(int)
    rows = np.clip(np.rint(spots[..., 1]), 0, window.height - 1).astype(int)
    inside = np.logical_and.accumulate(eye[rows, columns], axis=1)
    farthest = steps[np.maximum(inside.sum(axis=1) - 1, 0)]
    around = np.stack([np.roll(farthest, shift) for shift in (-1, 0, 1)])
    level = np.median(around, axis=0)
    return np.asarray((np.roll(level, 1) + 2 * level + np.roll(level, -1)) / 4, np.float32)


def _area(window: Window) -> tuple[slice, slice]:
    return np.s_[window.top : window.top + window.height, window.left : window.left + window.width]


def _grow(mask: npt.NDArray[np.bool_], reach: float) -> npt.NDArray[np.bool_]:
    """Dilate a mask by a reach in pixels."""
    import cv2

    size = 2 * max(round(reach), 1) + 1
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (size, size))
    return np.asarray(cv2.dilate(mask.astype(np.uint8), kernel) > 0)


def _ball(
    picture: ImageArray,
    window: Window,
    shown: npt.NDArray[np.bool_],
    iris: Float32Array,
    radius: float,
) -> ImageArray:
    """A picture in which a window shows a ball without lids."""
    whole = picture.copy()
    whole[_area(window)] = complete_ball(
        picture[_area(window)], shown, iris - window.corner, radius
    )
    return whole


def _lid(picture: ImageArray, window: Window, shown: Float32Array, scale: float) -> ImageArray:
    """The skin of a closed lid in a window, (h, w, 4) RGBA, whose opening shows as (h, w) 0..1."""
    cut, hidden = picture[_area(window)], _not_skin(picture, window, shown > 0, scale)
    fringe = LASH_FRINGE * scale
    lid = soften(_grow(shown > 0.5, fringe).astype(np.float32), fringe / 2)
    skin = _in_skin_colour(fill(cut, hidden), cut[~hidden], lid)
    return np.dstack([skin + _grain(cut, ~hidden), lid * 255 + 0.5]).clip(0, 255).astype(np.uint8)


def _in_skin_colour(filled: ImageArray, skin: ImageArray, lid: Float32Array) -> Float32Array:
    """A filled lid, (h, w, 3), led toward the colour of the skin around, (N, 3).

    What is filled in from its rim is grey and dull with the traces of lashes and make-up.
    """
    typical = np.median(skin, axis=0)
    luma = filled.mean(axis=2, keepdims=True)
    lit = luma + LID_LIGHT * lid[..., None] * (LID_TONE * typical.mean() - luma)
    tinted = lit * (typical / max(float(typical.mean()), 1.0))
    return np.asarray(filled + lid[..., None] * (tinted - filled), np.float32)


def _grain(picture: ImageArray, skin: npt.NDArray[np.bool_]) -> Float32Array:
    """Grain like that of the skin in a picture, (h, w, 1) levels: a smooth lid looks false."""
    import cv2

    luma = picture.mean(axis=2).astype(np.float32)
    fine = np.abs(luma - cv2.GaussianBlur(luma, (0, 0), 1.0))[skin]
    strength = float(np.median(fine)) if fine.size else 0.0
    noise = np.random.default_rng(0).normal(0, GRAIN * strength, luma.shape)
    return np.asarray(cv2.GaussianBlur(noise, (0, 0), 0.6)[..., None], np.float32)


def _not_skin(
    picture: ImageArray, window: Window, opening: npt.NDArray[np.bool_], scale: float
) -> npt.NDArray[np.bool_]:
    """Where around an eye the picture shows ball, lashes or brow, (h, w)."""
    luma = picture[_area(window)].mean(axis=2)
    skin = np.median(luma[~_grow(opening, LASH_FRINGE * scale)])
    return _grow(opening, LASH_FRINGE * scale) | _grow(luma < HAIR_DARKNESS * skin, 1)


def _lash_colour(
    picture: ImageArray, window: Window, home: Float32Array, scale: float
) -> Float32Array:
    """The colour of the darkest along the upper lid, (3,)."""
    edge = stroke(home[:9], window, 2 * LASH_FRINGE * scale) > 0.5
    colours = picture[_area(window)][edge].astype(np.float32)
    luma = colours.mean(axis=1)
    return np.asarray(colours[luma <= np.percentile(luma, 15)].mean(axis=0), np.float32)


def _apply(affine: Float32Array, points: Float32Array) -> Float32Array:
    return np.asarray(points @ affine[:, :2].T + affine[:, 2], np.float32)


@kernel()
def _close(opening: Float32Array, closing: Float32Array) -> Float32Array:
    """The rim, (16, 2), of an opening whose lids have come together."""
    lids = opening.copy()
    for i in range(len(UPPER)):
        upper, lower = UPPER[i], LOWER[i]
        share = min(closing[i], np.float32(1))
        for c in range(2):
            way = share * (opening[lower, c] - opening[upper, c])
            lids[upper, c] += np.float32(1 - LID_MEETING) * way
            lids[lower, c] -= np.float32(LID_MEETING) * way
    return lids


def _paint_lid(
    eye: Eye, frame: ImageArray, window: Window, forth: Float32Array, share: float
) -> None:
    """Paint skin over all of the eye, on which the ball is then painted where it shows."""
    import cv2

    warp = forth.copy()
    warp[:, 2] += forth[:, :2] @ eye.corner - window.corner
    layer = cv2.warpAffine(eye.lid, warp, (window.width, window.height), flags=cv2.INTER_LINEAR)
    blend_layer(frame, window.left, window.top, layer, share)


def _paint_ball(
    eye: Eye,
    frame: ImageArray,
    window: Window,
    *,
    lids: Float32Array,
    opening: Float32Array,
    back: Float32Array,
    shift: Float32Array,
) -> None:
    """Paint the ball where the lids leave it open, the iris moved by a shift."""
    blend_ball(
        frame,
        window.left,
        window.top,
        outline(lids, window),
        eye.ball,
        back,
        eye.iris,
        shift,
        IRIS_RIM * eye.radius,
        WHITE_STRETCH * eye.radius,
        _lid_shade(lids, opening, window.top, window.height),
    )


@kernel()
def _lid_shade(lids: Float32Array, opening: Float32Array, top: int, rows: int) -> Float32Array:
    """The light on each row, (h,) 0..1, below an upper lid that is lower than the portrait's.

    Args:
        lids: (16, 2) pixels of the frame.
        opening: (16, 2), as it is in the portrait.
        top: the first row.
        rows: how many.
    """
    edge, before, end = np.float32(0), np.float32(0), np.float32(0)
    share = np.float32(1 / len(UPPER))
    for i in range(len(UPPER)):
        edge += share * lids[UPPER[i], 1]
        before += share * opening[UPPER[i], 1]
        end += share * opening[LOWER[i], 1]
    height = max(end - before, np.float32(1))
    depth = min(max((edge - before) / height, np.float32(0)), np.float32(1))
    light = np.ones(rows, np.float32)
    if depth == 0:
        return light
    for row in range(rows):
        below = (np.float32(row + top) - edge) / height
        fade = np.exp(-max(below, np.float32(0)) / np.float32(SHADE_FADE))
        light[row] = np.float32(1) - np.float32(LID_SHADE) * depth * fade
    return light

"""The mouth: what shows between parted lips, the upper teeth on the skull, the rest on the jaw."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from vasari.generate.bite import upper_edges
from vasari.generate.blendshapes import jaw_drop
from vasari.generate.dentition import Drawing, Palette, draw_lower, draw_upper, palette
from vasari.generate.inpaint import fill
from vasari.generate.patch import Window, fit_affine, outline, paint, soften, stroke
from vasari.generate.portrait import Portrait
from vasari.generate.raster import lay_over
from vasari.generate.topology import LOWER_LIP_INNER, UPPER_LIP_INNER

Float32Array = npt.NDArray[np.float32]
ImageArray = npt.NDArray[np.uint8]

INNER_LIPS = UPPER_LIP_INNER + LOWER_LIP_INNER[-2:0:-1]  # around the opening

# In cm of the face's frame, from the line on which the closed lips meet.
UPPER_EDGE = 0.22  # the edges of the upper teeth, below
LOWER_EDGE = -0.04  # the edges of the lower teeth when the jaw is shut, behind the upper ones
TEETH_BEHIND = 0.7  # the teeth, behind the lips
TYPICAL_WIDTH = 5.6  # of a mouth, between the corners of the lips
WIDTH_RANGE = (0.5, 1.2)  # of the typical width: how far teeth are fitted to a mouth

DRAWING_DETAIL = 1.5  # pixels of a drawing for one of the portrait
# cm between the lips: below the one nothing shows, above the other all of it.
SEALED, PARTED = 0.015, 0.075
SEAM, SEAM_WIDTH = 0.45, 0.08  # opacity, and cm: the line between closed lips
PARTED_LIPS = 0.12  # cm: lips farther apart than this show what is behind
TEETH_SHOWN = 0.4  # cm: lips farther apart than this show enough of the teeth to be used
TEETH_GO_ON = 0.35  # cm that such teeth go on above what the portrait shows of them
SHADOW_GLOW = 0.3  # of the tongue's colour, which the deepest shade before the teeth has
TOOTH_FRINGE = 0.12  # cm around the opening where pixels mix lip and tooth
EDGE_SOFTNESS = 0.04  # cm: the blur where lip and mouth meet
SLIT_LIGHT, WIDE_ASPECT = 0.82, 0.14  # light through a slit; height to width that lets in all
LIP_SHADE = 0.5  # how dark it is right under the lips ...
DEEP, FREE = 0.3, 0.8  # ... all of it where so much around lies between them, and none
MARGIN = 2  # pixels around the lips that are painted
# How much more of the green and the blue than of the red is lost in shade: what little light there
# is has passed through lips and cheeks. Without it teeth in shade are grey.
BLOOD = np.array([0.0, 0.42, 0.5], np.float32)
LIP_SHADE_REACH = 0.045  # of the mouth's width: how far that shade reaches inward
TONGUE_OUT = 1.2  # cm that the tongue rises at tongueOut = 1


@dataclass(frozen=True)
class Mouth:
    """The inside of a portrait's mouth."""

    colours: Palette
    upper: Drawing
    lower: Drawing
    anchors: Float32Array  # (3, 3) cm in the face's frame: the drawings' origin, right, down
    drop: Float32Array  # (1, 3) cm that the lower jaw moves the origin at a jawOpen of 1
    size: float  # cm of the face for one of a drawing
    seam: float  # 0..1: how dark the line between closed lips must be drawn
    scale: float  # pixels per cm


def make_mouth(portrait: Portrait, rest: Float32Array) -> Mouth:
    """Draw the inside of a portrait's mouth.

    Args:
        portrait: whose.
        rest: (478, 3) cm, the face in its own frame with closed lips.
    """
    upper, lower = rest[list(UPPER_LIP_INNER)], rest[list(LOWER_LIP_INNER)]
    line = (upper[4:7] + lower[4:7]).mean(axis=0) / 2
    width = float(np.linalg.norm(upper[0] - upper[-1]))
    size = float(np.clip(width / TYPICAL_WIDTH, *WIDTH_RANGE))
    # Behind the lips as the viewer sees them, else a bowed head would show one row too much.
    origin = line + TEETH_BEHIND * portrait.placement.rotation[2]
    anchors = origin + np.array([[0, 0, 0], [1, 0, 0], [0, 1, 0]], np.float32)
    colours = palette(portrait, teeth_shown=parted(portrait))
    density = portrait.placement.scale * DRAWING_DETAIL * size
    mouth = Mouth(
        colours,
        draw_upper(colours, density),
        draw_lower(colours, density),
        anchors.astype(np.float32),
        jaw_drop(anchors[:1], size),
        size,
        SEAM if parted(portrait) else 0.0,
        portrait.placement.scale,
    )
    if parted(portrait, TEETH_SHOWN):
        return replace(mouth, upper=_own_teeth(portrait, mouth))
    return mouth


def _own_teeth(portrait: Portrait, mouth: Mouth) -> Drawing:
    """The upper teeth that a portrait shows between its lips, as a drawing fixed to the skull.

    What it shows below them, lower teeth and the dark before them, moves with the jaw: it is left
    to the lower drawing.
    """
    import cv2

    upper, _ = jaw_anchors(mouth, opening=0.0, tongue=0.0)
    places = portrait.placement.place(upper)[:, :2]
    warp = fit_affine(_corners(mouth.upper, mouth.size), places)
    height, width = mouth.upper.pixels.shape[:2]
    whole = Window(0, 0, portrait.size, portrait.size)
    shown = outline(portrait.mesh[list(INNER_LIPS), :2], whole)
    picture, share = (
        cv2.warpAffine(plane, warp, (width, height), flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP)
        for plane in (portrait.image, shown)
    )
    # A lip that rises higher than in the portrait uncovers more: what was highest goes on upward.
    rows = max(round(TEETH_GO_ON * mouth.upper.density), 1)
    above = cv2.dilate(share, np.ones((rows, 1), np.uint8), anchor=(0, 0))
    colours = fill(np.asarray(picture, np.uint8), share < 0.9)
    ends = upper_edges(picture, share, mouth.upper.density)
    if ends is not None:
        above *= np.clip(ends - np.arange(height)[:, None], 0, 1)
    alpha = soften(np.asarray(above, np.float32), EDGE_SOFTNESS * mouth.upper.density)
    return Drawing(np.dstack([colours, np.rint(alpha * 255).astype(np.uint8)]), mouth.upper.density)


def parted(portrait: Portrait, gap: float = PARTED_LIPS) -> bool:
    """Whether a portrait's own lips stand farther apart than a gap in cm."""
    lips = portrait.mesh[list(INNER_LIPS), :2]
    return _gap(lips) > gap * portrait.placement.scale


def without_teeth(portrait: Portrait) -> ImageArray:
    """The person's colours, (S, S, 3), the lips continued over what shows between them."""
    import cv2

    layer = portrait.layers.foreground
    if not parted(portrait):
        return layer
    lips = portrait.mesh[list(INNER_LIPS), :2]
    reach = max(round(TOOTH_FRINGE * portrait.placement.scale), 1)
    window = Window.around(lips, 4 * reach, portrait.size)
    hole = (outline(lips, window) > 0).astype(np.uint8)
    hole = cv2.dilate(hole, np.ones((2 * reach + 1, 2 * reach + 1), np.uint8))
    area = np.s_[window.top : window.top + window.height, window.left : window.left + window.width]
    healed = layer.copy()
    healed[area] = cv2.inpaint(np.ascontiguousarray(layer[area]), hole, 3, cv2.INPAINT_TELEA)
    return healed


def jaw_anchors(mouth: Mouth, opening: float, tongue: float) -> tuple[Float32Array, Float32Array]:
    """The anchors, (3, 3) cm each, of the upper and of the lower drawing.

    Args:
        mouth: whose.
        opening: jawOpen, 0..1.
        tongue: tongueOut, 0..1.
    """
    edge = np.array([0, UPPER_EDGE * mouth.size, 0], np.float32)
    upper = mouth.anchors + edge
    edge = np.array([0, LOWER_EDGE * mouth.size - TONGUE_OUT * tongue, 0], np.float32)
    return upper, mouth.anchors + opening * mouth.drop + edge


def paint_mouth(
    mouth: Mouth,
    frame: ImageArray,
    *,
    lips: Float32Array,
    upper: Float32Array,
    lower: Float32Array,
    light: float,
) -> None:
    """Paint the inside of the mouth between the lips.

    Args:
        mouth: whose.
        frame: (S, S, 3), changed.
        lips: (20, 2) pixels, INNER_LIPS as they now stand.
        upper: (3, 2) pixels, the upper drawing's anchors: origin, 1 cm right, 1 cm down.
        lower: (3, 2) pixels, the lower drawing's.
        light: 0..1, less where protruding lips keep it out.
    """
    window = Window.around(lips, MARGIN, len(frame))
    if window.empty:
        return
    open_share = min(max((_gap(lips) / mouth.scale - SEALED) / (PARTED - SEALED), 0), 1)
    if open_share < 1 and mouth.seam:
        _paint_seam(mouth, frame, lips, window)
    if not open_share:
        return
    mask = soften(outline(lips, window), EDGE_SOFTNESS * mouth.scale) * np.float32(open_share)
    pixels = np.empty((window.height, window.width, 3), np.float32)
    pixels[:] = mouth.colours.dark
    _lay(pixels, mouth.lower, lower, window, mouth.size)
    _lay(pixels, mouth.upper, upper, window, mouth.size)
    lit = np.float32(light * _entering_light(lips)) * _shade(mask, lips)[..., None]
    lit = lit * (1 - BLOOD * (1 - lit))
    shadow = SHADOW_GLOW * mouth.colours.tongue  # not black, for the same reason
    pixels = shadow + lit * (pixels - shadow)
    paint(frame, window, pixels.astype(np.uint8), mask)


def _paint_seam(mouth: Mouth, frame: ImageArray, lips: Float32Array, window: Window) -> None:
    """Draw the line on which lips meet that stand apart in the picture."""
    upper, lower = lips[: len(UPPER_LIP_INNER)], np.roll(lips[::-1], 1, axis=0)
    line = (upper + lower[: len(upper)]) / 2
    mask = stroke(line, window, SEAM_WIDTH * mouth.scale) * np.float32(mouth.seam)
    pixels = np.empty((window.height, window.width, 3), np.uint8)
    pixels[:] = mouth.colours.dark.astype(np.uint8)
    paint(frame, window, pixels, mask)


def _gap(lips: Float32Array) -> float:
    """The widest distance between the lips, pixels."""
    upper, lower = lips[1:10], lips[19:10:-1]
    return float(np.hypot(*(lower - upper).T).max())


def _entering_light(lips: Float32Array) -> float:
    """The light that gets between the lips, 0..1: little through a slit."""
    aspect = _gap(lips) / max(float(np.linalg.norm(lips[0] - lips[10])), 1.0)
    return SLIT_LIGHT + (1 - SLIT_LIGHT) * min(aspect / WIDE_ASPECT, 1)


def _lay(
    pixels: Float32Array, drawing: Drawing, anchors: Float32Array, window: Window, size: float
) -> None:
    """Lay a drawing over the pixels of a window, where its anchors say."""
    import cv2

    warp = cv2.getAffineTransform(_corners(drawing, size), anchors - window.corner)
    layer = cv2.warpAffine(
        drawing.pixels, warp, (window.width, window.height), flags=cv2.INTER_LINEAR
    )
    lay_over(pixels, layer)


def _corners(drawing: Drawing, size: float) -> Float32Array:
    """Where in a drawing its anchors lie, (3, 2) pixels: origin, 1 cm right and down."""
    unit = drawing.density / size
    return drawing.origin + np.array([[0, 0], [unit, 0], [0, unit]], np.float32)


def _shade(mask: Float32Array, lips: Float32Array) -> Float32Array:
    """How light it is inside the mouth, (h, w) 0..1: dark toward the lips."""
    import cv2

    width = float(np.linalg.norm(lips[0] - lips[10]))
    reach = max(LIP_SHADE_REACH * width, 1.0)
    inner = cv2.GaussianBlur(mask, (0, 0), reach / 2, borderType=cv2.BORDER_CONSTANT)
    return np.asarray(1 - LIP_SHADE * np.clip((FREE - inner) / (FREE - DEEP), 0, 1), np.float32)

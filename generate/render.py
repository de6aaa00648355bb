"""The renderer: a portrait and a motion become frames.

One mesh carries the person's pixels over the background that stays; eyes and mouth, which a moved
picture cannot show, are painted behind the lids and the lips.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from vasari.generate.eyes import closing, paint_eye
from vasari.generate.figure import DETAIL, Figure
from vasari.generate.motion import ARKIT_INDEX, Motion
from vasari.generate.mouth import INNER_LIPS, jaw_anchors, paint_mouth
from vasari.generate.portrait import Portrait
from vasari.generate.prefetch import prefetch
from vasari.generate.topology import (
    ALL_POINTS,
    FACE_OVAL,
    LOWER_LIP_INNER,
    UPPER_LIP_INNER,
)
from vasari.generate.touchup import Retoucher

Float32Array = npt.NDArray[np.float32]
ImageArray = npt.NDArray[np.uint8]

BAND = 128  # rows drawn at once: few enough for the cache and to follow the outline

FOLD = 2.0  # pixels of the portrait between neighbours that make a fold, whose edge is softened

NARROW_SHADE = 0.3  # of the light into the mouth, kept out by lips drawn together ...
NARROWEST = 0.3  # ... by this share of their width at rest

_UPPER_LIP, _LOWER_LIP = np.array(UPPER_LIP_INNER), np.array(LOWER_LIP_INNER)
_OVAL = np.array(FACE_OVAL)
_JAW_OPEN, _TONGUE_OUT = ARKIT_INDEX["jawOpen"], ARKIT_INDEX["tongueOut"]


DRAWN_AHEAD = 2  # frames drawn while one is touched up: so many are held in memory


@dataclass(frozen=True)
class Pose:
    """One frame of a motion."""

    expression: Float32Array  # (52,) 0..1
    rotation: Float32Array  # (3,) degrees
    translation: Float32Array  # (3,) cm
    gaze: Float32Array  # (2,) degrees


@dataclass(frozen=True)
class Drawn:
    """A frame that is not yet touched up, and where things stand in it."""

    picture: ImageArray  # (S, S, 3) sRGB
    anchors: Float32Array  # (N, 2) pixels, the retoucher's
    mesh: Float32Array  # (478, 2) pixels
    gaze: Float32Array  # (2,) degrees


def poses(blocks: Iterable[Motion]) -> Iterator[Pose]:
    """The frames of motions, one motion after the other."""
    for block in blocks:
        tracks = (block.expression, block.rotation, block.translation, block.gaze)
        yield from map(Pose, *tracks)


class Renderer:
    """Shows a portrait in motion.

    Not safe to use from two threads at once, nor for anything else until all of its `frames` are
    taken or given up: it draws ahead, and with its own buffers.

    Args:
        portrait: whom it shows.
        retoucher: changes each finished frame, if given.
    """

    batch = 1  # frames made at once

    def __init__(self, portrait: Portrait, retoucher: Retoucher | None = None) -> None:
        from vasari.generate.layer import in_words

        self._portrait = portrait
        self._retoucher = retoucher
        figure = Figure.of(portrait)
        self._camera, self._sheet, self._shading = figure.camera, figure.sheet, figure.shading
        self._rest, self._shapes, self._give = figure.rest, figure.shapes, figure.give
        self._eyes, self._mouth = figure.eyes, figure.mouth
        self._texture, self._sources = in_words(figure.texture), figure.sources
        self._background = in_words(portrait.layers.background)
        self._rims = [list(eye.rim) for eye in self._eyes]
        self._balls = [portrait.mesh[rim] for rim in self._rims]
        size = portrait.size
        # With one row more: the last of the band above.
        self._map_x, self._map_y, self._depth = np.empty((3, BAND + 1, size), np.float32)
        self._layer = np.empty((BAND + 1, size), np.uint32)
        self._spans = np.empty((BAND + 1, 2), np.int32)
        self._folds = np.zeros((size, size), np.uint8)

    def frames(self, blocks: Iterable[Motion]) -> Iterator[ImageArray]:
        """Render motions one after the other; some are drawn while one is touched up.

        Returns:
            (S, S, 3) uint8 sRGB, one for each frame of the motions.
        """
        drawn = map(self._draw, poses(blocks))
        return map(self._finish, prefetch(drawn, DRAWN_AHEAD) if self._retoucher else drawn)

    def frame(self, pose: Pose) -> ImageArray:
        """Render one frame, (S, S, 3) uint8 sRGB."""
        return self._finish(self._draw(pose))

    def _finish(self, drawn: Drawn) -> ImageArray:
        """Touch a frame up."""
        if self._retoucher:
            self._retoucher.apply(
                drawn.picture, anchors=drawn.anchors, mesh=drawn.mesh, gaze=drawn.gaze
            )
        return drawn.picture

    def _draw(self, pose: Pose) -> Drawn:
        """Draw one frame."""
        placement = self._portrait.placement
        face = self._express(pose.expression)
        upper, lower = jaw_anchors(
            self._mouth, float(pose.expression[_JAW_OPEN]), float(pose.expression[_TONGUE_OUT])
        )
        mesh = placement.place(face)
        skull = self._retoucher.anchors if self._retoucher else np.empty((0, 3), np.float32)
        points, parts = _stack(
            [
                self._moved_sheet(mesh),
                mesh,
                skull,
                placement.place(upper),
                placement.place(lower),
                *self._balls,
            ]
        )
        share = np.ones(len(points), np.float32)
        share[: len(self._sheet.points)] = self._sheet.head_share
        shown = self._camera.project(points, share, pose.rotation, pose.translation)
        sheet, mesh, skull, upper, lower, *balls = (shown[part] for part in parts)
        picture = self._draw_sheet(sheet)
        for eye, rim, ball in zip(self._eyes, self._rims, balls, strict=True):
            paint_eye(
                eye,
                picture,
                rest=ball[:, :2],
                closing=closing(mesh[rim, :2], ball[:, :2]),
                gaze=pose.gaze,
            )
        paint_mouth(
            self._mouth,
            picture,
            lips=mesh[list(INNER_LIPS), :2],
            upper=upper[:, :2],
            lower=lower[:, :2],
            light=self._mouth_light(face),
        )
        self._shading.apply(picture, sheet, self._camera.turned(pose.rotation))
        return Drawn(picture, skull[:, :2], mesh[:, :2], pose.gaze)

    def face(self, pose: Pose) -> Float32Array:
        """Where the points of the face stand in the frame of a pose, (478, 3) pixels."""
        mesh = self._portrait.placement.place(self._express(pose.expression))
        points = self._moved_sheet(mesh)[:ALL_POINTS]
        share = np.ones(ALL_POINTS, np.float32)
        return self._camera.project(points, share, pose.rotation, pose.translation)

    def _express(self, expression: Float32Array) -> Float32Array:
        """The face in its own frame, (478, 3) cm, lips never passing through each other."""
        from vasari.generate.raster import express

        face = express(self._rest, self._shapes, np.asarray(expression, np.float32))
        crossed = face[_LOWER_LIP, 1] < face[_UPPER_LIP, 1]
        if crossed.any():
            upper, lower = _UPPER_LIP[crossed], _LOWER_LIP[crossed]
            face[upper] = face[lower] = (face[lower] + face[upper]) / 2
        return np.asarray(face, np.float32)

    def _mouth_light(self, face: Float32Array) -> float:
        """The light, 0..1, that gets into the mouth: lips drawn together stand in its way."""
        corners = [UPPER_LIP_INNER[0], UPPER_LIP_INNER[-1]]
        width, rest = (float(np.ptp(points[corners, 0])) for points in (face, self._rest))
        narrowed = (1 - width / rest) / NARROWEST
        return 1 - NARROW_SHADE * min(max(narrowed, 0), 1)

    def _moved_sheet(self, face: Float32Array) -> Float32Array:
        """The sheet's points, (N, 3) pixels, with an expression, before the head moves."""
        points = self._sheet.points.copy()
        moved = self._give * (face - self._portrait.mesh)
        points[:ALL_POINTS] += moved
        points[self._sheet.pulled] += self._sheet.stretch @ moved[_OVAL]
        return points

    def _draw_sheet(self, points: Float32Array) -> ImageArray:
        """The person at the sheet's points over the background, (S, S, 3)."""
        from vasari.generate.layer import composite, look_up
        from vasari.generate.raster import find_folds, rasterise, soften

        picture = np.empty((*self._background.shape, 3), np.uint8)
        for top in range(0, len(picture), BAND):
            for plane in (self._map_x, self._map_y, self._layer, self._spans):
                plane[0] = plane[-1]
            self._spans[1:] = spans = rasterise(
                self._sheet.faces,
                points,
                self._sources,
                self._map_x[1:],
                self._map_y[1:],
                self._depth[1:],
                top,
            )
            look_up(self._texture, self._map_x[1:], self._map_y[1:], spans, self._layer[1:])
            rows = slice(top, top + BAND)
            composite(self._layer[1:], spans, self._background[rows], picture[rows])
            seam = min(top, 1)  # the first band has none above
            find_folds(
                self._map_x[1 - seam :],
                self._map_y[1 - seam :],
                self._layer[1 - seam :],
                self._spans[1 - seam :],
                np.float32(FOLD * DETAIL),
                self._folds[top - seam : top + BAND],
            )
        soften(picture, self._folds)
        return picture


def _stack(arrays: list[Float32Array]) -> tuple[Float32Array, list[slice]]:
    """Arrays of points laid end to end, and where each lies."""
    ends = np.cumsum([len(array) for array in arrays])
    parts = [
        slice(int(end) - len(array), int(end)) for end, array in zip(ends, arrays, strict=True)
    ]
    return np.concatenate(arrays), parts

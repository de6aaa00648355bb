"""Shading: the light on a head stays where it is while the head turns.

The light is taken from the portrait's own face: its skin is fitted as matt and of one colour, lit
by a sky of first order (Ramamoorthi & Hanrahan 2001). When the head turns, each part of it becomes
as much lighter or darker as that sky makes it; the texture is left alone.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from vasari.generate.portrait import Portrait
from vasari.generate.sheet import Sheet
from vasari.generate.topology import MESH_POINTS, triangles

Float32Array = npt.NDArray[np.float32]
Int32Array = npt.NDArray[np.int32]

CELLS = 64  # across the frame: light changes slowly over a head
FIT_ROUNDS = 5  # of reweighting, so that lips, brows and highlights count little
BLUR = 0.01  # of the frame: pores and stubble are no shading
MAX_CONTRAST = 0.45  # of the light's direction to its mean: more is a cast shadow, which stays
GAIN_RANGE = (0.75, 1.3)  # how far a turn may change the light
OUTLINE_FADE = 1.0  # cm inside the person's outline over which the change begins
LEAST_GAIN = 0.004  # one level of 255: less is not drawn
LEAST_LIGHT = 0.2  # of the mean: what turns from deeper shade does not flare up


class Shading:
    """The light on one portrait."""

    def __init__(self, portrait: Portrait, sheet: Sheet) -> None:
        self.normals = _normals(sheet.points, sheet.faces)  # (N, 3) of the sheet's points
        self.light = _find_light(portrait)  # (3,)
        self.share = sheet.head_share * _within_person(portrait, sheet.points)  # (N,) 0..1
        self.faces = sheet.faces[(self.share[sheet.faces] > 0).any(axis=1)]  # what light changes
        self._cell = portrait.size // CELLS
        self._map = np.empty((3, CELLS, CELLS), np.float32)

    def apply(
        self, frame: npt.NDArray[np.uint8], points: Float32Array, turned: Float32Array
    ) -> None:
        """Change the light on a frame.

        Args:
            frame: (S, S, 3) sRGB, changed.
            points: (N, 3) pixels, the sheet's as they are shown.
            turned: (3, 3), the head's rotation.
        """
        from vasari.generate.raster import rasterise, shade

        gains = self._gains(turned)
        if np.abs(gains).max() < LEAST_GAIN:
            return
        targets = np.ascontiguousarray((points - (self._cell - 1) / 2) / self._cell, np.float32)
        sources = np.column_stack([gains, np.zeros_like(gains)])
        rasterise(self.faces, targets, sources, *self._map)
        shade(frame, self._map[0], self._cell)

    def _gains(self, turned: Float32Array) -> Float32Array:
        """By what part each point becomes lighter, (N,)."""
        before = 1 + self.normals @ self.light
        after = 1 + self.normals @ (turned.T @ self.light)
        gains = np.clip(after / np.maximum(before, LEAST_LIGHT), *GAIN_RANGE) - 1
        return np.asarray(self.share * gains, np.float32)


def _find_light(portrait: Portrait) -> Float32Array:
    """The light's direction, (3,), as long as its contrast to the mean: at most MAX_CONTRAST."""
    import cv2

    blurred = cv2.GaussianBlur(portrait.image, (0, 0), BLUR * portrait.size)
    spots = np.clip(np.rint(portrait.mesh[:MESH_POINTS, :2]), 0, portrait.size - 1).astype(int)
    luma = blurred[spots[:, 1], spots[:, 0]].mean(axis=1) / 255
    normals = _normals(portrait.mesh, triangles())[:MESH_POINTS]
    known = np.column_stack([np.ones(MESH_POINTS), normals])
    weight = np.ones(MESH_POINTS)
    for _ in range(FIT_ROUNDS):
        root = np.sqrt(weight)[:, None]
        fit = np.linalg.lstsq(known * root, luma * root[:, 0], rcond=None)[0]
        error = np.abs(known @ fit - luma)
        weight = 1 / np.maximum(error, 0.02)  # least absolute deviations
    light = fit[1:] / max(float(fit[0]), 0.1)
    contrast = max(float(np.linalg.norm(light)), 1e-6)
    return np.asarray(light * min(1.0, MAX_CONTRAST / contrast), np.float32)


def _normals(points: Float32Array, faces: Int32Array) -> Float32Array:
    """The unit normals, (N, 3), of a mesh at its points, toward the viewer; 0 at points unused."""
    a, b, c = (points[faces[:, corner]] for corner in range(3))
    across = np.cross(b - a, c - a)
    across *= np.where(across[:, 2] > 0, -1, 1)[:, None]
    summed = np.zeros_like(points, np.float64)
    for corner in range(3):
        np.add.at(summed, faces[:, corner], across)
    length = np.linalg.norm(summed, axis=1, keepdims=True)
    return np.asarray(summed / np.maximum(length, 1e-6), np.float32)


def _within_person(portrait: Portrait, points: Float32Array) -> Float32Array:
    """How far inside the person's outline points lie, (N,), 1 from OUTLINE_FADE on."""
    import cv2

    person = np.pad((portrait.layers.alpha > 0.5).astype(np.uint8), 1)
    inside = cv2.distanceTransform(person, cv2.DIST_L2, cv2.DIST_MASK_5)[1:-1, 1:-1]
    spots = np.rint(points[:, :2]).astype(int)
    clipped = np.clip(spots, 0, portrait.size - 1)
    depth = inside[clipped[:, 1], clipped[:, 0]] / portrait.placement.scale
    depth[(spots != clipped).any(axis=1)] = 0
    return np.asarray(np.clip(depth / OUTLINE_FADE, 0, 1), np.float32)

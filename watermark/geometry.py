"""Where the marked picture lies in a frame that was cropped, scaled, rotated, mirrored, stretched.

The pattern repeats with its tile, so its spectrum is a lattice of lines. A transformed picture has
the lattice transformed: for each transformation that is tried, the frame's spectrum is sampled at
the lines, and one small inverse transform gives the correlation with the synchronisation pattern
at every position of the tile, for the picture and for its mirror image.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

import numba
import numpy as np
import numpy.typing as npt

from vasari.watermark.pattern import HIGHEST_FREQUENCY, Pattern, band
from vasari.watermark.tiles import (
    PERIOD,
    SIDE,
    SPECTRUM_REACH,
    Float32Array,
    FloatArray,
    LumaArray,
    flatten,
    fold,
    power,
    resized,
    spectrum_of,
)

Complex64Array = npt.NDArray[np.complex64]

GRID = 64  # positions of the tile along each axis; the lines reach 30 cycles, so 61 would do
WINDOWS = 3  # stretches of the clip whose frames are averaged, each short against the polarity's
WINDOW_FRAMES = 16
# Sizes at which a chip may have its two pixels, most likely first: the short side of the frame,
# half an octave apart. Large ones are for pictures in pictures, small ones for small crops.
SIDES = (192, 136, 271, 96, 384, 68)
SPAN = math.log(2) / 4 + 0.01  # of log scale to each side, so that the sizes overlap
MAX_ROTATION = math.radians(16)
MAX_INSET_ROTATION = math.radians(1)  # pictures in pictures stand upright
MAX_STRETCH = math.log(1.42)  # of width against height; 16:9 against 4:3 is 1.33
STRETCHED_SIDES = (192, 136, 271)
# Neighbouring candidates differ by this many pixels at opposite borders of the frame.
STEP = 3.0
REFINEMENTS = 2  # rounds around the best candidates, each at half the distance
BEST_PER_SIDE = 2
CLEAR_SCORE = 70.0  # sum of three squared z-scores that chance does not reach
BEST_OVERALL = 4


@dataclass(frozen=True)
class Geometry:
    """An affine map from the marked picture to the frame."""

    side: int  # short side of the frame in pixels, to which the matrix refers
    matrix: FloatArray  # (2, 3) from pattern to frame, pixels; a chip of the pattern has two
    score: float  # sum over windows of the squared z-scores of the synchronisation pattern

    @property
    def scale(self) -> float:
        """Size of the marked picture's chips against those of an untransformed frame."""
        area = abs(float(np.linalg.det(self.matrix[:, :2])))
        return math.sqrt(area) * SIDE / self.side

    @property
    def rotation(self) -> float:
        """Degrees, clockwise."""
        return math.degrees(math.atan2(-self.matrix[0, 1], self.matrix[1, 1]))

    @property
    def aspect(self) -> float:
        """Width against height, as a ratio to the original."""
        across, down = np.hypot(self.matrix[0, :2], self.matrix[1, :2])
        return float(across / down)

    @property
    def mirrored(self) -> bool:
        """Left and right are exchanged."""
        return float(np.linalg.det(self.matrix[:, :2])) < 0

    def folded(self, frames: list[LumaArray]) -> Float32Array:
        """The flattened frames, put upright and folded to tiles (T, 96, 96)."""
        return np.stack([fold(self._upright(flatten(resized(f, self.side)))) for f in frames])

    def _upright(self, flat: Float32Array) -> Float32Array:
        """The frame as it lies on whole tiles of the pattern; 0 where it has nothing."""
        import cv2

        height, width = flat.shape
        corners = np.array([[0, 0, width, width], [0, height, 0, height]], np.float64)
        linear, offset = self.matrix[:, :2], self.matrix[:, 2]
        there = np.linalg.solve(linear, corners - offset[:, None])
        first = np.floor(there.min(1) / PERIOD) * PERIOD
        columns, rows = (np.ceil(there.max(1) - first)).astype(int)
        matrix = np.column_stack([linear, offset + linear @ first])
        upright: Float32Array = cv2.warpAffine(
            flat, matrix, (int(columns), int(rows)), flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
        )
        return upright


UPRIGHT = Geometry(SIDE, np.eye(2, 3), 0.0)


def candidates(frames: list[LumaArray], pattern: Pattern) -> Iterator[Geometry]:
    """The likeliest geometries of a picture in frames, clear ones as soon as they are found."""
    found: list[Geometry] = []
    for side in SIDES:
        scan = _Scan.of(frames, side, pattern)
        best = scan.best()
        yield from (geometry for geometry in best if geometry.score >= CLEAR_SCORE)
        found += [geometry for geometry in best if geometry.score < CLEAR_SCORE]
    yield from sorted(found, key=lambda geometry: -geometry.score)[:BEST_OVERALL]


@lru_cache(maxsize=1)
def tried() -> int:
    """How many places are compared in a search: geometries, mirror images, positions."""
    refined = BEST_PER_SIDE * REFINEMENTS * len(_neighbours(1.0))
    maps = sum(len(_maps(side)) + refined for side in SIDES)
    return maps * 2 * GRID * GRID


@dataclass(frozen=True)
class _Scan:
    """The spectra of some windows of a clip at one size, ready to be compared."""

    side: int
    centre: FloatArray  # (2,) x, y of the pixel to which the phases refer
    spectra: Complex64Array  # (W, rows, columns) whitened, of the frames padded to twice their size
    pattern: Pattern

    @staticmethod
    def of(frames: list[LumaArray], side: int, pattern: Pattern) -> _Scan:
        means = []
        for window in _windows(len(frames)):
            means.append(np.mean([flatten(resized(f, side)) for f in frames[window]], axis=0))
        height, width = means[0].shape
        return _Scan(
            side,
            np.array([width // 2, height // 2], np.float64),
            np.stack([_padded_spectrum(mean) for mean in means]),
            pattern,
        )

    def best(self) -> list[Geometry]:
        """The best geometries of this size, refined."""
        maps = _maps(self.side)
        scores, places = self._compare(maps)
        geometries = []
        for index in np.argsort(-scores.max(1), kind="stable")[:BEST_PER_SIDE]:
            geometries.append(self._refined(maps[index]))
        return geometries

    def _refined(self, linear: FloatArray) -> Geometry:
        """The best geometry around a map (2, 2)."""
        for shrink in (2.0, 4.0)[:REFINEMENTS]:
            maps = np.array([linear @ near for near in _neighbours(STEP / self.side / shrink)])
            scores, places = self._compare(maps)
            linear = maps[int(np.argmax(scores.max(1)))]
        index, mirrored = np.unravel_index(int(np.argmax(scores)), scores.shape)
        return self._geometry(
            maps[index], bool(mirrored), places[index, mirrored], float(scores[index, mirrored])
        )

    def _geometry(
        self, linear: FloatArray, mirrored: bool, place: npt.NDArray[np.intp], score: float
    ) -> Geometry:
        shift = place[::-1] * (PERIOD / GRID)  # rows, columns -> x, y
        offset = self.centre + linear @ shift
        flip = np.diag([-1.0 if mirrored else 1.0, 1.0])
        return Geometry(self.side, np.column_stack([linear @ flip, offset]), score)

    def _compare(self, maps: FloatArray) -> tuple[FloatArray, npt.NDArray[np.intp]]:
        """Scores (N, 2) of maps (N, 2, 2), plain and mirrored, and their best places (N, 2, 2)."""
        import cv2

        lines, plain, mirror = _lines(self.pattern)
        scores, places = np.empty((len(maps), 2)), np.empty((len(maps), 2, 2), np.intp)
        packed = np.empty((len(self.spectra), GRID, GRID), np.complex64)
        norms = np.empty((len(self.spectra), 2), np.float32)
        for index, inverse in enumerate(np.linalg.inv(maps).transpose(0, 2, 1) / PERIOD):
            _sample(self.spectra, lines, plain, mirror, inverse, packed, norms)
            total = np.zeros((GRID, GRID, 2), np.float32)
            for window, norm in zip(packed, norms, strict=True):
                pair = window.view(np.float32).reshape(GRID, GRID, 2)
                correlation = cv2.dft(pair, flags=cv2.DFT_INVERSE)
                total += correlation * correlation * norm
            for way in (0, 1):
                place = np.unravel_index(int(np.argmax(total[..., way])), (GRID, GRID))
                scores[index, way], places[index, way] = total[(*place, way)], place
        return scores, places


def _windows(count: int) -> list[slice]:
    """Up to three stretches of 16 frames, spread over a clip of ``count``."""
    if count <= WINDOW_FRAMES:
        return [slice(0, count)]
    number = min(WINDOWS, count // WINDOW_FRAMES + 1)
    starts = np.linspace(0, count - WINDOW_FRAMES, number).astype(int)
    return [slice(int(start), int(start) + WINDOW_FRAMES) for start in starts]


def _padded_spectrum(flat: Float32Array) -> Complex64Array:
    """The whitened spectrum of a picture padded to twice its size, its centre at the origin."""
    height, width = flat.shape
    padded = np.zeros((2 * height, 2 * width), np.float32)
    padded[:height, :width] = flat
    spectrum = np.fft.fft2(np.roll(padded, (-(height // 2), -(width // 2)), (0, 1)))
    reach = (SPECTRUM_REACH * 2 * height // PERIOD, SPECTRUM_REACH * 2 * width // PERIOD)
    return (spectrum / power(spectrum, reach)).astype(np.complex64)


@lru_cache(maxsize=8)
def _lines(
    pattern: Pattern,
) -> tuple[npt.NDArray[np.int32], Complex64Array, Complex64Array]:
    """Half of the pattern's lines (K, 2) as x, y, and the conjugate spectrum there.

    The last is the spectrum of the mirror image.
    """
    spectrum = spectrum_of(pattern.sync) * band(PERIOD)
    reach = int(HIGHEST_FREQUENCY)
    rows, columns = np.mgrid[-reach : reach + 1, 0 : reach + 1]
    wanted = (band(PERIOD)[rows, columns] > 0) & ((columns > 0) | (rows > 0))
    y, x = rows[wanted], columns[wanted]
    lines = np.stack([x, y], axis=1).astype(np.int32)
    plain, mirror = np.conj(spectrum[y, x]), np.conj(spectrum[y, -x])
    return lines, plain.astype(np.complex64), mirror.astype(np.complex64)


@numba.njit(cache=True, nogil=True, fastmath=True)
def _sample(
    spectra: Complex64Array,
    lines: npt.NDArray[np.int32],
    plain: Complex64Array,
    mirror: Complex64Array,
    inverse: FloatArray,
    packed: Complex64Array,
    norms: Float32Array,
) -> None:
    """Sample spectra at the transformed lines, times the conjugate spectrum of the pattern.

    Two Hermitian spectra, of the picture and of its mirror image, are packed as real and imaginary
    part into one array (W, 64, 64), so that one inverse transform serves both.
    """
    windows, rows, columns = spectra.shape
    packed[:] = 0
    for window in range(windows):
        energy, mirror_energy = np.float32(1e-20), np.float32(1e-20)
        for k in range(len(lines)):
            x, y = lines[k, 0], lines[k, 1]
            across = int(np.rint((inverse[0, 0] * x + inverse[0, 1] * y) * columns)) % columns
            down = int(np.rint((inverse[1, 0] * x + inverse[1, 1] * y) * rows)) % rows
            value = spectra[window, down, across]
            first, second = value * plain[k], value * mirror[k]
            energy += first.real**2 + first.imag**2
            mirror_energy += second.real**2 + second.imag**2
            packed[window, y % GRID, x] = first + np.complex64(1j) * second
            packed[window, -y % GRID, -x % GRID] = np.conj(first) + np.complex64(1j) * np.conj(
                second
            )
        norms[window, 0] = 0.5 / energy
        norms[window, 1] = 0.5 / mirror_energy


@lru_cache(maxsize=len(SIDES))
def _maps(side: int) -> FloatArray:
    """The maps (N, 2, 2) that are tried at a size: scale with rotation, scale with stretch."""
    step = STEP / side
    most = MAX_INSET_ROTATION if side > STRETCHED_SIDES[-1] else MAX_ROTATION
    scales, angles = _range(SPAN, step), _range(most, step)
    maps = [_map(scale, angle, 0.0) for scale in scales for angle in angles]
    if side in STRETCHED_SIDES:
        stretches = _range(MAX_STRETCH, 2 * step)
        maps += [_map(scale, 0.0, stretch) for scale in scales for stretch in stretches]
    return np.array(maps)


def _range(most: float, step: float) -> FloatArray:
    """Values from -most to most, about ``step`` apart, 0 among them."""
    count = math.ceil(most / step)
    return np.linspace(-most, most, 2 * count + 1)


def _map(scale: float, angle: float, stretch: float, shear: float = 0.0) -> FloatArray:
    """The map of a log scale, a rotation in radians, a log ratio of width to height, a shear."""
    turn = np.array([[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]])
    form = np.array([[math.exp(stretch / 2), shear], [0.0, math.exp(-stretch / 2)]])
    return math.exp(scale) * turn @ form


def _neighbours(step: float) -> list[FloatArray]:
    """Maps that differ from none by up to one step in each way: 81 of them."""
    steps = (-step, 0.0, step)
    return [
        _map(scale, angle, 2 * stretch, shear)
        for scale in steps
        for angle in steps
        for stretch in steps
        for shear in steps
    ]

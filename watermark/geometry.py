"""Where the marked picture lies in a frame that was cropped, scaled, rotated, mirrored, stretched.

The pattern repeats with its tile, so its spectrum is a lattice of lines. A transformed picture has
the lattice transformed: for each transformation that is tried, the frame's spectrum is sampled at
the lines, and one small inverse transform gives the correlation with the synchronisation pattern
at every position of the tile, for the picture and for its mirror image.

Most pictures were only scaled and cropped. These are looked for first and by themselves: at each
scale the picture is folded to one tile, which is what the reader will do, and so loses nothing.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import lru_cache

import numba
import numpy as np
import numpy.typing as npt

from vasari.watermark.pattern import HIGHEST_FREQUENCY, Pattern, shape
from vasari.watermark.tiles import (
    PERIOD,
    SIDE,
    ComplexArray,
    Float32Array,
    FloatArray,
    LumaArray,
    chips_of,
    flatten,
    fold,
    power,
    resized,
    spectrum_of,
    whitened,
)

Complex64Array = npt.NDArray[np.complex64]

THREADS = 2  # the kernels release the interpreter lock
GRID = 64  # positions of the tile along each axis; the lines reach 30 cycles, so 61 would do
WINDOW_FRAMES = 36  # at the beginning and at the end of a clip: few against the polarity's period
# Sizes at which a chip may have its two pixels, most likely first: the short side of the frame,
# half an octave apart. Small ones are for small crops; large ones are for pictures in pictures,
# which stand upright. With each, the rotation to each side in degrees, and the log ratio of width
# to height (16:9 against 4:3 is a third).
SIDES = {
    192: (16.0, math.log(1.42)),
    136: (16.0, math.log(1.42)),
    271: (5.0, 0.0),
    96: (16.0, 0.0),
    384: (1.0, 0.0),
}
SPAN = math.log(2) / 4 + 0.01  # of log scale to each side, so that the sizes overlap
# Neighbouring candidates differ by this many pixels at opposite borders of the frame.
STEP = 3.0
STRAIGHT_STEP = 1.25  # the same of pictures that were only scaled
BEST_STRAIGHT = 3
SCAN_REACH = 7  # frequencies of the tile over which a frame's power spectrum is averaged
REFINEMENTS = 2  # rounds around the best candidates, each at half the distance
POLISHING = (2.0, 4.0, 8.0, 16.0)  # by which the steps shrink when a found geometry is polished
PASSES = 3  # at each step, while it helps: the ways to change a geometry depend on each other
BEST_PER_SIDE = 2
LOOKS = 3  # at a candidate: as it fits best, straightened, and at the part that shows the pattern
# Degrees, and share by which width may differ: a picture so nearly straight is likely to be, and
# six numbers fitted to noise lie further off than three.
NEARLY_UPRIGHT, NEARLY_SQUARE = 1.5, 0.03
CLEAR_SCORE = 60.0  # a score that chance does not reach
BEST_OVERALL = 5
LEAST_SCORE = 30.0  # the best of as many places as are tried reaches it by chance


@dataclass(frozen=True)
class Geometry:
    """An affine map from the marked picture to the frame."""

    side: int  # short side of the frame in pixels, to which the matrix refers
    matrix: FloatArray  # (2, 3) from pattern to frame, pixels; a chip of the pattern has two
    score: float  # squared z-score of the synchronisation pattern

    @property
    def linear(self) -> FloatArray:
        """The map (2, 2) without translation and mirroring."""
        flip = np.diag([-1.0 if self.mirrored else 1.0, 1.0])
        linear: FloatArray = self.matrix[:, :2] @ flip
        return linear

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
        """Frames (H, W) uint8, flattened, put upright and folded to tiles (T, 96, 96)."""
        return self.folded_flats(self.flattened(frames))

    def folded_flats(self, flats: Iterable[Float32Array]) -> Float32Array:
        """Flattened frames (H, W), put upright and folded to tiles (T, 96, 96)."""
        return np.stack([fold(self.put_upright(flat)) for flat in flats])

    def flattened(self, frames: list[LumaArray]) -> Iterator[Float32Array]:
        """Frames (H, W) uint8 at the size to which the geometry refers, flattened."""
        for luma in frames:
            yield flatten(resized(luma, self.side))

    def put_upright(self, flat: Float32Array) -> Float32Array:
        """A flattened frame as it lies on whole tiles of the pattern; 0 around it."""
        import cv2

        there = self._covered(flat.shape)
        columns, rows = np.ceil(there.max(1) - np.floor(there.min(1) / PERIOD) * PERIOD)
        upright: Float32Array = cv2.warpAffine(
            flat,
            self.canvas(flat.shape),
            (int(columns), int(rows)),
            flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
        )
        return upright

    def canvas(self, shape: tuple[int, ...]) -> FloatArray:
        """The map (2, 3) to a frame (H, W) from the picture that `put_upright` makes of it."""
        first = np.floor(self._covered(shape).min(1) / PERIOD) * PERIOD
        linear = self.matrix[:, :2]
        canvas: FloatArray = np.column_stack([linear, self.matrix[:, 2] + linear @ first])
        return canvas

    def _covered(self, shape: tuple[int, ...]) -> FloatArray:
        """The corners (2, 4) of a frame (H, W) in pixels of the pattern."""
        height, width = shape[:2]
        corners = np.array([[0, 0, width, width], [0, height, 0, height]], np.float64)
        return np.asarray(_inverse(self.matrix[:, :2]) @ (corners - self.matrix[:, 2:]))

    def polished(
        self, total: Float32Array, pattern: Pattern, *, straight: bool = False
    ) -> Geometry:
        """The geometry nearby at which a sum of flattened frames (H, W) fits the pattern best.

        Args:
            total: At the size to which the geometry refers.
            pattern: Of the key.
            straight: Only scale and place may change.
        """
        best, fit = self, _fit(self.put_upright(total), pattern)
        for shrink in POLISHING:
            before = 0.0
            for _ in range(PASSES):
                if fit <= before:
                    break
                before = fit
                for change in _changes(STEP / self.side / shrink, 1.0 / shrink, straight=straight):
                    changed = replace(best, matrix=best.matrix @ change)
                    changed_fit = _fit(changed.put_upright(total), pattern)
                    if changed_fit > fit:
                        best, fit = changed, changed_fit
        return best

    @property
    def nearly_straight(self) -> bool:
        """Rotation and stretch are so small that there may be none."""
        return abs(self.rotation) < NEARLY_UPRIGHT and abs(self.aspect - 1) < NEARLY_SQUARE

    def straightened(self, shape: tuple[int, ...]) -> Geometry:
        """The same without rotation, shear and stretch; the middle of a frame (H, W) stays."""
        linear = self.matrix[:, :2]
        scale = math.sqrt(abs(float(np.linalg.det(linear))))
        straight = scale * np.diag([-1.0 if self.mirrored else 1.0, 1.0])
        middle = np.array([shape[1] / 2, shape[0] / 2])
        place = _inverse(linear) @ (middle - self.matrix[:, 2])
        return replace(self, matrix=np.column_stack([straight, middle - straight @ place]))


UPRIGHT = Geometry(SIDE, np.eye(2, 3), 0.0)


def candidates(frames: list[LumaArray], pattern: Pattern) -> Iterator[Geometry]:
    """The likeliest geometries of a picture in frames, clear ones as soon as they are found."""
    pictures = {side: _pictures(frames, side) for side in SIDES}
    yield from _straight(pictures, pattern)
    unclear: list[Geometry] = []
    for side in SIDES:
        best = _Scan.of(pictures[side], side, pattern).best()
        yield from (geometry for geometry in best if geometry.score >= CLEAR_SCORE)
        unclear += [geometry for geometry in best if geometry.score < CLEAR_SCORE]
    likely = [geometry for geometry in unclear if geometry.score >= LEAST_SCORE]
    yield from sorted(likely, key=lambda geometry: -geometry.score)[:BEST_OVERALL]


def _straight(pictures: dict[int, list[Float32Array]], pattern: Pattern) -> list[Geometry]:
    """The likeliest geometries of a picture that was scaled, cropped or mirrored and no more."""
    wanted = {flip: np.conj(spectrum_of(pattern.sync[:, ::flip])) for flip in (1, -1)}
    found: list[Geometry] = []
    for side, windows in pictures.items():
        for scale in _straight_scales(side):
            found += [_best_place(picture, side, scale, wanted) for picture in windows]
    found.sort(key=lambda geometry: -geometry.score)
    best: list[Geometry] = []
    for geometry in found:
        apart = [abs(math.log(geometry.scale / g.scale)) > 2 * STRAIGHT_STEP / SIDE for g in best]
        if geometry.score >= LEAST_SCORE and len(best) < BEST_STRAIGHT and all(apart):
            best.append(geometry)
    return best


def _straight_scales(side: int) -> FloatArray:
    """The scales at which pictures of a size are folded."""
    return np.exp(_range(SPAN, STRAIGHT_STEP / side))


def _best_place(
    picture: Float32Array, side: int, scale: float, wanted: dict[int, ComplexArray]
) -> Geometry:
    """The place at which a scaled picture fits best the pattern or, at -1, its mirror image."""
    geometry = Geometry(side, np.diag([scale, scale, 0.0])[:2], 0.0)
    whitened_tile = whitened(fold(geometry.put_upright(picture)))
    for flip, spectrum in wanted.items():
        squares = np.real(np.fft.ifft2(whitened_tile * spectrum)) ** 2
        score = float(squares.max() / (squares.mean() + 1e-20))
        if score > geometry.score:
            place = np.array(np.unravel_index(int(squares.argmax()), squares.shape))[::-1]
            # A mirrored pattern runs from the right border of its tile to the left.
            offset = scale * (place + np.array([PERIOD if flip < 0 else 0, 0]))
            matrix = np.column_stack([scale * np.diag([float(flip), 1.0]), offset])
            geometry = Geometry(side, matrix, score)
    return geometry


def _fit(upright: Float32Array, pattern: Pattern) -> float:
    """How well a sum of frames fits the synchronisation pattern: the cosine, without its sign."""
    chips = chips_of(whitened(fold(upright)))
    return abs(float(np.sum(chips * pattern.sync))) / (float(np.linalg.norm(chips)) + 1e-20)


def _changes(step: float, shift: float, *, straight: bool = False) -> list[FloatArray]:
    """Small changes (3, 3) of a geometry, one thing at a time, to both sides."""
    ways: list[FloatArray] = []
    for sign in (-1, 1):
        for place in (0, 1):
            moved = np.eye(3)
            moved[place, 2] = sign * shift
            ways.append(moved)
        for values in np.eye(1 if straight else 4):  # scale, rotation, stretch, shear
            formed = np.eye(3)
            formed[:2, :2] = _map(*(sign * step * values), *[0.0] * (4 - len(values)))
            ways.append(formed)
    return ways


@lru_cache(maxsize=1)
def tried() -> int:
    """How many places are compared in a search: geometries, mirror images, positions."""
    refined = BEST_PER_SIDE * REFINEMENTS * len(_neighbours(1.0))
    maps = sum(len(_maps(side)) + refined for side in SIDES)
    straight = sum(len(_straight_scales(side)) for side in SIDES) * 2 * PERIOD * PERIOD
    polished = MOST_CANDIDATES * LOOKS * len(POLISHING) * PASSES * len(_changes(1.0, 1.0))
    # Of each, the sum and the difference of the clip's beginning and end.
    return 2 * (maps * 2 * GRID * GRID + straight) + polished


MOST_CANDIDATES = BEST_STRAIGHT + len(SIDES) * BEST_PER_SIDE + BEST_OVERALL  # that a search gives


@dataclass(frozen=True)
class _Scan:
    """The spectra of some windows of a clip at one size, ready to be compared."""

    side: int
    centre: FloatArray  # (2,) x, y of the pixel to which the phases refer
    # (rows, columns, W) whitened, of pictures padded to twice their size: the sum of beginning and
    # end, and their difference, which holds the mark if its polarity changed, and a host picture
    # that stays the same no more.
    spectra: Complex64Array
    pattern: Pattern

    @staticmethod
    def of(pictures: list[Float32Array], side: int, pattern: Pattern) -> _Scan:
        height, width = pictures[0].shape
        return _Scan(
            side,
            np.array([width // 2, height // 2], np.float64),
            np.stack([_padded_spectrum(picture) for picture in pictures], axis=2),
            pattern,
        )

    def best(self) -> list[Geometry]:
        """The best geometries of this size, refined."""
        maps = _maps(self.side)
        scores, _ = self._compare(maps)
        best: list[Geometry] = []
        for index in np.argsort(-scores.max(1), kind="stable")[: 4 * BEST_PER_SIDE]:
            far = [np.abs(g.linear - maps[index]).max() > 3 * STEP / self.side for g in best]
            if all(far) and len(best) < BEST_PER_SIDE:
                best.append(self._refined(maps[index]))
        return best

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

    def _compare(self, maps: FloatArray) -> tuple[Float32Array, npt.NDArray[np.intp]]:
        """Scores (N, 2) of maps (N, 2, 2), plain and mirrored, and their best places (N, 2, 2)."""
        frequencies = _inverse(maps).swapaxes(1, 2) / PERIOD
        with ThreadPoolExecutor(THREADS) as pool:
            parts = list(pool.map(self._compare_part, np.array_split(frequencies, THREADS)))
        return np.concatenate([part[0] for part in parts]), np.concatenate([p[1] for p in parts])

    def _compare_part(self, maps: FloatArray) -> tuple[Float32Array, npt.NDArray[np.intp]]:
        """The same for maps (N, 2, 2) of frequencies."""
        import cv2

        lines = _Lines.of(self.pattern)
        scores, places = np.empty((len(maps), 2), np.float32), np.empty((len(maps), 2, 2), np.intp)
        packed = np.zeros((self.spectra.shape[2], GRID, GRID), np.complex64)
        correlations = np.empty((*packed.shape, 2), np.float32)
        for index, inverse in enumerate(maps):
            norms = _sample(self.spectra, lines.places, lines.values, inverse, packed)
            for window, plane in enumerate(packed.view(np.float32)):
                pairs = plane.reshape(GRID, GRID, 2)
                cv2.dft(pairs, correlations[window], cv2.DFT_INVERSE)
            scores[index], places[index] = _peaks(correlations, norms)
        return scores, places


@dataclass(frozen=True)
class _Lines:
    """Half of the lines of a synchronisation pattern; the other half is conjugate."""

    places: npt.NDArray[np.int32]  # (K, 2) x, y in cycles per tile
    values: (
        Complex64Array  # (K, 2) the conjugate spectrum there, of the pattern and its mirror image
    )

    @staticmethod
    @lru_cache(maxsize=8)
    def of(pattern: Pattern) -> _Lines:
        """The lines of a key."""
        spectrum = spectrum_of(pattern.sync) * shape(PERIOD)
        reach = int(HIGHEST_FREQUENCY)
        rows, columns = np.mgrid[-reach : reach + 1, 0 : reach + 1]
        wanted = (shape(PERIOD)[rows, columns] > 0) & ((columns > 0) | (rows > 0))
        y, x = rows[wanted], columns[wanted]
        values = np.stack([np.conj(spectrum[y, x]), np.conj(spectrum[y, -x])], axis=1)
        return _Lines(np.stack([x, y], axis=1).astype(np.int32), values.astype(np.complex64))


def _windows(count: int) -> list[slice]:
    """The beginning and the end of a clip of ``count`` frames, or all of a short one."""
    if count <= WINDOW_FRAMES:
        return [slice(0, count)]
    length = min(WINDOW_FRAMES, count // 2)
    return [slice(0, length), slice(count - length, count)]


def _pictures(frames: list[LumaArray], side: int) -> list[Float32Array]:
    """The sum and the difference of the clip's flattened beginning and end, or all of a short one.

    The second holds the mark if its polarity changed, and a host that stays the same no more.
    """
    flats = [[flatten(resized(f, side)) for f in frames[w]] for w in _windows(len(frames))]
    pictures = [np.mean(window, axis=0) for window in flats]
    if len(pictures) == 1:
        return pictures
    return [pictures[0] + pictures[1], pictures[0] - pictures[1]]


def _padded_spectrum(flat: Float32Array) -> Complex64Array:
    """The whitened spectrum of a picture padded to twice its size, its centre at the origin."""
    import cv2

    height, width = flat.shape
    padded = np.zeros((2 * height, 2 * width), np.float32)
    padded[:height, :width] = flat
    centred = np.roll(padded, (-(height // 2), -(width // 2)), (0, 1))
    planes = cv2.dft(centred, flags=cv2.DFT_COMPLEX_OUTPUT)
    spectrum = planes.view(np.complex64)[..., 0]
    reach = (SCAN_REACH * 2 * height // PERIOD, SCAN_REACH * 2 * width // PERIOD)
    flattened: Complex64Array = (spectrum / power(spectrum, reach)).astype(np.complex64)
    return flattened


@numba.njit(cache=True, nogil=True, fastmath=True)
def _sample(
    spectra: Complex64Array,
    lines: npt.NDArray[np.int32],
    values: Complex64Array,
    inverse: FloatArray,
    packed: Complex64Array,
) -> Float32Array:
    """Sample spectra at the transformed lines, times the conjugate spectrum of the pattern.

    Two Hermitian spectra, of the picture and of its mirror image, are packed as real and imaginary
    part into one array (W, 64, 64), so that one inverse transform serves both. Returns what makes
    their squared correlations those of unit variance, (W, 2).
    """
    rows, columns, windows = spectra.shape
    energies = np.full((windows, 2), 1e-20, np.float32)
    for k in range(len(lines)):
        x, y = lines[k]
        across = int(np.rint((inverse[0, 0] * x + inverse[0, 1] * y) * columns))
        down = int(np.rint((inverse[1, 0] * x + inverse[1, 1] * y) * rows))
        across += columns if across < 0 else 0
        down += rows if down < 0 else 0
        row, column, other = y & GRID - 1, x, -x & GRID - 1
        plain, mirror = values[k]
        for window in range(windows):
            value = spectra[down, across, window]
            first, second = value * plain, value * mirror
            energies[window, 0] += first.real**2 + first.imag**2
            energies[window, 1] += second.real**2 + second.imag**2
            packed[window, row, column] = complex(
                first.real - second.imag, first.imag + second.real
            )
            packed[window, -y & GRID - 1, other] = complex(
                first.real + second.imag, second.real - first.imag
            )
    return np.float32(0.5) / energies


@numba.njit(cache=True, nogil=True, fastmath=True)
def _peaks(
    correlations: Float32Array, norms: Float32Array
) -> tuple[Float32Array, npt.NDArray[np.intp]]:
    """The highest scores of the picture and of its mirror image, and where they are.

    The score is the highest squared z-score of any spectrum.
    """
    windows, rows, columns, ways = correlations.shape
    scores, places = np.zeros(ways, np.float32), np.zeros((ways, 2), np.intp)
    for row in range(rows):
        for column in range(columns):
            for way in range(ways):
                best = np.float32(0)
                for window in range(windows):
                    value = correlations[window, row, column, way]
                    best = max(best, value * value * norms[window, way])
                if best > scores[way]:
                    scores[way] = best
                    places[way] = row, column
    return scores, places


@lru_cache(maxsize=len(SIDES))
def _maps(side: int) -> FloatArray:
    """The maps (N, 2, 2) that are tried at a size: scale with rotation, scale with stretch."""
    step = STEP / side
    rotation, stretch = SIDES[side]
    scales, angles = _range(SPAN, step), _range(math.radians(rotation), step)
    stretches = [value for value in _range(stretch, 2 * step) if value != 0]
    turned = [_map(scale, angle, 0.0) for scale in scales for angle in angles]
    stretched = [_map(scale, 0.0, value) for scale in scales for value in stretches]
    return np.array(turned + stretched)


def _inverse(maps: FloatArray) -> FloatArray:
    """The inverse of maps (..., 2, 2); linalg.inv takes a thousand times as long for such."""
    (a, b), (c, d) = maps[..., 0, :].T, maps[..., 1, :].T
    adjugate = np.array([[d, -b], [-c, a]]) / (a * d - b * c)
    inverse: FloatArray = np.moveaxis(adjugate, (0, 1), (-2, -1))
    return inverse


def _range(most: float, step: float) -> FloatArray:
    """Values from -most to most, about ``step`` apart, 0 among them."""
    count = math.ceil(most / step)
    return np.linspace(-most, most, 2 * count + 1)


def _map(scale: float, angle: float, stretch: float, shear: float = 0.0) -> FloatArray:
    """The map of a log scale, a rotation in radians, a log ratio of width to height, a shear."""
    turn = np.array([[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]])
    form = np.array([[math.exp(stretch / 2), shear], [0.0, math.exp(-stretch / 2)]])
    linear: FloatArray = math.exp(scale) * turn @ form
    return linear


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

"""Where in a picture the mark hides: how strong it may be in each block.

The model is small, since it runs on every frame: texture and brightness hide the mark, skin and
motion do not, and no part of the picture is without it. The middle, which crops keep, has more.
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from vasari.compiled import kernel

LumaArray = npt.NDArray[np.uint8]
Float32Array = npt.NDArray[np.float32]

BLOCKS_ACROSS = 64  # over the short side
ROUNDING = 1 / 12  # mean square error of rounding to whole levels (Bennett 1948)

# Texture hides the mark: its amplitude grows with a power of the picture's own. Vision alone would
# allow 0.6-0.7 (Legge & Foley 1980), but at a given PSNR a more even mark is read more easily.
MASKING_EXPONENT = 0.1
FLAT_ACTIVITY = 2.0  # levels of standard deviation below which a block counts as flat
# Levels seen against a background, from 3 at mid grey to 20 at black and 6 at white (Chou & Li
# 1995); a weak power of it, for the same reason.
BRIGHTNESS_EXPONENT = 0.2
# What stays is encoded once, what moves in every frame, and the mark does not move with the
# picture: there it costs most of its bits, and would look like dirt on a window.
MOVING = 1.0  # levels by which the mean of a block changes between frames where something moves
MOVING_GAIN = 0.34
MEMORY = 0.95  # share of a block's motion that is kept until the next frame: heads sway
# Cb and Cr of skin of all colours (Chai & Ngan 1999), where people look first, and which moves.
SKIN_CB, SKIN_CR = (77, 127), (133, 173)
SKIN_GAIN = 0.75
# A crop keeps the middle, where someone speaks: there the mark is hidden worst and costs most, and
# there it has to be read from a third of the picture. The border is only needed with all the rest.
MIDDLE_GAIN, BORDER_GAIN = 1.45, 0.68
BORDER, FADING = 0.19, 0.08  # shares of the height and width
# What is saved where skin will move is given to the rest, up to this gain of amplitude; and where
# nearly everything moves, the mark has this share of the power that was asked for.
MOST_LIFT = 1.18
LEAST_POWER = 0.4
MIN_AMPLITUDE, MAX_AMPLITUDE = 0.4, 2.5  # of a block, as shares of the mean over the picture
# A block keeps its amplitude while it would change by less: what stays the same from frame to
# frame costs an encoder nothing.
TOLERANCE = 0.08


class Mask:
    """The amplitude of the mark in each block of the frames of one video, in their order."""

    def __init__(self, height: int, width: int, power: float) -> None:
        """Prepare for frames of a size.

        Args:
            height: Of the luma plane, in pixels.
            width: Of the luma plane, in pixels.
            power: Mean square of the change that marking may make, in levels.
        """
        self.block = max(min(height, width) // BLOCKS_ACROSS, 1)  # pixels on each side
        shape = (-(-height // self.block), -(-width // self.block))
        self._strength = math.sqrt(max(power - ROUNDING, 0.0))
        self._lift = 1.0
        self._inside = _inside(shape)
        self._framing = self._framed(1.0)
        self._shares = self._expected = np.zeros(shape, np.float32)  # before the framing
        self._means = np.zeros(shape, np.float32)
        self._motion = np.zeros(shape, np.float32)  # from 0 to 1
        self.amplitude = np.zeros(shape, np.float32)  # in each block, in levels

    def renew(self, luma: LumaArray, chroma: LumaArray | None) -> None:
        """Bring the amplitudes up to date with a frame.

        Args:
            luma: (H, W) uint8.
            chroma: Cb and Cr, (2, H / 2, W / 2) uint8, by which skin is known.
        """
        means, deviations = _statistics(luma, self.block)
        visible = np.maximum(deviations, FLAT_ACTIVITY) ** np.float32(MASKING_EXPONENT)
        visible *= _THRESHOLDS[means.astype(np.uint8)]
        shares = _limited(_smoothed(visible))
        skin = np.zeros_like(shares) if chroma is None else self._skin(chroma)
        if self.amplitude.any():
            change = np.minimum(np.abs(means - self._means) / np.float32(MOVING), 1)
            self._motion = np.maximum(self._motion * np.float32(MEMORY), _greatest(change))
        self._means = means
        # Whoever shows skin in the middle will move there, hair and clothes as well.
        someone = np.float32((skin * self._inside).any())
        self._expected = shares * _smoothed(_gains(skin, np.maximum(skin, someone * self._inside)))
        self._shares = shares * _smoothed(_gains(skin, self._motion))
        if not self.amplitude.any():
            self.stress_middle(1.0)
            return
        wanted = self._wanted(self._framing, self._lift)
        # What was expected to move may stand still; then it has had its share.
        wanted *= np.float32(min(1.0, self._strength / math.sqrt(float(np.mean(wanted**2)))))
        changed = np.abs(wanted - self.amplitude) > TOLERANCE * self.amplitude
        self.amplitude[changed] = wanted[changed]

    def stress_middle(self, gain: float) -> None:
        """Make the mark in the middle so many times as strong beside the rest, from now on."""
        self._framing = self._framed(gain)
        self._lift = _lift(self._expected * self._framing)
        self.amplitude = self._wanted(self._framing, self._lift)

    def amplitude_at(self, gain: float) -> Float32Array:
        """What `stress_middle` would make of the amplitude."""
        framing = self._framed(gain)
        return self._wanted(framing, _lift(self._expected * framing))

    def _wanted(self, framing: Float32Array, lift: float) -> Float32Array:
        """The amplitude of each block, in levels."""
        shares = self._shares * framing
        wanted: Float32Array = self._strength * max(lift, _least_lift(shares)) * shares
        return wanted

    def _framed(self, gain: float) -> Float32Array:
        """How much stronger the mark is in the middle of the picture than at its border."""
        framing: Float32Array = BORDER_GAIN + (gain * MIDDLE_GAIN - BORDER_GAIN) * self._inside
        return framing

    def _skin(self, chroma: LumaArray) -> Float32Array:
        """1 for blocks whose middle has the colour of skin, else 0."""
        middles = [
            np.minimum(np.arange(count) * self.block // 2 + self.block // 4, size - 1)
            for count, size in zip(self.amplitude.shape, chroma.shape[1:], strict=True)
        ]
        blue, red = chroma[:, middles[0]][..., middles[1]]
        is_blue = (blue >= SKIN_CB[0]) & (blue <= SKIN_CB[1])
        is_red = (red >= SKIN_CR[0]) & (red <= SKIN_CR[1])
        return np.asarray(is_blue & is_red, np.float32)


def _inside(shape: tuple[int, int]) -> Float32Array:
    """1 for the blocks in the middle of a picture, 0 for those at its border."""

    def along(blocks: int) -> Float32Array:
        place = (np.arange(blocks, dtype=np.float32) + 0.5) / blocks
        edge = np.minimum(place, 1 - place)
        return np.asarray(np.clip((edge - BORDER) / FADING + 0.5, 0, 1), np.float32)

    return np.asarray(np.outer(*map(along, shape)), np.float32)


def _limited(visible: Float32Array) -> Float32Array:
    """Shares of the amplitude, of unit power, in proportion to what may be visible."""
    shares = visible / np.sqrt(np.mean(visible**2))
    limited: Float32Array = np.clip(shares, MIN_AMPLITUDE, MAX_AMPLITUDE)
    return limited


def _gains(skin: Float32Array, motion: Float32Array) -> Float32Array:
    """By how much the mark is weaker, given how much of each block is skin and how it moves."""
    gains = (1 - np.float32(1 - SKIN_GAIN) * skin) * (1 - np.float32(1 - MOVING_GAIN) * motion)
    return np.asarray(gains, np.float32)


def _lift(shares: Float32Array) -> float:
    """The gain of amplitude at which shares have unit power, as far as it is allowed."""
    return min(1 / math.sqrt(float(np.mean(shares**2))), MOST_LIFT)


def _least_lift(shares: Float32Array) -> float:
    """The gain of amplitude at which shares have the least power."""
    return math.sqrt(LEAST_POWER / float(np.mean(shares**2)))


def _visibility_thresholds() -> Float32Array:
    """For each level (256,) how much the mark may be stronger than at mid grey."""
    level = np.arange(256)
    dark = 17 * (1 - np.sqrt(level / 127)) + 3
    bright = 3 / 128 * (level - 127) + 3
    threshold = np.where(level <= 127, dark, bright) / 3
    return np.asarray(threshold**BRIGHTNESS_EXPONENT, np.float32)


_THRESHOLDS = _visibility_thresholds()


@kernel()
def _smoothed(blocks: Float32Array) -> Float32Array:
    """The mean of each block and its eight neighbours."""
    rows, columns = blocks.shape
    mean = np.empty_like(blocks)
    line = np.empty(columns + 2, np.float32)  # of three rows; its ends are there twice
    for row in range(rows):
        above, below = blocks[max(row - 1, 0)], blocks[min(row + 1, rows - 1)]
        for x in range(columns):
            line[x + 1] = above[x] + blocks[row, x] + below[x]
        line[0], line[columns + 1] = line[1], line[columns]
        for x in range(columns):
            mean[row, x] = (line[x] + line[x + 1] + line[x + 2]) / np.float32(9)
    return mean


def _greatest(blocks: Float32Array) -> Float32Array:
    """The greatest of each block and its eight neighbours."""
    import cv2

    return np.asarray(cv2.dilate(blocks, np.ones((3, 3), np.uint8)), np.float32)


@kernel()
def _statistics(luma: LumaArray, block: int) -> tuple[Float32Array, Float32Array]:
    """Mean and standard deviation of luma in each block, in levels, from every other row."""
    height, width = luma.shape
    rows, columns = (height + block - 1) // block, (width + block - 1) // block
    means = np.empty((rows, columns), np.float32)
    deviations = np.empty((rows, columns), np.float32)
    for row in range(rows):
        top, bottom = row * block, min((row + 1) * block, height)
        for column in range(columns):
            left, right = column * block, min((column + 1) * block, width)
            total, squares = np.int32(0), np.int32(0)
            for y in range(top, bottom, 2):
                for x in range(left, right):
                    value = np.int32(luma[y, x])
                    total += value
                    squares += value * value
            count = np.float32((bottom - top + 1) // 2 * (right - left))
            mean = total / count
            variance = squares / count - mean * mean
            means[row, column] = mean
            deviations[row, column] = math.sqrt(variance) if variance > 0 else 0
    return means, deviations

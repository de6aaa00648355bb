"""The same speech elsewhere: other throats, rooms, microphones, and what else is to be heard there.

All of it is done to mel levels, where it costs next to nothing: powers of independent sounds add
up, a room's echo is a decaying average of past power (Lebart et al. 2001), a longer throat moves
the spectrum down (vocal tract length perturbation, Jaitly & Hinton 2013).
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from vasari.generate.spectrum import FRAME_RATE, RATE
from vasari.models.speech_encoder import MELS

FloatArray = npt.NDArray[np.float32]

QUIET = -80.0  # dB re the loud level: nothing to hear
STRETCH, SHIFT = 0.06, 1.5  # of the mel axis: relative, and bands
TILT = 4.0  # dB, of smooth offsets over the bands
GAIN = 4.0  # dB; the loud level is never known quite
FLOOR = (-65.0, -12.0)  # dB re the loud level of a stationary noise
CALM_SHARE = 0.4  # of the examples stay in a quiet room, before a good microphone
ECHO_SHARE, NARROW_SHARE, COMPANY_SHARE = 0.4, 0.25, 0.35  # of the examples
REVERBERATION = (0.15, 0.9)  # seconds in which an echo falls by 60 dB
ECHO_LEVEL = (-22.0, -4.0)  # dB of the echo's start, summed over a second, re the direct sound
NARROWEST = 24  # bands that a narrow line leaves, at least: up to about 3 kHz
COMPANY_LEVEL = (-25.0, -3.0)  # dB of other sound re the speech
MUSIC_LENGTH = 8.0  # seconds


class Acoustics:
    """Random acoustics for batches of mel levels, (B, T, MELS) dB re the loud level."""

    def __init__(self, seed: int) -> None:
        self._random = np.random.default_rng(seed)

    def __call__(self, levels: FloatArray, company: FloatArray) -> FloatArray:
        """Move speech somewhere else.

        Args:
            levels: (B, T, MELS) of speech.
            company: (B, T, MELS) of other sound: music, voices.
        """
        batch = len(levels)
        moved = np.stack([self._other_throat(item) for item in levels])
        moved += self._curve(batch, 6, TILT)
        power = self._narrow(self._echo(_power(moved)) + self._company(company))
        floor = self._random.uniform(*FLOOR, (batch, 1, 1)) + self._curve(batch, 5, 6.0)
        noise = floor + self._random.normal(0, 2.5, power.shape)
        calm = self._random.random((batch, 1, 1)) < CALM_SHARE
        heard = np.where(calm, moved, 10 * np.log10(power + _power(noise)))
        return np.asarray(heard + self._random.uniform(-GAIN, GAIN, (batch, 1, 1)), np.float32)

    def _other_throat(self, levels: FloatArray) -> FloatArray:
        """The spectrum stretched and moved along the mel axis."""
        stretch = 1 + self._random.uniform(-STRETCH, STRETCH)
        places = stretch * np.arange(MELS) + self._random.uniform(-SHIFT, SHIFT)
        places = np.clip(places, 0, MELS - 1.001)
        lower = places.astype(int)
        share = (places - lower).astype(np.float32)
        return np.asarray(levels[:, lower] * (1 - share) + levels[:, lower + 1] * share)

    def _curve(self, batch: int, knots: int, sigma: float) -> FloatArray:
        """Smooth random offsets over the bands, (B, 1, MELS) dB."""
        bands, places = np.arange(MELS), np.linspace(0, MELS - 1, knots)
        heights = self._random.normal(0, sigma, (batch, knots))
        rows = [np.interp(bands, places, row) for row in heights]
        return np.asarray(rows, np.float32)[:, None]

    def _echo(self, power: FloatArray) -> FloatArray:
        """Add the echo of a room to some of the batch."""
        batch = len(power)
        time = self._random.uniform(*REVERBERATION, (batch, 1))
        decay = 10 ** (-6 / (time * FRAME_RATE))
        gain = _power(self._random.uniform(*ECHO_LEVEL, (batch, 1))) * (1 - decay)
        gain *= self._random.random((batch, 1)) < ECHO_SHARE
        tail = np.zeros((batch, MELS), np.float32)
        echoing = power.copy()
        for step in range(1, power.shape[1]):
            tail = decay * (tail + power[:, step - 1])
            echoing[:, step] += gain * tail
        return echoing

    def _company(self, company: FloatArray) -> FloatArray:
        """The power of other sound beside some of the batch."""
        batch = len(company)
        level = self._random.uniform(*COMPANY_LEVEL, (batch, 1, 1))
        present = self._random.random((batch, 1, 1)) < COMPANY_SHARE
        return np.asarray(_power(company + level) * present, np.float32)

    def _narrow(self, power: FloatArray) -> FloatArray:
        """Take the low and the high bands from some of the batch, as telephones and codecs do."""
        narrow = power.copy()
        for item in np.flatnonzero(self._random.random(len(power)) < NARROW_SHARE):
            narrow[item, :, self._random.integers(NARROWEST, MELS) :] = _power(QUIET)
            narrow[item, :, : self._random.integers(0, 4)] = _power(QUIET)
        return narrow


def _power(levels: npt.ArrayLike) -> FloatArray:
    """Decibels as power."""
    return np.asarray(10 ** (np.asarray(levels, np.float32) / 10), np.float32)


def play_music(seed: int) -> FloatArray:
    """Made-up music: chords of plucked and bowed notes, and a drum; (n,) samples at 16 kHz."""
    random = np.random.default_rng(seed)
    time = np.arange(int(MUSIC_LENGTH * RATE)) / RATE
    beat = random.uniform(0.25, 0.6)  # seconds
    sound = np.zeros(len(time))
    for start in np.arange(0, MUSIC_LENGTH, beat * random.integers(1, 4)):
        since = np.clip(time - start, 0, None)
        envelope = (since > 0) * np.exp(-since * random.uniform(0.5, 6)) * (1 - np.exp(-since * 80))
        root = random.uniform(60, 500)  # Hz
        for ratio in random.choice([1, 6 / 5, 5 / 4, 4 / 3, 3 / 2, 2], 3):
            partials = range(1, random.integers(3, 14))
            fall = random.uniform(0.5, 2)
            tones = (np.sin(2 * np.pi * root * ratio * k * since) / k**fall for k in partials)
            sound += envelope * sum(tones)
    drum = np.exp(-(time % beat) * 30) * random.normal(size=len(time))
    sound += random.uniform(0, 2) * drum
    return np.asarray(sound / np.abs(sound).max() / 2, np.float32)

"""The same speech elsewhere: other throats, rooms, microphones, and what else is to be heard there.

What else: the hiss of every recording, noise that moves (wind, traffic, breath, keys, engines,
alarms), music, other voices.

All of it is done to mel levels, where it costs next to nothing: powers of independent sounds add
up, a room's echo is a decaying average of past power (Lebart et al. 2001), a longer throat moves
the spectrum down (vocal tract length perturbation, Jaitly & Hinton 2013).
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from vasari.generate.spectrum import FRAME_RATE, RATE, decibels, mel_matrix, power_spectra
from vasari.models.speech_encoder import MEL_RANGE, MELS

FloatArray = npt.NDArray[np.float32]

QUIET = -80.0  # dB re the loud level: nothing to hear
STRETCH, SHIFT = 0.06, 1.5  # of the mel axis: relative, and bands
TILT = 4.0  # dB, of smooth offsets over the bands
GAIN = 4.0  # dB; the loud level is never known quite
FLOOR = (-65.0, -10.0)  # dB re the loud level of a stationary noise
HISS_LENGTH = 40.0  # seconds
CALM_SHARE = 0.4  # of the examples stay in a quiet room, before a good microphone
ECHO_SHARE, NARROW_SHARE, COMPANY_SHARE = 0.4, 0.25, 0.35  # of the examples
REVERBERATION = (0.15, 0.9)  # seconds in which an echo falls by 60 dB
ECHO_LEVEL = (-22.0, -4.0)  # dB of the echo's start, summed over a second, re the direct sound
NARROWEST = 24  # bands that a narrow line leaves, at least: up to about 3 kHz
COMPANY_LEVEL = (-30.0, -3.0)  # dB of other sound re the speech
PIECE_LENGTH = 8.0  # seconds of music or noise


class Acoustics:
    """Random acoustics for batches of mel levels, (B, T, MELS) dB re the loud level."""

    def __init__(self, seed: int) -> None:
        self.random = np.random.default_rng(seed)
        white = self.random.normal(0, 0.1, int(HISS_LENGTH * RATE)).astype(np.float32)
        spectra = np.concatenate(list(power_spectra([white])))
        levels = decibels(spectra @ mel_matrix(MELS, *MEL_RANGE))
        self._hiss = levels - 10 * np.log10(_power(levels).mean(axis=0))

    def __call__(self, levels: FloatArray, company: FloatArray) -> FloatArray:
        """Move speech somewhere else.

        Args:
            levels: (B, T, MELS) of speech.
            company: (B, T, MELS) of other sound: noise, music, voices.
        """
        batch = len(levels)
        moved = np.stack([self._other_throat(item) for item in levels])
        moved += self._curve(batch, 6, TILT)
        power = self._narrow(self._echo(_power(moved)) + self._company(company))
        floor = self.random.uniform(*FLOOR, (batch, 1, 1)) + self._curve(batch, 5, 6.0)
        noise = floor + self._hisses(batch, power.shape[1])
        calm = self.random.random((batch, 1, 1)) < CALM_SHARE
        heard = np.where(calm, moved, 10 * np.log10(power + _power(noise)))
        return np.asarray(heard + self.random.uniform(-GAIN, GAIN, (batch, 1, 1)), np.float32)

    def _other_throat(self, levels: FloatArray) -> FloatArray:
        """The spectrum stretched and moved along the mel axis."""
        stretch = 1 + self.random.uniform(-STRETCH, STRETCH)
        places = stretch * np.arange(MELS) + self.random.uniform(-SHIFT, SHIFT)
        places = np.clip(places, 0, MELS - 1.001)
        lower = places.astype(int)
        share = (places - lower).astype(np.float32)
        return np.asarray(levels[:, lower] * (1 - share) + levels[:, lower + 1] * share)

    def _curve(self, batch: int, knots: int, sigma: float) -> FloatArray:
        """Smooth random offsets over the bands, (B, 1, MELS) dB."""
        bands, places = np.arange(MELS), np.linspace(0, MELS - 1, knots)
        heights = self.random.normal(0, sigma, (batch, knots))
        rows = [np.interp(bands, places, row) for row in heights]
        return np.asarray(rows, np.float32)[:, None]

    def _hisses(self, batch: int, length: int) -> FloatArray:
        """Stretches of steady noise, which flutters as noise does, (B, T, MELS) dB."""
        starts = self.random.integers(len(self._hiss) - length, size=batch)
        return np.stack([self._hiss[start : start + length] for start in starts])

    def _echo(self, power: FloatArray) -> FloatArray:
        """Add the echo of a room to some of the batch."""
        batch = len(power)
        time = self.random.uniform(*REVERBERATION, (batch, 1))
        decay = 10 ** (-6 / (time * FRAME_RATE))
        gain = _power(self.random.uniform(*ECHO_LEVEL, (batch, 1))) * (1 - decay)
        gain *= self.random.random((batch, 1)) < ECHO_SHARE
        tail = np.zeros((batch, MELS), np.float32)
        echoing = power.copy()
        for step in range(1, power.shape[1]):
            tail = decay * (tail + power[:, step - 1])
            echoing[:, step] += gain * tail
        return echoing

    def _company(self, company: FloatArray) -> FloatArray:
        """The power of other sound beside some of the batch."""
        batch = len(company)
        level = self.random.uniform(*COMPANY_LEVEL, (batch, 1, 1))
        present = self.random.random((batch, 1, 1)) < COMPANY_SHARE
        return np.asarray(_power(company + level) * present, np.float32)

    def _narrow(self, power: FloatArray) -> FloatArray:
        """Take the low and the high bands from some of the batch, as telephones and codecs do."""
        narrow = power.copy()
        for item in np.flatnonzero(self.random.random(len(power)) < NARROW_SHARE):
            narrow[item, :, self.random.integers(NARROWEST, MELS) :] = _power(QUIET)
            narrow[item, :, : self.random.integers(0, 4)] = _power(QUIET)
        return narrow


def _power(levels: npt.ArrayLike) -> FloatArray:
    """Decibels as power."""
    return np.asarray(10 ** (np.asarray(levels, np.float32) / 10), np.float32)


def play_music(seed: int) -> FloatArray:
    """Made-up music: chords of plucked and bowed notes, and a drum; (n,) samples at RATE."""
    random = np.random.default_rng(seed)
    time = _times()
    beat = random.uniform(0.25, 0.6)  # seconds
    sound = np.zeros(len(time))
    for start in np.arange(0, PIECE_LENGTH, beat * random.integers(1, 4)):
        since = np.clip(time - start, 0, None)
        envelope = (since > 0) * np.exp(-since * random.uniform(0.5, 6)) * (1 - np.exp(-since * 80))
        root = random.uniform(60, 500)  # Hz
        for ratio in random.choice([1, 6 / 5, 5 / 4, 4 / 3, 3 / 2, 2], 3):
            partials = range(1, random.integers(3, 14))
            fall = random.uniform(0.5, 2)
            tones = (np.sin(2 * np.pi * root * ratio * k * since) / k**fall for k in partials)
            sound += envelope * sum(tones)
    drum = np.exp(-(time % beat) * 30) * random.normal(size=len(time))
    return _loud(sound + random.uniform(0, 2) * drum)


def make_noise(seed: int) -> FloatArray:
    """Noise that moves, of one of five kinds in turn; (n,) samples at RATE."""
    kinds = (_blow, _breathe, _knock, _run_engine, _beep)
    return _loud(kinds[seed % len(kinds)](np.random.default_rng(seed)))


def _blow(random: np.random.Generator) -> npt.NDArray[np.float64]:
    """Wind, waves, passing cars: coloured noise that swells and fades."""
    swell = random.normal(0, 8, int(PIECE_LENGTH * random.uniform(0.5, 4)) + 4)  # dB
    gain = np.interp(_times(), np.linspace(0, PIECE_LENGTH, len(swell)), swell)
    return _coloured(random, random.uniform(0, 2)) * 10 ** (gain / 20)


def _breathe(random: np.random.Generator) -> npt.NDArray[np.float64]:
    """Breaths and rustling: short swells of bright noise, with silence between them."""
    sound = np.zeros(len(_times()))
    start = random.uniform(0, 1)
    while start < PIECE_LENGTH:
        length = random.uniform(0.15, 0.8)
        phase = np.clip((_times() - start) / length, 0, 1)
        sound += random.uniform(0.3, 1) * np.sin(np.pi * phase) ** random.uniform(0.7, 2)
        start += length + random.uniform(0.1, 1.5)
    return sound * _coloured(random, random.uniform(-0.5, 1))


def _knock(random: np.random.Generator) -> npt.NDArray[np.float64]:
    """Keys, steps, dishes: short bursts of noise and ringing."""
    sound = np.zeros(len(_times()))
    noise = _coloured(random, random.uniform(-0.5, 1.5))
    for start in random.uniform(0, PIECE_LENGTH, random.integers(6, 60)):
        since = _times() - start
        fall = np.exp(-np.clip(since, 0, None) * random.uniform(15, 120)) * (since >= 0)
        ring = np.sin(2 * np.pi * random.uniform(200, 4000) * since)
        sound += random.uniform(0.2, 1) * fall * (noise + random.uniform(0, 2) * ring)
    return sound


def _run_engine(random: np.random.Generator) -> npt.NDArray[np.float64]:
    """Mains hum, fans and motors: harmonics whose pitch drifts, and noise."""
    drift = np.interp(_times(), np.linspace(0, PIECE_LENGTH, 9), random.normal(0, 0.1, 9))
    pitch = random.choice([50, 60, random.uniform(25, 250)]) * (1 + drift * random.integers(0, 2))
    phase = 2 * np.pi * np.cumsum(pitch) / RATE
    fall = random.uniform(0.3, 1.5)
    tones = (np.sin(k * phase + random.uniform(0, 6)) / k**fall for k in range(1, 20))
    return sum(tones, np.zeros(len(phase))) + random.uniform(0, 2) * _coloured(random, 1.0)


def _beep(random: np.random.Generator) -> npt.NDArray[np.float64]:
    """Alarms, birds and whistles: tones that glide."""
    sound = np.zeros(len(_times()))
    for start in random.uniform(0, PIECE_LENGTH, random.integers(3, 20)):
        length = random.uniform(0.05, 0.8)
        since = _times() - start
        inside = (since >= 0) & (since < length)
        pitch, glide = random.uniform(400, 3500), random.uniform(-1500, 1500)
        sound += inside * np.sin(2 * np.pi * (pitch + glide * since) * since)
    return sound + 0.03 * random.normal(size=len(sound))


def _coloured(random: np.random.Generator, slope: float) -> npt.NDArray[np.float64]:
    """Noise whose power falls with frequency to a power, with a deviation of 1."""
    spectrum = np.fft.rfft(random.normal(size=len(_times())))
    shaped = spectrum * np.maximum(np.arange(len(spectrum)), 100.0) ** (-slope / 2)
    sound = np.fft.irfft(shaped, len(_times()))
    return np.asarray(sound / sound.std())


def _times() -> npt.NDArray[np.float64]:
    return np.arange(int(PIECE_LENGTH * RATE)) / RATE


def _loud(sound: npt.NDArray[np.float64]) -> FloatArray:
    """A sound with a peak of a half."""
    return np.asarray(sound / np.abs(sound).max() / 2, np.float32)

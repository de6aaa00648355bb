"""Short-time spectra of a stream of sound: what the lips are read from."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np
import numpy.typing as npt

Float32Array = npt.NDArray[np.float32]

RATE = 16_000  # samples per second, of everything that is analysed
HOP = 160  # samples between spectra: 10 ms
FRAME_RATE = RATE / HOP  # spectra per second
WINDOW = 400  # samples under the Hann window: 25 ms
FFT_SIZE = 512  # points
FLOOR_DB = -120.0  # dB re full scale, what digital silence reads as


def frame_count(samples: int) -> int:
    """The number of spectra that a sound of so many samples has."""
    return -(-samples // HOP)


def power_spectra(blocks: Iterable[Float32Array]) -> Iterator[Float32Array]:
    """Power spectra whose k-th frame is centred on sample ``k * HOP``.

    Args:
        blocks: (n,) float32 stretches of sound at RATE, of any lengths.

    Yields:
        (m, FFT_SIZE // 2 + 1) float32. A sine of full scale sums to 1/2 (its mean square) over
        the bins of its peak. In all there are ``frame_count(total samples)`` frames.
    """
    pending = np.zeros(WINDOW // 2, np.float32)
    received = emitted = 0
    for block in blocks:
        received += len(block)
        pending = np.concatenate([pending, block])
        ready = (len(pending) - WINDOW) // HOP + 1
        if ready > 0:
            yield _spectra(pending, ready)
            emitted += ready
            pending = pending[ready * HOP :]
    missing = frame_count(received) - emitted
    if missing > 0:
        padding = np.zeros(WINDOW + missing * HOP, np.float32)
        yield _spectra(np.concatenate([pending, padding]), missing)


def _spectra(samples: Float32Array, frames: int) -> Float32Array:
    """The first ``frames`` power spectra of a stretch of sound."""
    window = np.hanning(WINDOW + 1)[:-1].astype(np.float32)
    windows = np.lib.stride_tricks.sliding_window_view(samples, WINDOW)[::HOP][:frames]
    spectra = np.fft.rfft(windows * window, FFT_SIZE, axis=1)
    # Parseval: twice for the negative frequencies, over the window's energy.
    scale = 2.0 / (FFT_SIZE * float(np.sum(window**2)))
    return np.asarray(scale * (spectra.real**2 + spectra.imag**2), np.float32)


def band_matrix(edges: Iterable[tuple[float, float]]) -> Float32Array:
    """Sums of spectrum bins over bands.

    Args:
        edges: (low, high) of each band in Hz; a bin belongs to the band if low <= f < high.

    Returns:
        (FFT_SIZE // 2 + 1, bands) float32 of zeros and ones.
    """
    frequency = np.fft.rfftfreq(FFT_SIZE, 1 / RATE)
    columns = [(low <= frequency) & (frequency < high) for low, high in edges]
    return np.stack(columns, axis=1).astype(np.float32)


def mel_matrix(bands: int, low: float, high: float) -> Float32Array:
    """Triangular bands, evenly spaced on O'Shaughnessy's mel scale, each with a peak of 1.

    Args:
        bands: their number.
        low: where the first begins, in Hz.
        high: where the last ends, in Hz.

    Returns:
        (FFT_SIZE // 2 + 1, bands) float32.
    """
    frequency = np.fft.rfftfreq(FFT_SIZE, 1 / RATE)[:, None]
    mels = np.linspace(np.log10(1 + low / 700), np.log10(1 + high / 700), bands + 2)
    edges = 700 * (10**mels - 1)
    rising = (frequency - edges[:-2]) / (edges[1:-1] - edges[:-2])
    falling = (edges[2:] - frequency) / (edges[2:] - edges[1:-1])
    return np.asarray(np.clip(np.minimum(rising, falling), 0, None), np.float32)


def decibels(power: Float32Array) -> Float32Array:
    """Power (1 = full scale) as dB, never below FLOOR_DB."""
    floor = np.float32(10 ** (FLOOR_DB / 10))
    return np.asarray(10 * np.log10(np.maximum(power, floor)), np.float32)


def smooth(values: Float32Array, sigma: float) -> Float32Array:
    """Average a track of one value per spectrum under a Gaussian, the ends held.

    Args:
        values: (n,).
        sigma: standard deviation in seconds; nothing beyond three of them counts.
    """
    reach = int(np.ceil(3 * sigma * FRAME_RATE))
    offsets = np.arange(-reach, reach + 1) / (sigma * FRAME_RATE)
    kernel = np.exp(-(offsets**2) / 2)
    padded = np.pad(values, reach, mode="edge")
    return np.asarray(np.convolve(padded, kernel / kernel.sum(), "valid"), np.float32)

"""The melody of speech that head and brows follow: where there is talk, and where the stress is."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from vasari.generate.spectrum import smooth

Float32Array = npt.NDArray[np.float32]

AUDIBLE = (-32.0, -20.0)  # dB re the loud level: surely silence, surely speech
LOUDNESS_FLOOR = -35.0  # dB re the loud level
TALK_SIGMA = 0.35  # seconds; pauses between words are talk
SYLLABLE_SIGMA = 0.09  # seconds
PHRASE_SIGMA = 0.5  # seconds
CONTEXT = 3 * (PHRASE_SIGMA + SYLLABLE_SIGMA)  # seconds on each side that a frame depends on


@dataclass(frozen=True)
class Prosody:
    """Talk and stress over n spectra, each (n,) float32 in 0..1."""

    talk: Float32Array  # whether someone speaks, across short pauses
    stress: Float32Array  # how far a syllable stands out from its phrase


def read_prosody(speech_band: Float32Array, loud: float, noise: float) -> Prosody:
    """Read talk and stress from the level of the speech band.

    Args:
        speech_band: (n,) dB, CONTEXT longer on each side than the frames that count.
        loud: dB, the loud level of the recording.
        noise: dB, the noise level of the recording.
    """
    level = speech_band - loud
    quiet = max(AUDIBLE[0], min(noise - loud + 6, -18.0))
    audible = np.clip((level - quiet) / (AUDIBLE[1] - AUDIBLE[0]), 0, 1)
    talk = np.clip(1.6 * smooth(audible, TALK_SIGMA), 0, 1)
    loudness = np.clip(1 - level / LOUDNESS_FLOOR, 0, 1.2)
    syllable = smooth(loudness, SYLLABLE_SIGMA)
    excess = syllable - smooth(loudness, PHRASE_SIGMA)
    return Prosody(talk, np.asarray(np.clip(2.5 * excess, 0, 1) * talk, np.float32))

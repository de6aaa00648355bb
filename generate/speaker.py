"""What is known of a speaker: how far the lips are heard to open.

From the sound of a voice the speech encoder knows which of its vowels are wide; how far this person
opens them it can only guess: voices also differ in microphone, language and effort. So within a
second or so of speech each is brought to the usual opening, as phoneticians compare the vowels of
speakers, by each one's own range (Lobanov 1971). Nothing is forgotten: a second voice in the same
sound is measured together with the first.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from vasari.generate.articulation import WIDEST

Float32Array = npt.NDArray[np.float32]
Float64Array = npt.NDArray[np.float64]

USUAL = 0.7  # the opening of usual voices, of which the wide moments count more
EXPECTED = 0.5  # seconds of wide open lips that count as heard before, at the usual opening
MOST = 1.6  # times an opening is made larger, or smaller
LONGEST_STEP = 0.1  # seconds that a frame counts at most: who has not listened has not heard


class Speaker:
    """One voice, as far as it has been heard."""

    def __init__(self) -> None:
        self._opened, self._weighed = EXPECTED, EXPECTED * USUAL
        self._time = 0.0

    def evened(self, opening: Float32Array, times: Float64Array) -> Float32Array:
        """Openings as they would be of a usual voice; what comes later does not count.

        Args:
            opening: (n,) 0..1, of `Articulation`.
            times: (n,) seconds, rising, also from one call to the next.
        """
        steps = np.minimum(np.diff(times, prepend=self._time), LONGEST_STEP)
        self._time = float(times[-1])
        opened = self._opened + np.cumsum(opening * steps)
        weighed = self._weighed + np.cumsum(np.square(opening) * steps)
        self._opened, self._weighed = float(opened[-1]), float(weighed[-1])
        gain = np.clip(USUAL * opened / weighed, 1 / MOST, MOST)
        return np.asarray(np.minimum(opening * gain, WIDEST), np.float32)

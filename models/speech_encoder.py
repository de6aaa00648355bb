"""The speech encoder: hears in any voice which sound is spoken and how far the lips are open.

A stack of dilated convolutions over time, small enough for NumPy. It takes mel levels at
`vasari.generate.spectrum.FRAME_RATE` (100 per second) and gives, for each of them, three things
(`Heard`): probabilities of the groups of speech sounds in SOUNDS (n, 21), the opening of the lips
(n,), and hidden features (n, WIDTH) that another network can be conditioned on. An output depends
on the BEFORE spectra before it and on the AHEAD spectra after it (0.07 s), so the same network
serves files (`SpeechEncoder.__call__`) and live sound (`EncoderStream`), with the same result.

`vasari.models.train_speech_encoder` makes the weights; the model card says from what.
"""

from __future__ import annotations

import functools
import hashlib
import io
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib import resources

import numpy as np
import numpy.typing as npt

from vasari.errors import VasariError
from vasari.generate.spectrum import FLOOR_DB

Float32Array = npt.NDArray[np.float32]

WEIGHTS = "speech_encoder.npz"
SHA256 = ""
MELS = 40  # input bands
MEL_RANGE = (80.0, 7600.0)  # Hz
LEVEL_CENTRE, LEVEL_SCALE = -35.0, 20.0  # dB re the loud level of the recording
LEVEL_LIMITS = (-1.5, 3.0)  # of the scaled levels
WIDTH = 96  # channels
# The spectra that each layer looks at, from its own; every layer after the first is residual.
TAPS = (
    (-1, 0, 1), (-1, 0, 1), (-2, 0, 2), (-3, 0, 3), (-8, -4, 0), (-16, -8, 0), (-24, -12, 0),
    (-2, -1, 0),
)  # fmt: skip
BEFORE = -sum(taps[0] for taps in TAPS)  # spectra before it that an output depends on
AHEAD = sum(taps[-1] for taps in TAPS)  # spectra after it

# Speech sounds that look alike, by their IPA letters; the first is silence.
SILENCE, BILABIAL = 0, 1
SOUNDS = (
    "", "mbpɓɱ", "fvʋɸβ", "θð", "tdnlɾɫɖʈɳɲʎɭ", "szʦʣ", "ʃʒɕʑʂʐɬ", "kɡgŋqɴcɟxχɣʁ", "hɦʔç",  # noqa: RUF001
    "rɹɻʀɽ", "wʍɥ", "j", "iɪɨ", "eɛ", "aæ", "ʌɑɐ", "ɔɒ", "oɤ", "uʊʉɯ", "əɜɚɘɞ", "yøœʏ",  # noqa: RUF001
)  # fmt: skip
OUTPUTS = len(SOUNDS) + 2  # a logit per group of sounds, lip opening, mouth width


@dataclass(frozen=True)
class Heard:
    """What the encoder makes of n spectra."""

    chances: Float32Array  # (n, len(SOUNDS)) probability of each group of sounds
    opening: Float32Array  # (n,) about 0 closed, 1 as wide as a speaker's widest twentieth
    features: Float32Array  # (n, WIDTH) hidden state, not bounded


class SpeechEncoder:
    """The network with its weights.

    Args:
        weights: ``kernel_0`` (3, MELS, WIDTH), ``kernel_1`` and on (3, WIDTH, WIDTH) in the order
            of TAPS, ``kernel_last`` (WIDTH, OUTPUTS), ``bias_0`` and on, ``bias_last``, and
            ``opening`` (len(SOUNDS),): the mean opening of real lips in each group of sounds.
    """

    def __init__(self, weights: Mapping[str, Float32Array]) -> None:
        self._opening = weights["opening"]
        self._last = weights["kernel_last"], weights["bias_last"]
        self._layers = [
            _Layer(weights[f"kernel_{number}"], weights[f"bias_{number}"], taps, number > 0)
            for number, taps in enumerate(TAPS)
        ]

    def __call__(self, levels: Float32Array) -> Heard:
        """Hear a stretch of sound, before and after which lies silence.

        Args:
            levels: (n, MELS) dB re the loud level of the recording.
        """
        after = np.full((AHEAD, MELS), FLOOR_DB, np.float32)
        heard = self.stream().hear(np.concatenate([levels, after]))
        return Heard(*(track[AHEAD:] for track in vars(heard).values()))

    def stream(self) -> EncoderStream:
        """A stream before which lay silence."""
        return EncoderStream(self._layers, self._read)

    def _read(self, hidden: Float32Array) -> Heard:
        """What the last hidden layer says."""
        kernel, bias = self._last
        outputs = hidden @ kernel + bias
        logits = outputs[:, : len(SOUNDS)]
        odds = np.exp(logits - logits.max(axis=1, keepdims=True))
        chances = odds / odds.sum(axis=1, keepdims=True)
        # Two estimates, from the sound itself and from what it was recognised as, err differently.
        opening = (outputs[:, len(SOUNDS)] + chances @ self._opening) / 2
        return Heard(chances, opening, hidden)


class EncoderStream:
    """Hears sound as it comes: `hear` gives as many outputs as it takes spectra, AHEAD late."""

    def __init__(
        self, layers: Sequence[_Layer], read: Callable[[Float32Array], Heard]
    ) -> None:
        self._layers = layers
        self._read = read
        self._pasts: list[Float32Array] = [np.zeros((0, layer.inputs), np.float32) for layer in layers]
        self._hidden(np.full((BEFORE + AHEAD, MELS), FLOOR_DB, np.float32))

    def hear(self, levels: Float32Array) -> Heard:
        """Take in the next spectra, (n, MELS) dB re the loud level of the recording."""
        return self._read(self._hidden(levels))

    def _hidden(self, levels: Float32Array) -> Float32Array:
        """The last hidden layer, as far as the spectra suffice."""
        values = scale_levels(levels)
        for number, layer in enumerate(self._layers):
            joined = np.concatenate([self._pasts[number], values])
            values = layer(joined)
            self._pasts[number] = joined[len(values) :]
        return values


class _Layer:
    """A dilated convolution over time with its activation, over which its input may pass."""

    def __init__(
        self, kernel: Float32Array, bias: Float32Array, taps: tuple[int, ...], residual: bool
    ) -> None:
        self.inputs = kernel.shape[1]
        self._kernel, self._bias = kernel.reshape(-1, len(bias)), bias
        self._places = [tap - taps[0] for tap in taps]
        self._own = -taps[0] if residual else None

    def __call__(self, values: Float32Array) -> Float32Array:
        """From (n, inputs) to the outputs that these suffice for, fewer by the taps' span."""
        count = max(0, len(values) - self._places[-1])
        columns = [values[place : place + count] for place in self._places]
        changed = np.maximum(np.concatenate(columns, axis=1) @ self._kernel + self._bias, 0)
        return changed if self._own is None else values[self._own :][:count] + changed


def scale_levels(levels: Float32Array) -> Float32Array:
    """Levels in dB re the loud level as the network takes them, of the same shape."""
    scaled = (levels - np.float32(LEVEL_CENTRE)) / np.float32(LEVEL_SCALE)
    return np.clip(scaled, *LEVEL_LIMITS)


@functools.cache
def load_speech_encoder() -> SpeechEncoder:
    """The network with the weights that come with Vasari.

    Raises:
        VasariError: the weights are damaged.
    """
    data = (resources.files("vasari.models") / "weights" / WEIGHTS).read_bytes()
    if hashlib.sha256(data).hexdigest() != SHA256:
        raise VasariError(f"the weights {WEIGHTS} are damaged; install Vasari again")
    with np.load(io.BytesIO(data), allow_pickle=False) as archive:
        return SpeechEncoder({name: archive[name].astype(np.float32) for name in archive.files})

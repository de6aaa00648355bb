"""The speech encoder: hears in any voice which sound is spoken and how far the lips are open.

A stack of dilated convolutions over time, small enough for NumPy. It takes mel levels at
`vasari.generate.spectrum.FRAME_RATE` (100 per second) and gives, for each of them, three things
(`Heard`): probabilities of the groups of speech sounds in SOUNDS (n, 21), the opening of the lips
(n,), and hidden features (n, WIDTH) that another network can be conditioned on.

There are two sets of weights. That of files looks 0.36 s to each side; that of live sound 0.04 s
ahead and 0.6 s back. Both can hear sound as it comes (`SpeechEncoder.stream`).
`vasari.models.train_speech_encoder` makes them; the model cards say from what.
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

MELS = 40  # input bands
MEL_RANGE = (80.0, 7600.0)  # Hz
LEVEL_CENTRE, LEVEL_SCALE = -35.0, 20.0  # dB re the loud level of the recording
LEVEL_LIMITS = (-1.5, 3.0)  # of the scaled levels
WIDTH = 96  # channels


@dataclass(frozen=True)
class Kind:
    """A set of weights, and what it looks at."""

    weights: str  # file
    sha256: str
    # The spectra that each layer takes in, from its own; all layers but the first are residual.
    taps: tuple[tuple[int, ...], ...]

    @property
    def before(self) -> int:
        """How many spectra before it an output depends on."""
        return -sum(taps[0] for taps in self.taps)

    @property
    def ahead(self) -> int:
        """How many spectra after it an output depends on."""
        return sum(taps[-1] for taps in self.taps)


FILES = Kind(
    "speech_encoder.npz",
    "145fc47c7b606210d3ea3e737f17a6515165c41ad2b78dfde47113859f5ace8f",
    (
        (-1, 0, 1), (-1, 0, 1), (-2, 0, 2), (-3, 0, 3),
        (-4, 0, 4), (-8, 0, 8), (-16, 0, 16), (-1, 0, 1),
    ),
)  # fmt: skip
LIVE = Kind(
    "speech_encoder_live.npz",
    "8897183bedb5e39f8ef5d6a9897252495e84d151eb6bbb0a27910301cd1da3b7",
    (
        (-1, 0, 1), (-1, 0, 1), (-2, 0, 2), (-6, -3, 0),
        (-8, -4, 0), (-16, -8, 0), (-24, -12, 0), (-2, -1, 0),
    ),
)  # fmt: skip

# Speech sounds that look alike, by their IPA letters; the first is silence.
SILENCE, BILABIAL, LABIODENTAL = 0, 1, 2
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
        kind: what each layer looks at.
        weights: ``kernel_0`` (3, MELS, WIDTH), ``kernel_1`` and on (3, WIDTH, WIDTH) in the order
            of the taps, ``kernel_last`` (WIDTH, OUTPUTS), ``bias_0`` and on, ``bias_last``.
    """

    def __init__(self, kind: Kind, weights: Mapping[str, Float32Array]) -> None:
        self.kind = kind
        self._last = weights["kernel_last"], weights["bias_last"]
        self._layers = [
            _Layer(weights[f"kernel_{number}"], weights[f"bias_{number}"], taps, number > 0)
            for number, taps in enumerate(kind.taps)
        ]

    def __call__(self, levels: Float32Array) -> Heard:
        """Hear a stretch of sound, before and after which lies silence.

        Args:
            levels: (n, MELS) dB re the loud level of the recording.
        """
        ahead = self.kind.ahead
        after = np.full((ahead, MELS), FLOOR_DB, np.float32)
        heard = self.stream().hear(np.concatenate([levels, after]))
        return Heard(*(track[ahead:] for track in vars(heard).values()))

    def stream(self) -> EncoderStream:
        """A stream before which lay silence."""
        stream = EncoderStream(self._layers, self._read)
        stream.hear(np.full((self.kind.before + self.kind.ahead, MELS), FLOOR_DB, np.float32))
        return stream

    def _read(self, hidden: Float32Array) -> Heard:
        """What the last hidden layer says."""
        kernel, bias = self._last
        outputs = hidden @ kernel + bias
        logits = outputs[:, : len(SOUNDS)]
        odds = np.exp(logits - logits.max(axis=1, keepdims=True))
        chances = odds / odds.sum(axis=1, keepdims=True)
        return Heard(chances, outputs[:, len(SOUNDS)], hidden)


class EncoderStream:
    """Hears sound as it comes: as many outputs as spectra, `Kind.ahead` late."""

    def __init__(self, layers: Sequence[_Layer], read: Callable[[Float32Array], Heard]) -> None:
        self._layers = layers
        self._read = read
        self._pasts: list[Float32Array] = [
            np.zeros((0, layer.inputs), np.float32) for layer in layers
        ]

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
        own = 0 if self._own is None else values[self._own :][:count]
        return np.asarray(own + changed, np.float32)


def scale_levels(levels: Float32Array) -> Float32Array:
    """Levels in dB re the loud level as the network takes them, of the same shape."""
    scaled = (levels - np.float32(LEVEL_CENTRE)) / np.float32(LEVEL_SCALE)
    return np.clip(scaled, *LEVEL_LIMITS)


@functools.cache
def load_speech_encoder(kind: Kind = FILES) -> SpeechEncoder:
    """The network with weights that come with Vasari.

    Raises:
        VasariError: the weights are damaged.
    """
    data = (resources.files("vasari.models") / "weights" / kind.weights).read_bytes()
    if hashlib.sha256(data).hexdigest() != kind.sha256:
        raise VasariError(f"the weights {kind.weights} are damaged; install Vasari again")
    with np.load(io.BytesIO(data), allow_pickle=False) as archive:
        weights = {name: archive[name].astype(np.float32) for name in archive.files}
    return SpeechEncoder(kind, weights)

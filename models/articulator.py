"""The network that hears what the mouth does: mel levels in, speech sounds and opening out.

Seven one-dimensional convolutions with a field of view of 0.3 s to each side, small enough for
NumPy. `vasari.models.train_articulator` makes the weights; the model card says from what.
"""

from __future__ import annotations

import functools
import hashlib
import io
from importlib import resources

import numpy as np
import numpy.typing as npt

from vasari.errors import VasariError

Float32Array = npt.NDArray[np.float32]

WEIGHTS = "articulator.npz"
SHA256 = "9148a33cd46e86661cf450a0ffd99f5f1c4fe5b981dbec6ecaf2bf043969cb38"
MELS = 40  # input bands
MEL_RANGE = (80.0, 7600.0)  # Hz
LEVEL_CENTRE, LEVEL_SCALE = -35.0, 20.0  # dB re the loud level of the recording
LEVEL_LIMITS = (-1.5, 3.0)  # of the scaled levels
DILATIONS = (1, 2, 4, 8, 12, 1)  # of the residual layers, each three taps wide
REACH = 1 + sum(DILATIONS)  # spectra on each side that an output depends on

# Speech sounds that look alike, by their IPA letters; the first is silence.
SILENCE, BILABIAL = 0, 1
SOUNDS = (
    "", "mbpɓɱ", "fvʋɸβ", "θð", "tdnlɾɫɖʈɳɲʎɭ", "szʦʣ", "ʃʒɕʑʂʐɬ", "kɡgŋqɴcɟxχɣʁ", "hɦʔç",  # noqa: RUF001
    "rɹɻʀɽ", "wʍɥ", "j", "iɪɨ", "eɛ", "aæ", "ʌɑɐ", "ɔɒ", "oɤ", "uʊʉɯ", "əɜɚɘɞ", "yøœʏ",  # noqa: RUF001
)  # fmt: skip
OUTPUTS = len(SOUNDS) + 2  # a logit per group of sounds, lip opening, mouth width


class Articulator:
    """The network with its weights.

    Args:
        weights: ``kernel_0`` (3, MELS, W), ``kernel_1`` to ``kernel_6`` (3, W, W), ``kernel_7``
            (1, W, OUTPUTS), ``bias_0`` to ``bias_7``, and ``opening`` (len(SOUNDS),): the mean
            opening of the lips in real clips during each group of sounds.
    """

    def __init__(self, weights: dict[str, Float32Array]) -> None:
        self.opening = weights["opening"]
        count = len(DILATIONS) + 2
        self._layers = [(weights[f"kernel_{i}"], weights[f"bias_{i}"]) for i in range(count)]

    def __call__(self, levels: Float32Array) -> tuple[Float32Array, Float32Array]:
        """Hear a stretch of sound.

        Args:
            levels: (n, MELS) dB re the loud level of the recording. The outputs of the first and
                last REACH rows lack context.

        Returns:
            Probabilities of each group of SOUNDS (n, len(SOUNDS)), and the opening of the lips
            (n,): about 0 closed, 1 as wide as the widest twentieth of a speaker's frames.
        """
        first, *residual, last = self._layers
        hidden = np.maximum(_convolve(scale_levels(levels), *first, 1), 0)
        for (kernel, bias), dilation in zip(residual, DILATIONS, strict=True):
            hidden = hidden + np.maximum(_convolve(hidden, kernel, bias, dilation), 0)
        outputs = hidden @ last[0][0] + last[1]
        logits = outputs[:, : len(SOUNDS)]
        odds = np.exp(logits - logits.max(axis=1, keepdims=True))
        return odds / odds.sum(axis=1, keepdims=True), outputs[:, len(SOUNDS)]


def scale_levels(levels: Float32Array) -> Float32Array:
    """Levels in dB re the loud level as the network takes them, of the same shape."""
    scaled = (levels - np.float32(LEVEL_CENTRE)) / np.float32(LEVEL_SCALE)
    return np.clip(scaled, *LEVEL_LIMITS)


def _convolve(
    values: Float32Array, kernel: Float32Array, bias: Float32Array, dilation: int
) -> Float32Array:
    """A dilated convolution of three taps over time, of the same length, zeros beyond the ends."""
    padded = np.pad(values, ((dilation, dilation), (0, 0)))
    taps = [padded[i * dilation : i * dilation + len(values)] for i in range(3)]
    flat = kernel.reshape(-1, kernel.shape[-1])
    return np.asarray(np.concatenate(taps, axis=1) @ flat + bias, np.float32)


@functools.cache
def load_articulator() -> Articulator:
    """The network with the weights that come with Vasari.

    Raises:
        VasariError: the weights are damaged.
    """
    data = (resources.files("vasari.models") / "weights" / WEIGHTS).read_bytes()
    if hashlib.sha256(data).hexdigest() != SHA256:
        raise VasariError(f"the weights {WEIGHTS} are damaged; install Vasari again")
    with np.load(io.BytesIO(data), allow_pickle=False) as archive:
        return Articulator({name: archive[name].astype(np.float32) for name in archive.files})

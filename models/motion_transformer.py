"""The network that moves head and face to a voice: a diffusion transformer, run in NumPy.

It takes the motion of a window with noise on it, the end of the window before, what is heard, and
the user's wishes, and gives the motion without noise (Xu et al., VASA-1, arXiv 2404.10667, section
3.2). Blocks are those of Peebles & Xie (arXiv 2212.09748, "adaLN-Zero").
`vasari.models.train_motion` makes the weights; the model card says from what.
"""

from __future__ import annotations

import functools
import hashlib
import io
import zipfile
from dataclasses import dataclass
from importlib import resources
from pathlib import Path

import numpy as np
import numpy.typing as npt

from vasari.compiled import kernel
from vasari.errors import InputError, VasariError

Float32Array = npt.NDArray[np.float32]

WEIGHTS = "motion.npz"
SHA256 = "9a322722030f8c886d6408fde7cd5e4224385aba6bb046cf27171810f65b9be3"

RATE = 25.0  # frames per second of everything in here
PAST, WINDOW = 10, 50  # frames: of the window before, and made at a time
LENGTH = PAST + WINDOW  # tokens

# What is heard at each frame: the fields of Articulation and of Prosody.
SOUND = 8
# Wishes for a window, each a group that may be unknown: its name and how many numbers it has.
WISHES = {"gaze": 2, "nearer": 1, "face": 7, "liveliness": 2}
WISH_SIZE = sum(WISHES.values())
NOISE_WAVES = 32  # frequencies in which the noise level is written
FULL_NOISE = 1.0  # the noise level at which nothing of the motion is left
LAYER_NORM_EPSILON = 1e-5


@dataclass(frozen=True)
class Conditions:
    """What a batch of windows goes by; the known-flags are 1 or 0."""

    past: Float32Array  # (B, PAST, D) motion, zeros where there is none
    past_known: Float32Array  # (B,)
    sound: Float32Array  # (B, LENGTH, SOUND)
    sound_known: Float32Array  # (B,)
    wishes: Float32Array  # (B, WISH_SIZE), zeros where unknown
    wishes_known: Float32Array  # (B, len(WISHES))


class MotionTransformer:
    """The network with its weights.

    Args:
        weights: by the names that `vasari.models.train_motion` writes; matrices as (in, out).
            `channel_scale` (D,) is what one unit of each motion channel stands for; `regression`
            says that they were taught to make motion from nothing, not from noise.
    """

    def __init__(self, weights: dict[str, Float32Array]) -> None:
        self._weights = weights
        self.channel_scale = weights["channel_scale"]
        self.heads = int(weights["heads"])
        self._layers = int(weights["layers"])
        self._regression = bool(weights.get("regression", False))

    @classmethod
    def load(cls, file: Path) -> MotionTransformer:
        """The network with weights that `vasari train motion` wrote.

        Raises:
            InputError: the file cannot be read, or holds something else.
        """
        try:
            return cls(_read(file.read_bytes()))
        except (OSError, EOFError, ValueError, KeyError, TypeError, zipfile.BadZipFile):
            raise InputError(f"{file} holds no weights of `vasari train motion`") from None

    def __call__(self, noisy: Float32Array, level: float, conditions: Conditions) -> Float32Array:
        """Take the noise from windows of motion.

        Args:
            noisy: (B, WINDOW, D) motion in units of `channel_scale`, plus noise.
            level: the noise level t in 0..1: noisy = cos(t pi/2) motion + sin(t pi/2) noise.
            conditions: what the windows go by.

        Returns:
            (B, WINDOW, D) float32, the motion.
        """
        if self._regression:
            noisy, level = np.zeros_like(noisy), FULL_NOISE
        tokens = self._linear("tokens", _tokens(noisy, conditions)) + self._weights["places"]
        wishes = np.concatenate([conditions.wishes, conditions.wishes_known], axis=1)
        state = self._linear("wishes", wishes) + self._linear("level", noise_waves(level))
        state = _silu(self._linear("state", _silu(state)))
        for layer in range(self._layers):
            tokens = self._block(f"block_{layer}", tokens, state)
        shift, scale = np.split(self._linear("last_state", state)[:, None], 2, axis=-1)
        out: Float32Array = self._linear("last", _steered(tokens, scale, shift))
        return out[:, PAST:]

    def _block(self, name: str, tokens: Float32Array, state: Float32Array) -> Float32Array:
        """One block: attention, then a feed-forward layer, both steered by the state."""
        steering = self._linear(f"{name}_state", state)[:, None]
        shift, scale, gate, shift_2, scale_2, gate_2 = np.split(steering, 6, axis=-1)
        attended = self._attend(name, _steered(tokens, scale, shift))
        tokens = tokens + gate * attended
        inner = self._linear(f"{name}_in", _steered(tokens, scale_2, shift_2))
        return np.asarray(tokens + gate_2 * self._linear(f"{name}_out", _gelu(inner)))

    def _attend(self, name: str, tokens: Float32Array) -> Float32Array:
        """Self-attention of all tokens of a window."""
        batch, length, width = tokens.shape
        joint = self._linear(f"{name}_attention", tokens)
        parts = joint.reshape(batch, length, 3, self.heads, width // self.heads)
        query, key, value = parts.transpose(2, 0, 3, 1, 4)
        scores = query @ key.transpose(0, 1, 3, 2) / np.float32(np.sqrt(width // self.heads))
        odds = np.exp(scores - scores.max(axis=-1, keepdims=True))
        mixed = (odds / odds.sum(axis=-1, keepdims=True)) @ value
        return self._linear(f"{name}_mix", mixed.transpose(0, 2, 1, 3).reshape(tokens.shape))

    def _linear(self, name: str, values: Float32Array) -> Float32Array:
        flat = values.reshape(-1, values.shape[-1])  # one product, not one for each of a batch
        result = flat @ self._weights[f"{name}_matrix"] + self._weights[f"{name}_bias"]
        return result.reshape(*values.shape[:-1], -1)


def _tokens(noisy: Float32Array, conditions: Conditions) -> Float32Array:
    """What is known of each frame, (B, LENGTH, D + SOUND + 2)."""
    motion = np.concatenate([conditions.past, noisy], axis=1)
    ones = np.ones((*motion.shape[:2], 1), np.float32)
    heard = ones * conditions.sound_known[:, None, None]
    role = ones.copy()
    role[:, :PAST] = -conditions.past_known[:, None, None]
    return np.concatenate([motion, conditions.sound * heard, heard, role], axis=2)


def noise_waves(level: float) -> Float32Array:
    """A noise level in 0..1 as sines and cosines, (1, 2 * NOISE_WAVES)."""
    phases = level * 1000 ** (np.arange(NOISE_WAVES, dtype=np.float32) / NOISE_WAVES)
    return np.asarray(np.concatenate([np.sin(phases), np.cos(phases)])[None], np.float32)


@kernel(fastmath=True)
def _steered(tokens, scale, shift):  # type: ignore[no-untyped-def]
    """Tokens, (B, T, W), of mean 0 and variance 1 each, then scaled and shifted by (B, 1, W)."""
    batch, length, width = tokens.shape
    steered = np.empty_like(tokens)
    for b in range(batch):
        gain, added = scale[b, 0], shift[b, 0]
        for t in range(length):
            token, result = tokens[b, t], steered[b, t]
            mean = token.sum() / np.float32(width)
            power = np.float32(0)
            for i in range(width):
                power += (token[i] - mean) ** 2
            root = np.sqrt(power / np.float32(width) + np.float32(LAYER_NORM_EPSILON))
            for i in range(width):
                result[i] = (token[i] - mean) / root * (np.float32(1) + gain[i]) + added[i]
    return steered


def _silu(values: Float32Array) -> Float32Array:
    return values / (1 + np.exp(-values))


def _gelu(values: Float32Array) -> Float32Array:
    """GELU in its tanh form (Hendrycks & Gimpel, arXiv 1606.08415)."""
    # Not values**3: NumPy's power is ten times slower than two products.
    bent = values * (1 + np.float32(0.044715) * values * values)
    bent = np.tanh(np.float32(np.sqrt(2 / np.pi)) * bent)
    return np.asarray(np.float32(0.5) * values * (1 + bent))


@functools.cache
def load_motion_transformer() -> MotionTransformer:
    """The network with the weights that come with Vasari.

    Raises:
        VasariError: the weights are damaged.
    """
    data = (resources.files("vasari.models") / "weights" / WEIGHTS).read_bytes()
    if hashlib.sha256(data).hexdigest() != SHA256:
        raise VasariError(f"the weights {WEIGHTS} are damaged; install Vasari again")
    return MotionTransformer(_read(data))


def _read(data: bytes) -> dict[str, Float32Array]:
    """The arrays of a file of weights."""
    with np.load(io.BytesIO(data), allow_pickle=False) as archive:
        return {name: archive[name].astype(np.float32) for name in archive.files}

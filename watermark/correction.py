"""The error-correcting code of the watermark: BCH(127, 64), decoded from soft values.

BCH(127, 64) corrects 10 wrong bits by algebra. Ordered-statistics decoding (Fossorier & Lin 1995)
uses how sure each received bit is, and any further linear constraint on the message, such as a
checksum, as part of the code: it reads words in which 25 of the 127 bits are wrong.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import numpy.typing as npt

BitArray = npt.NDArray[np.uint8]
FloatArray = npt.NDArray[np.float64]

CODE_BITS = 127
MESSAGE_BITS = 64
# galois.BCH(127, 64).generator_poly: the least common multiple of the minimal polynomials of
# alpha^1 … alpha^20 (t = 10) in GF(2^7) modulo x^7 + x^3 + 1. Building it takes galois 12 s.
GENERATOR_POLYNOMIAL = 0xA1AB815BC7EC8025

# Two wrong bits among the most reliable independent ones: where a third would help, the word is
# already too noisy to be believed (see docs/watermark.md).
ORDER = 2


def bits_of(word: int, count: int) -> BitArray:
    """The ``count`` lowest bits of a word, most significant first, (count,) of 0 and 1."""
    return np.array([word >> shift & 1 for shift in reversed(range(count))], np.uint8)


def word_of(bits: npt.ArrayLike) -> int:
    """The word whose bits these are, most significant first."""
    return int("".join(str(int(bit)) for bit in np.asarray(bits)), 2)


def encode(message: int) -> BitArray:
    """The code word, (127,) of 0 and 1, of a 64-bit message: the message, then 63 parity bits."""
    parity_bits = CODE_BITS - MESSAGE_BITS
    shifted = message << parity_bits
    remainder = shifted
    while remainder.bit_length() > parity_bits:
        remainder ^= GENERATOR_POLYNOMIAL << remainder.bit_length() - parity_bits - 1
    return bits_of(shifted ^ remainder, CODE_BITS)


@dataclass(frozen=True)
class AffineCode:
    """A set of code words: an offset plus every sum of some rows."""

    offset: BitArray  # (N,) the word of the all-zero message
    rows: BitArray  # (K, N) what each message bit adds to it


@dataclass(frozen=True)
class Decoded:
    """The code word nearest to the received values, as far as the search went."""

    word: BitArray  # (N,) of 0 and 1
    correlation: float  # cosine between the received values and the word's signs, -1..1


def decode(code: AffineCode, received: FloatArray) -> Decoded:
    """Find the word of ``code`` that correlates best with received values (N,), positive for 0.

    Ordered-statistics decoding: Fossorier & Lin, "Soft-decision decoding of linear block codes
    based on ordered statistics", IEEE Trans. Inf. Theory 41(5), 1995.
    """
    values = np.where(code.offset == 1, -received, received)
    certainty = np.abs(values)
    hard = (values < 0).astype(np.uint8)
    basis, pivots = _most_reliable_basis(code.rows, np.argsort(-certainty, kind="stable"))
    start = (hard[pivots] @ basis & 1).astype(np.uint8)
    differing = _patterns(len(pivots)) @ basis.astype(np.float32)
    candidates = differing.astype(np.uint8) & 1 ^ start ^ hard
    best = int(np.argmin(candidates @ certainty))
    word = candidates[best] ^ hard
    correlation = float(values @ (1.0 - 2.0 * word))
    scale = float(np.linalg.norm(values)) * np.sqrt(len(values))
    return Decoded(word ^ code.offset, correlation / scale if scale > 0 else 0.0)


def _most_reliable_basis(rows: BitArray, order: npt.NDArray[np.intp]) -> tuple[BitArray, list[int]]:
    """Reduce the rows so that each has a 1 of its own in one of the most reliable positions."""
    basis = rows.copy()
    pivots: list[int] = []
    for column in order:
        rank = len(pivots)
        if rank == len(basis):
            break
        below = np.flatnonzero(basis[rank:, column])
        if below.size == 0:
            continue
        basis[[rank, rank + below[0]]] = basis[[rank + below[0], rank]]
        others = basis[:, column].copy()
        others[rank] = 0
        basis ^= others[:, None] & basis[rank]
        pivots.append(int(column))
    return basis, pivots


@lru_cache(maxsize=2)
def _patterns(size: int) -> npt.NDArray[np.float32]:
    """Every choice of at most ORDER of ``size`` positions, as rows of 0 and 1."""
    pairs = np.array([(a, b) for a in range(size) for b in range(a, size)])
    patterns = np.zeros((len(pairs) + 1, size), np.float32)
    index = np.arange(len(pairs)) + 1
    patterns[index, pairs[:, 0]] = 1
    patterns[index, pairs[:, 1]] = 1
    return patterns

"""Matrix products at the speed that the processor has.

MediaPipe needs NumPy 1, whose OpenBLAS (0.3.23) does not know processors made since, and takes the
kernels of 2004 for them, which use a part of their width. It can be told which to take, before
NumPy is loaded.
"""

from __future__ import annotations

import os
from collections.abc import Set
from pathlib import Path

CORE_VARIABLE = "OPENBLAS_CORETYPE"  # what OpenBLAS looks at
_PROCESSOR = Path("/proc/cpuinfo")

# What the processor must have -> the kernels made for it, the quickest first.
_KERNELS = {
    frozenset({"avx512f", "avx512cd", "avx512bw", "avx512dq", "avx512vl"}): "SkylakeX",
    frozenset({"avx2", "fma"}): "Haswell",
}


def choose_kernels() -> None:
    """Name the kernels to OpenBLAS, unless the user does, or Linux does not say what there is."""
    if CORE_VARIABLE in os.environ:
        return
    try:
        with _PROCESSOR.open(encoding="utf-8", errors="replace") as lines:
            flags = next((line for line in lines if line.startswith("flags")), "")
    except OSError:
        return
    kernels = kernels_for(frozenset(flags.split()))
    if kernels is not None:
        os.environ[CORE_VARIABLE] = kernels


def kernels_for(flags: Set[str]) -> str | None:
    """OpenBLAS's name of the kernels for a processor with these flags, None where it chooses."""
    return next((name for needed, name in _KERNELS.items() if needed <= flags), None)

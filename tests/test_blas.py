"""OpenBLAS takes kernels that suit the processor, and what the user says goes first."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from vasari import blas

AVX512 = {"avx512f", "avx512cd", "avx512bw", "avx512dq", "avx512vl"}
SHOW = (
    "import vasari, numpy, threadpoolctl;"
    "print([each['architecture'] for each in threadpoolctl.threadpool_info()"
    " if each['internal_api'] == 'openblas'][0])"
)


@pytest.mark.parametrize(
    ("flags", "kernels"),
    [
        (AVX512 | {"avx2", "fma"}, "SkylakeX"),
        (AVX512 - {"avx512vl"} | {"avx2", "fma"}, "Haswell"),
        ({"avx2", "fma", "sse2"}, "Haswell"),
        ({"avx", "sse2"}, None),
        (set(), None),
    ],
)
def test_kernels_suit_the_processor(flags: set[str], kernels: str | None) -> None:
    assert blas.kernels_for(flags) == kernels


def test_the_user_goes_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(blas.CORE_VARIABLE, "Nehalem")
    blas.choose_kernels()
    assert os.environ[blas.CORE_VARIABLE] == "Nehalem"


def test_a_system_that_does_not_tell_is_left_alone(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.delenv(blas.CORE_VARIABLE, raising=False)
    monkeypatch.setattr(blas, "_PROCESSOR", tmp_path / "none")
    blas.choose_kernels()
    assert blas.CORE_VARIABLE not in os.environ


def test_numpy_loads_what_was_chosen() -> None:
    chosen = os.environ.get(blas.CORE_VARIABLE)
    if chosen is None:
        pytest.skip("this system does not say what its processor has")
    ran = subprocess.run([sys.executable, "-c", SHOW], capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == chosen

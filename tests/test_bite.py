"""Upper teeth end where the dark before the lower ones begins."""

from __future__ import annotations

import numpy as np
import pytest

from vasari.generate.bite import upper_edges

DENSITY = 20.0  # pixels per cm
HEIGHT, WIDTH = 40, 120
TEETH, GAP, LOWER, LIP = 220, 50, 190, 130


def _mouth(gap: int, wave: float = 0.0, dark: int = GAP) -> tuple[np.ndarray, np.ndarray]:
    """Two rows of teeth between lips, with a gap of some rows at and below row 22, in waves."""
    rows, columns = np.indices((HEIGHT, WIDTH))
    start = 22 + np.rint(wave * np.sin(columns / 12))
    shown = (rows >= 10) & (rows < 33) & (columns >= 15) & (columns < 105)
    luma = np.where(rows < start, TEETH, np.where(rows < start + gap, dark, LOWER))
    luma[:, 20::9] -= 60  # seams between teeth
    luma = np.where(shown, luma, LIP)
    return np.repeat(luma[..., None], 3, axis=2).astype(np.uint8), shown.astype(np.float32)


@pytest.mark.parametrize("gap", [2, 4, 9])
@pytest.mark.parametrize("wave", [0.0, 2.0])
def test_upper_teeth_end_at_the_gap(gap: int, wave: float) -> None:
    ends = upper_edges(*_mouth(gap, wave), DENSITY)
    assert ends is not None
    truth = 22 + wave * np.sin(np.arange(WIDTH) / 12)
    assert np.abs(ends - truth)[20:100].max() < 2.5


def test_beside_the_mouth_nothing_ends() -> None:
    ends = upper_edges(*_mouth(4), DENSITY)
    assert ends is not None
    assert (ends[:15] == HEIGHT).all()
    assert (ends[105:] == HEIGHT).all()


def test_teeth_without_a_gap_do_not_end() -> None:
    assert upper_edges(*_mouth(4, dark=LOWER), DENSITY) is None


def test_hardly_parted_lips_show_no_gap() -> None:
    picture, shown = _mouth(2)
    shown[16:] = 0
    assert upper_edges(picture, shown, DENSITY) is None

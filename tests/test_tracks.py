"""What is read from tracks: blinks that were put in, heads that are alike or not."""

from __future__ import annotations

import numpy as np
import pytest

from vasari.eval.tracks import (
    FACE_CHANNELS,
    auc,
    blink_starts,
    face_ranges,
    head_measures,
    pieces_of,
    separability,
)
from vasari.generate.motion import ARKIT_INDEX, Motion


def _head(seed: int, speed: float, fps: float = 25.0) -> Motion:
    """Ten seconds of a head that sways."""
    rng = np.random.default_rng(seed)
    motion = Motion.still(round(10 * fps), fps)
    time = np.arange(len(motion)) / fps
    for axis in range(3):
        waves = [np.sin(speed * rate * time + rng.uniform(0, 6)) for rate in (1.0, 2.3, 4.1)]
        motion.rotation[:, axis] = 3 * np.sum(waves, axis=0)
    return motion


def test_blinks_are_found_where_they_are() -> None:
    motion = Motion.still(300)
    lids = [ARKIT_INDEX["eyeBlinkLeft"], ARKIT_INDEX["eyeBlinkRight"]]
    motion.expression[:, lids] = 0.1
    for start in (50, 120, 128, 250):
        motion.expression[start : start + 4, lids] = np.array([[0.5], [0.9], [0.7], [0.3]])
    np.testing.assert_allclose(blink_starts(motion) * 25, [50, 120, 128, 250], atol=1e-6)
    assert len(blink_starts(Motion.still(10))) == 0


def test_faces_are_measured_between_blinks() -> None:
    motion = Motion.still(300)
    names = ("eyeBlinkLeft", "eyeBlinkRight", "cheekSquintLeft", "cheekSquintRight")
    for start in (50, 120, 250):
        shut = np.array([[0.4], [0.9], [0.7], [0.3]])
        motion.expression[start : start + 4, [ARKIT_INDEX[name] for name in names]] = shut
    time = np.arange(300) / 25
    motion.expression[:, ARKIT_INDEX["browInnerUp"]] = 0.3 + 0.3 * np.sin(time)
    ranges = dict(zip(FACE_CHANNELS, face_ranges(motion), strict=True))
    assert ranges["brow_inner"] == pytest.approx(0.6, abs=0.05)
    assert ranges["cheek"] < 0.01  # a tracker's blinks are no smiles


def test_head_measures_do_not_depend_on_the_frame_rate() -> None:
    np.testing.assert_allclose(
        head_measures(_head(0, 2.0)), head_measures(_head(0, 2.0, 50.0)), rtol=0.03
    )


def test_a_classifier_tells_only_what_differs() -> None:
    slow, other, fast = (
        [pieces_of(_head(seed, speed)) for seed in range(first, first + 12)]
        for first, speed in ((0, 1.0), (50, 1.0), (100, 2.5))
    )
    assert separability(slow, fast) > 0.95
    assert 0.25 < separability(slow, other) < 0.75


def test_auc() -> None:
    assert auc(np.array([3.0, 1, 2, 0]), np.array([True, True, False, False])) == pytest.approx(
        0.75
    )

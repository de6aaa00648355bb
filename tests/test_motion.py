"""The motion type: what it refuses, joining, and its file."""

from __future__ import annotations

import numpy as np
import pytest

from vasari.errors import MotionError, OutputError
from vasari.generate.motion import ARKIT_INDEX, ARKIT_NAMES, TRACKS, Motion


def random_motion(frames: int = 7, fps: float = 29.97) -> Motion:
    draw = np.random.default_rng(0).random
    return Motion(fps, draw((frames, 52)), draw((frames, 3)), draw((frames, 3)), draw((frames, 2)))


def test_names_are_arkits():
    assert len(ARKIT_NAMES) == len(set(ARKIT_NAMES)) == 52
    lefts = {name for name in ARKIT_NAMES if name.endswith("Left")}
    assert {name.replace("Left", "Right") for name in lefts} <= set(ARKIT_NAMES)
    assert ARKIT_NAMES[ARKIT_INDEX["jawOpen"]] == "jawOpen"


def test_arrays_become_float32():
    assert {getattr(random_motion(), name).dtype for name in TRACKS} == {np.dtype(np.float32)}


@pytest.mark.parametrize("name", TRACKS)
def test_malformed_arrays_are_refused(name):
    good = {track: getattr(random_motion(), track) for track in TRACKS}
    for bad in (good[name][:-1], good[name][:, :-1], np.full_like(good[name], np.nan)):
        if name == "expression" and bad.shape[1] == 52 and np.isfinite(bad).all():
            continue  # the other arrays are then too long, which is the next track's case
        with pytest.raises(MotionError, match=name):
            Motion(25.0, **(good | {name: bad}))


def test_slices_and_joins():
    motion = random_motion()
    joined = Motion.concatenate([motion[:3], motion[3:]])
    assert len(joined) == len(motion)
    for name in TRACKS:
        assert np.array_equal(getattr(joined, name), getattr(motion, name))


def test_only_one_frame_rate_joins():
    with pytest.raises(MotionError, match="one frame rate"):
        Motion.concatenate([Motion.still(2, 25.0), Motion.still(2, 30.0)])
    with pytest.raises(MotionError, match="one or more"):
        Motion.concatenate([])


def test_a_file_keeps_everything(tmp_path):
    motion = random_motion()
    motion.save(tmp_path / "a.npz")
    motion.save(tmp_path / "a.npz")  # over the one that is there
    loaded = Motion.load(tmp_path / "a.npz")
    assert loaded.fps == motion.fps
    for name in TRACKS:
        assert np.array_equal(getattr(loaded, name), getattr(motion, name))
    assert [path.name for path in tmp_path.iterdir()] == ["a.npz"]


def test_unwritable_places(tmp_path):
    (tmp_path / "folder.npz").mkdir()
    for target in (tmp_path / "none" / "a.npz", tmp_path / "folder.npz"):
        with pytest.raises(OutputError, match="cannot write"):
            random_motion().save(target)
    assert [path.name for path in tmp_path.iterdir()] == ["folder.npz"]


def test_unreadable_files(tmp_path):
    random_motion().save(tmp_path / "good.npz")
    data = (tmp_path / "good.npz").read_bytes()
    contents = {
        "empty": b"",
        "text": b"hello",
        "cut": data[: len(data) // 2],
        "pickle": b"\x80\x04\x95\x00",
    }
    for name, content in contents.items():
        (tmp_path / name).write_bytes(content)
        with pytest.raises(MotionError, match=name):
            Motion.load(tmp_path / name)
    np.savez(tmp_path / "part.npz", fps=25.0)
    np.savez(tmp_path / "objects.npz", fps=25.0, **{name: [{}] for name in TRACKS})
    for name in ("part.npz", "objects.npz", "missing.npz"):
        with pytest.raises(MotionError, match=name):
            Motion.load(tmp_path / name)
    with pytest.raises(MotionError):
        Motion.load(tmp_path)


def test_resampling_keeps_time_and_holds_the_last_pose() -> None:
    rise = np.linspace(0, 1, 5, dtype=np.float32)
    zeros = np.zeros((5, 3), np.float32)
    expression = np.repeat(rise[:, None], 52, axis=1)
    motion = Motion(25.0, expression, zeros, zeros, np.zeros((5, 2), np.float32))
    again = motion.resampled(50.0, 12)
    assert again.fps == 50
    np.testing.assert_allclose(again.expression[:9, 0], np.linspace(0, 1, 9), atol=1e-6)
    assert (again.expression[9:, 0] == 1).all()
    assert motion.duration == pytest.approx(0.2)


def test_an_empty_motion_cannot_be_shown() -> None:
    with pytest.raises(MotionError, match="without frames"):
        Motion.still(0).resampled(25, 3)

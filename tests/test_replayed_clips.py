"""Which clips the touch-up is trained on."""

from __future__ import annotations

from pathlib import Path

from vasari.models.replayed_clips import usable


def test_few_clips_of_a_crowd_are_used(tmp_path: Path) -> None:
    (tmp_path / "crowd").mkdir()
    for number in range(100):
        (tmp_path / "crowd" / f"{number:03}.mp4").touch()
    for name in ("ada", "bob"):
        (tmp_path / f"{name}.mp4").touch()
    used = usable(tmp_path, ["bob"])
    assert [path.stem for path in used] == ["ada", "000", "050"]

"""The sheets of looks show every look, at full size."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from vasari.cli import run
from vasari.eval.looks import COLUMNS, LOOKS, draw_looks, posed
from vasari.generate.marking import Marker
from vasari.generate.motion import ARKIT_INDEX
from vasari.generate.portrait import Portrait
from vasari.generate.render import Renderer


def test_a_pose_holds_what_was_asked_for() -> None:
    pose = posed({"jawOpen": 0.5}, yaw=10, pitch=-5, nearer=3, gaze=(7, 2))
    assert pose.expression[ARKIT_INDEX["jawOpen"]] == 0.5
    assert pose.expression.sum() == 0.5
    assert pose.rotation.tolist() == [10, -5, 0]
    assert pose.translation.tolist() == [0, 0, 3]
    assert pose.gaze.tolist() == [7, 2]


def test_each_look_has_its_place_on_the_sheet_and_is_marked(
    astronaut: Portrait, astronaut_renderer: Renderer
) -> None:
    sheet = np.asarray(draw_looks(astronaut, 7, touch_up=False))
    size = astronaut.size
    assert sheet.shape == (-(-len(LOOKS) // COLUMNS) * size, COLUMNS * size, 3)
    for index, pose in enumerate(LOOKS.values()):
        row, column = divmod(index, COLUMNS)
        shown = sheet[row * size : (row + 1) * size, column * size : (column + 1) * size]
        marked = Marker(7, size, size).mark(astronaut_renderer.frame(pose)).rgb()
        assert (shown[30:] == marked[30:]).all()  # below the name


def test_the_command_writes_a_sheet_for_each_portrait(portrait_file: Path, tmp_path: Path) -> None:
    folder = tmp_path / "looks"
    assert run(["eval", "looks", str(portrait_file), "-o", str(folder), "--size", "256"]) == 0
    assert [path.name for path in folder.iterdir()] == [f"{portrait_file.stem}.png"]
    with Image.open(folder / f"{portrait_file.stem}.png") as sheet:
        assert sheet.width == COLUMNS * 256


def test_a_folder_that_cannot_be_made_is_one_line(
    portrait_file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").touch()
    target = tmp_path / "file" / "looks"
    assert run(["eval", "looks", str(portrait_file), "-o", str(target)]) == 1
    assert "cannot make the folder" in capsys.readouterr().err

from __future__ import annotations

from pathlib import Path

import av
import numpy as np
import pytest
from PIL import Image

from vasari.cli import run
from vasari.errors import InputError, VideoError
from vasari.eval.contactsheet import MARGIN, contact_sheet


@pytest.fixture(scope="module")
def video(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two seconds that grow from black to white."""
    path = tmp_path_factory.mktemp("video") / "grey.mp4"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=25)
        stream.width, stream.height, stream.pix_fmt = 128, 64, "yuv420p"
        for index in range(50):
            picture = np.full((64, 128, 3), 5 * index, np.uint8)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(stream.encode(None))
    return path


def test_frames_are_at_equal_distances_in_time(video: Path) -> None:
    sheet = np.asarray(contact_sheet(video, columns=5, rows=2, width=128))
    assert sheet.shape == (2 * (64 + MARGIN) + MARGIN, 5 * (128 + MARGIN) + MARGIN, 3)
    levels = sheet[MARGIN + 60 :: 64 + MARGIN, MARGIN + 120 :: 128 + MARGIN, 0].reshape(-1)
    assert np.abs(levels.astype(int) - 25 * np.arange(10)).max() <= 4


def test_a_short_video_leaves_places_free(video: Path) -> None:
    sheet = np.asarray(contact_sheet(video, columns=10, rows=6, width=32))
    assert (sheet[-10:, -10:] == 255).all()


@pytest.mark.parametrize("numbers", [{"columns": 0}, {"rows": 65}, {"width": 8}, {"width": 2000}])
def test_numbers_out_of_range_are_refused(video: Path, numbers: dict[str, int]) -> None:
    with pytest.raises(InputError, match="give 1 to 64 columns"):
        contact_sheet(video, **numbers)


@pytest.mark.parametrize("content", [None, b"", b"no video"])
def test_what_is_no_video_is_refused(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "bad.mp4"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(VideoError, match=r"cannot read .*bad\.mp4"):
        contact_sheet(path)


def test_the_command_writes_a_png(video: Path, tmp_path: Path) -> None:
    output = tmp_path / "sheet.png"
    assert run(["contact-sheet", str(video), "-o", str(output), "--columns", "3"]) == 0
    with Image.open(output) as sheet:
        assert sheet.format == "PNG"
    assert [path.name for path in tmp_path.iterdir()] == ["sheet.png"]


def test_a_folder_that_is_missing_is_one_line(
    video: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["contact-sheet", str(video), "-o", str(tmp_path / "no" / "sheet.png")]) == 1
    assert "cannot write" in capsys.readouterr().err

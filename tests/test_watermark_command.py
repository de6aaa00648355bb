import json

import av
import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image
from skimage.data import astronaut

from vasari.errors import OutputError, VideoError, WatermarkError
from vasari.watermark.command import watermark
from vasari.watermark.embedding import Embedder
from vasari.watermark.media import mark_file, marked_rgb
from vasari.watermark.payload import format_identifier
from vasari.watermark.reading import read_video


@pytest.fixture(scope="module")
def picture(tmp_path_factory):
    path = tmp_path_factory.mktemp("picture") / "portrait.png"
    Image.fromarray(astronaut()).save(path)
    return path


@pytest.fixture(scope="module")
def video(tmp_path_factory):
    """A second of a swaying portrait, 360 x 270, with a tone."""
    path = tmp_path_factory.mktemp("video") / "clip.mp4"
    still = np.array(Image.fromarray(astronaut()).resize((360, 270)))
    tone = np.sin(np.arange(48000) * 440 * 2 * np.pi / 48000).astype(np.float32)[None]
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=25, options={"crf": "18"})
        stream.width, stream.height, stream.pix_fmt = 360, 270, "yuv420p"
        sound = container.add_stream("aac", rate=48000, layout="mono")
        for index in range(25):
            frame = np.roll(still, round(3 * np.sin(index / 3)), axis=1)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(frame, format="rgb24")))
        container.mux(stream.encode())
        samples = av.AudioFrame.from_ndarray(tone, format="fltp", layout="mono")
        samples.rate = 48000
        container.mux(sound.encode(samples))
        container.mux(sound.encode())
    return path


def run(*arguments):
    return CliRunner().invoke(watermark, [str(argument) for argument in arguments])


def packets(path):
    with av.open(str(path)) as container:
        return [bytes(packet) for packet in container.demux(audio=0) if packet.size]


def test_marked_video_is_read_and_keeps_its_sound(video, tmp_path):
    marked = tmp_path / "marked.mp4"
    embedded = run("embed", video, "-o", marked)
    assert embedded.exit_code == 0
    identifier = embedded.output.strip()
    assert len(identifier) == 12
    assert run("read", marked).output.startswith(identifier)
    assert run("check", marked, identifier).exit_code == 0
    assert packets(marked) == packets(video)
    with av.open(str(marked)) as container, av.open(str(video)) as original:
        frames = [frame.time for frame in container.decode(video=0)]
        assert frames == pytest.approx([frame.time for frame in original.decode(video=0)])
    assert [path.name for path in tmp_path.iterdir()] == ["marked.mp4"]


def test_marked_image_is_read(picture, tmp_path):
    for suffix in (".png", ".jpg"):
        marked = tmp_path / f"marked{suffix}"
        identifier = mark_file(picture, marked)
        record = json.loads(run("read", marked, "--json").output)
        assert record["identifier"] == format_identifier(identifier)
        assert record["geometry"]["mirrored"] is False


def test_unmarked_file_has_its_own_exit_code(picture):
    result = run("read", picture)
    assert result.exit_code == 3
    assert result.output == "no watermark found\n"
    assert run("check", picture, "0" * 12).exit_code == 3


def test_check_tells_another_identifier(picture, tmp_path):
    marked = tmp_path / "marked.png"
    mark_file(picture, marked)
    result = run("check", marked, "0123456789ab")
    assert result.exit_code == 3
    assert result.output.startswith("no: ")


def test_private_key_is_needed_to_read(picture, tmp_path):
    key = tmp_path / "key"
    key.write_bytes(b"sixteen bytes or more")
    marked = tmp_path / "marked.png"
    run("embed", picture, "-o", marked, "--key", key)
    assert read_video(marked, transformed=False) is None
    assert run("read", marked, "--key", key).exit_code == 0


def test_colours_of_an_image_stay():
    picture = np.full((128, 128, 3), (90, 120, 150), np.uint8)
    change = marked_rgb(picture, Embedder(1, 128, 128)).astype(int) - picture
    assert change.any()
    assert (change == change[..., :1]).all()


@pytest.mark.parametrize(
    ("source", "output", "error", "complaint"),
    [
        ("missing.mp4", "out.mp4", VideoError, "missing.mp4"),
        ("missing.png", "out.png", WatermarkError, "missing.png"),
        ("missing.png", "out.txt", WatermarkError, "should end in one of"),
        ("missing.png", "nowhere/out.png", OutputError, "nowhere"),
    ],
)
def test_unusable_files_are_named(tmp_path, source, output, error, complaint):
    with pytest.raises(error, match=complaint):
        mark_file(tmp_path / source, tmp_path / output)
    assert list(tmp_path.iterdir()) == []


def test_unusable_keys_are_refused(picture, tmp_path):
    short = tmp_path / "short"
    short.write_bytes(b"short")
    for key in (short, tmp_path / "missing"):
        result = run("read", picture, "--key", key)
        assert isinstance(result.exception, WatermarkError)
        assert key.name in str(result.exception)

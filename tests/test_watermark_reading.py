import av
import numpy as np
import pytest
from skimage.color import rgb2gray
from skimage.data import astronaut
from skimage.transform import resize, rotate

from vasari.errors import VideoError, WatermarkError
from vasari.watermark import reading
from vasari.watermark.embedding import Embedder
from vasari.watermark.frames import sampled_frames
from vasari.watermark.reading import read_frames, read_video

IDENTIFIER = 0xC0FFEE123456


def clip(height, width, frames=30):
    """A portrait over a still background: its middle sways, everything else stays."""
    picture = resize(16 + 219 * rgb2gray(astronaut()), (height, width), anti_aliasing=True)
    rows, columns = np.mgrid[0:height, 0:width]
    distance = np.hypot((rows / height - 0.3) / 0.25, (columns / width - 0.45) / 0.2)
    weight = np.clip(1.5 - distance, 0, 1)
    for index in range(frames):
        shifted = np.roll(picture, round(0.02 * height * np.sin(index / 4)), axis=0)
        yield np.rint(weight * shifted + (1 - weight) * picture).astype(np.uint8)


def marked(height, width, frames=30, identifier=IDENTIFIER, **options):
    embedder = Embedder(identifier, height, width, **options)
    for luma in clip(height, width, frames):
        embedder.mark(luma)
        yield luma


def write(path, frames, crf=23):
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=25, options={"crf": str(crf)})
        stream.pix_fmt = "yuv420p"
        for luma in frames:
            if not stream.codec_context.is_open:
                stream.height, stream.width = luma.shape
            grey = np.full((luma.shape[0] // 2, luma.shape[1]), 128, np.uint8)
            picture = av.VideoFrame.from_ndarray(np.vstack([luma, grey]), format="yuv420p")
            container.mux(stream.encode(picture))
        container.mux(stream.encode())
    return path


@pytest.mark.parametrize("shape", [(256, 256), (512, 512), (288, 360), (512, 288)])
def test_mark_is_read_from_an_encoded_video(tmp_path, shape):
    found = read_video(write(tmp_path / "marked.mp4", marked(*shape)))
    assert found.identifier == IDENTIFIER
    assert found.p_value <= reading.SIGNIFICANCE
    assert found.frames == 30


def test_mark_is_read_after_a_second_encoding(tmp_path):
    first = write(tmp_path / "first.mp4", marked(512, 512))
    second = write(
        tmp_path / "second.mp4", (frame.luma.copy() for frame in sampled_frames(first)), crf=28
    )
    found = read_video(second)
    assert found.identifier == IDENTIFIER
    assert found.intervals == ((0.0, pytest.approx(30 / 25)),)


def test_mark_is_read_at_another_size(tmp_path):
    smaller = (
        np.rint(resize(luma, (256, 256), anti_aliasing=True, preserve_range=True)).astype(np.uint8)
        for luma in marked(512, 512)
    )
    assert read_video(write(tmp_path / "smaller.mp4", smaller)).identifier == IDENTIFIER


def test_mark_is_read_across_changes_of_polarity():
    frames = list(marked(192, 192, frames=160))
    assert read_frames(frames).identifier == IDENTIFIER
    assert read_frames(frames[45:110]).identifier == IDENTIFIER


def test_memory_stays_bounded_with_many_frames():
    found = read_frames(marked(192, 192, frames=300))
    assert found.identifier == IDENTIFIER
    assert found.frames <= reading.MAX_FRAMES


def test_mark_is_read_from_one_frame():
    assert read_frames(marked(512, 512, frames=1)).identifier == IDENTIFIER


def test_unmarked_video_gives_nothing(tmp_path):
    assert read_video(write(tmp_path / "plain.mp4", clip(256, 256))) is None


def test_another_key_gives_nothing():
    frames = list(marked(256, 256, key=b"mine"))
    assert read_frames(frames, transformed=False) is None
    assert read_frames(frames, key=b"yours", transformed=False) is None
    assert read_frames(frames, key=b"mine").identifier == IDENTIFIER


@pytest.mark.parametrize("level", [0, 128, 255])
def test_flat_frames_give_nothing(level):
    frames = [np.full((256, 256), level, np.uint8)] * 5
    assert read_frames(frames, transformed=False) is None


def test_noise_gives_nothing():
    rng = np.random.default_rng(5)
    assert read_frames(rng.integers(0, 256, (20, 200, 200), dtype=np.uint8)) is None


def test_no_frames_give_nothing():
    assert read_frames([]) is None


def test_tiny_frames_are_refused():
    with pytest.raises(WatermarkError, match="32"):
        read_frames([np.zeros((16, 400), np.uint8)])


def test_long_video_is_sampled_in_windows(tmp_path):
    path = write(tmp_path / "long.mp4", marked(192, 192, frames=500))
    assert 48 <= len(list(sampled_frames(path))) <= 110
    assert read_video(path).identifier == IDENTIFIER


def test_files_that_are_no_video_are_refused(tmp_path):
    text = tmp_path / "notes.txt"
    text.write_text("no video")
    empty = tmp_path / "empty.mp4"
    empty.touch()
    for path in (text, empty, tmp_path / "missing.mp4", tmp_path):
        with pytest.raises(VideoError, match=path.name):
            read_video(path)


def test_sound_alone_is_refused(tmp_path):
    path = tmp_path / "sound.wav"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("pcm_s16le", rate=16000, layout="mono")
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 1600), np.int16), layout="mono")
        frame.rate = 16000
        container.mux(stream.encode(frame))
    with pytest.raises(VideoError, match="no video stream"):
        read_video(path)


def test_weak_reading_is_no_reading(monkeypatch):
    frames = list(marked(256, 256, frames=5))
    found = read_frames(frames)
    monkeypatch.setattr(reading, "SIGNIFICANCE", found.p_value / 2)
    assert read_frames(frames) is None


def cropped(luma):
    return luma[60:440, 100:480]


def mirrored(luma):
    return luma[:, ::-1]


def stretched(luma):
    return resize(luma, (512, 682), preserve_range=True)


def turned(luma):
    return rotate(luma, -7, preserve_range=True)  # clockwise


def inset(luma):
    around = np.tile(np.linspace(60, 180, 512), (512, 1))
    around[40:296, 200:456] = resize(luma, (256, 256), anti_aliasing=True, preserve_range=True)
    return around


@pytest.mark.parametrize(
    ("change", "scale", "rotation", "aspect", "flipped"),
    [
        (cropped, 512 / 380, 0, 1, False),
        (mirrored, 1, 0, 1, True),
        (stretched, (4 / 3) ** 0.5, 0, 4 / 3, False),
        (turned, 1, 7, 1, False),
        (inset, 0.5, 0, 1, False),
    ],
)
def test_mark_of_a_transformed_picture_is_found(change, scale, rotation, aspect, flipped):
    frames = [np.rint(change(luma)).astype(np.uint8) for luma in marked(512, 512, frames=6)]
    found = read_frames(frames)
    assert found.identifier == IDENTIFIER
    assert found.geometry.scale == pytest.approx(scale, rel=0.01)
    assert found.geometry.rotation == pytest.approx(rotation, abs=0.5)
    assert found.geometry.aspect == pytest.approx(aspect, rel=0.015)
    assert found.geometry.mirrored is flipped


def test_place_of_an_inset_picture_is_told():
    frames = [np.rint(inset(luma)).astype(np.uint8) for luma in marked(512, 512, frames=6)]
    place = read_frames(frames).region
    np.testing.assert_allclose(np.array(place) * 512, [200, 40, 456, 296], atol=40)


def test_marked_part_of_a_clip_is_told():
    noise = np.random.default_rng(6)
    plain = [noise.integers(90, 160, (192, 192), dtype=np.uint8) for _ in range(50)]
    frames = plain[:25] + list(marked(192, 192, frames=50)) + plain[25:]
    (interval,) = read_frames(frames, fps=25).intervals
    assert interval.start == pytest.approx(1, abs=0.13)
    assert interval.end == pytest.approx(3, abs=0.13)


def test_pattern_without_a_payload_is_not_read():
    """A mark too damaged to tell its identifier must not give a wrong one."""
    frames = list(marked(256, 256, frames=3))
    others = list(marked(256, 256, frames=3, identifier=0x123456789ABC))
    assert read_frames([a // 2 + b // 2 for a, b in zip(frames, others, strict=True)]) is None

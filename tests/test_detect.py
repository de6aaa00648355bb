"""From a file to a detection: faces, abstention, suspicious seconds, heat maps, the command."""

from __future__ import annotations

import dataclasses
import json
import wave

import av
import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

from vasari.detect import crops, heatmap
from vasari.detect.command import detect
from vasari.detect.constancy import CHANGE, FEATURES
from vasari.detect.crops import Box, FaceFinder, open_media
from vasari.detect.encoding import Encoding, decode, encode
from vasari.detect.scoring import (
    AT_REST,
    WEAK,
    Decision,
    Detector,
    FrameScore,
    Interval,
    Moved,
    mean_features,
    suspicious_seconds,
    suspicious_stretches,
)
from vasari.errors import InputError, VideoError
from vasari.generate.colour import to_i420
from vasari.models.detector import Calibration, Movement, Operating, Regression

POINT = Operating(
    slope=1.0,
    offset=0.0,
    threshold=0.8,
    false_alarm_rate=0.01,
    miss_rate=0.1,
    clear_below=0.3,
    clear_miss_rate=0.05,
)
ANY = (0.0, 1e6)


class FixedNetwork:
    """A network that answers every crop with the same evidence."""

    side = 32

    def __init__(self, evidence: float) -> None:
        self.evidence = evidence

    def maps(self, crops):
        assert all(crop.shape == (32, 32, 3) for crop in crops)
        return np.full((len(crops), 2, 2), self.evidence, np.float32)


def detector(evidence: float, **ranges) -> Detector:
    looks = {"contrast": ANY, "sharpness": ANY, **ranges}
    calibration = Calibration(POINT, POINT, **looks, side=FixedNetwork.side)
    return Detector(FixedNetwork(evidence), calibration)


@pytest.fixture(scope="module")
def talk(astronaut, tmp_path_factory):
    """A video of three seconds: a face that does not move."""
    return write_video(tmp_path_factory.mktemp("talk") / "talk.mp4", [astronaut.image] * 30)


def write_video(path, frames, fps=10.0):
    side = len(frames[0])
    path.write_bytes(encode((to_i420(f) for f in frames), Encoding(side, side, 20), fps))
    return path


def write_sound(path):
    with wave.open(str(path), "wb") as sound:
        sound.setparams((1, 2, 16000, 0, "NONE", ""))
        sound.writeframes(bytes(32000))
    return path


def test_encoding_keeps_frames_and_scales(astronaut):
    frames = [astronaut.image, astronaut.image[:, ::-1].copy()] * 3
    clip = encode((to_i420(f) for f in frames), Encoding(256, 256, 18), 25.0)
    shown = list(decode(clip))
    assert [frame.shape for frame in shown] == [(256, 256, 3)] * 6
    small = np.asarray(Image.fromarray(astronaut.image).resize((256, 256), Image.Resampling.BOX))
    assert np.abs(shown[0].astype(int) - small).mean() < 4


def test_the_face_is_found(astronaut):
    with FaceFinder() as finder:
        sample = finder.find(0.0, astronaut.image)
    eyes = astronaut.mesh[[33, 263], :2]
    assert sample.box is not None
    assert (eyes > [sample.box.left, sample.box.top]).all()
    assert (eyes < np.array([sample.box.left, sample.box.top]) + sample.box.side).all()
    assert 0.5 < np.ptp(astronaut.mesh[:, 1]) / sample.face < 1.5


def test_frames_are_sampled_by_time(talk):
    media = open_media(talk)
    assert media.rate == 10
    times = [0, 0.3, 0.5, 0.8, 1, 1.3, 1.5, 1.8, 2, 2.3, 2.5, 2.8]  # of ten frames a second
    assert [time for time, _ in media.samples()] == pytest.approx(times)


def test_stretches_lie_apart(talk):
    media = open_media(talk)
    (whole,) = media.stretches(2.0, 12.5, 3)
    assert len(whole.frames) == 20  # the video has no more than ten frames a second
    stretches = list(media.stretches(0.5, 5.0, 2))
    assert [len(stretch.frames) for stretch in stretches] == [3, 3]
    assert stretches[0].end == stretches[0].start + 0.5 < stretches[1].start
    assert list(open_media_of_a_picture(talk.parent).stretches(2.0, 12.5, 3)) == []


def open_media_of_a_picture(folder):
    Image.new("RGB", (64, 64)).save(folder / "grey.png")
    return open_media(folder / "grey.png")


def test_stretches_are_sought(tmp_path):
    shades = [np.full((64, 64, 3), 8 * k, np.uint8) for k in range(30)]
    media = open_media(write_video(tmp_path / "shades.mp4", shades))
    firsts = [stretch.frames[0].mean() / 8 for stretch in media.stretches(0.5, 10.0, 3)]
    assert firsts == pytest.approx([4, 13, 21], abs=1.1)


def test_stretches_lie_where_the_picture_is(tmp_path):
    """Also where the sound goes on for long after it."""
    path = tmp_path / "long.mp4"
    with av.open(str(path), "w") as file:
        picture, sound = file.add_stream("libx264", rate=10), file.add_stream("aac", rate=8000)
        picture.width = picture.height = 64
        grey = av.VideoFrame.from_ndarray(np.full((64, 64, 3), 99, np.uint8), format="rgb24")
        for _ in range(30):
            file.mux(picture.encode(grey.reformat(format="yuv420p")))
        silence = av.AudioFrame.from_ndarray(np.zeros((1, 160_000), np.float32), "fltp", "mono")
        silence.sample_rate = 8000
        file.mux([*picture.encode(None), *sound.encode(silence), *sound.encode(None)])
    media = open_media(path)
    assert media.duration == pytest.approx(3, abs=0.2)
    counts = [len(stretch.frames) for stretch in media.stretches(1.0, 5.0, 3)]
    assert counts == pytest.approx([5, 5, 5], abs=1)


def test_a_video_without_pictures(tmp_path):
    with (
        pytest.raises(VideoError, match="no picture"),
        av.open(str(write_sound(tmp_path / "a.wav"))) as container,
    ):
        crops._pictures(container, tmp_path / "a.wav")


def test_a_frame_that_is_too_large(talk, monkeypatch):
    monkeypatch.setattr("vasari.provenance.media.MAX_PIXELS", 512 * 512 - 1)
    with pytest.raises(VideoError, match="neither"):
        open_media(talk)
    with pytest.raises(VideoError, match="512 x 512"):
        list(crops._sampled(talk, 1.0))


@pytest.mark.parametrize(
    ("evidence", "decision", "reason"),
    [
        (3.0, Decision.GENERATED, ""),
        (1.0, Decision.CANNOT_SAY, WEAK),
        (-0.5, Decision.CANNOT_SAY, WEAK),
        (-3.0, Decision.NOT_GENERATED, ""),
    ],
)
def test_the_decision(talk, evidence, decision, reason):
    found = detector(evidence).score(talk)
    assert found.decision is decision
    assert found.probability == pytest.approx(1 / (1 + np.exp(-evidence)))
    assert found.reason == reason
    assert len(found.frames) == found.sampled == 12
    assert bool(found.suspicious) == (decision is Decision.GENERATED)


def test_a_picture_needs_no_second_frame(portrait_file):
    found = detector(3.0).score(portrait_file)
    assert found.decision is Decision.GENERATED
    assert found.frame_rate is None
    assert found.suspicious == ()


def test_no_face(tmp_path):
    noise = np.random.default_rng(0).integers(0, 255, (128, 128, 3), dtype=np.uint8)
    found = detector(3.0).score(write_video(tmp_path / "noise.mp4", [noise] * 20))
    assert found.decision is Decision.CANNOT_SAY
    assert found.reason == "no face was found"
    assert found.probability is None


def test_too_small(astronaut, tmp_path):
    small = np.asarray(Image.fromarray(astronaut.image).resize((80, 80)))
    wide = np.zeros((160, 160, 3), np.uint8)
    wide[40:120, 40:120] = small
    Image.fromarray(wide).save(tmp_path / "small.png")
    found = detector(3.0).score(tmp_path / "small.png")
    assert found.decision is Decision.CANNOT_SAY
    assert "too small" in found.reason


def test_too_short(astronaut, tmp_path):
    found = detector(3.0).score(write_video(tmp_path / "short.mp4", [astronaut.image] * 3))
    assert found.decision is Decision.CANNOT_SAY
    assert "too short" in found.reason


@pytest.mark.parametrize("name", ["contrast", "sharpness"])
def test_out_of_range(talk, name):
    found = detector(3.0, **{name: (1e5, 1e6)}).score(talk)
    assert found.decision is Decision.CANNOT_SAY
    assert found.reason.startswith("out of range")
    assert found.probability is not None


@pytest.mark.parametrize("content", [b"", b"nothing"])
def test_what_is_no_media(tmp_path, content):
    (tmp_path / "a.mp4").write_bytes(content)
    with pytest.raises(InputError, match=r"a\.mp4"):
        detector(0.0).score(tmp_path / "a.mp4")


def test_suspicious_seconds_are_ordered():
    values = np.repeat([-4, -4, 5, 5, 5, -4, -4, -4, 9, 9, 9, -4], 2)
    frames = [
        FrameScore(k / 4, v, 100, Box(0, 0, 10), (1, 1), np.full((1, 1), v))
        for k, v in enumerate(values)
    ]
    first, second = suspicious_seconds(frames, POINT)
    assert first.start < 4.5 < first.end  # the 9s lie at 4 to 5 s
    assert second.start < 1.5 < second.end
    assert second.end < first.start


def test_suspicious_stretches_are_ordered():
    every, some = (0.0,) * len(FEATURES), (0.0,) * CHANGE
    change = Regression(some, (1.0,) * len(some), (1.0, *some[1:]), 0.0)
    alive = Regression(every, (1.0,) * len(every), (*every[:-1], 9.0), 9.0)
    head = Movement(alive, change, POINT, POINT)
    seen = {0.0: (2.0, 0.0), 3.0: (-1.0, 0.0), 6.0: (2.5, 0.0), 9.0: (2.5, -1.0)}
    moved = []
    for start, (first, lids) in seen.items():
        features = np.ones(len(FEATURES))
        features[0], features[-1] = first, lids
        moved.append(Moved(Interval(start, start + 2), features))
    assert suspicious_stretches(moved, head) == ((6.0, 8.0), (0.0, 2.0))  # the last is at rest
    mean = mean_features(moved)
    assert mean is not None
    assert mean[[0, 1, -1]] == pytest.approx([1.5, 1, -0.25])
    assert mean_features([]) is None


def test_heat_is_drawn_where_the_evidence_is(astronaut):
    heat = np.array([[8.0, 0.0], [0.0, -8.0]], np.float32)
    grey = np.full((100, 100, 3), 128, np.uint8)
    drawn = heatmap.draw(grey, FrameScore(0, 0, 50, Box(10, 10, 80), (1, 1), heat)).astype(int)
    assert drawn[20, 20, 0] > drawn[20, 20, 2] + 50  # red
    assert drawn[80, 80, 2] > drawn[80, 80, 0] + 50  # blue
    assert (drawn[5, 5] == 128).all()


@pytest.mark.parametrize("suffix", [".png", ".mp4"])
def test_heat_maps_are_written(talk, tmp_path, suffix):
    output = tmp_path / f"heat{suffix}"
    heatmap.write(detector(3.0).score(talk), output)
    assert open_media(output).rate == (4 if suffix == ".mp4" else None)
    assert [path.name for path in tmp_path.iterdir()] == [output.name]


def test_the_command(talk, portrait_file, monkeypatch):
    monkeypatch.setattr(Detector, "shipped", classmethod(lambda cls: detector(3.0)))
    plain = CliRunner().invoke(detect, [str(talk)])
    assert plain.exit_code == 0
    assert "generated (probability 0.95" in plain.output
    assert "12 of 12 sampled frames" in plain.output
    lines = CliRunner().invoke(detect, [str(talk), str(portrait_file), "--json"]).stdout
    records = [json.loads(line) for line in lines.splitlines()]
    assert [record["decision"] for record in records] == ["generated"] * 2
    table = CliRunner().invoke(detect, [str(talk), "--csv"]).stdout.splitlines()
    assert table[0].startswith("path,decision,probability")
    assert table[1].split(",")[1] == "generated"


def test_the_command_says_how_weak_the_evidence_is(talk, monkeypatch):
    monkeypatch.setattr(Detector, "shipped", classmethod(lambda cls: detector(0.0)))
    output = CliRunner().invoke(detect, [str(talk)]).output
    assert "cannot say: the evidence is weak (probability 0.50; generated from 0.80" in output
    assert "not generated below 0.30" in output


def test_the_command_says_that_a_face_is_at_rest(talk, monkeypatch):
    resting = detector(0.0)
    every, some = (0.0,) * len(FEATURES), (0.0,) * CHANGE
    alive = Regression(every, (1.0,) * len(every), every, -1.0)
    change = Regression(some, (1.0,) * len(some), some, 9.0)
    head = Movement(alive, change, POINT, POINT)
    resting.calibration = dataclasses.replace(resting.calibration, movement=head)
    assert resting.score(talk).movement is None
    monkeypatch.setattr(Detector, "shipped", classmethod(lambda cls: resting))
    output = CliRunner().invoke(detect, [str(talk)]).output
    assert f"cannot say: {AT_REST} (probability 0.50)\n" in output


def test_the_command_goes_on_after_a_bad_file(talk, tmp_path, monkeypatch):
    monkeypatch.setattr(Detector, "shipped", classmethod(lambda cls: detector(3.0)))
    (tmp_path / "bad.mp4").write_bytes(b"nothing")
    result = CliRunner().invoke(detect, [str(tmp_path / "bad.mp4"), str(talk)])
    assert isinstance(result.exception, InputError)
    assert "talk.mp4: generated" in result.output

"""Speech: every kind of file, every kind of damage, and sample-exact streaming."""

from __future__ import annotations

import tracemalloc
from pathlib import Path

import av
import numpy as np
import pytest

from vasari.errors import SpeechError
from vasari.generate.spectrum import (
    HOP,
    RATE,
    WINDOW,
    band_matrix,
    decibels,
    frame_count,
    power_spectra,
)
from vasari.generate.speech import Speech

FORMATS = [
    ("wav", ("wav", "pcm_s16le", "mono", 16_000)),
    ("wav", ("wav", "pcm_u8", "mono", 8_000)),
    ("flac", ("flac", "flac", "stereo", 44_100)),
    ("mp3", ("mp3", "libmp3lame", "stereo", 44_100)),
    ("m4a", ("mp4", "aac", "5.1", 48_000)),
    ("ogg", ("ogg", "libopus", "mono", 48_000)),
    ("mka", ("matroska", "aac", "mono", 22_050)),
]


def tone(seconds: float, rate: int = RATE, frequency: float = 500.0) -> np.ndarray:
    """A tone that is interrupted three times a second, as speech is."""
    time = np.arange(round(seconds * rate)) / rate
    gate = np.sin(2 * np.pi * 3 * time) > 0
    return (0.3 * np.sin(2 * np.pi * frequency * time) * gate).astype(np.float32)


def write(
    path: Path,
    samples: np.ndarray,
    kind: tuple[str, str, str, int] = ("wav", "pcm_s16le", "mono", RATE),
    **options: str,
) -> Path:
    """Encode a sound, the same in every channel; kind: container, codec, layout, rate."""
    container_format, codec, layout, rate = kind
    with av.open(str(path), "w", format=container_format, options=options) as container:
        stream = container.add_stream(codec, rate=rate, layout=layout)
        count = av.AudioLayout(layout).nb_channels
        for start in range(0, len(samples), 1024):
            block = np.tile(samples[start : start + 1024], (count, 1))
            frame = av.AudioFrame.from_ndarray(block, format="fltp", layout=layout)
            frame.sample_rate, frame.pts = rate, start
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def whole(speech: Speech, seconds: float = 1.0) -> np.ndarray:
    return np.concatenate(list(speech.blocks(seconds=seconds)))


@pytest.mark.parametrize(("suffix", "kind"), FORMATS)
def test_opens_any_format(tmp_path, suffix, kind):
    file = write(tmp_path / f"a.{suffix}", tone(2, kind[-1]), kind)
    speech = Speech.open(file)
    layout, rate = kind[2:]
    assert (speech.rate, speech.layout, speech.path) == (rate, layout, file)
    assert speech.duration == pytest.approx(2, abs=0.08)  # encoders pad to whole frames
    samples = whole(speech)
    assert samples.dtype == np.float32
    assert np.abs(samples).max() <= 1
    assert len(samples) == pytest.approx(speech.duration * RATE, abs=2)
    frames = list(speech.original())
    assert sum(frame.samples for frame in frames) == pytest.approx(speech.duration * rate, abs=1)
    assert {frame.sample_rate for frame in frames} == {rate}
    assert [frame.pts for frame in frames] == list(
        np.cumsum([0] + [frame.samples for frame in frames])[:-1]
    )


@pytest.mark.parametrize(("suffix", "kind"), FORMATS)
def test_blocks_align_with_the_original(tmp_path, suffix, kind):
    rate = kind[-1]
    click = np.zeros(rate, np.float32)
    click[rate // 2 : rate // 2 + rate // 200] = 0.5
    file = write(tmp_path / f"a.{suffix}", click, kind)
    samples = whole(Speech.open(file)).astype(float)
    centre = np.sum(np.arange(len(samples)) * samples**2) / np.sum(samples**2)
    assert centre / RATE == pytest.approx(0.5025, abs=0.002)


@pytest.mark.parametrize("seconds", [0.01, 0.37, 2.0, 60.0])
def test_blocks_have_one_length_and_the_same_samples(seconds):
    speech = Speech.from_samples(tone(3, 44_100), 44_100)
    blocks = list(speech.blocks(seconds=seconds))
    size = round(seconds * RATE)
    assert {len(block) for block in blocks[:-1]} <= {size}
    assert 0 < len(blocks[-1]) <= size
    assert np.array_equal(np.concatenate(blocks), whole(speech))


def test_resampling_keeps_a_tone():
    speech = Speech.from_samples(0.5 * np.sin(2 * np.pi * 440 * np.arange(44_100) / 44_100), 44_100)
    expected = 0.5 * np.sin(2 * np.pi * 440 * np.arange(RATE) / RATE)
    inner = slice(500, -500)
    assert whole(speech)[inner] == pytest.approx(expected[inner], abs=2e-3)


def test_loud_stereo_is_clipped_not_wrapped():
    samples = whole(Speech.from_samples(np.ones((RATE, 2)), RATE))
    assert samples[100:-100] == pytest.approx(1, abs=1e-5)


def test_from_samples_takes_channels_last():
    speech = Speech.from_samples(np.zeros((RATE, 2)), RATE)
    assert (speech.layout, speech.duration) == ("stereo", 1.0)


@pytest.mark.parametrize(
    ("samples", "rate"),
    [
        ([], RATE),
        (np.zeros((2, 2, 2)), RATE),
        ([np.nan], RATE),
        ([0.0], 0),
        ([0.0], 10**7),
        (["x"], RATE),
        (np.zeros((10, 100)), RATE),
    ],
)
def test_unusable_samples(samples, rate):
    with pytest.raises(SpeechError) as error:
        Speech.from_samples(samples, rate)
    assert "\n" not in str(error.value)


def test_a_video_gives_its_sound(tmp_path):
    file = tmp_path / "a.mp4"
    with av.open(str(file), "w") as container:
        video = container.add_stream("libx264", rate=25, width=64, height=64)
        audio = container.add_stream("aac", rate=RATE, layout="mono")
        for _ in range(25):
            picture = av.VideoFrame.from_ndarray(np.zeros((64, 64, 3), np.uint8), format="rgb24")
            container.mux(video.encode(picture))
        frame = av.AudioFrame.from_ndarray(tone(1)[None], format="fltp", layout="mono")
        frame.sample_rate = RATE
        container.mux(audio.encode(frame))
        container.mux(video.encode(None))
        container.mux(audio.encode(None))
    assert Speech.open(file).duration == pytest.approx(1, abs=0.1)


def test_silence_is_allowed_and_told():
    assert Speech.from_samples(np.zeros(RATE), RATE).silent
    assert not Speech.from_samples(tone(1), RATE).silent


def test_mains_hum_is_silence():
    hum = 0.03 * np.sin(2 * np.pi * 50 * np.arange(RATE) / RATE)
    assert Speech.from_samples(hum, RATE).silent


def test_one_sentence_in_long_silence_sets_the_level():
    sentence = tone(2)
    alone = Speech.from_samples(sentence, RATE)
    padded = Speech.from_samples(np.pad(sentence, (0, 60 * RATE)), RATE)
    assert padded.level.loud == pytest.approx(alone.level.loud, abs=1)
    assert padded.level.noise < -100


def test_level_follows_gain():
    loud = Speech.from_samples(tone(2), RATE).level.loud
    quiet = Speech.from_samples(0.1 * tone(2), RATE).level.loud
    assert loud - quiet == pytest.approx(20, abs=0.6)


def broken_files(folder: Path) -> dict[str, tuple[Path, str]]:
    """A file for each kind of damage, and words of the error that names it."""
    good = write(folder / "good.wav", tone(4)).read_bytes()
    fast = write(
        folder / "fast.m4a", tone(4), ("mp4", "aac", "mono", RATE), movflags="faststart"
    ).read_bytes()
    flac = write(folder / "good.flac", tone(4), ("flac", "flac", "mono", RATE)).read_bytes()
    mp3 = bytearray(
        write(folder / "good.mp3", tone(4), ("mp3", "libmp3lame", "mono", RATE)).read_bytes()
    )
    for position in np.random.default_rng(0).integers(len(mp3) // 4, len(mp3), 500):
        mp3[position] ^= 0xFF
    contents = {
        "empty": (b"", "empty"),
        "text": (b"hello world\n" * 9, "no readable sound"),
        "header.wav": (good[: good.index(b"data") + 4] + bytes(4), "0 seconds"),
        "cut.wav": (good[: len(good) // 2], "truncated at 2.0 s of 4.0 s"),
        "cut.flac": (flac[: len(flac) // 2], "truncated"),
        "cut.m4a": (fast[: len(fast) // 2], "truncated"),
        "cut.mp4": (fast[:200], "no"),
        "damaged.mp3": (bytes(mp3), "corrupt"),
        "list.m3u8": (
            b"#EXTM3U\n#EXT-X-TARGETDURATION:9\n#EXTINF:4,\ngood.flac\n#EXT-X-ENDLIST\n",
            "playlist",
        ),
    }
    files = {}
    for name, (content, words) in contents.items():
        (folder / f"bad.{name}").write_bytes(content)
        files[name] = (folder / f"bad.{name}", words)
    return files | {
        "missing": (folder / "missing.wav", "no such file"),
        "folder": (folder, "folder"),
        "null": (Path("a\0b"), "cannot read"),
    }


def test_broken_files_get_one_line(tmp_path):
    for file, words in broken_files(tmp_path).values():
        with pytest.raises(SpeechError, match=words) as error:
            Speech.open(file)
        assert "\n" not in str(error.value)


def test_a_picture_has_no_sound(tmp_path):
    from PIL import Image

    Image.new("RGB", (64, 64)).save(tmp_path / "a.png")
    with pytest.raises(SpeechError, match="no sound"):
        Speech.open(tmp_path / "a.png")


def test_a_wav_from_a_pipe_has_no_length(tmp_path):
    file = write(tmp_path / "a.wav", tone(1))
    data = bytearray(file.read_bytes())
    data[4:8] = b"\xff" * 4
    start = data.index(b"data") + 4
    data[start : start + 4] = b"\xff" * 4
    file.write_bytes(data)
    assert Speech.open(file).duration == 1.0


def test_longer_than_the_limit(tmp_path, monkeypatch):
    monkeypatch.setattr("vasari.generate.speech.MAX_DURATION", 3.0)
    with pytest.raises(SpeechError, match="longer than"):
        Speech.open(write(tmp_path / "a.wav", tone(4)))


def test_memory_does_not_grow_with_length(tmp_path):
    peaks = []
    for seconds in (5, 100):
        file = write(tmp_path / f"{seconds}.wav", tone(seconds))
        tracemalloc.start()
        for _ in Speech.open(file).blocks():
            pass
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] < 1.1 * peaks[0]


@pytest.mark.parametrize("size", [7, 160, 1000, 100_000])
def test_spectra_do_not_depend_on_blocks(size):
    samples = np.random.default_rng(1).normal(size=4321).astype(np.float32)
    blocks = [samples[start : start + size] for start in range(0, len(samples), size)]
    spectra = np.concatenate(list(power_spectra(blocks)))
    assert len(spectra) == frame_count(len(samples)) == 28
    assert spectra == pytest.approx(np.concatenate(list(power_spectra([samples]))))


def test_spectra_match_scipy():
    from scipy.signal import stft

    samples = np.random.default_rng(2).normal(size=RATE).astype(np.float32)
    _, _, expected = stft(
        samples, RATE, "hann", WINDOW, WINDOW - HOP, 512, boundary="zeros", padded=True
    )
    spectra = np.concatenate(list(power_spectra([samples])))
    power = np.abs(expected.T[: len(spectra)]) ** 2
    assert spectra / spectra.mean() == pytest.approx(power / power.mean(), rel=1e-3, abs=1e-4)


def test_band_level_of_a_sine():
    sine = np.sin(2 * np.pi * 1000 * np.arange(RATE) / RATE).astype(np.float32)
    spectra = np.concatenate(list(power_spectra([sine])))
    inside, outside = decibels(spectra @ band_matrix([(500, 1500), (3000, 7000)]))[50]
    assert inside == pytest.approx(-3.01, abs=0.05)
    assert outside < -60

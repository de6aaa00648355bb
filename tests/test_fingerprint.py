"""Fingerprints: the same picture is known again, another one is not."""

from __future__ import annotations

import io
import tempfile
from datetime import datetime, timedelta, timezone
from pathlib import Path
from types import SimpleNamespace

import cv2
import numpy as np
import pytest
import skimage.data
from PIL import Image
from test_manifest import BINDING

from vasari.errors import ProvenanceError
from vasari.provenance.credentials import Credential
from vasari.provenance.fingerprint import (
    FRAMES,
    HASH_BYTES,
    INDEXED_BITS,
    MAX_DISTANCE,
    STRIP_HEIGHT,
    WINDOWS,
    Fingerprint,
    distance,
    fingerprint_of,
    fingerprint_of_images,
    fingerprint_of_picture,
    frames_of,
    index_keys,
    moments,
    whole_distance,
)
from vasari.provenance.layers import State
from vasari.provenance.manifest import ManifestRecord, SoftBinding, sign
from vasari.provenance.store import ManifestStore
from vasari.provenance.verdict import verify
from vasari.watermark import reading as watermark_reading

ASTRONAUT = skimage.data.astronaut()
OTHERS = [skimage.data.chelsea(), skimage.data.coffee(), skimage.data.rocket()]


def write(path: Path, picture: np.ndarray) -> Path:
    Image.fromarray(picture).save(path)
    return path


@pytest.fixture(scope="module")
def original(tmp_path_factory) -> Fingerprint:
    return fingerprint_of(write(tmp_path_factory.mktemp("original") / "a.png", ASTRONAUT))


CHANGES = {
    "half": lambda picture: cv2.resize(picture, (256, 256), interpolation=cv2.INTER_AREA),
    "dark": lambda picture: (255 * (picture / 255.0) ** 1.4).astype(np.uint8),
    "jpeg": lambda picture: cv2.imdecode(cv2.imencode(".jpg", picture, [1, 20])[1], 1),
    "80 % from the middle": lambda picture: picture[51:461, 51:461],
    "80 % from a corner": lambda picture: picture[:410, 102:],
}


@pytest.mark.parametrize("name", CHANGES)
def test_the_same_picture_is_known_again(original, tmp_path, name):
    path = write(tmp_path / "changed.png", CHANGES[name](ASTRONAUT))
    bits = distance(fingerprint_of(path), original)
    assert bits is not None
    assert bits <= MAX_DISTANCE


@pytest.mark.parametrize("other", OTHERS)
def test_another_picture_is_not(original, tmp_path, other):
    path = write(tmp_path / "other.png", other)
    assert distance(fingerprint_of(path), original) > MAX_DISTANCE


def test_form_of_a_fingerprint(original, tmp_path):
    assert len(original.hashes) == HASH_BYTES * len(WINDOWS)  # a picture has one frame
    assert (original.width, original.height, original.seconds) == (512, 512, 0)
    assert [Image.open(io.BytesIO(each)).height for each in frames_of(original)] == [STRIP_HEIGHT]
    assert whole_distance(original, original) == distance(original, original) == 0
    assert distance(original, Fingerprint()) is None
    assert distance(Fingerprint(), original) is None
    assert frames_of(Fingerprint()) == []
    assert Fingerprint.from_json(original.to_json()) == original
    (tmp_path / "text.png").write_text("no picture")
    assert fingerprint_of(tmp_path / "text.png") == Fingerprint()


def test_hash_is_the_signs_of_the_lowest_frequencies(original):
    """Against SciPy's transform."""
    from scipy.fft import dctn

    luma = np.asarray(
        Image.fromarray(ASTRONAUT).convert("L").resize((160, 160), Image.Resampling.BOX), np.float32
    )
    small = luma.reshape(32, 5, 32, 5).mean((1, 3)).round()
    spectrum = dctn(small, norm="ortho")
    ranked = sorted((y + x, y, x) for y in range(17) for x in range(17))[1:257]
    values = np.array([spectrum[y, x] for _, y, x in ranked])
    assert (np.unpackbits(original.wholes[0]) == (values > np.median(values))).mean() > 0.98


@pytest.mark.parametrize(
    "content", [b"", b"{}", b"[]", b'{"algorithm": "other"}', Fingerprint().to_json()[:-9]]
)
def test_what_is_no_fingerprint(content):
    with pytest.raises(ProvenanceError, match="fingerprint"):
        Fingerprint.from_json(content)
    with pytest.raises(ProvenanceError, match="a fingerprint of 3 bytes is none"):
        Fingerprint(b"abc")


def test_near_frames_share_a_key(original):
    """Fewer flipped bits than bands leave one band as it was."""
    keys = index_keys(original)
    assert {key >> 16 for key in keys} == {0, 1, 2, 3}
    rng = np.random.default_rng(3)
    for _ in range(50):
        bits = np.unpackbits(original.wholes[0])
        bits[rng.choice(INDEXED_BITS, 3, replace=False)] ^= 1
        changed = Fingerprint(np.packbits(bits).tobytes() + original.hashes[HASH_BYTES:])
        assert keys.keys() & index_keys(changed).keys()
        assert all(-(2**63) <= each < 2**63 for each in index_keys(changed).values())


def test_frames_are_those_of_their_moments(tmp_path):
    """Not the key frames before them: the brightness of each tells when it is shown."""
    import av

    path = tmp_path / "ramp.mp4"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=10, options={"g": "1000"})
        stream.width = stream.height = 64
        stream.pix_fmt = "yuv420p"
        for index in range(60):
            plane = np.full((64, 64, 3), 20 + 3 * index, np.uint8)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(plane, format="rgb24")))
        container.mux(stream.encode())
    found = fingerprint_of(path)
    levels = [np.asarray(Image.open(io.BytesIO(each))).mean() for each in frames_of(found)]
    expected = [20 + 3 * 60 * (part + 0.5) / FRAMES for part in range(FRAMES)]
    assert np.abs(np.array(levels) - expected).max() < 8
    assert found.seconds == pytest.approx(6.0, abs=0.2)


def test_fingerprint_of_frames_is_that_of_the_file(tmp_path):
    """A maker that has the frames need not decode them again."""
    path = write_clip(tmp_path / "a.mp4", ASTRONAUT)
    small = Image.fromarray(cv2.resize(ASTRONAUT, (128, 128), interpolation=cv2.INTER_AREA))
    made = fingerprint_of_images([small] * len(moments(10)), 0.4)
    assert whole_distance(fingerprint_of(path), made) <= 8
    assert moments(10) == [0, 2, 4, 5, 7, 9]
    assert moments(1) == [0]


@pytest.mark.parametrize(("width", "height"), [(8000, 2), (2, 8000), (5000, 2000)])
def test_extreme_pictures_stay_small(tmp_path, width, height):
    looks = fingerprint_of(write(tmp_path / "a.png", np.zeros((height, width, 3), np.uint8)))
    (frame,) = frames_of(looks)
    assert len(looks.hashes) == HASH_BYTES * len(WINDOWS)
    assert max(Image.open(io.BytesIO(frame)).size) <= 16 * STRIP_HEIGHT
    assert looks.width * looks.height <= 2048 * 2048


def test_found_by_what_it_looks_like():
    def jpeg(picture: np.ndarray, size: int, quality: int) -> bytes:
        output = io.BytesIO()
        Image.fromarray(picture).resize((size, size)).save(output, "JPEG", quality=quality)
        return output.getvalue()

    with ManifestStore.default() as store:
        assert store.by_fingerprint(fingerprint_of_picture(jpeg(ASTRONAUT, 256, 90))) == []
        for number, picture in enumerate((ASTRONAUT, *OTHERS)):
            _keep(store, number, jpeg(picture, 256, 90))
        for number, picture in enumerate((ASTRONAUT, *OTHERS)):
            matches = store.by_fingerprint(fingerprint_of_picture(jpeg(picture, 128, 30)))
            assert [match.entry.identifier for match in matches] == [number]
        flower = fingerprint_of_picture(jpeg(skimage.data.cell(), 256, 90))
        assert store.by_fingerprint(flower) == []
        store.remove_before(datetime.now(timezone.utc) + timedelta(days=1))
        assert store.by_fingerprint(fingerprint_of_picture(jpeg(ASTRONAUT, 256, 90))) == []


def _keep(store: ManifestStore, number: int, thumbnail: bytes) -> None:
    """Keep a manifest whose thumbnail is a picture."""
    picture = io.BytesIO()
    Image.new("RGB", (16, 16)).save(picture, "PNG")
    with tempfile.TemporaryDirectory() as name:
        source = Path(name) / "a.png"
        source.write_bytes(picture.getvalue())
        binding = SoftBinding(BINDING.algorithm, number)
        record = ManifestRecord("a", (), binding, thumbnail=thumbnail, mime_type="image/png")
        store.add(sign(source, Path(name) / "signed.png", record, Credential.default()))


def write_clip(path: Path, picture: np.ndarray, side: int = 128) -> Path:
    import av

    small = cv2.resize(picture, (side, side), interpolation=cv2.INTER_AREA)
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=25)
        stream.width = stream.height = side
        stream.pix_fmt = "yuv420p"
        for _ in range(10):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(small, format="rgb24")))
        container.mux(stream.encode())
    return path


@pytest.mark.parametrize("keeps_file", [True, False])
def test_copied_watermark_is_noticed(tmp_path, monkeypatch, keeps_file):
    found = SimpleNamespace(identifier=BINDING.identifier, p_value=1e-30, intervals=())
    monkeypatch.setattr(watermark_reading, "read_video", lambda path, **options: found)
    unsigned = write_clip(tmp_path / "unsigned.mp4", ASTRONAUT)
    signed = tmp_path / "signed.mp4"
    jpeg = io.BytesIO()
    Image.fromarray(ASTRONAUT).resize((256, 256)).save(jpeg, "JPEG")
    record = ManifestRecord("a", (), BINDING, thumbnail=jpeg.getvalue())
    manifest = sign(unsigned, signed, record, Credential.default())
    other = write_clip(tmp_path / "other.mp4", OTHERS[1])
    with ManifestStore.default() as store:
        store.add(manifest, signed if keeps_file else None)
        upload, copied = verify(unsigned, store=store), verify(other, store=store)
    assert upload.state is copied.state is State.STRIPPED
    assert upload.recovered[0].looks_alike is True
    assert "leads back" in upload.headline
    assert "Its frames look like those of the kept original." in upload.follows
    assert copied.recovered[0].looks_alike is False
    assert "looks different" in copied.headline
    assert any("may have been copied" in line for line in copied.does_not_follow)

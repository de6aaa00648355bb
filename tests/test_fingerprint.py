"""Fingerprints: the same picture is known again, another one is not."""

from __future__ import annotations

import io
from pathlib import Path
from types import SimpleNamespace

import cv2
import numpy as np
import pytest
import skimage.data
from PIL import Image
from test_manifest import BINDING

from vasari.provenance.credentials import Credential
from vasari.provenance.fingerprint import MAX_DISTANCE, WINDOWS, distance, fingerprint_of
from vasari.provenance.manifest import ManifestRecord, sign
from vasari.provenance.store import ManifestStore
from vasari.provenance.verdict import State, verify
from vasari.watermark import reading as watermark_reading

ASTRONAUT = skimage.data.astronaut()
OTHERS = [skimage.data.chelsea(), skimage.data.coffee(), skimage.data.rocket()]


def write(path: Path, picture: np.ndarray) -> Path:
    Image.fromarray(picture).save(path)
    return path


@pytest.fixture(scope="module")
def original(tmp_path_factory) -> bytes:
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
    bits = distance(path, original)
    assert bits is not None
    assert bits <= MAX_DISTANCE


@pytest.mark.parametrize("other", OTHERS)
def test_another_picture_is_not(original, tmp_path, other):
    assert distance(write(tmp_path / "other.png", other), original) > MAX_DISTANCE


def test_form_of_a_fingerprint(original, tmp_path):
    assert len(original) == 8 * len(WINDOWS)  # a picture has one frame
    assert distance(write(tmp_path / "a.png", ASTRONAUT), original) == 0
    assert distance(write(tmp_path / "a.png", ASTRONAUT), b"") is None


def write_clip(path: Path, picture: np.ndarray) -> Path:
    import av

    small = cv2.resize(picture, (128, 128), interpolation=cv2.INTER_AREA)
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=25)
        stream.width = stream.height = 128
        stream.pix_fmt = "yuv420p"
        for _ in range(10):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(small, format="rgb24")))
        container.mux(stream.encode())
    return path


@pytest.mark.parametrize("keeps_file", [True, False])
def test_copied_watermark_is_noticed(tmp_path, monkeypatch, keeps_file):
    found = SimpleNamespace(identifier=BINDING.identifier, p_value=1e-30)
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
    assert "Its frames look like those of that original." in upload.follows
    assert copied.recovered[0].looks_alike is False
    assert "looks different" in copied.headline
    assert any("may have been copied" in line for line in copied.does_not_follow)

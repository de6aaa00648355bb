"""Manifests: what they say, as the C2PA library itself reads it back."""

from __future__ import annotations

import hashlib
import io
import json
import resource
import struct
import tracemalloc
from pathlib import Path

import c2pa
import numpy as np
import pytest
from PIL import Image
from test_credentials import issue, pem_of

from vasari.errors import CredentialError, InputError, OutputError, ProvenanceError
from vasari.provenance import sourcetype
from vasari.provenance.credentials import Credential
from vasari.provenance.manifest import Consent, Ingredient, ManifestRecord, SoftBinding, sign

BINDING = SoftBinding("org.vasari.watermark.1", 0x00C0FFEE1234)


def write_video(path: Path, frames: int = 12, size: int = 96) -> Path:
    """A short H.264 video of moving noise."""
    import av

    picture = np.random.default_rng(5).integers(0, 256, (size, size, 3), np.uint8)
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=25)
        stream.width = stream.height = size
        stream.pix_fmt = "yuv420p"
        for index in range(frames):
            frame = av.VideoFrame.from_ndarray(np.roll(picture, index, 1), format="rgb24")
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path


def read(path: Path, anchors: bytes = b"") -> dict:
    """The C2PA library's own report."""
    settings = {"version": 1, "trust": {"trust_anchors": anchors.decode()}} if anchors else {}
    with (
        path.open("rb") as file,
        c2pa.Context.from_dict({"version": 1, **settings}) as context,
        c2pa.Reader(None, file, context=context) as reader,
    ):
        report = json.loads(reader.json())
        report["claim"] = json.loads(reader.detailed_json())
    return report


def active(report: dict) -> dict:
    return report["manifests"][report["active_manifest"]]


def assertion(report: dict, label: str) -> dict:
    return next(each["data"] for each in active(report)["assertions"] if each["label"] == label)


@pytest.fixture(scope="module")
def video(tmp_path_factory) -> Path:
    return write_video(tmp_path_factory.mktemp("video") / "unsigned.mp4")


@pytest.fixture
def ingredients(portrait_file, speech_file) -> tuple[Ingredient, ...]:
    return (
        Ingredient(portrait_file, "portrait", "astronaut.png", "image/png"),
        Ingredient(speech_file, "sound", "syllables.wav", "audio/wav"),
    )


@pytest.fixture
def record(ingredients) -> ManifestRecord:
    controls = {"seed": 7, "gaze": {"yaw": 0.0, "pitch": 1.5}, "emotion": {"happy": 0.6}}
    return ManifestRecord("talk.mp4", ingredients, BINDING, controls=controls)


def test_every_statement_is_there_and_the_signers_own(video, record, tmp_path, portrait_file):
    credential = Credential.default()
    path = tmp_path / "talk.mp4"
    stored = sign(video, path, record, credential)
    report = read(path, credential.trust_anchors)
    assert report["validation_state"] == "Trusted"
    assert report["validation_results"]["activeManifest"]["failure"] == []

    manifest = active(report)
    generator = manifest["claim_generator_info"][0]
    assert (generator["name"], manifest["title"]) == ("Vasari", "talk.mp4")
    assert generator["version"] == record.generator_version
    created, watermarked = assertion(report, "c2pa.actions.v2")["actions"]
    assert created["action"] == "c2pa.created"
    assert created["digitalSourceType"].endswith("/digitalsourcetype/compositeSynthetic")
    assert created["parameters"]["org.vasari.controls"] == record.controls
    digest = hashlib.sha256(portrait_file.read_bytes()).hexdigest()
    assert created["parameters"]["org.vasari.ingredients.sha256"]["portrait"] == digest
    assert len(created["parameters"]["ingredients"]) == 2
    assert watermarked["action"] == "c2pa.watermarked"
    assert assertion(report, "c2pa.soft-binding") == {
        "alg": "org.vasari.watermark.1",
        "blocks": [{"scope": {}, "value": "00c0ffee1234"}],
    }
    uses = assertion(report, "cawg.training-mining")["entries"]
    assert {use["use"] for use in uses.values()} == {"notAllowed"}
    assert [(each["title"], each["relationship"]) for each in manifest["ingredients"]] == [
        ("astronaut.png", "inputTo"),
        ("syllables.wav", "inputTo"),
    ]
    assert "thumbnail" in manifest["ingredients"][0]

    claim = report["claim"]["manifests"][report["active_manifest"]]["claim"]
    assert "gathered_assertions" not in claim  # nothing that the signer does not vouch for
    assert len(claim["created_assertions"]) == 7
    assert stored in path.read_bytes()


def test_nothing_of_the_key_or_of_folders_is_in_the_output(video, record, tmp_path):
    path = tmp_path / "talk.mp4"
    sign(video, path, record, Credential.default())
    content = path.read_bytes()
    assert b"PRIVATE KEY" not in content
    assert str(tmp_path).encode() not in content


@pytest.mark.parametrize("algorithm", ["es384", "ed25519"])
def test_other_algorithms_sign(video, record, tmp_path, algorithm):
    from cryptography.hazmat.primitives.asymmetric import ec, ed25519

    make = ed25519.Ed25519PrivateKey.generate
    key = make() if algorithm == "ed25519" else ec.generate_private_key(ec.SECP384R1())
    (tmp_path / "both.pem").write_bytes(issue(key) + pem_of(key))
    credential = Credential.load(tmp_path / "both.pem", tmp_path / "both.pem")
    sign(video, tmp_path / "talk.mp4", record, credential)
    report = read(tmp_path / "talk.mp4")
    assert report["validation_state"] == "Valid"
    assert active(report)["signature_info"]["alg"].lower() == algorithm


def test_own_thumbnail(video, ingredients, tmp_path):
    jpeg = io.BytesIO()
    Image.new("RGB", (32, 32), "teal").save(jpeg, "JPEG")
    record = ManifestRecord("talk.mp4", ingredients, BINDING, thumbnail=jpeg.getvalue())
    sign(video, tmp_path / "talk.mp4", record, Credential.default())
    assert jpeg.getvalue() in (tmp_path / "talk.mp4").read_bytes()
    assert read(tmp_path / "talk.mp4")["validation_state"] == "Valid"


def test_manifest_of_an_ingredient_is_carried_over(video, record, tmp_path):
    credential = Credential.default()
    sign(video, tmp_path / "first.mp4", record, credential)
    derived = ManifestRecord(
        "second.mp4",
        (Ingredient(tmp_path / "first.mp4", "sound", "first.mp4", "video/mp4"),),
        BINDING,
    )
    sign(video, tmp_path / "second.mp4", derived, credential)
    report = read(tmp_path / "second.mp4", credential.trust_anchors)
    assert report["validation_state"] == "Trusted"
    label = active(report)["ingredients"][0]["active_manifest"]
    assert report["manifests"][label]["title"] == "talk.mp4"


def test_ingredient_from_memory_and_ingredient_of_a_wrong_type(video, tmp_path):
    ingredients = (
        Ingredient(b"no picture at all", "portrait", "x.heic", "image/heic"),
        Ingredient(b"Hello.", "text", "text", "text/plain"),
    )
    record = ManifestRecord("talk.mp4", ingredients, BINDING)
    sign(video, tmp_path / "talk.mp4", record, Credential.default())
    report = read(tmp_path / "talk.mp4")
    assert report["validation_state"] == "Valid"
    assert [each["title"] for each in active(report)["ingredients"]] == ["x.heic", "text"]


def test_large_ingredient_is_not_held_in_memory(video, tmp_path):
    path, size = tmp_path / "hour.wav", 200 << 20
    header = struct.pack(
        "<4sI8sIHHIIHH4sI",
        *(b"RIFF", 36 + size, b"WAVEfmt ", 16, 1, 1, 48000, 96000, 2, 16, b"data", size),
    )
    with path.open("wb") as file:
        file.write(header)
        file.truncate(len(header) + size)
    record = ManifestRecord("t", (Ingredient(path, "sound", "hour.wav", "audio/wav"),), BINDING)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    tracemalloc.start()
    sign(video, tmp_path / "talk.mp4", record, Credential.default())
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) << 10
    assert max(peak, grown) < size // 4


def test_failures_leave_nothing_behind(video, record, tmp_path):
    credential = Credential.default()

    def broken(data: bytes) -> bytes:
        raise RuntimeError("the token was pulled out")

    failing = Credential(credential.chain, "es256", broken)
    target = tmp_path / "out" / "talk.mp4"
    with pytest.raises(OutputError, match=r"cannot write .*talk\.mp4: No such file or directory"):
        sign(video, target, record, credential)
    target.parent.mkdir()
    with pytest.raises(CredentialError, match="could not sign: the token was pulled out"):
        sign(video, target, record, failing)
    with pytest.raises(InputError, match="cannot read the video to sign"):
        sign(tmp_path / "nowhere.mp4", target, record, credential)
    (tmp_path / "text.mp4").write_text("no video")
    with pytest.raises(ProvenanceError, match="cannot sign"):
        sign(tmp_path / "text.mp4", target, record, credential)
    gone = Ingredient(tmp_path / "gone.png", "portrait", "gone.png", "image/png")
    with pytest.raises(InputError, match="cannot read the portrait"):
        sign(video, target, ManifestRecord("t", (gone,), BINDING), credential)
    assert list(target.parent.iterdir()) == []


def test_full_disk_is_an_output_error(video, record, tmp_path):
    credential = Credential.default()
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (video.stat().st_size // 2, limits[1]))
    try:
        with pytest.raises(OutputError, match=r"cannot write .*talk\.mp4"):
            sign(video, tmp_path / "talk.mp4", record, credential)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert list(tmp_path.iterdir()) == []


def test_an_older_output_stays_until_the_new_one_is_complete(video, record, tmp_path):
    path = tmp_path / "talk.mp4"
    path.write_bytes(b"older")
    with pytest.raises(InputError):
        sign(tmp_path / "nowhere.mp4", path, record, Credential.default())
    assert path.read_bytes() == b"older"
    sign(video, path, record, Credential.default())
    assert read(path)["validation_state"] == "Valid"


def test_source_types():
    assert sourcetype.source_type_uri("digitalCapture") == (
        "http://cv.iptc.org/newscodes/digitalsourcetype/digitalCapture"
    )
    for nonsense in ("deepfake", "", "http://cv.iptc.org/newscodes/digitalsourcetype/print"):
        with pytest.raises(ProvenanceError, match="the IPTC terms are algorithmicMedia, "):
            sourcetype.source_type_uri(nonsense)
    with pytest.raises(ProvenanceError):  # retired in 2024
        sourcetype.source_type_uri("digitalArt")
    uri = sourcetype.source_type_uri("compositeSynthetic")
    words = "a mix of several elements, at least one of them synthetic"
    assert sourcetype.source_type_words(uri) == words
    assert sourcetype.source_type_words(uri.replace("http:", "https:")) == words
    assert sourcetype.source_type_words("x:y") == "of an unknown kind, 'x:y'"


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("source_type", "real", "unknown digital source type 'real'"),
        ("training", "yes", "known are allowed, notAllowed, constrained"),
    ],
)
def test_records_are_checked(ingredients, field, value, message):
    with pytest.raises(ProvenanceError, match=message):
        ManifestRecord("t", ingredients, BINDING, **{field: value})


def test_what_the_maker_states(video, tmp_path):
    statement = Consent("Ada", "signed release of 3 May")
    record = ManifestRecord(
        "talk.mp4", (), BINDING, author="Grace", consent=statement, models={"lips.npz": "0a" * 32}
    )
    sign(video, tmp_path / "talk.mp4", record, Credential.default())
    report = read(tmp_path / "talk.mp4")
    assert assertion(report, "cawg.metadata")["dc:creator"] == ["Grace"]
    assert assertion(report, "org.vasari.consent") == {
        "person": "Ada",
        "basis": "signed release of 3 May",
    }
    created = assertion(report, "c2pa.actions.v2")["actions"][0]
    assert created["parameters"]["org.vasari.models.sha256"] == {"lips.npz": "0a" * 32}
    assert all(each["created"] for each in active(report)["assertions"])
    for person, basis in (("", "release"), ("Ada", " ")):
        with pytest.raises(ProvenanceError, match="who agreed and on what basis"):
            Consent(person, basis)


@pytest.mark.parametrize("kind", ["fragmented mp4", "mp4", "jpg", "png", "webp", "wav", "mp3"])
def test_stills_videos_and_sounds_pass_the_library(kind, tmp_path, video, speech_file):
    """With no complaint but that the signer is unknown."""
    source, mime_type = make_file(kind, tmp_path, video, speech_file)
    record = ManifestRecord("a", (), BINDING, author="Grace", mime_type=mime_type)
    sign(source, tmp_path / "signed", record, Credential.default())
    for anchors, state in ((b"", "Valid"), (Credential.default().trust_anchors, "Trusted")):
        report = read(tmp_path / "signed", anchors)
        assert report["validation_state"] == state
        failures = report["validation_results"]["activeManifest"].get("failure", [])
        assert {each["code"] for each in failures} <= {"signingCredential.untrusted"}


def make_file(kind: str, folder: Path, video: Path, sound: Path) -> tuple[Path, str]:
    """An unsigned file of a kind, and its MIME type."""
    import av

    path = folder / f"unsigned.{kind.rsplit(maxsplit=1)[-1]}"
    if kind == "mp4":
        return video, "video/mp4"
    if kind == "wav":
        return sound, "audio/wav"
    if kind in ("jpg", "png", "webp"):
        Image.new("RGB", (64, 48), "teal").save(path)
        return path, {"jpg": "image/jpeg"}.get(kind, f"image/{kind}")
    if kind == "mp3":
        with av.open(str(sound)) as old, av.open(str(path), "w") as new:
            stream = new.add_stream("mp3", rate=16_000)
            for frame in old.decode(audio=0):
                new.mux(stream.encode(frame))
            new.mux(stream.encode())
        return path, "audio/mpeg"
    options = {"movflags": "frag_keyframe+empty_moov"}
    with av.open(str(video)) as old, av.open(str(path), "w", options=options) as new:
        stream = new.add_stream_from_template(old.streams.video[0])
        for packet in old.demux(video=0):
            if packet.dts is not None:
                packet.stream = stream
                new.mux(packet)
    assert path.read_bytes().count(b"moof")
    return path, "video/mp4"

"""Verdicts: every state, every kind of damage, and everything that is not a usable file."""

from __future__ import annotations

import contextlib
import json
import struct
import time
from datetime import datetime, timedelta, timezone
from pathlib import Path
from types import SimpleNamespace

import c2pa
import numpy as np
import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from PIL import Image
from test_credentials import NOW, issue, pem_of
from test_manifest import BINDING, write_video

from vasari.errors import CredentialError, InputError, ProvenanceError, VideoError
from vasari.provenance import findings
from vasari.provenance.credentials import Credential
from vasari.provenance.evidence import MAX_TEXT, plain
from vasari.provenance.layers import State
from vasari.provenance.manifest import Ingredient, ManifestRecord, SoftBinding, sign
from vasari.provenance.media import MediaKind, media_kind
from vasari.provenance.verdict import load_trust_anchors, verify
from vasari.watermark import reading as watermark_reading


@pytest.fixture(scope="module")
def video(tmp_path_factory) -> Path:
    return write_video(tmp_path_factory.mktemp("video") / "unsigned.mp4")


@pytest.fixture
def signed(video, tmp_path) -> Path:
    path = tmp_path / "talk.mp4"
    ingredients = (Ingredient(b"RIFF", "sound", "speech.wav", "audio/wav"),)
    record = ManifestRecord("talk.mp4", ingredients, BINDING, controls={"seed": 7})
    sign(video, path, record, Credential.default())
    return path


@pytest.fixture
def in_frames(monkeypatch):
    """Say what watermark the frames of every file carry."""

    def carries(identifier: int | None) -> None:
        found = identifier and SimpleNamespace(identifier=identifier, p_value=1e-30, intervals=())
        monkeypatch.setattr(watermark_reading, "read_video", lambda path, **options: found)

    carries(None)
    return carries


def sign_with(definition: dict, source: Path, target: Path, mime: str, remote: str = "") -> bytes:
    """Sign as another program would, with the C2PA library alone."""
    key = ec.generate_private_key(ec.SECP256R1())
    info = c2pa.C2paSignerInfo(b"es256", issue(key), pem_of(key), None)
    with (
        c2pa.Signer.from_info(info) as signer,
        c2pa.Context.from_dict({"version": 1}) as context,
        c2pa.Builder(definition, context=context) as builder,
        source.open("rb") as original,
        target.open("w+b") as output,
    ):
        if remote:
            builder.set_remote_url(remote)
            builder.set_no_embed()
        return builder.sign(signer, mime, original, output)


CAPTURE = {
    "claim_generator_info": [{"name": "Camera", "version": "2"}],
    "title": "street",
    "assertions": [
        {
            "label": "c2pa.actions.v2",
            "data": {
                "actions": [
                    {
                        "action": "c2pa.created",
                        "digitalSourceType": "http://cv.iptc.org/newscodes/digitalsourcetype/"
                        "digitalCapture",
                    }
                ]
            },
        }
    ],
}


def boxes(content: bytes) -> dict[bytes, tuple[int, int]]:
    """Type -> (start, end) of the top-level boxes of an MP4."""
    found, position = {}, 0
    while position < len(content):
        size, kind = struct.unpack(">I4s", content[position : position + 8])
        found[kind] = (position, position + size)
        position += size
    return found


def flipped(path: Path, position: int) -> Path:
    """A copy with one bit of one byte changed."""
    content = bytearray(path.read_bytes())
    content[position] ^= 0x10
    copy = path.with_name("changed.mp4")
    copy.write_bytes(content)
    return copy


def test_own_output_is_valid_by_an_unknown_signer(signed, in_frames):
    in_frames(BINDING.identifier)
    verdict = verify(signed)
    assert (verdict.state, verdict.exit_code) == (State.VALID, 0)
    assert "no one vouches" in verdict.headline
    manifest = verdict.manifest
    assert manifest is not None
    assert manifest.signer == Credential.default().signer_name
    assert manifest.generator.startswith("Vasari ")
    assert manifest.synthetic
    assert manifest.soft_bindings == (("org.vasari.watermark.1", "00c0ffee1234"),)
    assert [(each.role, each.title) for each in manifest.origins] == [("sound", "speech.wav")]
    assert len(manifest.origins[0].sha256) == 64
    assert [each.name for each in manifest.actions] == ["c2pa.created", "c2pa.watermarked"]
    assert [each.code for each in manifest.failures] == [findings.UNTRUSTED]
    assert (manifest.controls, manifest.training) == ({"seed": 7}, "notAllowed")
    stated = datetime.fromisoformat(manifest.actions[0].when.replace("Z", "+00:00"))
    assert abs(datetime.now(timezone.utc) - stated) < timedelta(minutes=5)
    assert verdict.watermark.identifier == "00c0ffee1234"
    assert verdict.watermark.agrees is True
    assert verdict.does_not_follow


def test_trusted_under_the_signers_root_and_under_no_other(signed, in_frames, tmp_path):
    anchors = Credential.default().trust_anchors
    (tmp_path / "anchors.pem").write_bytes(anchors)
    verdict = verify(signed, trust_anchors=load_trust_anchors(tmp_path / "anchors.pem"))
    assert (verdict.state, verdict.exit_code) == (State.TRUSTED, 0)
    key = ec.generate_private_key(ec.SECP256R1())
    other = issue(key, ca=True, self_signed=True)
    assert verify(signed, trust_anchors=other).state is State.VALID


def test_trust_anchors_that_are_none(signed, tmp_path):
    with pytest.raises(CredentialError, match="the trust anchors holds no PEM certificate"):
        verify(signed, trust_anchors=b"nonsense")
    with pytest.raises(CredentialError, match="cannot be read: No such file"):
        load_trust_anchors(tmp_path / "nowhere.pem")


def test_one_changed_byte_anywhere_in_the_media_is_found(signed, in_frames):
    start, end = boxes(signed.read_bytes())[b"mdat"]
    rng = np.random.default_rng(11)
    for position in rng.integers(start + 8, end, 40):
        verdict = verify(flipped(signed, int(position)))
        assert (verdict.state, verdict.exit_code) == (State.INVALID, 4)
        assert "picture, sound or structure is not what was signed" in verdict.reason


def test_one_changed_byte_of_the_index_is_found(signed, in_frames):
    start, end = boxes(signed.read_bytes())[b"moov"]
    for position in range(start + 8, end, 97):
        assert verify(flipped(signed, position)).exit_code == 4


def test_changed_manifest_is_found(signed, in_frames):
    content = signed.read_bytes()
    verdict = verify(flipped(signed, content.index(b"speech.wav")))
    assert verdict.state is State.INVALID
    assert verdict.reason == "a statement in the manifest was changed after signing"
    start, end = boxes(content)[b"uuid"]
    padding = content.index(bytes(1000), start)  # room that C2PA keeps in the signature
    positions = set(range(start + 120, end, 101)) - set(range(padding - 8, end - 100))
    assert len(positions) > 25
    for position in positions:
        assert verify(flipped(signed, position)).state is State.INVALID


def test_manifest_of_another_file_is_found(signed, in_frames, tmp_path):
    """The manifest box of one output in front of the media of another of the same layout."""
    other = write_video(tmp_path / "other.mp4", frames=13)
    target = tmp_path / "swapped.mp4"
    sign(other, target, ManifestRecord("other.mp4", (), BINDING), Credential.default())
    ours, theirs = signed.read_bytes(), target.read_bytes()
    a, b = boxes(ours)[b"uuid"], boxes(theirs)[b"uuid"]
    target.write_bytes(theirs[: b[0]] + ours[a[0] : a[1]] + theirs[b[1] :])
    assert verify(target).state is State.INVALID


@pytest.mark.parametrize("fraction", [0.2, 0.5, 0.9, 0.999])
def test_truncated_file_with_a_manifest_is_broken(signed, in_frames, fraction):
    content = signed.read_bytes()
    signed.write_bytes(content[: int(len(content) * fraction)])
    verdict = verify(signed)
    assert (verdict.state, verdict.exit_code) == (State.INVALID, 4)
    assert verdict.headline.startswith("Broken: ")


def test_watermark_of_another_video_is_broken(signed, in_frames):
    in_frames(BINDING.identifier ^ 1)
    verdict = verify(signed)
    assert (verdict.state, verdict.exit_code) == (State.INVALID, 4)
    assert "watermark of another video" in verdict.reason
    assert verdict.watermark.agrees is False


def test_watermark_that_cannot_be_read_breaks_nothing(signed, in_frames, monkeypatch):
    verdict = verify(signed)
    assert verdict.state is State.VALID
    assert verdict.watermark.note == "none could be read, although the manifest names one"

    def failing(path, **options):
        raise VideoError(f"{path}: no frame can be decoded")

    monkeypatch.setattr(watermark_reading, "read_video", failing)
    assert verify(signed).watermark.note == "could not be looked for: no frame can be decoded"


def test_stripped_manifest_with_a_watermark(video, in_frames):
    in_frames(BINDING.identifier)
    verdict = verify(video)
    assert (verdict.state, verdict.exit_code) == (State.STRIPPED, 4)
    assert "manifest is gone" in verdict.headline
    assert "00c0ffee1234" in verdict.headline
    assert verdict.watermark.agrees is None


def test_strangers_video_proves_nothing(video, in_frames):
    verdict = verify(video)
    assert (verdict.state, verdict.exit_code) == (State.NONE, 3)
    assert verdict.follows == ()
    assert any("real, or that it is fake" in line for line in verdict.does_not_follow)


def test_watermark_named_by_an_ingredient_agrees(signed, video, in_frames, tmp_path):
    """Someone edits a Vasari video with a tool that keeps its manifest as an ingredient."""
    in_frames(BINDING.identifier)
    ingredients = (Ingredient(signed, "clip", "talk.mp4", "video/mp4", "componentOf"),)
    record = ManifestRecord("edit.mp4", ingredients, SoftBinding("com.example.mark", 1))
    sign(video, tmp_path / "edit.mp4", record, Credential.default())
    verdict = verify(tmp_path / "edit.mp4")
    assert verdict.watermark.agrees is True
    origin = verdict.manifest.origins[0].manifest
    assert (origin.title, origin.intact) == ("talk.mp4", True)


def test_strangers_watermark_under_a_foreign_manifest_is_told(video, in_frames, tmp_path):
    in_frames(BINDING.identifier)
    sign_with(CAPTURE, video, tmp_path / "claim.mp4", "video/mp4")
    verdict = verify(tmp_path / "claim.mp4")
    assert verdict.state is State.VALID
    assert verdict.watermark.agrees is None
    assert "the manifest does not name it" in verdict.watermark.note


@pytest.mark.parametrize("suffix", ["jpg", "png", "wav"])
def test_pictures_and_sounds_by_others(tmp_path, speech_file, in_frames, suffix):
    original = tmp_path / f"original.{suffix}"
    if suffix == "wav":
        original.write_bytes(speech_file.read_bytes())
    else:
        Image.fromarray(np.random.default_rng(1).integers(0, 255, (64, 64, 3), np.uint8)).save(
            original
        )
    mime = {"jpg": "image/jpeg", "png": "image/png", "wav": "audio/wav"}[suffix]
    path = tmp_path / f"signed.{suffix}"
    sign_with(CAPTURE, original, path, mime)
    verdict = verify(path)
    assert verdict.state is State.VALID
    assert verdict.kind is (MediaKind.SOUND if suffix == "wav" else MediaKind.IMAGE)
    assert (verdict.manifest.signer, verdict.manifest.generator) == ("Newsroom", "Camera 2")
    assert not verdict.manifest.synthetic
    assert verify(original).state is State.NONE
    changed = bytearray(path.read_bytes())
    changed[-20] ^= 1
    path.write_bytes(changed)
    assert verify(path).exit_code == 4


def test_file_name_does_not_matter(signed, in_frames):
    for name in ("talk.jpg", "talk", "talk.txt"):
        renamed = signed.with_name(name)
        renamed.write_bytes(signed.read_bytes())
        assert verify(renamed).state is State.VALID


def test_manifest_elsewhere_is_not_fetched(tmp_path, in_frames):
    Image.new("RGB", (64, 64)).save(tmp_path / "original.jpg")
    address = "http://127.0.0.1:9/manifest"
    sign_with(CAPTURE, tmp_path / "original.jpg", tmp_path / "a.jpg", "image/jpeg", remote=address)
    verdict = verify(tmp_path / "a.jpg")
    assert verdict.state is State.NONE
    assert verdict.elsewhere == address


def short_lived(folder: Path, seconds: float) -> Credential:
    """A credential whose certificate expires soon."""
    key = ec.generate_private_key(ec.SECP256R1())
    end = datetime.now(timezone.utc) + timedelta(seconds=seconds)
    (folder / "both.pem").write_bytes(issue(key, end=end - NOW) + pem_of(key))
    return Credential.load(folder / "both.pem", folder / "both.pem")


def test_expired_certificate(video, tmp_path, in_frames):
    path = tmp_path / "talk.mp4"
    for seconds in (3, 9, 27, 81):  # a busy machine takes its time
        with contextlib.suppress(CredentialError, ProvenanceError):
            credential = short_lived(tmp_path, seconds)
            sign(video, path, ManifestRecord("talk.mp4", (), BINDING), credential)
            break
    while datetime.now(timezone.utc) < credential.certificate.not_valid_after_utc:
        time.sleep(0.2)
    time.sleep(1.1)  # certificates count whole seconds
    verdict = verify(path)
    assert verdict.state is State.INVALID
    assert verdict.reason.startswith("the signer's certificate has expired")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is empty"),
        (b"just some words\n" * 50, "is no video, picture or sound"),
        (b"#EXTM3U\n#EXTINF:1,\nhttp://127.0.0.1:9/a.ts\n", "is no video, picture or sound"),
        (b"ffconcat version 1.0\nfile '/etc/hostname'\n", "is no video, picture or sound"),
        (bytes(4096), "is no video, picture or sound"),
        (b"\xff\xd8\xff\xe0\x00\x10JFIF", "is no video, picture or sound"),
    ],
)
def test_unusable_content(tmp_path, content, message):
    path = tmp_path / "file.mp4"
    path.write_bytes(content)
    with pytest.raises(InputError, match=message) as caught:
        verify(path)
    assert caught.value.exit_code == 2


def test_unusable_paths(tmp_path):
    for path, message in (
        (tmp_path, "is a folder"),
        (tmp_path / "nowhere.mp4", "does not exist"),
        (Path("/dev/null"), "is no ordinary file"),
        (tmp_path / ("x" * 300), "cannot be read|does not exist"),
        ("a\0b", "cannot be read|does not exist"),
    ):
        with pytest.raises(InputError, match=message):
            verify(path)


def test_truncated_strangers_video_is_unusable(video, tmp_path):
    path = tmp_path / "half.mp4"
    path.write_bytes(video.read_bytes()[: video.stat().st_size // 2])
    with pytest.raises(InputError, match="is no video, picture or sound that can be read"):
        verify(path)


def test_unknown_codec_is_unusable(video, tmp_path):
    path = tmp_path / "unknown.mp4"
    path.write_bytes(video.read_bytes().replace(b"avc1", b"zzzz"))
    with pytest.raises(InputError, match="is no video, picture or sound that can be read"):
        verify(path)


def test_playlist_of_local_files_is_not_followed(video, tmp_path):
    playlist = tmp_path / "list.m3u8"
    playlist.write_text(f"#EXTM3U\n#EXTINF:1,\n{video}\n#EXT-X-ENDLIST\n")
    assert media_kind(playlist) is MediaKind.UNKNOWN


def test_text_of_strangers_is_defused():
    hostile = "\x1b[31mred\x07\u202egnp.exe\nsecond\tline\u200b" + "x" * 999
    shown = plain(hostile)
    assert shown.startswith("[31mredgnp.exe second line")
    assert len(shown) == MAX_TEXT
    assert shown.isprintable()
    assert plain(None) == ""
    assert plain(7) == "7"


def test_verdict_as_json(signed, in_frames):
    in_frames(BINDING.identifier)
    content = json.loads(json.dumps(verify(signed).to_dict()))
    assert content["state"] == "valid"
    assert content["exit_code"] == 0
    assert content["kind"] == "video"
    assert content["manifest"]["origins"][0]["role"] == "sound"
    assert content["watermark"]["identifier"] == "00c0ffee1234"


def test_failures_have_words_and_an_order():
    assert findings.main_failure([findings.UNTRUSTED, "assertion.bmffHash.mismatch"]) == (
        "assertion.bmffHash.mismatch"
    )
    assert findings.main_failure(["new.code"]) == "new.code"
    assert "new.code" in findings.code_words("new.code")


def test_real_watermark_through_encoding_signing_and_stripping(tmp_path, portrait_file):
    """No stand-ins: frames marked by Vasari, encoded, signed, and remuxed by another tool."""
    import av

    from vasari.watermark.embedding import Embedder

    luma = np.asarray(Image.open(portrait_file).convert("L").resize((512, 512)), np.uint8)
    embedder = Embedder(BINDING.identifier, 512, 512)
    path = tmp_path / "marked.mp4"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=25)
        stream.width = stream.height = 512
        stream.pix_fmt = "yuv420p"
        for _ in range(40):
            plane = luma.copy()
            embedder.mark(plane)
            frame = av.VideoFrame.from_ndarray(plane, format="gray").reformat(format="yuv420p")
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    record = ManifestRecord("talk.mp4", (), BINDING)
    sign(path, tmp_path / "talk.mp4", record, Credential.default())
    assert verify(tmp_path / "talk.mp4").watermark.agrees is True

    with (
        av.open(str(tmp_path / "talk.mp4")) as source,
        av.open(str(tmp_path / "upload.mp4"), "w") as target,
    ):
        stream = target.add_stream_from_template(source.streams.video[0])
        for packet in source.demux(video=0):
            if packet.dts is not None:
                packet.stream = stream
                target.mux(packet)
    verdict = verify(tmp_path / "upload.mp4")
    assert verdict.state is State.STRIPPED
    assert verdict.watermark.identifier == "00c0ffee1234"

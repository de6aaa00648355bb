"""The HTML report: complete, self-contained, and safe from what strangers write."""

from __future__ import annotations

import base64
import dataclasses
import io
import re
from html.parser import HTMLParser
from pathlib import Path
from types import SimpleNamespace

import pytest
from PIL import Image
from test_manifest import BINDING, write_video

from vasari.cli import run
from vasari.errors import OutputError
from vasari.provenance import worker
from vasari.provenance.credentials import Credential
from vasari.provenance.layers import Detector
from vasari.provenance.manifest import Consent, Ingredient, ManifestRecord, sign
from vasari.provenance.pictures import EDGE, key_frames, thumbnails
from vasari.provenance.report import render_report, write_report
from vasari.provenance.store import ManifestStore
from vasari.provenance.verdict import verify
from vasari.watermark import reading as watermark_reading


class Page(HTMLParser):
    """Collects what a page holds and checks that its elements are balanced."""

    VOID = frozenset({"meta", "img"})

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[tuple[str, dict]] = []
        self.words = ""
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if self.open[-1:] != ["style"]:
            self.words += data + " "

    @property
    def pictures(self) -> list[Image.Image]:
        sources = [attributes["src"] for tag, attributes in self.tags if tag == "img"]
        assert all(source.startswith("data:image/jpeg;base64,") for source in sources)
        content = [base64.b64decode(source.partition(",")[2]) for source in sources]
        return [Image.open(io.BytesIO(each)) for each in content]


@pytest.fixture(autouse=True)
def in_frames(monkeypatch):
    """Say what watermark the frames of every file carry; none, to begin with."""

    def carries(identifier: int | None) -> None:
        found = identifier and SimpleNamespace(identifier=identifier, p_value=1e-30, intervals=())
        monkeypatch.setattr(watermark_reading, "read_video", lambda path, **options: found)

    carries(None)
    # In this process, where the stand-in is.
    monkeypatch.setattr(worker, "isolated", lambda path, function, *given: function(*given))
    return carries


@pytest.fixture(scope="module")
def video(tmp_path_factory) -> Path:
    return write_video(tmp_path_factory.mktemp("video") / "unsigned.mp4", frames=25)


@pytest.fixture
def signed(video, tmp_path, portrait_file):
    """A signed output, and its manifest."""
    jpeg = io.BytesIO()
    Image.new("RGB", (64, 48), "teal").save(jpeg, "JPEG")
    ingredients = (Ingredient(portrait_file, "portrait", "astronaut.png", "image/png"),)
    record = ManifestRecord("talk.mp4", ingredients, BINDING, thumbnail=jpeg.getvalue())
    path = tmp_path / "talk.mp4"
    return path, sign(video, path, record, Credential.default())


def test_page_tells_and_shows_everything(signed, in_frames):
    in_frames(BINDING.identifier)
    path, _ = signed
    verdict = verify(path)
    text = render_report(verdict)
    page = Page(text)
    for words in (
        "Intact, unknown signer",
        verdict.headline,
        "What does not follow",
        Credential.default().signer_name,
        "portrait: astronaut.png (image/png)",
        verdict.manifest.origins[0].sha256,
        "00c0ffee1234",
        "picture and sound are byte for byte what was signed",
    ):
        assert words in page.words
    sizes = [picture.size for picture in page.pictures]
    assert sizes[:6] == [(96, 96)] * 6  # this clip
    assert sizes[6:] == [(64, 48), (256, 256)]  # as signed, portrait


def test_page_loads_nothing_and_runs_nothing(signed):
    page = Page(render_report(verify(signed[0])))
    tags = {tag for tag, _ in page.tags}
    assert not tags & {"script", "link", "iframe", "object", "base", "form", "a"}
    policies = [each["content"] for tag, each in page.tags if "http-equiv" in each]
    assert policies == ["default-src 'none'; style-src 'unsafe-inline'; img-src data:"]
    assert "http://" not in "".join(str(each) for _, each in page.tags)


def test_markup_in_a_manifest_stays_text(video, tmp_path):
    hostile = "<script>alert('x')</script><img src=x onerror=y>\"'&\u202e"
    record = ManifestRecord(hostile, (Ingredient(b"x", "sound", hostile, "a/<b>"),), BINDING)
    path = tmp_path / "<b>.mp4"
    sign(video, path, record, Credential.default())
    text = render_report(verify(path))
    page = Page(text)
    assert "<script" not in text
    assert "onerror=y>" in page.words
    assert all("onerror" not in attributes for _, attributes in page.tags)
    assert "\u202e" not in text


def test_kept_manifest_beside_the_stripped_clip(signed, video, in_frames):
    in_frames(BINDING.identifier)
    with ManifestStore.default() as store:
        store.add(signed[1])
        page = Page(render_report(verify(video, store=store), store))
    assert "Manifest removed" in page.words
    assert "Kept manifest “talk.mp4”" in page.words
    sizes = [picture.size for picture in page.pictures]
    assert sizes[:12:2] == [(96, 96)] * 6  # this clip
    assert sizes[1:12:2] == [(192, 144)] * 6  # the original's thumbnail
    assert sizes[12:] == [(64, 48), (256, 256)]
    assert "found by the watermark" in page.words


def test_files_without_pictures(speech_file, tmp_path):
    page = Page(render_report(verify(speech_file)))
    assert "No provenance" in page.words
    assert page.pictures == []


def test_kept_manifest_that_the_file_carries_is_told_once(signed, in_frames, capsys):
    in_frames(BINDING.identifier)
    path, manifest = signed
    content = path.read_bytes()
    with ManifestStore.default() as store:
        store.add(manifest, path)
        path.write_bytes(flipped_media(content))
        page = Page(render_report(verify(path, store=store), store))
        assert page.words.count("Declared as") == 1
        assert "the one that the file carries" in page.words
        assert "✘" not in page.words  # it stands in the styles
        assert run(["verify", str(path)]) == 4
        assert capsys.readouterr().out.count("Declared as") == 1
        # A statement that was edited stands beside the one that was kept.
        path.write_bytes(content.replace(b"compositeSynthetic", b"digitalCaptureXXXX"))
        page = Page(render_report(verify(path, store=store), store))
        assert page.words.count("Declared as") == 2


def flipped_media(content: bytes) -> bytes:
    """A file with a byte of its last frame changed."""
    return content[:-20] + bytes([content[-20] ^ 1]) + content[-19:]


def test_broken_file(signed):
    content = signed[0].read_bytes()
    signed[0].write_bytes(content[: len(content) // 2])
    assert "Not to be relied on" in Page(render_report(verify(signed[0]))).words


def test_command_writes_the_page(signed, tmp_path, capsys):
    target = tmp_path / "report.html"
    target.write_text("older")
    assert run(["verify", str(signed[0]), "--report", str(target)]) == 0
    Page(target.read_text())
    assert sorted(path.name for path in tmp_path.iterdir()) == ["report.html", "talk.mp4"]
    assert run(["verify", str(signed[0]), "--report", str(tmp_path / "no" / "r.html")]) == 1
    assert re.match(r"vasari: cannot write .*r\.html: No such file", capsys.readouterr().err)


def test_unwritable_page(signed, tmp_path):
    with pytest.raises(OutputError, match="cannot write"):
        write_report(verify(signed[0]), tmp_path / "no" / "report.html")


def test_thumbnails_and_key_frames_are_small_and_few(signed, portrait_file, speech_file, tmp_path):
    assert thumbnails(signed[0], ["nonsense", ""]) == {}
    assert thumbnails(b"nonsense", ["x"]) == {}
    assert len(key_frames(signed[0], 4)) == 4
    assert key_frames(speech_file, 4) == []
    photo = tmp_path / "photo.jpg"
    Image.open(portrait_file).convert("RGB").save(photo)
    assert len(key_frames(photo, 4)) == 1
    (frame,) = key_frames(portrait_file, 4)
    assert max(Image.open(io.BytesIO(frame)).size) == EDGE


def test_watermark_timeline_and_detector(video, monkeypatch):
    found = SimpleNamespace(
        identifier=BINDING.identifier,
        p_value=1e-30,
        intervals=(SimpleNamespace(start=0.25, end=0.5), SimpleNamespace(start=0.75, end=9.0)),
    )
    monkeypatch.setattr(watermark_reading, "read_video", lambda path, **options: found)
    detector = Detector("generated", 0.93, 0.5, 0.02, 0.1, ((0.0, 0.5),), "")
    verdict = dataclasses.replace(verify(video), detector=detector)
    text = render_report(verdict)
    assert "Plainly seen: 0.2 to 0.5 s, 0.8 to 9.0 s" in Page(text).words
    assert 'style="left:25.00%;width:25.00%"' in text
    assert "convicts no one" in text
    assert "2.0% are called so" in text


def test_detector_that_cannot_say(video):
    detector = Detector("cannot say", None, None, None, None, (), "no face was found")
    verdict = dataclasses.replace(verify(video), detector=detector)
    assert "cannot say: no face was found" in render_report(verdict)


def test_statements_of_the_maker(video, tmp_path):
    record = ManifestRecord(
        "talk.mp4",
        (),
        BINDING,
        author="Grace",
        consent=Consent("Ada", "signed release"),
        models={"articulator.npz": "ab" * 32},
    )
    path = tmp_path / "talk.mp4"
    sign(video, path, record, Credential.default())
    words = Page(render_report(verify(path))).words
    assert "Made by Grace" in words
    assert "Ada agreed, by the maker's account: signed release" in words.replace("&#x27;", "'")
    assert "articulator.npz (SHA-256 abababababababab…)" in words

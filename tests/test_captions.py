"""Captions: cues that can be read, WebVTT, and letters in frames."""

from __future__ import annotations

import re
from itertools import pairwise
from pathlib import Path

import av
import numpy as np
import pytest

from vasari.cli import run
from vasari.errors import OutputError
from vasari.generate import recognition
from vasari.generate.captions import (
    LINE,
    LINES,
    MAX_SECONDS,
    CaptionPainter,
    Cue,
    cues,
    webvtt,
    write_webvtt,
)
from vasari.generate.speech import Word
from vasari.provenance.verdict import verify

TEXT = 'Good morning! My name is "Ada": I weave numbers, don\'t I?'


def timed(text: str, pace: float = 0.3) -> tuple[Word, ...]:
    """The words of a text, one after the other, without punctuation as espeak-ng gives them."""
    words = re.findall(r"[\w']+", text)
    return tuple(Word(word, n * pace, (n + 1) * pace) for n, word in enumerate(words))


def test_typed_text_keeps_its_spelling() -> None:
    shown = cues(timed(TEXT), text=TEXT)
    assert cues(timed("Oh!"), text='"Oh!"')[0].text == '"Oh!"'
    assert [cue.text for cue in shown] == ["Good morning!", TEXT.partition("! ")[2]]
    assert (shown[0].start, shown[1].start) == (0.0, pytest.approx(0.6))


def test_cues_can_be_read_in_their_time() -> None:
    shown = cues(timed("one two three four five six seven eight nine ten " * 6))
    for cue, after in pairwise(shown):
        assert cue.start < cue.end <= after.start
        assert len(cue.text) <= LINES * LINE
        assert cue.end - cue.start <= MAX_SECONDS
    assert " ".join(cue.text for cue in shown).split() == [
        word.text for word in timed("one two three four five six seven eight nine ten " * 6)
    ]


def test_a_pause_parts_cues() -> None:
    first, second = cues((Word("yes", 0, 0.4), Word("no", 2, 2.4)))
    assert (first.text, first.end, second.start) == ("yes", pytest.approx(0.9), 2)


def test_words_that_the_text_does_not_hold_stay_as_they_are() -> None:
    assert cues((Word("twenty", 0, 0.4), Word("apples", 0.4, 1)), text="20 apples")[0].text
    assert cues((), text="…") == ()


def test_webvtt_is_escaped_and_stamped() -> None:
    lines = webvtt([Cue("a < b --> c & d", 3661.5, 3662.0)]).splitlines()
    assert lines == [
        "WEBVTT", "", "01:01:01.500 --> 01:01:02.000", "a &lt; b --&gt; c &amp; d"
    ]  # fmt: skip


def test_lines_are_balanced() -> None:
    _, _, _, *lines = webvtt([Cue("to be or not to be that is the question", 0, 1)]).splitlines()
    assert [len(line) for line in lines] == [18, 20]


def test_an_unwritable_file_is_explained(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match=r"cannot write .*captions\.vtt"):
        write_webvtt([], tmp_path / "none" / "captions.vtt")
    write_webvtt([Cue("hello", 0, 1)], tmp_path / "captions.vtt")
    assert [file.name for file in tmp_path.iterdir()] == ["captions.vtt"]


def test_letters_are_in_the_frame_while_they_are_said() -> None:
    painter = CaptionPainter([Cue("Grüße, Ελλάδα", 1.0, 2.0), Cue("two", 2.0, 3.0)])
    shown = {}
    for seconds in (0.5, 1.0, 1.9, 2.5, 3.0):
        frame = np.full((256, 256, 3), 200, np.uint8)
        painter.paint(frame, seconds)
        shown[seconds] = frame
    assert (shown[0.5] == 200).all()
    assert (shown[3.0] == 200).all()
    np.testing.assert_array_equal(shown[1.0], shown[1.9])
    assert (shown[1.0] != shown[2.5]).any()
    assert shown[1.0].max() == 255
    rows = np.flatnonzero((shown[1.0] != 200).any(axis=(1, 2)))
    assert 0.8 * 256 < rows[0] < rows[-1] < 0.96 * 256
    columns = np.flatnonzero((shown[1.0] != 200).any(axis=(0, 2)))
    assert columns[0] + columns[-1] == pytest.approx(255, abs=1)


def test_captions_of_a_text_are_in_the_picture_and_beside_it(
    portrait_file: Path, tmp_path: Path
) -> None:
    pytest.importorskip("espeakng_loader")
    output = tmp_path / "out.mp4"
    options = ["--text", "Good morning, Ada!", "--size", "256", "--captions", "both"]
    assert run(["generate", str(portrait_file), *options, "-o", str(output)]) == 0
    assert output.with_suffix(".vtt").read_text().splitlines()[-1] == "Good morning, Ada!"
    verdict = verify(output)
    assert verdict.exit_code == 0
    assert verdict.watermark is not None
    with av.open(str(output)) as container:
        pictures = [frame.to_ndarray(format="gray") for frame in container.decode(video=0)]
    box = pictures[10][222:240, 90:166]
    assert np.median(box) < 80
    assert (box > 170).sum() > 60


def test_captions_of_a_sound_need_a_recogniser(
    portrait_file: Path,
    speech_file: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(recognition, "installed", lambda: False)
    files = [str(portrait_file), "--speech", str(speech_file), "-o", str(tmp_path / "out.mp4")]
    assert run(["generate", *files, "--captions", "vtt"]) == 2
    assert "vasari[captions]" in capsys.readouterr().err

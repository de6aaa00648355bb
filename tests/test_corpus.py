"""The benchmark corpus: pairs, splits, equal treatment, going on after a stop."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from vasari.detect import corpus as corpora
from vasari.detect.corpus import GENERATED, REAL, Plan, read_crops, read_manifest, read_people
from vasari.detect.corpus_command import corpus as command
from vasari.detect.crops import open_media
from vasari.detect.encoding import decode, encode
from vasari.detect.leaks import Leak, _forest_auc, metadata
from vasari.errors import InputError


def plan(people: int = 40, **options) -> Plan:
    stills = tuple(Path(f"stills/{index}.jpg") for index in range(people))
    videos = tuple(Path(f"videos/{index}.mp4") for index in range(100, 110))
    return Plan(stills, (Path("a.wav"),), videos, **options)


def test_people_are_in_one_split_and_sources_in_all():
    origins = plan(people=40).origins()
    splits = {}
    for origin in origins:
        splits.setdefault(origin.person, set()).add(origin.split)
    assert all(len(found) == 1 for found in splits.values())
    counts = [sum(o.split == s and o.still for o in origins) for s in corpora.SPLITS]
    assert counts == [22, 9, 9]


def test_one_person_in_two_sources():
    people = {"3.jpg": ("ada", "stills"), "105.mp4": ("ada", "videos")}
    origins = Plan(
        tuple(Path(f"stills/{index}.jpg") for index in range(10)),
        (Path("a.wav"),),
        (Path("videos/105.mp4"),),
        people=people,
        test_sources=("videos",),
    ).origins()
    assert {origin.split for origin in origins if origin.person == "ada"} == {"test"}


def test_a_limit_keeps_the_videos():
    origins = plan(limit=25).origins()
    assert [origin.still for origin in origins] == [False] * 20 + [True] * 5
    assert origins == plan().origins()[:25]


def test_people_of_a_table(tmp_path):
    table = tmp_path / "people.csv"
    table.write_text("file,person,source\nclips/a.mp4,ada,lab\n")
    assert read_people(table) == {"a.mp4": ("ada", "lab")}
    table.write_text("file,person\na.mp4,ada\n")
    with pytest.raises(InputError, match="source"):
        read_people(table)


@pytest.fixture(scope="module")
def built(tmp_path_factory, portrait_file, speech_file):
    """A corpus of one pair."""
    folder = tmp_path_factory.mktemp("corpus")
    small = Plan((portrait_file,), (speech_file,), (), seconds=0.8)
    assert corpora.build(small, folder) == []
    return folder, small


def test_a_pair_shares_all_but_the_face(built):
    folder, _ = built
    real, generated = read_manifest(folder)
    assert (real.label, generated.label) == (REAL, GENERATED)
    same = ("person", "source", "pair", "kind", "split", "width", "height", "fps", "preset")
    assert [getattr(real, name) for name in same] == [getattr(generated, name) for name in same]
    assert real.frames == generated.frames == round(0.8 * real.fps)
    assert generated.bit_rate == pytest.approx(real.bit_rate, rel=0.03)
    assert real.settings == "{}"
    assert "seed" in json.loads(generated.settings)
    media = [open_media(folder / clip.clip) for clip in (real, generated)]
    assert [each.rate for each in media] == [real.fps] * 2
    crops = [read_crops(folder, clip) for clip in (real, generated)]
    assert [crop.shape for crop in crops[0]] == [(160, 160, 3)] * 8
    assert 0.5 < np.abs(np.int16(crops[0]) - crops[1]).mean() < 40


def test_no_clip_of_a_pair_is_worse_than_the_quality_drawn(built, tmp_path, monkeypatch):
    """The cheaper one is encoded again, into the bytes of the dearer one."""
    _, small = built
    drawn, asked = [], []
    plain, to_size = corpora.encode, corpora.encode_to_size

    def encode(*given):
        clip = plain(*given)
        drawn.append(len(clip))
        return clip

    def encode_to_size(planes, encoding, fps, size):
        asked.append(size)
        return to_size(planes, encoding, fps, size)

    monkeypatch.setattr(corpora, "encode", encode)
    monkeypatch.setattr(corpora, "encode_to_size", encode_to_size)
    assert corpora.build(small, tmp_path) == []
    assert len(drawn) == 2
    assert asked == [max(drawn)]
    sizes = [(tmp_path / clip.clip).stat().st_size for clip in read_manifest(tmp_path)]
    assert max(drawn) in sizes
    assert min(sizes) >= 0.97 * max(drawn)


def test_both_clips_of_a_pair_have_the_same_surroundings(built):
    folder, _ = built
    real, generated = (
        np.stack(list(decode((folder / clip.clip).read_bytes()))).astype(int)
        for clip in read_manifest(folder)
    )
    rim = max(round(0.04 * real.shape[1]), 1)
    differences = np.abs(real - generated).mean(axis=(0, 3))
    strips = max(differences[:rim].mean(), differences[:, -rim:].mean())
    assert strips < 0.2 * differences[rim:-rim, rim:-rim].max()


def test_what_is_generated_is_marked(astronaut):
    frames = [planes.copy() for planes in corpora.marked([astronaut.image] * 2, GENERATED, 512)]
    plain = [planes.copy() for planes in corpora.marked([astronaut.image] * 2, REAL, 512)]
    assert not np.array_equal(frames[0], plain[0])
    change = np.abs(frames[0][:512].astype(int) - plain[0][:512])
    assert 0.5 < change.mean() < 5


def test_a_second_run_makes_nothing_new(built):
    folder, small = built
    before = {path: path.stat().st_mtime_ns for path in (folder / "clips").iterdir()}
    assert corpora.build(small, folder) == []
    assert {path: path.stat().st_mtime_ns for path in (folder / "clips").iterdir()} == before


def test_what_cannot_be_made_is_named(tmp_path, speech_file):
    from PIL import Image

    Image.new("RGB", (200, 200)).save(tmp_path / "black.png")
    failures = corpora.build(Plan((tmp_path / "black.png",), (speech_file,), ()), tmp_path / "out")
    assert len(failures) == 1
    assert "no face" in failures[0]
    assert read_manifest(tmp_path / "out") == []


def test_a_leak_in_the_metadata(built):
    folder, _ = built
    real, generated = read_manifest(folder)

    def clips(leaking: bool):
        from dataclasses import replace

        for index in range(60):
            for clip in (real, generated):
                rate = 1000 + 20 * index + (5000 if leaking and clip is generated else 0)
                yield replace(clip, person=str(index), bit_rate=rate)

    assert Leak("metadata", _forest_auc(list(clips(True)), metadata)).fails
    assert not Leak("metadata", _forest_auc(list(clips(False)), metadata)).fails


def test_the_command_needs_inputs(tmp_path):
    names = ["--portraits", "--speech", "--real"]
    arguments = [part for name in names for part in (name, str(tmp_path))]
    result = CliRunner().invoke(command, ["build", *arguments, "-o", str(tmp_path / "out")])
    assert isinstance(result.exception, InputError)
    assert "holds no file" in str(result.exception)


def test_a_first_picture_that_moves_as_its_video_does(astronaut_renderer, speech_file, tmp_path):
    """Half of the videos are driven by themselves: where the head was, it is again."""
    from vasari.detect.encoding import Encoding
    from vasari.generate.colour import to_i420
    from vasari.generate.perform import track_meshes
    from vasari.generate.render import Pose

    def turned(angle: float):
        rotation = np.array([angle, 0, 0], np.float32)
        pose = Pose(np.zeros(52, np.float32), rotation, np.zeros(3, np.float32), np.zeros(2))
        return astronaut_renderer.frame(pose)

    frames = [turned(10 * np.sin(k / 5)) for k in range(40)]
    video = tmp_path / "turning.mp4"
    video.write_bytes(encode(map(to_i420, frames), Encoding(512, 512, 18), 25.0))
    pair = pair_of(Plan((), (speech_file,), (video,), seconds=1.4), own_motion=True)
    shown = list(pair.rendered())
    assert len(shown) == len(pair.natural) == pair.count
    noses = [
        np.array([mesh[1, 0] - mesh[[234, 454], 0].mean() for mesh in track_meshes(each)])
        for each in (pair.natural, shown)
    ]
    assert np.corrcoef(*noses)[0, 1] > 0.9


def test_qualities_and_sizes_lie_between_what_was_asked():
    plan = Plan((), (), (), crf=(20, 22), smallest=300)
    random = np.random.default_rng(0)
    drawn = [corpora._encoding(plan, size, random) for size in (256, 512) for _ in range(40)]
    assert {each.crf for each in drawn} == {20, 21, 22}
    assert {each.width for each in drawn} == {300, 384, 512}
    odd = corpora._encoding(Plan((), (), (), smallest=301), 256, random)
    assert odd.width % 2 == odd.height % 2 == 0


def test_qualities_in_the_wrong_order(tmp_path):
    names = ["--portraits", "--speech", "--real", "-o"]
    arguments = [part for name in names for part in (name, str(tmp_path))]
    result = CliRunner().invoke(command, ["build", *arguments, "--crf", "30", "20"])
    assert isinstance(result.exception, InputError)
    assert "the lower, first" in str(result.exception)


def pair_of(plan: Plan, *, own_motion: bool) -> corpora.Pair:
    """The first pair of a plan that moves as asked."""
    for seed in range(20):
        pair = corpora.Pair.draw(plan.origins()[0], plan, np.random.default_rng(seed))
        if pair.own_motion == own_motion:
            return pair
    raise AssertionError

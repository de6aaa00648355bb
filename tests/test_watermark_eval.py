import json
import re

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image
from skimage.data import astronaut

from vasari.eval import watermark
from vasari.eval.watermark_attacks import ATTACKS
from vasari.eval.watermark_clips import decoded, load
from vasari.eval.watermark_negatives import cosine_bound

SHORT = 0.4  # seconds


@pytest.fixture(scope="module")
def still(tmp_path_factory):
    path = tmp_path_factory.mktemp("still") / "portrait.png"
    Image.fromarray(astronaut()[::2, ::2]).save(path)
    return path


def test_robustness_is_printed_with_what_the_mark_costs(still, tmp_path, monkeypatch):
    monkeypatch.setattr(watermark, "SECONDS", SHORT)
    monkeypatch.setattr(
        watermark, "load", lambda path, seconds, voice: load(path, min(seconds, SHORT))
    )
    results = tmp_path / "results.jsonl"
    arguments = ["robustness", str(still), "--attack", "H.264 CRF 18", "--results", str(results)]
    result = CliRunner().invoke(watermark.watermark, [*arguments, "--attack", "cost"])
    assert result.exit_code == 0, result.output
    assert "| H.264 CRF 18 | 1/1 (21%-100%)" in result.output
    # Of ten frames the first three bear more; how much depends on the identifier that was drawn.
    assert re.search(r"^\| PSNR, dB \| (3[89]|4[0-6])\.\d ", result.output, re.MULTILINE)
    lines = results.read_text().splitlines()
    assert [json.loads(line)["attack"] for line in lines] == ["H.264 CRF 18", "cost"]
    assert CliRunner().invoke(watermark.watermark, arguments).exit_code == 0
    assert results.read_text().splitlines() == lines  # what is known is not measured again


def test_unknown_attacks_are_refused(still):
    result = CliRunner().invoke(watermark.watermark, ["robustness", str(still), "--attack", "x"])
    assert result.exit_code == 2
    assert "H.264 CRF 18" in result.output


def test_negatives_are_counted_and_plotted(still, tmp_path):
    plot = tmp_path / "scores.png"
    arguments = ["negatives", str(still), "--keys", "3", "--crops", "2", "--plot", str(plot)]
    result = CliRunner().invoke(watermark.watermark, arguments)
    assert result.exit_code == 0, result.output
    assert "6 trials: 0 false reads" in result.output
    with Image.open(plot) as picture:
        assert picture.width > 500


def test_bound_of_cosines_is_a_chance():
    bound = cosine_bound(np.array([0.0, 0.8, 0.9]))
    assert bound[0] == 1
    assert bound[1] == pytest.approx(2.0**47 * 0.36**63)
    assert bound[2] < bound[1]


@pytest.mark.parametrize("name", ATTACKS)
def test_every_attack_gives_frames_that_can_be_encoded(name):
    rng = np.random.default_rng(0)
    clip = [rng.integers(16, 236, (128, 160, 3), dtype=np.uint8) for _ in range(6)]
    frames = decoded(watermark.attacked(ATTACKS[name], clip))
    assert len(frames) >= 3
    assert frames[0].shape[2] == 3


def test_wilson_interval_of_a_textbook():
    """Newcombe 1998, table I: 81 of 263, and none of 20."""
    assert watermark.interval(81, 263) == pytest.approx((0.2553, 0.3662), abs=1e-4)
    assert watermark.interval(0, 20) == pytest.approx((0, 0.1611), abs=1e-4)

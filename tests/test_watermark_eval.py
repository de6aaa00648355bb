import re

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image
from skimage.data import astronaut

from vasari.eval import watermark


@pytest.fixture(scope="module")
def still(tmp_path_factory):
    path = tmp_path_factory.mktemp("still") / "portrait.png"
    Image.fromarray(astronaut()[::2, ::2]).save(path)
    return str(path)


def test_robustness_is_printed_with_what_the_mark_costs(still):
    arguments = ["robustness", still, "--seconds", "0.4", "--attack", "H.264 CRF 18"]
    result = CliRunner().invoke(watermark.watermark, arguments)
    assert result.exit_code == 0
    assert "H.264 CRF 18                   1/1" in result.output
    assert re.search(r"^PSNR, dB +44\.[01] ", result.output, re.MULTILINE)


def test_negatives_are_counted(still):
    arguments = ["negatives", still, "--seconds", "0.4", "--keys", "3"]
    result = CliRunner().invoke(watermark.watermark, arguments)
    assert result.exit_code == 0
    assert "3 trials: 0 false reads" in result.output


@pytest.mark.parametrize("name", watermark.ATTACKS)
def test_every_attack_gives_frames_that_can_be_encoded(name):
    change, codec, crf = watermark.ATTACKS[name]
    rng = np.random.default_rng(0)
    clip = [rng.integers(16, 236, (128, 160), dtype=np.uint8) for _ in range(6)]
    frames = watermark.decoded(watermark.encoded(change(clip), crf, codec))
    assert len(frames) >= 3
    assert frames[0].dtype == np.uint8


def test_wilson_interval_of_a_textbook():
    """Newcombe 1998, table I: 81 of 263, and none of 20."""
    assert watermark.interval(81, 263) == pytest.approx((0.2553, 0.3662), abs=1e-4)
    assert watermark.interval(0, 20) == pytest.approx((0, 0.1611), abs=1e-4)

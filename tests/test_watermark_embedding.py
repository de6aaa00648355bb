import numpy as np
import pytest
from skimage.color import rgb2gray
from skimage.data import astronaut

from vasari.errors import WatermarkError
from vasari.watermark.embedding import PERIOD, PSNR, ROUNDS, Embedder, _Strength, _Tuned
from vasari.watermark.masking import LEAST_POWER, MOST_LIFT, Mask
from vasari.watermark.pattern import Pattern, filtered, spread
from vasari.watermark.reading import read_frames


@pytest.fixture(scope="module")
def portrait():
    return (16 + 219 * rgb2gray(astronaut())).astype(np.uint8)


def marked(luma, identifier=0xC0FFEE, **options):
    frame = luma.copy()
    Embedder(identifier, *luma.shape, **options).mark(frame)
    return frame


def psnr(frame, reference):
    error = frame.astype(np.float64) - reference
    return 10 * np.log10(255**2 / np.mean(error**2))


def test_mark_has_the_target_psnr(portrait):
    assert psnr(marked(portrait), portrait) == pytest.approx(PSNR, abs=0.1)
    assert psnr(marked(portrait, psnr=40.0), portrait) == pytest.approx(40, abs=0.1)


def test_mark_is_the_same_every_time(portrait):
    np.testing.assert_array_equal(marked(portrait), marked(portrait))


def test_mark_depends_on_identifier_and_key(portrait):
    plain = marked(portrait)
    assert (plain != marked(portrait, identifier=0xC0FFEF)).any()
    assert (plain != marked(portrait, key=b"mine")).any()


def test_top_of_an_i420_array_is_marked_in_place(portrait):
    padded = np.full((768, 600), 128, np.uint8)
    padded[:512, :512] = portrait
    Embedder(0xC0FFEE, 512, 512).mark(padded[:512, :512])
    np.testing.assert_array_equal(padded[:512, :512], marked(portrait))
    assert (padded[512:] == 128).all()
    assert (padded[:, 512:] == 128).all()


@pytest.mark.parametrize("shape", [(96, 96), (270, 480), (640, 361), (1080, 1920)])
def test_other_sizes_are_marked(shape):
    gradient = np.linspace(40, 200, shape[1], dtype=np.float32)
    luma = np.broadcast_to(gradient, shape).astype(np.uint8)
    assert psnr(marked(luma), luma) == pytest.approx(PSNR, abs=0.5)


def test_black_and_white_stay_in_range():
    for level in (0, 255):
        luma = np.full((128, 128), level, np.uint8)
        assert np.abs(marked(luma).astype(int) - level).max() < 16


def test_texture_carries_more_of_the_mark_than_flat_areas():
    rng = np.random.default_rng(0)
    luma = np.full((256, 512), 128, np.uint8)
    luma[:, 256:] = rng.integers(100, 156, (256, 256))
    change = np.abs(marked(luma).astype(int) - luma)
    assert change[:, 300:].mean() > 1.2 * change[:, :200].mean()


def test_dark_parts_carry_more_and_skin_less():
    luma = np.full((256, 256), 127, np.uint8)
    luma[:, 128:] = 30
    amplitude = renewed(luma).amplitude
    assert amplitude[:, 40:].mean() > 1.1 * amplitude[:, :24].mean()
    shares = renewed(luma, skin_on_the_left()).amplitude / amplitude
    assert shares[:, :24].mean() < 0.95 * shares[:, 40:].mean()


def test_what_moves_carries_less_and_is_remembered():
    rng = np.random.default_rng(0)
    luma = rng.integers(100, 110, (256, 256)).astype(np.uint8)
    mask = renewed(luma)
    still = mask.amplitude.copy()
    luma[:, :128] += 10
    mask.renew(luma, None)
    assert mask.amplitude[:, :24].mean() < 0.6 * still[:, :24].mean()
    np.testing.assert_array_equal(mask.amplitude[:, 40:], still[:, 40:])
    for _ in range(10):
        mask.renew(luma, None)
    assert mask.amplitude[:, :24].mean() < 0.9 * still[:, :24].mean()


def test_where_everything_moves_the_mark_keeps_its_least_power():
    rng = np.random.default_rng(0)
    luma = rng.integers(100, 110, (256, 256)).astype(np.uint8)
    mask = renewed(luma)
    mask.renew(luma + 10, None)
    assert np.mean(mask.amplitude**2) == pytest.approx(LEAST_POWER * 4.0, rel=0.1)


def test_what_skin_will_save_is_given_to_the_rest():
    luma = np.full((256, 256), 127, np.uint8)
    plain, spared = renewed(luma), renewed(luma, skin_on_the_left())
    rise = spared.amplitude[:, 40:].mean() / plain.amplitude[:, 40:].mean()
    assert rise == pytest.approx(MOST_LIFT / plain._lift, rel=0.05)


def test_who_stands_still_has_the_target_psnr_after_the_first_frames():
    luma = np.random.default_rng(0).integers(100, 110, (256, 256)).astype(np.uint8)
    mask = renewed(luma, skin_in_the_middle())
    assert np.mean(mask.amplitude**2) > 1.2 * 4.0
    mask.renew(luma, skin_in_the_middle())
    assert np.mean(mask.amplitude**2) == pytest.approx(4.0, rel=0.15)


def test_a_middle_that_hides_the_bits_is_marked_more_strongly():
    rng = np.random.default_rng(0)
    flat = rng.integers(125, 131, (512, 512)).astype(np.uint8)
    hair = flat.copy()
    hair[100:412, 100:412] = rng.integers(0, 256, (312, 312))
    middle, border = np.s_[150:360, 150:360], np.s_[:60]
    shares = []
    for luma in (flat, hair):
        change = marked(luma).astype(float) - luma
        shares.append(change[middle].std() / change[border].std())
    assert shares[1] > 1.5 * shares[0]


def renewed(luma, chroma=None):
    mask = Mask(*luma.shape, power=4.0 + 1 / 12)
    mask.renew(luma, chroma)
    return mask


def skin_in_the_middle():
    chroma = np.full((2, 128, 128), 128, np.uint8)
    chroma[:, 40:88, 40:88] = np.array([110, 150])[:, None, None]
    return chroma


def skin_on_the_left():
    chroma = np.full((2, 128, 128), 128, np.uint8)
    chroma[:, :, :64] = np.array([110, 150])[:, None, None]
    return chroma


def test_what_stays_the_same_is_marked_the_same(portrait):
    embedder = Embedder(0xC0FFEE, *portrait.shape)
    frames = [portrait.copy() for _ in range(5)]
    rng = np.random.default_rng(0)
    for frame in frames:
        frame[200:300, 200:300] = rng.integers(0, 255, (100, 100))
        embedder.mark(frame)
    for frame in frames[1:]:
        np.testing.assert_array_equal(frame[400:], frames[0][400:])


def test_no_frame_waits_for_the_next_pattern(portrait, monkeypatch):
    """But for the first, each is read back twice at most, and the pattern changes with a period."""
    embedder = Embedder(0xC0FFEE, *portrait.shape)
    looks, patterns = [], []
    received = embedder._received
    monkeypatch.setattr(embedder, "_received", lambda *seen: looks.append(1) or received(*seen))
    for _ in range(PERIOD + 1):
        before = len(looks)
        embedder.mark(portrait.copy())
        patterns.append((len(looks) - before, embedder._spread))
    counts = [count for count, _ in patterns]
    assert counts[0] == 2 * ROUNDS + 1
    assert max(counts[1:]) == 2
    assert sum(counts[1:]) == counts[0]
    assert all(pattern is patterns[0][1] for _, pattern in patterns[:PERIOD])
    assert patterns[PERIOD][1] is not patterns[0][1]


def test_bits_that_the_picture_hides_are_made_stronger(portrait):
    """Read back from one frame, the tuned mark is closer to its payload than one of even bits."""
    tuned = read_frames([marked(portrait)], transformed=False)
    even = Embedder(0xC0FFEE, *portrait.shape)
    polarity = float(even._pattern.polarity[0])
    even._tune = lambda luma, period: iter(
        [_Tuned(even._stress(luma), even._spread_over(_Strength(), _Strength(), polarity))]
    )
    frame = portrait.copy()
    even.mark(frame)
    plain = read_frames([frame], transformed=False)
    assert plain is None or tuned.p_value < plain.p_value / 1e3


def test_average_over_frames_shows_no_pattern(portrait):
    frames = 200
    embedder = Embedder(0xC0FFEE, *portrait.shape)
    total = np.zeros(portrait.shape)
    for _ in range(frames):
        frame = portrait.copy()
        embedder.mark(frame)
        total += frame
    residue = total / frames - portrait
    # What is left is how the two polarities were tuned, and rounding.
    assert np.std(residue) < 0.45 * np.std(marked(portrait).astype(float) - portrait)


@pytest.mark.parametrize(
    ("luma", "complaint"),
    [
        (np.zeros((128, 130), np.uint8), r"\(128, 128\) uint8 is expected"),
        (np.zeros((128, 128), np.float32), "float32"),
    ],
)
def test_another_plane_than_announced_is_refused(luma, complaint):
    with pytest.raises(WatermarkError, match=complaint):
        Embedder(1, 128, 128).mark(luma)


def test_frames_without_room_are_refused():
    with pytest.raises(WatermarkError, match="96 on each side"):
        Embedder(1, 95, 400)


def test_pattern_of_a_key_is_fixed():
    """Readers of later versions must find what this one embeds."""
    pattern = Pattern.from_key(b"fixed")
    assert pattern.bits[0, :8].tolist() == [17, 105, 120, 0, 112, 43, 113, 47]
    assert pattern.signs[0, :8].tolist() == [-1, 1, -1, 1, 1, -1, 1, -1]
    assert pattern.sync[0, :8].tolist() == [-1, 1, 1, 1, 1, -1, -1, 1]


def test_every_bit_has_its_share_of_the_chips():
    counts = np.bincount(Pattern.from_key(b"any").bits.ravel(), minlength=127)
    assert counts.min() == 18
    assert counts.max() == 19


def test_patterns_of_two_keys_are_unlike():
    tiles = [filtered(Pattern.from_key(key).sync) for key in (b"one", b"two")]
    assert abs(np.corrcoef(tiles[0].ravel(), tiles[1].ravel())[0, 1]) < 0.1


def test_spread_pattern_repeats_with_its_tile():
    tile = np.random.default_rng(0).normal(size=(48, 48))
    picture = spread(tile, 192, 288, 2.0)
    np.testing.assert_allclose(picture[:96, :96], picture[96:, 192:], atol=1e-5)


def test_one_pixel_per_chip_gives_the_chips_themselves():
    tile = np.random.default_rng(0).normal(size=(48, 48))
    np.testing.assert_allclose(spread(tile, 48, 48, 1.0), tile, atol=1e-6)

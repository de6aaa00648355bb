"""The motion made from a voice: frame count, lips, blinks, gaze, head, emotions, determinism."""

from __future__ import annotations

import itertools
import tracemalloc

import numpy as np
import pytest

from vasari.errors import ControlsError
from vasari.generate.animator import CHUNK, animate, frame_total
from vasari.generate.blinking import SHIFT, Blinks
from vasari.generate.channels import CHANNELS
from vasari.generate.controls import EMOTIONS, Controls, Keyframe
from vasari.generate.fixation import Fixations
from vasari.generate.motion import ARKIT_INDEX, PORTRAIT_DISTANCE_CM, Motion
from vasari.generate.spectrum import RATE
from vasari.generate.speech import Speech

JAW = ARKIT_INDEX["jawOpen"]
BLINKS = [ARKIT_INDEX["eyeBlinkLeft"], ARKIT_INDEX["eyeBlinkRight"]]


def vowel(seconds: float, formants: tuple[float, ...] = (700, 1150, 2600)) -> np.ndarray:
    """A voice of 120 Hz that says one vowel: harmonics weighted by formant resonances."""
    time = np.arange(round(seconds * RATE)) / RATE
    harmonics = np.arange(120, 4000, 120)
    gains = sum(1 / (1 + ((harmonics - formant) / 60) ** 2) for formant in formants)
    sound = (gains / harmonics**0.5) @ np.cos(2 * np.pi * np.outer(harmonics, time))
    edges = np.clip(np.minimum(time, seconds - time) / 0.02, 0, 1)
    return (0.3 * edges * sound / np.abs(sound).max()).astype(np.float32)


def silence(seconds: float) -> np.ndarray:
    return np.zeros(round(seconds * RATE), np.float32)


def syllables(count: int) -> np.ndarray:
    """Vowels of 0.2 s with as much silence between, after a second of silence."""
    return np.concatenate([silence(1), *[vowel(0.2), silence(0.2)] * count, silence(1)])


def voice(samples: np.ndarray) -> Speech:
    noise = np.random.default_rng(0).normal(0, 1e-4, len(samples))
    return Speech.from_samples(samples + noise, RATE)


def motion_of(samples: np.ndarray, fps: float = 25.0, **controls: object) -> Motion:
    return Motion.concatenate(animate(voice(samples), Controls(**controls), fps))


@pytest.fixture(scope="module")
def talk() -> np.ndarray:
    """Eleven seconds of babble."""
    rng = np.random.default_rng(4)
    places = [(700, 1150, 2600), (300, 2200, 2900), (350, 800, 2400), (550, 1800, 2500)]
    parts = [silence(0.5)]
    while sum(map(len, parts)) < 10.5 * RATE:
        parts += [vowel(rng.uniform(0.08, 0.25), places[rng.integers(4)])]
        parts += [silence(rng.uniform(0.02, 0.15))]
    return np.concatenate([*parts, silence(0.5)])[: 11 * RATE]


@pytest.fixture(scope="module")
def quiet() -> Motion:
    """Forty seconds of a portrait that says nothing."""
    speech = Speech.from_samples(silence(40), RATE)
    return Motion.concatenate(animate(speech, Controls(seed=5), 25.0))


@pytest.mark.parametrize("fps", [24.0, 25.0, 29.97, 30.0, 60.0])
@pytest.mark.parametrize("seconds", [0.001, 0.04, 1.0, 2.0, 3.999, 4.0, 4.001, 7.3])
def test_frame_count(fps, seconds):
    speech = Speech.from_samples(silence(seconds), RATE)
    parts = list(animate(speech, Controls(), fps))
    assert sum(map(len, parts)) == frame_total(speech.duration, fps)
    assert max(map(len, parts)) <= np.ceil(CHUNK * fps) + 1
    assert {part.fps for part in parts} == {fps}


def test_frame_total_is_the_ceiling():
    assert [frame_total(x, 25.0) for x in (0.0, 0.04, 0.0401, 2.0, 2.00005)] == [1, 1, 2, 50, 51]


@pytest.mark.parametrize("fps", [0.0, 5.0, 1000.0, float("nan")])
def test_frame_rates_out_of_range(fps):
    with pytest.raises(ControlsError, match="frame rate"):
        animate(voice(vowel(1)), Controls(), fps)


def test_a_network_of_your_own_moves_the_head():
    class Still:
        channel_scale = np.ones(len(CHANNELS), np.float32)

        def __call__(self, noisy, level, conditions):
            return np.zeros_like(noisy)

    still = Motion.concatenate(animate(voice(vowel(1)), Controls(), 25.0, network=Still()))
    assert np.ptp(still.rotation, axis=0).max() < 0.1
    assert np.ptp(motion_of(vowel(1)).rotation, axis=0).max() > 0.5


def test_the_same_seed_gives_the_same_motion(talk):
    first, second, other = (motion_of(talk, seed=seed) for seed in (3, 3, 4))
    for field in ("expression", "rotation", "translation", "gaze"):
        assert np.array_equal(getattr(first, field), getattr(second, field))
    assert not np.allclose(first.rotation, other.rotation)
    assert np.allclose(first.expression[:, JAW], other.expression[:, JAW])


def test_motion_does_not_depend_on_the_blocks_of_the_sound(talk, monkeypatch):
    expected = motion_of(talk)
    blocks = Speech.blocks
    monkeypatch.setattr(Speech, "blocks", lambda self, *, seconds: blocks(self, seconds=0.313))
    got = motion_of(talk)
    for field in ("expression", "rotation", "translation", "gaze"):
        assert np.allclose(getattr(got, field), getattr(expected, field), atol=1e-5)


def test_weights_are_weights_and_nothing_jumps(talk):
    motion = motion_of(talk, fps=60.0, emotion={"happy": 1.0, "surprised": 1.0})
    assert motion.expression.min() >= 0
    assert motion.expression.max() <= 1
    eyes = [index for name, index in ARKIT_INDEX.items() if name.startswith("eye")]
    steps = np.abs(np.diff(np.delete(motion.expression, eyes, axis=1), axis=0))
    assert steps.max() < 0.28  # the jaw, as lips meet
    assert np.abs(np.diff(motion.rotation, axis=0)).max() < 2.5  # as fast as people's heads
    assert np.abs(np.diff(motion.translation, axis=0)).max() < 0.2


def test_starts_as_the_portrait(talk):
    motion = motion_of(talk, emotion={"happy": 1.0})
    for field in ("expression", "rotation", "translation", "gaze"):
        assert np.abs(getattr(motion, field)[0]).max() < 0.02


def test_vowels_open_and_silence_closes():
    jaw = motion_of(np.concatenate([silence(1), vowel(1), silence(1)])).expression[:, JAW]
    assert 0.15 < jaw[30:45].mean() < 0.7
    assert jaw[:14].max() < 1e-3
    assert jaw[:24].max() < 0.8 * jaw[30:45].mean()  # lips that prepare to speak
    assert jaw[55:].max() < 1e-3


def test_lips_do_not_lag_the_sound():
    fps, samples = 100.0, syllables(12)
    jaw = motion_of(samples, fps=fps).expression[:, JAW]
    envelope = np.abs(samples)[:: RATE // 100][: len(jaw)] > 0.01
    lags = np.arange(-20, 21)
    fits = [np.corrcoef(np.roll(envelope, lag), jaw)[0, 1] for lag in lags]
    assert max(fits) > 0.6
    assert abs(lags[np.argmax(fits)]) <= 4  # hundredths of a second


def test_rounded_and_spread_vowels_differ():
    rounded = motion_of(np.concatenate([silence(0.5), vowel(1, (320, 700, 2300)), silence(0.5)]))
    spread = motion_of(np.concatenate([silence(0.5), vowel(1, (300, 2300, 3000)), silence(0.5)]))
    pucker, stretch = ARKIT_INDEX["mouthPucker"], ARKIT_INDEX["mouthStretchLeft"]
    puckered = [motion.expression[20:30, pucker].mean() for motion in (rounded, spread)]
    assert puckered[0] > 2 * puckered[1]
    assert spread.expression[20:30, stretch].mean() > rounded.expression[20:30, stretch].mean()


def test_loudness_of_the_recording_does_not_matter(talk):
    loud = Speech.from_samples(talk, RATE)
    soft = Speech.from_samples(0.03 * talk, RATE)
    jaws = [
        Motion.concatenate(animate(speech, Controls(), 25.0)).expression[:, JAW]
        for speech in (loud, soft)
    ]
    assert jaws[0] == pytest.approx(jaws[1], abs=0.1)


def test_silence_is_quiet_breathing_and_blinking(quiet):
    assert quiet.expression[:, JAW].max() == 0
    assert 0.2 < quiet.rotation.std(axis=0).mean() < 2.5
    assert (quiet.expression[:, BLINKS].max(axis=1) > 0.8).any()
    rise = np.abs(np.fft.rfft(quiet.translation[:, 1] - quiet.translation[:, 1].mean()))
    breaths = np.fft.rfftfreq(len(quiet), 1 / 25)
    assert rise[(breaths > 0.15) & (breaths < 0.4)].max() > 0.1 * rise.max()


def lids(seconds: float, fps: float, rate: float, seed: int = 0) -> np.ndarray:
    """Closure of both lids, (T, 2), made in pieces as the animator does."""
    blinks = Blinks(rate, seed, Fixations(seed))
    times = np.arange(round(seconds * fps)) / fps
    return np.concatenate(
        [blinks.closure(part) for part in np.array_split(times, len(times) // 40)]
    )


@pytest.mark.parametrize("rate", [8, 20, 45])
def test_blinks_are_spontaneous(rate):
    closure = lids(1200, 25.0, rate)
    closed = closure[:, 0] > 0.5
    starts = np.flatnonzero(closed[1:] & ~closed[:-1]) / 25
    assert len(starts) / 20 == pytest.approx(rate, rel=0.2)
    intervals = np.diff(starts)
    assert intervals.min() > 0.3
    assert intervals.std() > 0.35 * intervals.mean()  # a metronome has none
    assert np.abs(closure[:, 0] - closure[:, 1]).max() < 0.1


def test_a_blink_closes_faster_than_it_opens():
    lid = lids(120, 120.0, 18.0)[:, 0]
    closing, opening = np.sum(np.diff(lid) > 1e-4), np.sum(np.diff(lid) < -1e-4)
    blinks = np.sum((lid[1:] > 0.5) & (lid[:-1] <= 0.5))
    assert closing < 0.75 * opening
    assert 0.15 < (lid > 0.02).sum() / 120 / blinks < 0.3
    assert lid.max() > 0.9


def test_blinks_go_with_large_shifts_of_gaze():
    fixations = Fixations(0)
    blinks = Blinks(10.0, 0, fixations)
    looks = list(fixations.until(1000.0))
    shifts = [
        after.start
        for before, after in itertools.pairwise(looks)
        if np.hypot(after.yaw - before.yaw, after.pitch - before.pitch) > SHIFT
    ]
    lid = blinks.closure(np.arange(25_000) / 25)[:, 0]
    during = np.mean(
        [
            lid[round(25 * start) + 1 : round(25 * start) + 6].max() > 0.5
            for start in shifts
            if start < 999
        ]
    )
    assert len(shifts) > 20
    assert during > 2.5 * np.mean(np.lib.stride_tricks.sliding_window_view(lid, 5).max(1) > 0.5)


def test_no_blinks_at_rate_zero(talk):
    assert motion_of(talk, blink_rate=0.0).expression[:, BLINKS].max() == 0


def test_eyes_hold_their_aim_while_the_head_turns(quiet):
    aim = quiet.gaze + quiet.rotation[:, :2]
    assert np.abs(np.median(aim, axis=0)).max() < 0.5
    assert 0.5 < aim[:, 0].std() < 3
    assert np.corrcoef(quiet.gaze[:, 0], quiet.rotation[:, 0])[0, 1] < -0.3


def test_gaze_control_and_lids(talk):
    motion = motion_of(talk, gaze=(20.0, -10.0), head_motion=0.0)
    assert motion.gaze.mean(axis=0) == pytest.approx([20, -10], abs=1.5)
    weights = motion.expression.mean(axis=0)
    # The viewer's right is the person's left.
    assert weights[ARKIT_INDEX["eyeLookOutLeft"]] > 0.4
    assert weights[ARKIT_INDEX["eyeLookInRight"]] > 0.4
    assert weights[ARKIT_INDEX["eyeLookDownLeft"]] > 0.2
    assert weights[ARKIT_INDEX["eyeLookInLeft"]] < 0.05


def test_head_motion_gain_and_distance(talk):
    still = motion_of(talk, head_motion=0.0, distance=0.8)
    assert not still.rotation.any()
    assert still.translation == pytest.approx(
        np.tile([0, 0, 0.2 * PORTRAIT_DISTANCE_CM], (len(still), 1)), abs=1e-5
    )
    single, double = (motion_of(talk, head_motion=gain) for gain in (1.0, 2.0))
    assert double.rotation == pytest.approx(2 * single.rotation, abs=1e-4)


def test_head_moves_like_a_speakers(talk):
    turns = [motion_of(talk, seed=seed).rotation for seed in range(8)]
    spread = np.mean([turn.std(axis=0) for turn in turns], axis=0)
    assert spread == pytest.approx([3.0, 2.8, 1.4], rel=0.5)
    change = np.mean([np.abs(np.diff(turn, axis=0)).mean() for turn in turns])
    assert change == pytest.approx(0.37, rel=0.5)


@pytest.mark.parametrize("name", EMOTIONS)
def test_emotions(talk, name):
    marks = {
        "angry": "browDownLeft", "contempt": "mouthSmileLeft", "disgusted": "noseSneerLeft",
        "fearful": "browInnerUp", "happy": "mouthSmileLeft", "neutral": "mouthSmileLeft",
        "sad": "browInnerUp", "surprised": "browOuterUpLeft",
    }  # fmt: skip
    plain, half, full = (
        np.mean([shown(talk, seed, {name: weight}, marks[name]) for seed in (1, 2, 3)])
        for weight in (0.0, 0.5, 1.0)
    )
    if name == "neutral":
        assert full == plain
    else:
        assert full - plain > 0.2
        assert half - plain == pytest.approx((full - plain) / 2, rel=0.35)


def shown(talk: np.ndarray, seed: int, emotion: dict[str, float], shape: str) -> float:
    """The mean weight of a shape in a take, once emotions have come."""
    motion = motion_of(talk[: 5 * RATE], seed=seed, head_motion=0.0, emotion=emotion)
    return float(motion.expression[30:, ARKIT_INDEX[shape]].mean())


def test_expression_gain_leaves_the_lips_alone(talk):
    blank = motion_of(talk, expression=0.0, emotion={"surprised": 1.0})
    plain = motion_of(talk)
    assert np.array_equal(blank.expression[:, JAW], plain.expression[:, JAW])
    assert not blank.expression[:, ARKIT_INDEX["browInnerUp"]].any()


def test_keyframes_change_what_is_wished(talk):
    keys = (Keyframe(3.0, gaze=(0, 0), emotion={}), Keyframe(5.0, gaze=(20, 0), emotion={"sad": 1}))
    motion = motion_of(talk, keyframes=keys, head_motion=0.0)
    assert abs(motion.gaze[10:75, 0].mean()) < 2
    assert motion.gaze[130:, 0].mean() == pytest.approx(20, abs=2)
    frown = motion.expression[:, ARKIT_INDEX["mouthFrownLeft"]]
    assert frown[130:].mean() > frown[10:75].mean() + 0.3


TOGETHER = {
    "gaze": (15.0, -5.0), "distance": 0.85, "head_motion": 0.5, "expression": 0.8,
    "emotion": {"happy": 0.7},
}  # fmt: skip


def shows_all(motion: Motion, plain: Motion) -> None:
    """All of TOGETHER shows in a motion, beside one of no wishes."""
    aim = np.median(motion.gaze + motion.rotation[:, :2], axis=0)
    assert aim == pytest.approx(TOGETHER["gaze"], abs=1.5)
    nearer = (motion.translation - plain.translation)[:, 2].mean()
    assert nearer == pytest.approx(0.15 * PORTRAIT_DISTANCE_CM, abs=2.0)
    change = (motion.expression - plain.expression).mean(axis=0)
    assert change[ARKIT_INDEX["mouthSmileLeft"]] > 0.15
    assert motion.expression[:, JAW] == pytest.approx(plain.expression[:, JAW])


def test_controls_hold_together(talk):
    motion = motion_of(talk, seed=2, blink_rate=0.0, **TOGETHER)
    shows_all(motion[30:], motion_of(talk, seed=2)[30:])
    assert motion.expression[:, BLINKS].max() == 0
    lively = motion_of(talk, seed=2, **TOGETHER | {"head_motion": 1.0})
    assert motion.rotation == pytest.approx(lively.rotation / 2, abs=1e-4)


def test_controls_come_together(talk):
    keys = (
        Keyframe(3.0, gaze=(0, 0), distance=1, head_motion=1, expression=1, emotion={}),
        Keyframe(5.0, **TOGETHER),
    )
    motion, plain = (motion_of(talk, seed=2, keyframes=each) for each in (keys, ()))
    # What has not come yet can be in the window that is drawn ahead, but no earlier.
    assert motion.rotation[:48] == pytest.approx(plain.rotation[:48], abs=1e-4)
    assert np.abs(np.median((motion.gaze + motion.rotation[:, :2])[10:75], axis=0)).max() < 2
    shows_all(motion[130:], plain[130:])


def test_memory_is_flat():
    peaks = []
    for seconds in (10, 60):
        speech = Speech.from_samples(silence(seconds), RATE)
        tracemalloc.start()
        for _ in animate(speech, Controls(), 25.0):
            pass
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] < 1.15 * peaks[0]

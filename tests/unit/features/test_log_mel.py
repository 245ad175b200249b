# SPDX-License-Identifier: Apache-2.0
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mcu_ser.features.log_mel import HOP_SAMPLES, SAMPLE_RATE_HZ, WINDOW_SAMPLES, log_mel
from mcu_ser.recipe import FeaturesRecipe

PLAIN = FeaturesRecipe(
    mels=20, frames=16, min_hz=0.0, max_hz=8000.0, clip_mean="keep", trim_below_peak_db=1e9
)


def tone(hz: float, samples: int, amplitude: float = 0.5) -> np.ndarray:
    return (amplitude * np.sin(2 * np.pi * hz * np.arange(samples) / SAMPLE_RATE_HZ)).astype(np.float32)


def frames_of(samples: int) -> int:
    return 1 + (samples - WINDOW_SAMPLES) // HOP_SAMPLES


def by_definition(samples: np.ndarray, spec: FeaturesRecipe) -> np.ndarray:
    """The documented formulas, one scalar at a time: (frames there are, mels)."""
    window = [0.5 - 0.5 * np.cos(2 * np.pi * n / 512) for n in range(512)]
    top, bottom = (2595 * np.log10(1 + hz / 700) for hz in (spec.max_hz, spec.min_hz))
    edges = [
        700 * (10 ** ((bottom + (top - bottom) * k / (spec.mels + 1)) / 2595) - 1)
        for k in range(spec.mels + 2)
    ]
    rows = []
    for start in range(0, len(samples) - 511, 256):
        frame = np.asarray(samples[start : start + 512], np.float64) * window
        power = np.abs(np.fft.fft(frame)[:257] / 128) ** 2
        row = []
        for band in range(spec.mels):
            low, centre, high = edges[band : band + 3]
            gains = [
                max(0.0, min((f - low) / (centre - low), (high - f) / (high - centre)))
                for f in np.arange(257) * 31.25
            ]
            row.append(np.log(np.dot(gains, power) + 1e-8))
        rows.append(row)
    return np.array(rows)


def test_equals_its_definition() -> None:
    samples = np.random.default_rng(0).normal(0, 0.1, 512 + 15 * 256).astype(np.float32)
    # float32 against float64.
    assert np.allclose(log_mel(samples, PLAIN), by_definition(samples, PLAIN), atol=1e-5)


@pytest.mark.parametrize("hz", [200, 1000, 3000, 6000])
def test_a_tone_is_loudest_in_its_own_band(hz) -> None:
    spectrum = log_mel(tone(hz, 16000), PLAIN).mean(axis=0)
    centres = 700 * (10 ** (np.linspace(0, 2595 * np.log10(1 + 8000 / 700), 22)[1:-1] / 2595) - 1)
    assert abs(centres[spectrum.argmax()] - hz) == np.abs(centres - hz).min()


def test_a_full_scale_sine_has_power_one() -> None:
    # 1000 Hz is bin 32, and the two bins beside it get a quarter of its power from the window.
    spec = PLAIN.model_copy(update={"mels": 4})
    total = np.exp(log_mel(tone(1000, 16000, amplitude=1.0), spec)[4]).sum()
    assert 1.0 <= total <= 1.5


def test_narrow_low_bands_are_never_empty() -> None:
    spec = PLAIN.model_copy(update={"mels": 128})
    noise = np.random.default_rng(1).normal(0, 0.1, 16000).astype(np.float32)
    assert (log_mel(noise, spec).max(axis=0) > np.log(1e-7)).all()


def test_short_clips_repeat() -> None:
    samples = np.random.default_rng(2).normal(0, 0.1, 512 + 4 * 256).astype(np.float32)
    features = log_mel(samples, PLAIN)
    assert frames_of(len(samples)) == 5
    for frame in range(5, 16):
        assert (features[frame] == features[frame - 5]).all()


def test_long_clips_keep_their_middle() -> None:
    samples = np.random.default_rng(3).normal(0, 0.1, 512 + 25 * 256).astype(np.float32)
    middle = samples[5 * 256 : 512 + 20 * 256]
    assert (log_mel(samples, PLAIN) == log_mel(middle, PLAIN)).all()


def test_silence_at_the_ends_is_dropped() -> None:
    speech = np.random.default_rng(4).normal(0, 0.1, 512 + 15 * 256).astype(np.float32)
    silence = np.zeros(20 * 256, np.float32)
    spec = PLAIN.model_copy(update={"trim_below_peak_db": 60.0, "frames": 64})
    whole = log_mel(np.concatenate([silence, speech, silence]), spec)
    # Frames that reach into the speech by one hop stay: two more than the speech has itself.
    period = frames_of(len(speech)) + 2
    assert (whole[:period] == whole[period : 2 * period]).all()
    assert whole[:period].max(axis=1).min() > np.log(1e-6)


@pytest.mark.parametrize("clip_mean", ["level", "band"])
def test_the_clip_mean_takes_the_recording_level_off(clip_mean) -> None:
    spec = PLAIN.model_copy(update={"clip_mean": clip_mean})
    samples = np.random.default_rng(5).normal(0, 0.05, 512 + 15 * 256).astype(np.float32)
    features = log_mel(samples, spec)
    # The floor under the logarithm weighs a little less in the louder recording.
    assert np.allclose(features, log_mel(samples * 4, spec), atol=1e-3)
    assert not np.allclose(log_mel(samples, PLAIN), log_mel(samples * 4, PLAIN), atol=1.0)
    means = features.mean(axis=0) if clip_mean == "band" else features.mean()
    assert np.allclose(means, 0, atol=1e-4)


@given(st.integers(1, 4000), st.sampled_from(["keep", "level", "band"]), st.sampled_from([0.0, 1e-9, 1.0]))
def test_any_clip_gives_finite_features_of_the_asked_shape(samples, clip_mean, amplitude) -> None:
    spec = FeaturesRecipe(mels=16, frames=9, clip_mean=clip_mean)
    features = log_mel(tone(440, samples, amplitude), spec)
    assert features.shape == (9, 16)
    assert features.dtype == np.float32
    assert np.isfinite(features).all()

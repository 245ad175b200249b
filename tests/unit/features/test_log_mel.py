# SPDX-License-Identifier: Apache-2.0
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mcu_ser.features.clip import SAMPLE_RATE_HZ, frame_count
from mcu_ser.features.integer_log_mel import level_map, log_power
from mcu_ser.features.log_mel import log_mel
from mcu_ser.recipe import FeaturesRecipe

PLAIN = FeaturesRecipe(mels=20, frames=16, min_hz=0.0, max_hz=8000.0, clip_mean="keep")


def integer_log_mel(pcm, spec):
    return log_power(level_map(pcm, spec), spec)


# Both arithmetics keep the same promises.
both = pytest.mark.parametrize("features_of", [log_mel, integer_log_mel])


def tone(hz: float, samples: int, amplitude: float = 0.5) -> np.ndarray:
    wave = amplitude * np.sin(2 * np.pi * hz * np.arange(samples) / SAMPLE_RATE_HZ)
    return np.rint(wave * 32767).astype(np.int16)


def noise(seed: int, samples: int, deviation: int = 3000) -> np.ndarray:
    return np.random.default_rng(seed).normal(0, deviation, samples).clip(-32768, 32767).astype(np.int16)


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
        frame = np.asarray(samples[start : start + 512], np.float64) / 32768 * window
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
    samples = noise(0, 512 + 15 * 256)
    # float64 against float64, summed in another order.
    assert np.allclose(log_mel(samples, PLAIN), by_definition(samples, PLAIN), atol=1e-12)


@both
@pytest.mark.parametrize("hz", [200, 1000, 3000, 6000])
def test_a_tone_is_loudest_in_its_own_band(features_of, hz) -> None:
    spectrum = features_of(tone(hz, 16000), PLAIN).mean(axis=0)
    centres = 700 * (10 ** (np.linspace(0, 2595 * np.log10(1 + 8000 / 700), 22)[1:-1] / 2595) - 1)
    assert abs(centres[spectrum.argmax()] - hz) == np.abs(centres - hz).min()


@both
@pytest.mark.parametrize("window_samples", [512, 400, 128])
def test_a_full_scale_sine_has_power_one(features_of, window_samples) -> None:
    # 1000 Hz is bin 32; a window spreads its power over the bins beside it, the shorter the wider.
    spec = PLAIN.model_copy(update={"mels": 4, "window_samples": window_samples, "hop_samples": 128})
    total = np.exp(features_of(tone(1000, 16000, amplitude=1.0), spec)[4]).sum()
    assert 1.0 <= total * window_samples / 512 <= 1.51


@both
def test_narrow_low_bands_are_never_empty(features_of) -> None:
    spec = PLAIN.model_copy(update={"mels": 128})
    assert (features_of(noise(1, 16000), spec).max(axis=0) > np.log(1e-7)).all()


@both
def test_bands_may_all_lie_at_half_the_sampling_rate(features_of) -> None:
    spec = PLAIN.model_copy(update={"min_hz": 7990.0})
    # All take the last bin below it.
    assert np.ptp(features_of(noise(1, 16000), spec), axis=1).max() == 0


@both
def test_short_clips_repeat(features_of) -> None:
    samples = noise(2, 512 + 4 * 256)
    features = features_of(samples, PLAIN)
    assert frame_count(len(samples), PLAIN) == 5
    for frame in range(5, 16):
        assert (features[frame] == features[frame - 5]).all()


@both
def test_long_clips_keep_their_middle(features_of) -> None:
    samples = noise(3, 512 + 25 * 256)
    middle = samples[5 * 256 : 512 + 20 * 256]
    assert (features_of(samples, PLAIN) == features_of(middle, PLAIN)).all()


@both
@pytest.mark.parametrize("clip_mean", ["level", "band"])
def test_the_clip_mean_takes_the_recording_level_off(features_of, clip_mean) -> None:
    spec = PLAIN.model_copy(update={"clip_mean": clip_mean})
    samples = noise(5, 512 + 15 * 256, deviation=1500)
    features = features_of(samples, spec)
    # The floor under the logarithm weighs a little less in the louder recording, and a level is 0.0007 wide.
    assert np.allclose(features, features_of(samples * 4, spec), atol=2e-3)
    assert not np.allclose(features_of(samples, PLAIN), features_of(samples * 4, PLAIN), atol=1.0)
    means = features.mean(axis=0) if clip_mean == "band" else features.mean()
    assert np.allclose(means, 0, atol=4e-4)


@both
@given(
    st.integers(1, 4000),
    st.sampled_from(["keep", "level", "band"]),
    st.sampled_from([0.0, 1e-9, 1.0]),
    st.sampled_from([(512, 256), (400, 160), (128, 128), (131, 67)]),
)
def test_any_clip_gives_finite_features_of_the_asked_shape(features_of, samples, mean, amplitude, framing):
    window, hop = framing
    spec = FeaturesRecipe(mels=16, frames=9, clip_mean=mean, window_samples=window, hop_samples=hop)
    features = features_of(tone(440, samples, amplitude), spec)
    assert features.shape == (9, 16)
    assert np.isfinite(features).all()

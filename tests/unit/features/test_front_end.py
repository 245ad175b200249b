# SPDX-License-Identifier: Apache-2.0
import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mcu_ser.convert.quantization import quantize
from mcu_ser.errors import ConfigError
from mcu_ser.features.front_end import FrontEnd
from mcu_ser.features.integer_log_mel import level_map, log_power
from mcu_ser.features.normalization import Normalization
from mcu_ser.recipe import FeaturesRecipe

SPEC = FeaturesRecipe(mels=4, frames=8)
NORMALIZATION = Normalization(
    np.array([-2.0, -0.5, 0.0, 3.0], np.float32), np.array([0.5, 1.0, 2.0, 3.0], np.float32)
)


@given(
    st.integers(-(2**15), 2**15),
    st.floats(0.003, 0.1),
    st.integers(-128, 127),
    st.sampled_from(["keep", "level", "band"]),
)
def test_folded_constants_give_what_normalising_and_quantising_give(level, scale, zero_point, mean) -> None:
    spec = SPEC.model_copy(update={"clip_mean": mean})
    values = np.full((1, 4), level, np.int32)
    found = FrontEnd.folded(spec, NORMALIZATION, scale, zero_point).quantized(values)
    expected = quantize(NORMALIZATION.apply(log_power(values, spec)), scale, zero_point)
    # The two round at different places, so one step apart is right, but only near a tie.
    assert np.abs(found.astype(int) - expected).max() <= 1
    real = NORMALIZATION.apply(log_power(values, spec)).astype(float) / scale + zero_point
    unsaturated = (found > -128) & (found < 127)
    # Half a level of the mean, and half a unit of the gain over all levels there are.
    slack = 0.5 + 0.5 * 6.8e-4 / 0.5 / scale + 2**16 * 2**-25 + 1e-3
    assert (np.abs(found - real)[unsaturated[: len(found)]] <= slack).all()


def test_ties_go_up_and_values_saturate() -> None:
    front_end = FrontEnd(SPEC, np.zeros(4, np.int64), np.full(4, 1 << 23, np.int64), 1, 0.02)
    values = np.array([[-3, -1, 1, 3], [-(2**15), 2**15, 0, 251], [253, 254, -257, -260]], np.int32)
    expected = [[0, 1, 2, 3], [-128, 127, 1, 127], [127, 127, -127, -128]]
    assert front_end.quantized(values).tolist() == expected


def test_a_band_that_never_changes_saturates_and_stays_in_32_bits() -> None:
    flat = Normalization(np.zeros(4, np.float32), np.full(4, 1e-3, np.float32))
    front_end = FrontEnd.folded(SPEC, flat, 1e-7, 0)
    assert front_end.gain.tolist() == [2**31 - 1] * 4
    assert front_end.quantized(np.array([[-1, 0, 1, 2]], np.int32)).tolist() == [[-128, 0, 127, 127]]


def test_runs_a_clip() -> None:
    pcm = np.random.default_rng(0).integers(-3000, 3000, 5000).astype(np.int16)
    front_end = FrontEnd.folded(SPEC, NORMALIZATION, 0.02, -7)
    assert front_end.run(pcm).shape == (8, 4)
    assert (front_end.run(pcm) == front_end.quantized(level_map(pcm, SPEC))).all()


def test_saves_and_loads(tmp_path) -> None:
    front_end = FrontEnd.folded(SPEC, NORMALIZATION, 0.02, -7)
    front_end.save(tmp_path / "front_end.json")
    loaded = FrontEnd.load(tmp_path / "front_end.json")
    assert loaded.as_document() == front_end.as_document()
    assert loaded.spec == SPEC
    assert (loaded.mean == front_end.mean).all()
    assert loaded.gain.dtype == np.int64
    assert loaded.scale == 0.02


BAD = {
    "junk": "{",
    "no object": "[]",
    "a band too few": {"mean_levels": [1, 2, 3]},
    "a gain too many": {"gain_q24": [1] * 5},
    "a gain beyond 32 bits": {"gain_q24": [1, 1, 1, 2**31]},
    "a negative gain": {"gain_q24": [1, 1, 1, -1]},
    "a mean beyond all levels": {"mean_levels": [0, 0, 0, 2**18]},
    "a mean that is no integer": {"mean_levels": [0, 0, 0, 0.5]},
    "a zero point beyond int8": {"zero_point": 128},
    "an unknown key": {"shift": 3},
    "no scale": {"scale": None},
    "a scale of zero": {"scale": 0.0},
    "a scale without end": {"scale": float("inf")},
}


@pytest.mark.parametrize("bad", BAD)
def test_a_damaged_file_is_named(bad, tmp_path) -> None:
    path = tmp_path / "front_end.json"
    if isinstance(BAD[bad], str):
        path.write_text(BAD[bad])
    else:
        document = FrontEnd.folded(SPEC, NORMALIZATION, 0.02, -7).as_document()
        document["input"] |= BAD[bad]
        path.write_text(json.dumps(document))
    with pytest.raises(
        ConfigError, match=r"front_end\.json: holds no front end \(.*\); try: mcu-ser convert again"
    ):
        FrontEnd.load(path)


def test_a_missing_file_is_named(tmp_path) -> None:
    with pytest.raises(ConfigError, match=r"front_end\.json: holds no front end \(.*No such file"):
        FrontEnd.load(tmp_path / "front_end.json")


@pytest.mark.parametrize("key", ["sample_rate_hz", "short_clips", "long_clips"])
def test_a_front_end_of_another_kind_is_refused(key, tmp_path) -> None:
    document = FrontEnd.folded(SPEC, NORMALIZATION, 0.02, -7).as_document()
    for other in (document | {key: 8000}, {name: value for name, value in document.items() if name != key}):
        (tmp_path / "front_end.json").write_text(json.dumps(other))
        with pytest.raises(ConfigError, match=f"holds no front end .*{key}"):
            FrontEnd.load(tmp_path / "front_end.json")


@pytest.mark.parametrize("bad", [{"melz": 3}, {"arithmetic": "float64"}, {"mels": 5}])
def test_bad_features_are_refused(bad, tmp_path) -> None:
    document = FrontEnd.folded(SPEC, NORMALIZATION, 0.02, -7).as_document()
    document["features"] |= bad
    (tmp_path / "front_end.json").write_text(json.dumps(document))
    with pytest.raises(ConfigError, match="holds no front end"):
        FrontEnd.load(tmp_path / "front_end.json")

# SPDX-License-Identifier: Apache-2.0
"""The whole front end of a converted model: PCM samples in, the int8 values of the model's input out.

Folds the normalisation of the training set and the quantisation of the model's input into one multiplication
per value. Written by the convert stage, read by whoever makes firmware of the model.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from mcu_ser.artifacts import canonical_json, write_text
from mcu_ser.errors import ConfigError
from mcu_ser.features.clip import SAMPLE_RATE_HZ, fitted
from mcu_ser.features.integer_log_mel import LEVEL_STEP, level_map, level_offset, without_clip_mean
from mcu_ser.recipe import FeaturesRecipe

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from mcu_ser.features.normalization import Normalization

GAIN_BITS = 24
_LARGEST_GAIN = 2**31 - 1
# Beyond the largest difference of two levels nothing changes any more.
_LARGEST_MEAN = 2**17


@dataclass(frozen=True, eq=False)
class FrontEnd:
    """The front end of one model.

    Args:
        spec: Framing, mel bands, frames, clip mean; its arithmetic is "integer".
        mean: int64 (mels,), in level steps.
        gain: int64 (mels,), Q24, int8 steps per level step, 0..2^31 - 1.
        zero_point: The int8 value that stands for 0.0.
        scale: Of the model's input, which `gain` was made for; binary32.
    """

    spec: FeaturesRecipe
    mean: NDArray[np.int64]
    gain: NDArray[np.int64]
    zero_point: int
    scale: float

    @classmethod
    def folded(
        cls, spec: FeaturesRecipe, normalization: Normalization, scale: float, zero_point: int
    ) -> FrontEnd:
        """The front end of a model whose input has `scale` and `zero_point`.

        A mean is rounded to a level step, 0.003 dB; a gain to 2^-24, and to 128 at most: with that a band
        saturates at one level step already.
        """
        std = np.asarray(normalization.std, np.float64)
        mean = np.rint((np.asarray(normalization.mean, np.float64) - level_offset(spec)) / LEVEL_STEP)
        gain = np.rint(LEVEL_STEP / (std * scale) * (1 << GAIN_BITS))
        return cls(
            spec,
            mean.clip(-_LARGEST_MEAN, _LARGEST_MEAN).astype(np.int64),
            gain.clip(max=_LARGEST_GAIN).astype(np.int64),
            zero_point,
            scale,
        )

    def run(self, pcm: NDArray[np.int16]) -> NDArray[np.int8]:
        """The model's input of a clip, already trimmed: int8 (frames, mels)."""
        return self.quantized(level_map(pcm, self.spec))

    def newest(self, rows: NDArray[np.int16]) -> NDArray[np.int8]:
        """The model's input when a stream has come to these rows: int8 (frames, mels), of the newest ones.

        Args:
            rows: Of `level_rows`, int16 (n, mels), n >= 1.
        """
        window = fitted(rows[-self.spec.frames :], self.spec.frames)
        return self.quantized(without_clip_mean(window, self.spec))

    def quantized(self, values: NDArray[np.int32]) -> NDArray[np.int8]:
        """Int8 values of level maps (..., mels): nearest with ties up, then saturated."""
        product = (values.astype(np.int64) - self.mean) * self.gain
        nearest = (product + (1 << (GAIN_BITS - 1))) >> GAIN_BITS
        int8: NDArray[np.int8] = np.clip(nearest + self.zero_point, -128, 127).astype(np.int8)
        return int8

    def as_document(self) -> dict[str, Any]:
        """As JSON."""
        return {
            "sample_rate_hz": SAMPLE_RATE_HZ,
            "short_clips": "repeated",
            "long_clips": "middle",
            "features": self.spec.model_dump(mode="json"),
            "input": {
                "scale": self.scale,
                "mean_levels": self.mean.tolist(),
                "gain_q24": self.gain.tolist(),
                "zero_point": self.zero_point,
            },
        }

    def save(self, path: Path) -> None:
        """Write it as JSON."""
        write_text(path, canonical_json(self.as_document()))

    @classmethod
    def load(cls, path: Path) -> FrontEnd:
        """Read what `save` wrote.

        Raises:
            ConfigError: The file is not that.
        """
        try:
            document = _Document.model_validate(json.loads(path.read_text(encoding="utf-8")))
        except (OSError, ValueError, ValidationError) as error:
            raise ConfigError(
                path, f"holds no front end ({_first_problem(error)})", hint="mcu-ser convert again"
            ) from error
        mean, gain = (
            np.array(row, np.int64) for row in (document.input.mean_levels, document.input.gain_q24)
        )
        return cls(document.features, mean, gain, document.input.zero_point, document.input.scale)


def _first_problem(error: Exception) -> str:
    if not isinstance(error, ValidationError):
        return str(error).splitlines()[0]
    first = error.errors(include_url=False)[0]
    key = ".".join(str(part) for part in first["loc"]) or "content"
    return f"{key}: {first['msg'].lower()}"


class _Input(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)

    mean_levels: list[int]
    gain_q24: list[int]
    zero_point: int = Field(ge=-128, le=127)
    scale: Annotated[float, Field(gt=0, allow_inf_nan=False)]


class _Document(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)

    # What is the same in all front ends of this version, for readers of another one.
    sample_rate_hz: Literal[16000]
    short_clips: Literal["repeated"]
    long_clips: Literal["middle"]
    features: FeaturesRecipe
    input: _Input

    @model_validator(mode="after")
    def _is_that_of_a_device(self) -> _Document:
        if self.features.arithmetic != "integer":
            raise ValueError("its features are not of integers")
        lengths = {len(self.input.mean_levels), len(self.input.gain_q24)}
        if lengths != {self.features.mels}:
            raise ValueError(f"means and gains are not those of {self.features.mels} bands")
        if not all(abs(mean) <= _LARGEST_MEAN for mean in self.input.mean_levels):
            raise ValueError(f"a mean is beyond {_LARGEST_MEAN}")
        if not all(0 <= gain <= _LARGEST_GAIN for gain in self.input.gain_q24):
            raise ValueError(f"a gain is not in 0..{_LARGEST_GAIN}")
        return self

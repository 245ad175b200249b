# SPDX-License-Identifier: Apache-2.0
"""The front end of a recipe."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, PositiveFloat, model_validator

from mcu_ser.recipe.table import Stage


class FeaturesRecipe(Stage):
    """Log-mel spectrogram at 16 kHz."""

    arithmetic: Literal["integer", "float64"] = Field(
        default="integer", description="integer is what devices compute; float64 is for comparison alone"
    )
    window_samples: int = Field(default=512, ge=128, le=512)
    hop_samples: int = Field(default=256, ge=64, le=512)
    mels: int = Field(default=40, ge=4, le=128)
    frames: int = Field(default=128, ge=8, le=1024)
    min_hz: float = Field(default=60.0, ge=0)
    max_hz: float = Field(default=7600.0, le=8000)
    trim_below_peak_db: PositiveFloat = Field(
        default=40.0, description="leading and trailing frames this far below the loudest one are dropped"
    )
    clip_mean: Literal["keep", "level", "band"] = Field(
        default="level", description="what is subtracted per clip: nothing, its mean, or its mean per band"
    )

    @model_validator(mode="after")
    def _band_is_not_empty(self) -> FeaturesRecipe:
        if self.min_hz >= self.max_hz:
            raise ValueError(f"min_hz {self.min_hz} is not below max_hz {self.max_hz}")
        return self

    @model_validator(mode="after")
    def _every_sample_is_in_a_frame(self) -> FeaturesRecipe:
        if self.hop_samples > self.window_samples:
            raise ValueError(f"hop_samples {self.hop_samples} is above window_samples {self.window_samples}")
        return self

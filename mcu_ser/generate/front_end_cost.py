# SPDX-License-Identifier: Apache-2.0
"""Says before anything is built how many instructions a front end takes, from its sizes.

The loops run as often as the sizes say, whatever they hear, so the number is one of arithmetic. What one turn
of each takes was counted in QEMU (Cortex-M4, -O2, gcc 12.2); a test counts again, for other sizes, and holds
each figure to 2 %, that of the map to 4 %.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from mcu_ser.features.clip import SAMPLE_RATE_HZ
from mcu_ser.features.integer_tables import front_end_tables

if TYPE_CHECKING:
    from mcu_ser.recipe import FeaturesRecipe

# Window, transform and powers of 512 samples, and the calls around them: with DSP instructions, and without.
_SPECTRUM = 19_522
_SPECTRUM_PORTABLE = 28_284
_PER_WEIGHT = 10
_PER_BAND = 50
_PER_NEW_SAMPLE = 2
# Per value of the map, its clip mean included.
_PER_VALUE = 23.5


@dataclass(frozen=True)
class FrontEndCost:
    """Instructions of a Cortex-M4.

    Attributes:
        per_frame: Of one frame, with DSP instructions.
        per_frame_portable: Of one frame, without.
        per_map: Of the map, once per inference.
        per_clip: Of a clip as long as the map: its frames and the map, with DSP instructions.
        per_clip_portable: Likewise, without.
        frame_ms: Time from one frame to the next.
    """

    per_frame: int
    per_frame_portable: int
    per_map: int
    per_clip: int
    per_clip_portable: int
    frame_ms: float


def front_end_cost(spec: FeaturesRecipe) -> FrontEndCost:
    """What the front end of a recipe costs."""
    weights = sum(len(band.weights) for band in front_end_tables(spec).bands)
    bands = _PER_WEIGHT * weights + _PER_BAND * spec.mels + _PER_NEW_SAMPLE * spec.hop_samples
    frame, portable = _SPECTRUM + bands, _SPECTRUM_PORTABLE + bands
    per_map = round(_PER_VALUE * spec.frames * spec.mels)
    return FrontEndCost(
        per_frame=frame,
        per_frame_portable=portable,
        per_map=per_map,
        per_clip=spec.frames * frame + per_map,
        per_clip_portable=spec.frames * portable + per_map,
        frame_ms=1000 * spec.hop_samples / SAMPLE_RATE_HZ,
    )

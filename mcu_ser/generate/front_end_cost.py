# SPDX-License-Identifier: Apache-2.0
"""Says before anything is built how many instructions a front end takes, from its sizes.

The loops run as often as the sizes say, whatever they hear, so the number is one of arithmetic. What one turn
of each takes was counted in QEMU (Cortex-M4, -O2, gcc 12.2); a test counts again, for other sizes, and holds
each figure to 2 %, that of the map to 4 %.

Cycles are estimated: the same instructions at the costs of Arm's Cortex-M4 Technical Reference Manual,
without wait states (`tests/cortex_m4_cycles.py`). What the manual leaves open makes them uncertain by 4 % of
a frame's, 7 % of the map's; a test estimates again, and holds each figure to 3 %.
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
# The same in estimated cycles.
_SPECTRUM_CYCLES = 26_550
_SPECTRUM_PORTABLE_CYCLES = 35_579
_CYCLES_PER_WEIGHT = 15
_CYCLES_PER_BAND = 55
_CYCLES_PER_NEW_SAMPLE = 3
_CYCLES_PER_VALUE = 30.2


@dataclass(frozen=True)
class FrontEndCost:
    """Instructions and estimated cycles of a Cortex-M4.

    Attributes:
        per_frame: Of one frame, with DSP instructions.
        per_frame_portable: Of one frame, without.
        per_map: Of the map, once per inference.
        per_clip: Of a clip as long as the map: its frames and the map, with DSP instructions.
        per_clip_portable: Likewise, without.
        cycles_per_frame: Estimated, with DSP instructions.
        cycles_per_frame_portable: Likewise, without.
        cycles_per_map: Of the map, once per inference.
        frame_ms: Time from one frame to the next.
    """

    per_frame: int
    per_frame_portable: int
    per_map: int
    per_clip: int
    per_clip_portable: int
    cycles_per_frame: int
    cycles_per_frame_portable: int
    cycles_per_map: int
    frame_ms: float


def front_end_cost(spec: FeaturesRecipe) -> FrontEndCost:
    """What the front end of a recipe costs."""
    weights = sum(len(band.weights) for band in front_end_tables(spec).bands)
    bands = _PER_WEIGHT * weights + _PER_BAND * spec.mels + _PER_NEW_SAMPLE * spec.hop_samples
    cycles = (
        _CYCLES_PER_WEIGHT * weights
        + _CYCLES_PER_BAND * spec.mels
        + _CYCLES_PER_NEW_SAMPLE * spec.hop_samples
    )
    frame, portable = _SPECTRUM + bands, _SPECTRUM_PORTABLE + bands
    per_map = round(_PER_VALUE * spec.frames * spec.mels)
    return FrontEndCost(
        per_frame=frame,
        per_frame_portable=portable,
        per_map=per_map,
        per_clip=spec.frames * frame + per_map,
        per_clip_portable=spec.frames * portable + per_map,
        cycles_per_frame=_SPECTRUM_CYCLES + cycles,
        cycles_per_frame_portable=_SPECTRUM_PORTABLE_CYCLES + cycles,
        cycles_per_map=round(_CYCLES_PER_VALUE * spec.frames * spec.mels),
        frame_ms=1000 * spec.hop_samples / SAMPLE_RATE_HZ,
    )

# SPDX-License-Identifier: Apache-2.0
"""The cycles that are told of a front end: those of the Cortex-M4's manual for what it executes."""

import numpy as np
import pytest

from mcu_ser.features.front_end import FrontEnd
from mcu_ser.features.normalization import Normalization
from mcu_ser.generate.front_end_cost import front_end_cost
from mcu_ser.recipe import FeaturesRecipe
from tests.cortex_m4_cycles import disassemble, estimate, execute
from tests.cortex_m4_front_end import PORTABLE, build_parts, missing_tools

pytestmark = [
    pytest.mark.emulator,
    pytest.mark.skipif(bool(missing_tools()), reason=f"not installed: {', '.join(missing_tools())}"),
]


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"mels": 24},
        {"mels": 100, "min_hz": 0, "max_hz": 8000},
        {"window_samples": 400, "hop_samples": 160},
    ],
    ids=str,
)
@pytest.mark.parametrize("portable", [False, True], ids=["dsp", "portable"])
def test_cycles_can_be_told_from_the_sizes(changes, portable, tmp_path) -> None:
    spec = FeaturesRecipe(**{"frames": 48} | changes)
    normalization = Normalization(np.zeros(spec.mels, np.float32), np.full(spec.mels, 2, np.float32))
    front_end = FrontEnd.folded(spec, normalization, 0.02, 3)
    elf = build_parts(front_end, tmp_path, ("-O2", PORTABLE) if portable else ("-O2",))
    program, told = disassemble(elf), front_end_cost(spec)

    def taken(function):
        return estimate(execute(elf, function, lambda _: None), program)[""]

    start, frame, with_map = (taken(name) for name in ("one_frame", "two_frames", "one_frame_and_map"))
    # QEMU counts these instructions too: both executed the same. What is told is a formula of the sizes;
    # the module that has it states these errors.
    instructions = told.per_frame_portable if portable else told.per_frame
    assert frame.instructions - start.instructions == pytest.approx(instructions, rel=0.02)
    per_frame = told.cycles_per_frame_portable if portable else told.cycles_per_frame
    assert frame.cycles.likely - start.cycles.likely == pytest.approx(per_frame, rel=0.03)
    assert with_map.cycles.likely - start.cycles.likely == pytest.approx(told.cycles_per_map, rel=0.03)
    # What the manual leaves open, as the figure's docstring says.
    for part, share in ((frame, 0.045), (with_map, 0.075)):
        least, likely, most = (
            getattr(part.cycles, end) - getattr(start.cycles, end) for end in ("least", "likely", "most")
        )
        assert (1 - share) * likely < least < likely < most < (1 + share) * likely

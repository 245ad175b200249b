# SPDX-License-Identifier: Apache-2.0
"""Models whose bytes once were not the oracle's on a Cortex-M4."""

import pytest

from tests.emulator.test_cortex_m4_models import BUILDS, check_a_program, needs_qemu
from tests.tflite_builder import TfliteBuilder

pytestmark = pytest.mark.emulator


def _packed_twice() -> bytes:
    model = TfliteBuilder()
    x = model.tensor((1, 4, 3, 3), scale=0.5)
    y = model.tensor((1, 4, 3, 3, 2), scale=0.5)
    model.operator("PACK", [x, x], [y], Axis=4, ValuesCount=2)
    return model.build([x], [y])


def _read_backwards() -> bytes:
    model = TfliteBuilder()
    x = model.tensor((1, 4), scale=0.5)
    y = model.tensor((1, 4), scale=0.5)
    begin, end, strides = (model.tensor((2,), "INT32", data=values) for values in ([0, -1], [1, -5], [1, -1]))
    model.operator("STRIDED_SLICE", [x, begin, end, strides], [y])
    return model.build([x], [y])


@needs_qemu
@pytest.mark.parametrize("build", sorted(BUILDS))
@pytest.mark.parametrize("model", [_packed_twice, _read_backwards])
def test_gcc_does_not_drop_a_layer_that_is_written_beside_what_it_reads(model, build, tmp_path) -> None:
    """GCC 12 found the output's address from the input's, and took the layer for one without effect."""
    check_a_program([model()], build, tmp_path)

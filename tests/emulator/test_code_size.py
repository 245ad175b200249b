# SPDX-License-Identifier: Apache-2.0
"""Whole firmware, for size and for speed: code within its limit, faster than TFLite-Micro, the same bytes."""

from pathlib import Path

import pytest

from mcu_ser.aot.optimization import Optimization
from mcu_ser.board import load_board
from mcu_ser.generate.project import generate
from mcu_ser.toolchain.build import build
from mcu_ser.toolchain.firmware_parts import Part, find_parts
from mcu_ser.verify.check import check
from mcu_ser.verify.samples import random_samples
from tests.cortex_m4_layers import missing_tools

MODELS = Path(__file__).resolve().parents[3] / "shared" / "models"

pytestmark = [
    pytest.mark.emulator,
    pytest.mark.skipif(bool(missing_tools()), reason=f"not installed: {', '.join(missing_tools())}"),
    pytest.mark.skipif(not MODELS.is_dir(), reason="the models of MLPerf Tiny are not here"),
]

# Code and read-only data of the whole firmware without the model's constants.
CODE_BYTES = {Optimization.SIZE: 8192, Optimization.SPEED: 16_384}
# Instructions of TFLite-Micro with CMSIS-NN on the same emulated core; see tools/bench_engines.py.
TFLM = {"kws_ref_model": 7_698_000, "ic_resnet_int8": 29_864_000, "ad01_int8": 583_000}


@pytest.mark.parametrize("optimization", list(CODE_BYTES))
@pytest.mark.parametrize("name", sorted(TFLM))
def test_firmware_stays_within_its_limits(name, optimization, tmp_path):
    project = generate(
        MODELS / f"{name}.tflite",
        load_board("netduinoplus2"),
        "aot",
        tmp_path / "project",
        optimization=optimization,
    )
    parts = find_parts(build(project).elf)
    assert parts is not None
    assert sum(parts.flash.values()) - parts.flash[Part.MODEL] <= CODE_BYTES[optimization]
    report = check(project, random_samples(3, 1, project.input), tmp_path / "report")
    assert report.document["identical"] == report.document["samples"] == 3
    assert report.document["instructions"]["median"] < TFLM[name]
    assert report.document["provenance"]["optimization"] == optimization.value

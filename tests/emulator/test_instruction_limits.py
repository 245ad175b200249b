# SPDX-License-Identifier: Apache-2.0
"""The public models take no more instructions than they did: -icount is exact, so limits may be sharp."""

from pathlib import Path

import pytest

from mcu_ser.aot.compile import compile_model
from tests.cortex_m4_layers import count_instructions, missing_tools

MODELS = Path(__file__).resolve().parents[3] / "shared" / "models"

pytestmark = [
    pytest.mark.emulator,
    pytest.mark.skipif(bool(missing_tools()), reason=f"not installed: {', '.join(missing_tools())}"),
    pytest.mark.skipif(not MODELS.is_dir(), reason="the models of MLPerf Tiny are not here"),
]

# Of TFLite-Micro with CMSIS-NN on the same emulated core; see tools/bench_engines.py.
KWS, RESNET, AUTOENCODER = 7_698_000, 29_864_000, 583_000


@pytest.mark.parametrize(
    ("name", "winograd_bytes", "limit"),
    [
        ("kws_ref_model", 0, 0.34 * KWS),
        # Its first layer without scratch, which would make the arena 2048 bytes in place of 896.
        ("ad01_int8", 0, 0.4365 * AUTOENCODER),
        # With a chain of 72 steps 0.355, but then its code takes more than 16 KB.
        ("ic_resnet_int8", 0, 0.3579 * RESNET),
        # Only its two layers of 16 channels: the 64 to 64 channels take most of the flash.
        ("ic_resnet_int8", 12_000, 0.3059 * RESNET),
        ("ic_resnet_int8", 130_000, 0.2391 * RESNET),
    ],
)
def test_a_model_stays_below_its_limit(name, winograd_bytes, limit, tmp_path):
    model = compile_model((MODELS / f"{name}.tflite").read_bytes(), winograd_bytes=winograd_bytes)
    assert sum(count_instructions([model], tmp_path)[0]) <= limit

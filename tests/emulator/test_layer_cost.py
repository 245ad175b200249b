# SPDX-License-Identifier: Apache-2.0
"""The predicted instructions, held against those that the emulated Cortex-M4 executes."""

from pathlib import Path

import pytest

from mcu_ser.aot.compile import compile_model
from mcu_ser.aot.cost import KERNEL_COSTS
from tests.cortex_m4_layers import count_instructions, missing_tools
from tests.layer_shapes import shapes

pytestmark = [
    pytest.mark.emulator,
    pytest.mark.skipif(bool(missing_tools()), reason=f"not installed: {', '.join(missing_tools())}"),
]

MODELS = Path(__file__).resolve().parents[3] / "shared" / "models"
# Of all layers of a model together, and of each that takes a tenth of it or more.
MODEL_ERROR = 0.02
LAYER_ERROR = 0.04


def test_no_layer_is_predicted_worse_than_its_kernel_says(tmp_path):
    models = [compile_model(file) for file in shapes()]
    off = []
    for model, (measured,) in zip(models, count_instructions(models, tmp_path), strict=True):
        layer = model.layers[0]
        error = abs(layer.predicted_instructions / measured - 1)
        # Prices are rounded to three digits.
        if error > KERNEL_COSTS[layer.kernel].error + 0.005:
            off.append(f"{layer.kernel} {layer.input_shapes} {layer.output_shape}: {measured}, {error:.1%}")
    assert not off


@pytest.mark.skipif(not MODELS.is_dir(), reason="the models of MLPerf Tiny are not here")
@pytest.mark.parametrize("name", ["ad01_int8", "ic_resnet_int8", "kws_ref_model"])
def test_public_models_take_what_is_predicted(name, tmp_path):
    model = compile_model((MODELS / f"{name}.tflite").read_bytes())
    counts = count_instructions([model], tmp_path)[0]
    predicted = [layer.predicted_instructions for layer in model.layers]
    assert sum(predicted) == pytest.approx(sum(counts), rel=MODEL_ERROR)
    for layer, measured in zip(model.layers, counts, strict=True):
        if measured > sum(counts) / 10:
            assert layer.predicted_instructions == pytest.approx(measured, rel=LAYER_ERROR), layer.index

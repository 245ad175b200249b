# SPDX-License-Identifier: Apache-2.0
"""The predicted instructions, held against those that the emulated Cortex-M4 executes."""

from pathlib import Path

import pytest

from mcu_ser.aot.compile import compile_model
from mcu_ser.aot.cost import COSTS, predict
from mcu_ser.aot.kernel_build import Build
from mcu_ser.aot.optimization import Optimization
from tests.cortex_m4_layers import FAST, SMALL, count_instructions, missing_tools
from tests.layer_shapes import depthwise_shapes
from tests.measured_shapes import (
    by_header,
    depthwise_in_plain_c,
    shapes,
    zero_shapes,
    zeros_never_stored,
)

pytestmark = [
    pytest.mark.emulator,
    pytest.mark.skipif(bool(missing_tools()), reason=f"not installed: {', '.join(missing_tools())}"),
]

MODELS = Path(__file__).resolve().parents[3] / "shared" / "models"
FLAGS = {Optimization.SPEED: FAST, Optimization.SIZE: SMALL}
# Of all layers of a model together, and of each that takes a tenth of it or more.
MODEL_ERROR = 0.02
LAYER_ERROR = 0.04


def _wrong(models, build, directory):
    """Layers that are predicted worse than their kernel says."""
    off = []
    flags = FAST if build is Build.SPEED else SMALL
    for model, (measured,) in zip(models, count_instructions(models, directory, flags), strict=True):
        layer = model.layers[0]
        error = abs(predict(model.calls[0]).instructions / measured - 1)
        # Prices are rounded to three digits.
        if error > COSTS[build][layer.kernel].error + 0.005:
            off.append(f"{layer.kernel} {layer.input_shapes} {layer.output_shape}: {measured}, {error:.1%}")
    return off


def test_no_layer_is_predicted_worse_than_its_kernel_says(tmp_path):
    assert not _wrong([compile_model(file) for file in shapes()], Build.SPEED, tmp_path)


def test_no_depthwise_layer_in_plain_c_is_predicted_worse_than_its_kernel_says(tmp_path):
    with depthwise_in_plain_c():
        models = [compile_model(file) for file in depthwise_shapes()]
    assert not _wrong(models, Build.SPEED, tmp_path)


def test_no_layer_of_a_build_for_size_is_predicted_worse_than_its_kernel_says(tmp_path):
    models = [compile_model(file, optimization=Optimization.SIZE) for file in shapes()]
    with zeros_never_stored():
        models += [compile_model(file, optimization=Optimization.SIZE) for file in zero_shapes()]
    for number, group in enumerate(by_header(models)):
        assert not _wrong(group, Build.SIZE, tmp_path / str(number))


def _check(file, optimization, directory):
    model = compile_model(file, optimization=optimization)
    counts = count_instructions([model], directory, FLAGS[optimization])[0]
    predicted = [layer.predicted_instructions for layer in model.layers]
    assert sum(predicted) == pytest.approx(sum(counts), rel=MODEL_ERROR)
    for layer, measured in zip(model.layers, counts, strict=True):
        if measured > sum(counts) / 10:
            assert layer.predicted_instructions == pytest.approx(measured, rel=LAYER_ERROR), layer.index
        if measured > sum(counts) / 1000 and not layer.depends_on_inputs:
            # A prediction is worth what inspect says of it: the kernel's own greatest error.
            error = max(LAYER_ERROR, layer.prediction_error)
            assert layer.predicted_instructions == pytest.approx(measured, rel=error), layer.index


@pytest.mark.skipif(not MODELS.is_dir(), reason="the models of MLPerf Tiny are not here")
@pytest.mark.parametrize("name", ["ad01_int8", "ic_resnet_int8", "kws_ref_model"])
@pytest.mark.parametrize("optimization", list(Optimization))
def test_public_models_take_what_is_predicted(name, optimization, tmp_path):
    _check((MODELS / f"{name}.tflite").read_bytes(), optimization, tmp_path)

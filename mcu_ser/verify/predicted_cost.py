# SPDX-License-Identifier: Apache-2.0
"""Predicts how many instructions each layer of the AOT engine executes, for `verify --profile` to compare.

A straight line per kernel through what was measured: the layers of EmoDB's ds_cnn, kws_ref_model, ad01_int8
and ic_resnet_int8 on netduinoplus2 (Cortex-M4 with DSP, gcc 12.2 -O2), least squares of the relative error.
The sums of those models are within 14 %, most of their layers within 15 %, those with few taps, narrow maps
or few values within 60 %.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from mcu_ser.aot.compile import compile_model

if TYPE_CHECKING:
    from mcu_ser.aot.compile import Layer
    from mcu_ser.generate.project import Project

_ALIAS_INSTRUCTIONS = 35
"""Of a layer without a kernel: its trace alone."""


@dataclass(frozen=True)
class _Line:
    """Instructions for the call, and for each multiply-accumulate, output and input value."""

    call: float = 0.0
    mac: float = 0.0
    output: float = 0.0
    input: float = 0.0

    def of(self, layer: Layer) -> int:
        inputs = math.prod(layer.input_shapes[0])
        outputs = math.prod(layer.output_shape)
        return round(self.call + self.mac * layer.macs + self.output * outputs + self.input * inputs)


_LINES = {
    "aot_conv_2d_matmul": _Line(mac=0.782, output=13.0),
    "aot_rows_matmul": _Line(mac=0.647, output=18.6),
    "aot_depthwise_conv_2d": _Line(mac=7.76, output=18.2),
    "aot_depthwise_3x3": _Line(output=17.9),
    "aot_fully_connected_matmul": _Line(call=405, mac=0.892, output=5.31),
    "aot_add_elements": _Line(call=459, output=12.6),
    "aot_mean": _Line(input=5.38),
    "aot_average_pool_channels": _Line(input=1.26),
    "aot_softmax": _Line(output=150),
}


def predicted_instructions(project: Project) -> dict[int, int]:
    """Instructions by index of the layer; kernels that were not measured are left out.

    Empty for another engine, and for a core without DSP instructions, whose kernels are others.
    """
    if project.engine != "aot" or "dsp" not in project.board.mcu.features:
        return {}
    compiled = compile_model(project.model_path.read_bytes(), project.model_path.name)
    predicted = {}
    for layer in compiled.layers:
        if layer.kernel is None:
            predicted[layer.index] = _ALIAS_INSTRUCTIONS
        elif layer.kernel in _LINES:
            predicted[layer.index] = _LINES[layer.kernel].of(layer)
    return predicted

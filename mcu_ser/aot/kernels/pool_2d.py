# SPDX-License-Identifier: Apache-2.0
"""AVERAGE_POOL_2D and MAX_POOL_2D."""

from __future__ import annotations

from mcu_ser.aot.ir import Graph, Operator, PoolOptions
from mcu_ser.aot.kernels.images import image, window_struct
from mcu_ser.aot.kernels.kernel_call import KernelCall, struct
from mcu_ser.aot.requantize import activation_range
from mcu_ser.aot.window import window_of

# So many int8 can be added up in an int16.
_MOST_TAPS = 255


def call(graph: Graph, operator: Operator) -> KernelCall:
    """The kernel call of a supported pool."""
    assert isinstance(operator.options, PoolOptions)
    input_ = graph.tensors[operator.inputs[0]]
    output = graph.results(operator)[0]
    low, high = activation_range(operator.options.activation, output.scale, output.zero_point)
    window = window_of(graph, operator)
    by_channels = (
        operator.opcode == "AVERAGE_POOL_2D"
        and input_.shape[3] % 4 == 0
        and window.size[0] * window.size[1] <= _MOST_TAPS
    )
    return KernelCall(
        header="average_pool_channels.h" if by_channels else "pool_2d.h",
        kernel="aot_average_pool_channels" if by_channels else f"aot_{operator.opcode.lower()}",
        struct_name="aot_pool_2d",
        description=struct(
            input=image(input_),
            output=image(output),
            window=window_struct(window),
            min=low,
            max=high,
        ),
        inputs=(input_.index,),
        output=output.index,
        included=("dsp.h", "pool_2d.h") if by_channels else (),
    )

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
    return _by_channels(graph, operator) or call_compact(graph, operator)


def call_compact(graph: Graph, operator: Operator) -> KernelCall:
    """The kernel call of a supported pool in a build for size."""
    return _call(graph, operator, f"aot_{operator.opcode.lower()}", "pool_2d.h")


def _by_channels(graph: Graph, operator: Operator) -> KernelCall | None:
    window = window_of(graph, operator)
    suits = (
        operator.opcode == "AVERAGE_POOL_2D"
        and graph.tensors[operator.inputs[0]].shape[3] % 4 == 0
        and window.size[0] * window.size[1] <= _MOST_TAPS
    )
    if not suits:
        return None
    header, included = "average_pool_channels.h", ("dsp.h", "pool_2d.h")
    return _call(graph, operator, "aot_average_pool_channels", header, included)


def _call(
    graph: Graph, operator: Operator, kernel: str, header: str, included: tuple[str, ...] = ()
) -> KernelCall:
    assert isinstance(operator.options, PoolOptions)
    input_ = graph.tensors[operator.inputs[0]]
    output = graph.results(operator)[0]
    low, high = activation_range(operator.options.activation, output.scale, output.zero_point)
    return KernelCall(
        header=header,
        kernel=kernel,
        struct_name="aot_pool_2d",
        description=struct(
            input=image(input_),
            output=image(output),
            window=window_struct(window_of(graph, operator)),
            min=low,
            max=high,
        ),
        inputs=(input_.index,),
        output=output.index,
        included=included,
    )

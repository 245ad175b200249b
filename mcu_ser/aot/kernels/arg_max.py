# SPDX-License-Identifier: Apache-2.0
"""ARG_MAX along one dimension."""

from __future__ import annotations

import math

from mcu_ser.aot.ir import Graph, Operator
from mcu_ser.aot.kernels.kernel_call import KernelCall, struct


def given_axis(graph: Graph, operator: Operator) -> int:
    """The dimension as the file has it, which may count from the back."""
    data = graph.tensors[operator.inputs[1]].data
    assert data is not None
    return int(data.reshape(-1)[0])


def searched(graph: Graph, operator: Operator) -> int:
    """How many elements are searched for the largest."""
    shape = graph.tensors[operator.inputs[0]].shape
    return shape[given_axis(graph, operator) % len(shape)]


def call(graph: Graph, operator: Operator) -> KernelCall:
    """The kernel call of a supported ARG_MAX."""
    shape = graph.tensors[operator.inputs[0]].shape
    axis = given_axis(graph, operator) % len(shape)
    return KernelCall(
        header="arg_max.h",
        kernel="aot_arg_max",
        struct_name="aot_arg_max",
        description=struct(
            outer=math.prod(shape[:axis]), depth=shape[axis], inner=math.prod(shape[axis + 1 :])
        ),
        inputs=operator.inputs[:1],
        output=operator.outputs[0],
    )

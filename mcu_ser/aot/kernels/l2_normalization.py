# SPDX-License-Identifier: Apache-2.0
"""L2_NORMALIZATION of the rows of the last dimension."""

from __future__ import annotations

from mcu_ser.aot.ir import Graph, Operator
from mcu_ser.aot.kernels.kernel_call import KernelCall, struct


def call(graph: Graph, operator: Operator) -> KernelCall:
    """The kernel call of a supported L2_NORMALIZATION."""
    input_ = graph.tensors[operator.inputs[0]]
    depth = input_.shape[-1]
    return KernelCall(
        header="l2_normalization.h",
        kernel="aot_l2_normalization",
        struct_name="aot_l2_normalization",
        description=struct(
            rows=input_.elements // depth,
            depth=depth,
            input_offset=-input_.zero_point,
        ),
        inputs=(input_.index,),
        output=operator.outputs[0],
    )

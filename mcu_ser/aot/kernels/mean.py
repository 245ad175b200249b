# SPDX-License-Identifier: Apache-2.0
"""MEAN, SUM and REDUCE_MAX over any dimensions."""

from __future__ import annotations

from dataclasses import dataclass

from mcu_ser.aot.ir import Graph, Operator
from mcu_ser.aot.kernels.kernel_call import KernelCall, struct
from mcu_ser.aot.requantize import Multiplier, quantize_multiplier


@dataclass(frozen=True)
class MeanLoops:
    """The input's dimensions merged into runs that are kept and reduced in turn; the first run is kept.

    There are 5 runs for every input of up to 4 dimensions; inputs of more may need more.
    """

    runs: tuple[int, ...]

    @property
    def reduced(self) -> int:
        """Number of elements that become one."""
        count = 1
        for size in self.runs[1::2]:
            count *= size
        return count


def mean_loops(shape: tuple[int, ...], axes: frozenset[int]) -> MeanLoops:
    """Merge the dimensions of `shape`, of which those in `axes` are reduced."""
    runs = [1]
    for axis, size in enumerate(shape):
        if size == 1:
            continue
        # Odd places hold reduced runs.
        if (axis in axes) != (len(runs) % 2 == 0):
            runs.append(1)
        runs[-1] *= size
    return MeanLoops(tuple(runs + [1] * (5 - len(runs))))


def mean_axes(graph: Graph, operator: Operator) -> frozenset[int]:
    """The reduced dimensions, counted from the front."""
    input_ = graph.tensors[operator.inputs[0]]
    axes = graph.tensors[operator.inputs[1]].data
    assert axes is not None
    return frozenset(int(axis) % len(input_.shape) for axis in axes.reshape(-1))


def loops_of(graph: Graph, operator: Operator) -> MeanLoops:
    """The loops of an operator with constant axes."""
    return mean_loops(graph.tensors[operator.inputs[0]].shape, mean_axes(graph, operator))


def mean_multiplier(graph: Graph, operator: Operator) -> Multiplier:
    """Input scale over output scale, for a MEAN divided by the number of elements under one.

    The division truncates, as in the oracle's QuantizedMeanOrSum.
    """
    input_ = graph.tensors[operator.inputs[0]]
    output = graph.results(operator)[0]
    ratio = quantize_multiplier(input_.scale / output.scale)
    if operator.opcode == "SUM":
        return ratio
    count = loops_of(graph, operator).reduced
    shift = min(count.bit_length() - 1, 32, 31 + ratio.shift)
    return Multiplier((ratio.mantissa << shift) // count, ratio.shift - shift)


def call(graph: Graph, operator: Operator) -> KernelCall:
    """The kernel call of a supported MEAN or SUM, which differ in their multiplier."""
    input_ = graph.tensors[operator.inputs[0]]
    output = graph.results(operator)[0]
    loops = loops_of(graph, operator)
    multiplier = mean_multiplier(graph, operator)
    outer, reduced_outer, middle, reduced_inner, inner = loops.runs
    return KernelCall(
        header="mean.h",
        kernel="aot_mean",
        struct_name="aot_mean",
        description=struct(
            outer=outer,
            reduced_outer=reduced_outer,
            middle=middle,
            reduced_inner=reduced_inner,
            inner=inner,
            sum_offset=-input_.zero_point * loops.reduced,
            multiplier=multiplier.mantissa,
            shift=multiplier.shift,
            zero_point=output.zero_point,
        ),
        inputs=(input_.index,),
        output=output.index,
    )


def call_max(graph: Graph, operator: Operator) -> KernelCall:
    """The kernel call of a supported REDUCE_MAX."""
    outer, reduced_outer, middle, reduced_inner, inner = loops_of(graph, operator).runs
    return KernelCall(
        header="reduce_max.h",
        kernel="aot_reduce_max",
        struct_name="aot_reduce_max",
        description=struct(
            outer=outer,
            reduced_outer=reduced_outer,
            middle=middle,
            reduced_inner=reduced_inner,
            inner=inner,
        ),
        inputs=operator.inputs[:1],
        output=operator.outputs[0],
    )

# SPDX-License-Identifier: Apache-2.0
"""Limits of the engine on layers without weights (ADD, MUL, MEAN, PAD, RELU, SOFTMAX ...); see `rules`."""

from __future__ import annotations

from mcu_ser.aot.ir import Graph, Operator, Tensor
from mcu_ser.aot.kernels import add, mean, pad, pairs, relu, softmax
from mcu_ser.aot.requantize import INT8_MAX, INT8_MIN, INT32_MAX, scale_fits
from mcu_ser.aot.rules import data_tensors, six_out_of_range

# The sum of 512 times exp(0) = 1 needs an output shift of 32 bits; the oracle ends its process on that.
MAX_SOFTMAX_DEPTH = 511


def shapes_broadcast(graph: Graph, operator: Operator) -> str | None:
    """The inputs must have the output's shape, or dimensions of 1 where they are broadcast."""
    first, second, output = (t.shape for t in data_tensors(graph, operator))
    rank = len(output)
    if max(len(first), len(second)) > rank:
        return f"{first} + {second} to {output}"
    aligned = [(1,) * (rank - len(shape)) + shape for shape in (first, second)]
    for a, b, size in zip(*aligned, output, strict=True):
        if max(a, b) != size or not {a, b} <= {1, size}:
            return f"{first} + {second} to {output}"
    return None


def broadcast_has_four_loops(graph: Graph, operator: Operator) -> str | None:
    """Broadcasting must not need more than 4 nested loops."""
    loops = len(add.loops_of(graph, operator).sizes)
    return None if loops <= add.LOOPS else f"it needs {loops}"


def add_scales_down(graph: Graph, operator: Operator) -> str | None:
    """The output scale must be above 2^-19 of the larger input scale."""
    # The oracle's limit: its multipliers of ADD must be below 1.
    multipliers = add.add_multipliers(graph, operator)
    if max(multipliers.first.shift, multipliers.second.shift, multipliers.output.shift) > 0:
        return f"output scale {graph.results(operator)[0].scale:g}"
    return None


def _span(tensor: Tensor) -> tuple[int, int]:
    """Least and greatest value less the zero point."""
    return INT8_MIN - tensor.zero_point, INT8_MAX - tensor.zero_point


def products_fit_int32(graph: Graph, operator: Operator) -> str | None:
    """No product of two int8 inputs may overflow the rescaling."""
    first, second, output = data_tensors(graph, operator)
    products = [a * b for a in _span(first) for b in _span(second)]
    multiplier = pairs.mul_multiplier(graph, operator)
    if scale_fits(min(products), max(products), multiplier, output.zero_point):
        return None
    return f"scales {first.scale:g} and {second.scale:g}, output scale {output.scale:g}"


def identity_fits_int32(graph: Graph, operator: Operator) -> str | None:
    """No input above zero may overflow its rescaling."""
    input_, _, output = data_tensors(graph, operator)
    if scale_fits(0, _span(input_)[1], pairs.prelu_multiplier(graph, operator), output.zero_point):
        return None
    return f"input scale {input_.scale:g}, output scale {output.scale:g}"


def quantisation_is_shared(graph: Graph, operator: Operator) -> str | None:
    """Both inputs and the output must have the same scale and zero point."""
    # TensorFlow Lite's specification; the oracle compares stored values whatever they stand for.
    *inputs, output = data_tensors(graph, operator)
    for tensor in inputs:
        if (tensor.scale, tensor.zero_point) != (output.scale, output.zero_point):
            return (
                f"{tensor.name} has scale {tensor.scale:g}, zero point {tensor.zero_point}, "
                f"{output.name} {output.scale:g}, {output.zero_point}"
            )
    return None


def axes_exist(graph: Graph, operator: Operator) -> str | None:
    """The axes must be dimensions of the input."""
    rank = len(graph.tensors[operator.inputs[0]].shape)
    axes = graph.tensors[operator.inputs[1]].data
    assert axes is not None
    wrong = [int(axis) for axis in axes.reshape(-1) if not -rank <= axis < rank]
    return f"axis {wrong[0]} of {rank} dimensions" if wrong else None


def mean_has_five_loops(graph: Graph, operator: Operator) -> str | None:
    """Kept and reduced dimensions must alternate at most 5 times, and the output must hold the kept ones."""
    loops = mean.loops_of(graph, operator)
    if len(loops.runs) > 5:
        return f"{len(loops.runs)} times"
    kept = graph.tensors[operator.inputs[0]].elements // loops.reduced
    output = graph.results(operator)[0]
    return None if output.elements == kept else f"output {output.shape_text} for {kept} elements"


def mean_fits_int32(graph: Graph, operator: Operator) -> str | None:
    """No int8 input may overflow the int32 sum or its rescaling."""
    input_, output = data_tensors(graph, operator)
    count = mean.loops_of(graph, operator).reduced
    low, high = (-128 - input_.zero_point) * count, (127 - input_.zero_point) * count
    # The kernel starts at minus the zero point times the count.
    if max(abs(low), abs(high), 128 * count) > INT32_MAX:
        return f"{count} elements"
    multiplier = mean.mean_multiplier(graph, operator)
    return None if scale_fits(low, high, multiplier, output.zero_point) else f"shift {multiplier.shift}"


def paddings_make_output(graph: Graph, operator: Operator) -> str | None:
    """Paddings must be two counts of at least 0 per dimension and give the output's shape."""
    input_, output = data_tensors(graph, operator)
    paddings = graph.tensors[operator.inputs[1]]
    if paddings.elements != 2 * len(input_.shape):
        return f"{paddings.elements} counts for {input_.shape_text}"
    pairs = pad.paddings_of(graph, operator)
    if any(count < 0 for pair in pairs for count in pair):
        return "a count is negative"
    padded = tuple(size + sum(pair) for size, pair in zip(input_.shape, pairs, strict=True))
    return None if padded == output.shape else f"they give {padded}, the output is {output.shape}"


def pad_has_four_loops(graph: Graph, operator: Operator) -> str | None:
    """At most 4 of at most 5 dimensions may be padded."""
    rank = len(graph.tensors[operator.inputs[0]].shape)
    loops = len(pad.loops_of(graph, operator).sizes)
    return None if loops <= pad.LOOPS and rank <= 5 else f"{rank} dimensions, {loops} loops"


def pad_value_matches(graph: Graph, operator: Operator) -> str | None:
    """The pad value must be one element, quantised like the output."""
    # The oracle's limit.
    if len(operator.inputs) < 3:
        return None
    value, output = graph.tensors[operator.inputs[2]], graph.results(operator)[0]
    if value.elements != 1 or value.quantization is None or len(value.quantization.scales) != 1:
        return f"{value.shape_text}"
    if (value.scale, value.zero_point) != (output.scale, output.zero_point):
        return f"scale {value.scale:g} and {output.scale:g}"
    return None


def elements_are_kept(graph: Graph, operator: Operator) -> str | None:
    """Input and output must have equally many elements."""
    input_, output = data_tensors(graph, operator)
    return None if input_.elements == output.elements else f"{input_.shape_text} to {output.shape_text}"


def relu_fits_int32(graph: Graph, operator: Operator) -> str | None:
    """No int8 input may overflow the rescaling."""
    input_, output = data_tensors(graph, operator)
    multiplier = relu.relu_multiplier(graph, operator)
    low, high = -128 - input_.zero_point, 127 - input_.zero_point
    if scale_fits(low, high, multiplier, output.zero_point):
        return None
    return f"input scale {input_.scale:g}, output scale {output.scale:g}"


def six_is_in_range(graph: Graph, operator: Operator) -> str | None:
    """6 divided by the input scale must be in int32."""
    return six_out_of_range(graph.tensors[operator.inputs[0]])


def output_is_probability(graph: Graph, operator: Operator) -> str | None:
    """The output must have scale 1/256 and zero point -128."""
    # The oracle's limit; the scale of LOGISTIC it takes for granted.
    output = graph.results(operator)[0]
    if output.scale == 1 / 256 and output.zero_point == -128:
        return None
    return f"scale {output.scale:g}, zero point {output.zero_point}"


def softmax_factor_is_above_one(graph: Graph, operator: Operator) -> str | None:
    """Beta * input scale must be above 2^-26."""
    # The oracle's limit: it stops otherwise.
    factor = softmax.softmax_factor(graph, operator)
    return None if factor > 1 else f"it is {factor:g} * 2^-26"


def softmax_depth_is_limited(graph: Graph, operator: Operator) -> str | None:
    """The last dimension must be at most 511."""
    shape = graph.tensors[operator.inputs[0]].shape
    if not shape:
        return "the input is a scalar"
    return None if shape[-1] <= MAX_SOFTMAX_DEPTH else f"it is {shape[-1]}"


def shape_is_kept(graph: Graph, operator: Operator) -> str | None:
    """Input and output must have the same shape."""
    input_, output = data_tensors(graph, operator)
    return None if input_.shape == output.shape else f"{input_.shape_text} to {output.shape_text}"

# SPDX-License-Identifier: Apache-2.0
"""Decides whether the engine can compile a model: the rules of every operator, and those of the whole model.

The same table of rules is the check, the error message and the operator table of the documentation.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from mcu_ser.aot import (
    curve_rules,
    element_rules,
    index_rules,
    int16_rules,
    lstm_rules,
    norm_resize_rules,
    part_rules,
    product_rules,
    rules,
    slice_rules,
)
from mcu_ser.aot.ir import Graph, Operator, Tensor, short_name
from mcu_ser.errors import ModelError

Rule = Callable[[Graph, Operator], str | None]

MAX_IO_RANK = 6

_DATA: tuple[Rule, ...] = (
    rules.operands_are_complete,
    rules.data_is_int8,
    rules.data_is_computed,
    rules.data_is_quantised,
)
_PARAMETERS: tuple[Rule, ...] = (rules.parameters_have_their_type, rules.parameters_are_constant)
_WEIGHTS: tuple[Rule, ...] = (*_DATA, *_PARAMETERS, rules.weights_are_symmetric)
_POOL: tuple[Rule, ...] = (
    *_DATA,
    rules.data_is_one_image,
    rules.window_is_positive,
    rules.output_follows_padding,
    rules.pool_keeps_channels,
    rules.pool_keeps_quantisation,
    rules.activation_is_supported,
)
_SUMS: tuple[Rule, ...] = (
    rules.bias_has_channels,
    rules.activation_is_supported,
    rules.accumulator_fits_int32,
)
_CONVOLUTION: tuple[Rule, ...] = (rules.window_is_positive, rules.output_follows_padding, *_SUMS)
_PAD: tuple[Rule, ...] = (
    *_DATA,
    *_PARAMETERS,
    element_rules.paddings_make_output,
    element_rules.pad_has_four_loops,
    element_rules.pad_value_matches,
)

_MOVED: tuple[Rule, ...] = (rules.operands_are_complete, rules.data_is_int8, rules.data_is_computed)
_WALKED: tuple[Rule, ...] = (
    *_MOVED,
    *_PARAMETERS,
    slice_rules.rank_is_limited,
    slice_rules.there_is_one_number_per_dimension,
)
_PARTS: tuple[Rule, ...] = (part_rules.axis_exists, part_rules.parts_make_whole)

_REDUCTION: tuple[Rule, ...] = (
    *_DATA,
    *_PARAMETERS,
    element_rules.axes_exist,
    element_rules.mean_has_five_loops,
)

_PAIR: tuple[Rule, ...] = (*_DATA, element_rules.shapes_broadcast, element_rules.broadcast_has_four_loops)

_SUM_OF_TWO: tuple[Rule, ...] = (
    *_PAIR,
    element_rules.add_scales_down,
    rules.activation_is_supported,
)

# Operator -> its rules; each rule may rely on those before it.
RULES: dict[str, tuple[Rule, ...]] = {
    "ADD": _SUM_OF_TWO,
    "ARG_MAX": (
        rules.operands_are_complete,
        index_rules.indices_have_their_type,
        rules.data_is_computed,
        *_PARAMETERS,
        index_rules.axis_goes,
        index_rules.indices_are_the_models_output,
    ),
    "AVERAGE_POOL_2D": _POOL,
    "BATCH_MATMUL": (
        *_DATA,
        product_rules.operands_are_stacks,
        product_rules.matrices_make_output,
        product_rules.sums_of_products_fit_int32,
    ),
    "CONCATENATION": (
        *_DATA,
        *_PARTS,
        part_rules.parts_keep_quantisation,
        part_rules.concatenation_has_six_dimensions,
        part_rules.nothing_is_fused,
    ),
    "CONV_2D": (
        *_WEIGHTS,
        rules.data_is_one_image,
        rules.convolution_sees_all_channels,
        *_CONVOLUTION,
    ),
    "DEPTHWISE_CONV_2D": (
        *_WEIGHTS,
        rules.data_is_one_image,
        rules.depthwise_multiplies_channels,
        *_CONVOLUTION,
    ),
    "EXPAND_DIMS": (*_MOVED, *_PARAMETERS, slice_rules.expansion_adds_a_one),
    "FULLY_CONNECTED": (
        *_WEIGHTS,
        rules.matrix_fits_data,
        rules.bias_has_channels,
        rules.bias_scale_matches,
        rules.activation_is_supported,
        rules.accumulator_fits_int32,
    ),
    "HARD_SWISH": (
        *_DATA,
        element_rules.shape_is_kept,
        curve_rules.hard_swish_scales_down,
    ),
    "LEAKY_RELU": (
        *_DATA,
        element_rules.shape_is_kept,
        curve_rules.leaky_relu_fits_int32,
    ),
    "LOGISTIC": (
        *_DATA,
        element_rules.shape_is_kept,
        curve_rules.curve_scale_is_in_range,
        element_rules.output_is_probability,
    ),
    "L2_NORMALIZATION": (
        *_DATA,
        element_rules.shape_is_kept,
        norm_resize_rules.norm_depth_is_limited,
        norm_resize_rules.norm_output_is_fixed,
        part_rules.nothing_is_fused,
    ),
    "MAXIMUM": (*_PAIR, element_rules.quantisation_is_shared),
    "MAX_POOL_2D": _POOL,
    "MEAN": (*_REDUCTION, element_rules.mean_fits_int32),
    "MINIMUM": (*_PAIR, element_rules.quantisation_is_shared),
    "MUL": (*_PAIR, element_rules.products_fit_int32, rules.activation_is_supported),
    "PACK": (*_MOVED, *_PARTS, part_rules.count_is_that_of_the_parts),
    "PAD": _PAD,
    "PADV2": _PAD,
    "PRELU": (*_PAIR, element_rules.identity_fits_int32, element_rules.products_fit_int32),
    "QUANTIZE": (*_DATA, element_rules.shape_is_kept, curve_rules.requantization_fits_int32),
    "REDUCE_MAX": (*_REDUCTION, part_rules.parts_keep_quantisation),
    "RELU": (*_DATA, element_rules.shape_is_kept, element_rules.relu_fits_int32),
    "RELU6": (*_DATA, element_rules.shape_is_kept, element_rules.six_is_in_range),
    "RESHAPE": (*_MOVED, element_rules.elements_are_kept),
    "RESIZE_NEAREST_NEIGHBOR": (
        *_MOVED,
        *_PARAMETERS,
        rules.data_is_one_image,
        norm_resize_rules.size_is_that_of_the_output,
    ),
    "REVERSE_V2": (*_MOVED, *_PARAMETERS, slice_rules.reversed_axes_are_neighbours),
    "SLICE": (*_WALKED, slice_rules.slice_is_inside),
    "SOFTMAX": (
        *_DATA,
        element_rules.shape_is_kept,
        element_rules.softmax_depth_is_limited,
        element_rules.output_is_probability,
        element_rules.softmax_factor_is_above_one,
    ),
    "SPLIT": (*_MOVED, *_PARAMETERS, *_PARTS, part_rules.split_is_even),
    "SPLIT_V": (*_MOVED, *_PARAMETERS, *_PARTS, part_rules.sizes_are_those_of_the_parts),
    "SQUEEZE": (*_MOVED, slice_rules.squeeze_drops_ones),
    "STRIDED_SLICE": (
        *_WALKED,
        slice_rules.strides_step,
        slice_rules.masks_are_plain,
        slice_rules.strided_slice_is_inside,
    ),
    "SUM": (*_REDUCTION, element_rules.mean_fits_int32),
    "TRANSPOSE": (*_WALKED, slice_rules.permutation_makes_output),
    "TRANSPOSE_CONV": (
        *_WEIGHTS,
        rules.data_is_one_image,
        rules.convolution_sees_all_channels,
        rules.window_is_positive,
        product_rules.shape_operand_is_that_of_the_output,
        product_rules.input_follows_padding,
        *_SUMS,
    ),
    "UNIDIRECTIONAL_SEQUENCE_LSTM": (
        *_DATA,
        lstm_rules.lstm_has_four_gates,
        lstm_rules.lstm_is_plain,
        lstm_rules.lstm_operands_have_their_type,
        lstm_rules.gates_are_constant,
        lstm_rules.sequence_makes_output,
        lstm_rules.gates_fit_sequence,
        lstm_rules.gates_are_symmetric,
        lstm_rules.output_state_is_quantised,
        lstm_rules.cell_scale_is_power_of_two,
        lstm_rules.lstm_activation_is_tanh,
        lstm_rules.gates_fit_int32,
    ),
    "UNPACK": (*_MOVED, *_PARTS, part_rules.count_is_that_of_the_parts),
    "SUB": _SUM_OF_TWO,
    "TANH": (
        *_DATA,
        element_rules.shape_is_kept,
        curve_rules.curve_scale_is_in_range,
        curve_rules.tanh_output_is_fixed,
    ),
}


@dataclass(frozen=True)
class Unsupported:
    """A layer that the engine cannot compile, and why."""

    index: int
    opcode: str
    name: str
    reason: str

    def __str__(self) -> str:
        return f"layer {self.index}, {self.opcode} ({short_name(self.name)}): {self.reason}"


def find_unsupported(graph: Graph) -> tuple[Unsupported, ...]:
    """All layers that break a rule, each with the first rule that it breaks."""
    found = ((operator, _broken_rule(graph, operator)) for operator in graph.operators)
    return tuple(
        Unsupported(operator.index, operator.opcode, graph.layer_name(operator), reason)
        for operator, reason in found
        if reason is not None
    )


def check_supported(graph: Graph) -> None:
    """Check the model and every layer.

    Raises:
        ModelError: It is neither int8 nor int16, has more than one input or output, or has unsupported
            layers; the error names all of them.
    """
    _check_type(graph, ("INT8", "INT16"))
    unsupported = find_unsupported(graph)
    if unsupported:
        count = len(unsupported)
        lines = "".join(f"\n  {layer}" for layer in unsupported)
        layers = (
            "1 layer that the engine does not support"
            if count == 1
            else (f"{count} layers that the engine does not support")
        )
        raise ModelError(graph.name, f"has {layers}:{lines}")
    _check_ends(graph)


def check_interface(graph: Graph) -> None:
    """Check the model's input and output for an engine that takes INT8 alone.

    Raises:
        ModelError: Not one of each, not int8, or not quantised per tensor.
    """
    _check_type(graph, ("INT8",))
    _check_ends(graph)


def operator_table() -> str:
    """Markdown table of the operators and their rules, for the documentation."""
    # What all the others have in common is not said for each.
    usual = {rule for rule in _DATA if all(rule in RULES[opcode] for opcode in RULES if opcode != "ARG_MAX")}
    shared = {opcode: () if opcode == "ARG_MAX" else usual for opcode in RULES}
    lines = ["| operator | limits |", "|---|---|"]
    lines += [
        f"| {opcode} | {'; '.join(_text(rule) for rule in chain if rule not in shared[opcode])} |"
        for opcode, chain in sorted(RULES.items())
    ]
    lines += [f"| all but ARG_MAX | {'; '.join(_text(rule) for rule in _DATA if rule in usual)} |"]
    lines += [
        f"| {opcode}, INT16 | {'; '.join(map(_text, chain))} |"
        for opcode, chain in sorted(int16_rules.RULES.items())
    ]
    return "\n".join(lines) + "\n"


# Operators that no rule can admit, and why; the engine's tensors are int8.
_NEVER = {
    "DEQUANTIZE": "its output is float, and the engine computes in integers from the model's input to its "
    "output; floats are taken off at the ends alone",
}


def _broken_rule(graph: Graph, operator: Operator) -> str | None:
    if operator.opcode in _NEVER:
        return _NEVER[operator.opcode]
    if operator.opcode not in RULES:
        return f"the engine has no such operator; it has {', '.join(sorted(RULES))}"
    table = int16_rules.RULES if graph.is_int16(operator) else RULES
    if operator.opcode not in table:
        return f"the engine has it for INT8 activations alone; for INT16 it has {', '.join(sorted(table))}"
    for rule in table[operator.opcode]:
        broken = rule(graph, operator)
        if broken is not None:
            return f"{_text(rule)} ({broken})"
    return None


def _text(rule: Rule) -> str:
    sentence = (rule.__doc__ or "").strip().rstrip(".")
    return sentence[0].lower() + sentence[1:]


def _check_type(graph: Graph, dtypes: tuple[str, ...]) -> None:
    inputs = [graph.tensors[i] for i in graph.inputs]
    outputs = [graph.tensors[i] for i in graph.outputs]
    for kind, tensors in (("input", inputs), ("output", outputs)):
        if len(tensors) != 1:
            raise ModelError(graph.name, f"has {len(tensors)} {kind}s", limit=f"1 {kind}")
    if inputs[0].dtype == "FLOAT32" and not any(t.dtype in dtypes for t in graph.tensors):
        raise ModelError(
            graph.name,
            f"is a float model (input {short_name(inputs[0].name)} is FLOAT32); the engine runs int8 models",
            hint="full-integer quantisation with int8 input and output when converting to .tflite",
        )
    _require_type(graph, "input", dtypes, "inference_input_type int8 when converting to .tflite")
    if _gives_indices(graph):
        _require_type(graph, "output", ("INT32",), "an argmax whose output_type is int32")
    else:
        _require_type(graph, "output", dtypes, "inference_output_type int8 when converting to .tflite")


def _gives_indices(graph: Graph) -> bool:
    return any(
        operator.opcode == "ARG_MAX" and operator.outputs == graph.outputs for operator in graph.operators
    )


def _require_type(graph: Graph, kind: str, dtypes: tuple[str, ...], hint: str) -> None:
    tensor = graph.tensors[(graph.inputs if kind == "input" else graph.outputs)[0]]
    if tensor.dtype not in dtypes:
        problem = f"{kind} {short_name(tensor.name)} is {tensor.dtype}, not {' or '.join(dtypes)}"
        raise ModelError(graph.name, problem, hint=hint)


def _check_ends(graph: Graph) -> None:
    for kind, index in (("input", graph.inputs[0]), ("output", graph.outputs[0])):
        tensor = graph.tensors[index]
        where = f"{kind} {short_name(tensor.name)}"
        if not 1 <= len(tensor.shape) <= MAX_IO_RANK:
            raise ModelError(
                graph.name, f"{where} has {len(tensor.shape)} dimensions", limit=f"1 .. {MAX_IO_RANK}"
            )
        if len(tensor.shape) > 1 and tensor.shape[0] != 1:
            raise ModelError(
                graph.name,
                f"{where} has batch size {tensor.shape[0]}",
                limit="1",
                hint="converting the model with batch size 1",
            )
        _check_quantisation(graph, tensor, where)


def _check_quantisation(graph: Graph, tensor: Tensor, where: str) -> None:
    if tensor.data is not None:
        raise ModelError(graph.name, f"{where} is a constant")
    if tensor.dtype == "INT32":
        return
    quantization = tensor.quantization
    if quantization is None or len(quantization.scales) != 1:
        raise ModelError(graph.name, f"{where} has no per-tensor quantisation")
    if not (tensor.scale > 0 and -128 <= tensor.zero_point <= 127):
        raise ModelError(graph.name, f"{where} has scale {tensor.scale:g} and zero point {tensor.zero_point}")

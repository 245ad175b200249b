# SPDX-License-Identifier: Apache-2.0
"""Decides whether a library with TFLite-Micro runs a model right: operators, their versions, types, weights.

TFLite-Micro does not look at the version of an operator, so a library that is older than a feature takes the
model and computes something else. The rules here refuse such a model before it is a project, with the layer
and a remedy. What is not refused is not vouched for: `verify` compares the bytes on the board.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from mcu_ser.aot.ir import short_name
from mcu_ser.board.arduino import ArduinoBuild
from mcu_ser.errors import ConfigError, ModelError
from mcu_ser.tflm.layer_shapes import broken_layer

if TYPE_CHECKING:
    from mcu_ser.aot.ir import Graph, Operator
    from mcu_ser.board import Board

# Newest version of each operator that is an int8 one. The numbers are the converter's (TensorFlow,
# tensorflow/compiler/mlir/lite/tools/versioning/op_version.cc): above them are int16, int4 and int2 data,
# biases of other types, more dimensions, and sparse or grouped weights.
_OLD_OPERATORS: Mapping[str, int] = {
    "ADD": 2,
    "AVERAGE_POOL_2D": 2,
    "CONV_2D": 3,
    "DEPTHWISE_CONV_2D": 3,
    "FULLY_CONNECTED": 6,
    "MAX_POOL_2D": 2,
    "MEAN": 2,
    "PAD": 2,
    "PADV2": 2,
    "RELU": 2,
    "RELU6": 2,
    "RESHAPE": 1,
    "SOFTMAX": 2,
}
_NEW_OPERATORS: Mapping[str, int] = {
    "ARG_MAX": 2,
    "BATCH_MATMUL": 2,
    "CONCATENATION": 2,
    "EXPAND_DIMS": 1,
    "HARD_SWISH": 1,
    "L2_NORMALIZATION": 2,
    "LEAKY_RELU": 1,
    "LOGISTIC": 2,
    "MAXIMUM": 2,
    "MINIMUM": 2,
    "MUL": 2,
    "PACK": 2,
    "PRELU": 1,
    "QUANTIZE": 1,
    "REDUCE_MAX": 2,
    "RESIZE_NEAREST_NEIGHBOR": 3,
    "REVERSE_V2": 3,
    "SLICE": 5,
    "SPLIT": 2,
    "SPLIT_V": 2,
    "SQUEEZE": 1,
    "STRIDED_SLICE": 2,
    "SUB": 2,
    "SUM": 2,
    "TANH": 2,
    "TRANSPOSE": 4,
    "TRANSPOSE_CONV": 4,
    "UNIDIRECTIONAL_SEQUENCE_LSTM": 3,
    "UNPACK": 2,
}

_OTHER_ENGINE = "--engine aot"
_PER_TENSOR_DENSE = (
    "the converter's _experimental_disable_per_channel_quantization_for_dense_layers = True, or --engine aot"
)


@dataclass(frozen=True)
class Runtime:
    """A library with TFLite-Micro.

    Attributes:
        name: What messages call it.
        operators: Name in the .tflite schema -> newest version that the library runs right.
        per_channel_fully_connected: Whether FULLY_CONNECTED may have one scale per output.
    """

    name: str
    operators: Mapping[str, int]
    per_channel_fully_connected: bool


# Read and run: TFLite-Micro 90b983c2b (August 2026), reference and CMSIS-NN kernels; they take the scale of
# each output (fully_connected_common.cc).
CURRENT_TFLM = Runtime(
    name="TFLite-Micro",
    operators={**_OLD_OPERATORS, **_NEW_OPERATORS},
    per_channel_fully_connected=True,
)

# Read at tag v2.0.0 (July 2024): fully_connected_common.cpp takes the first scale for every output. That is
# no error there: the outputs are just wrong.
CHIRALE_2_0_0 = Runtime(
    name="the Arduino library Chirale_TensorFLowLite 2.0.0",
    operators=_OLD_OPERATORS,
    per_channel_fully_connected=False,
)

_ARDUINO_LIBRARIES = {("Chirale_TensorFLowLite", "2.0.0"): CHIRALE_2_0_0}


def runtime_for(board: Board) -> Runtime | None:
    """The library that engine tflm uses on a board; None where there is no such engine.

    Raises:
        ConfigError: The board file names an Arduino library that nobody has looked into.
    """
    if isinstance(board.build, ArduinoBuild):
        library = board.build.tflm_library
        if library is None:
            return None
        runtime = _ARDUINO_LIBRARIES.get((library.name, library.version))
        if runtime is None:
            known = ", ".join(" ".join(key) for key in _ARDUINO_LIBRARIES)
            problem = (
                f"tflm_library {library.name} {library.version} is none that mcu-ser knows the limits of"
            )
            raise ConfigError(board.id, problem, limit=known)
        return runtime
    return None if board.platform == "host" else CURRENT_TFLM


@dataclass(frozen=True)
class Refusal:
    """A layer that a library cannot run right, why, and what to do about it."""

    index: int
    opcode: str
    name: str
    reason: str
    remedy: str

    def __str__(self) -> str:
        return (
            f"layer {self.index}, {self.opcode} ({short_name(self.name)}): {self.reason}; try: {self.remedy}"
        )


# A rule gives reason and remedy where it is broken.
_Rule = Callable[["Graph", "Operator", Runtime], tuple[str, str] | None]


def find_refusals(graph: Graph, runtime: Runtime) -> tuple[Refusal, ...]:
    """All layers that the library cannot run right, each with the first rule that it breaks."""
    refusals = []
    for operator in graph.operators:
        broken = next(filter(None, (rule(graph, operator, runtime) for rule in _RULES)), None)
        if broken is not None:
            refusals.append(Refusal(operator.index, operator.opcode, graph.layer_name(operator), *broken))
    return tuple(refusals)


def check_runtime(graph: Graph, runtime: Runtime) -> None:
    """Check that a library runs every layer right.

    Raises:
        ModelError: It does not; names all such layers, with the remedy for each.
    """
    refusals = find_refusals(graph, runtime)
    if refusals:
        count = "1 layer" if len(refusals) == 1 else f"{len(refusals)} layers"
        lines = "".join(f"\n  {refusal}" for refusal in refusals)
        raise ModelError(graph.name, f"has {count} that {runtime.name} does not run right:{lines}")


def _operator_is_known(graph: Graph, operator: Operator, runtime: Runtime) -> tuple[str, str] | None:
    if operator.opcode in runtime.operators:
        return None
    known = ", ".join(sorted(runtime.operators))
    return f"{runtime.name} is not known to run it; it runs {known}", f"a model of these, or {_OTHER_ENGINE}"


def _version_is_known(graph: Graph, operator: Operator, runtime: Runtime) -> tuple[str, str] | None:
    limit = runtime.operators[operator.opcode]
    if operator.version <= limit:
        return None
    reason = f"its version is {operator.version}, {runtime.name} runs up to {limit}"
    return reason, f"int8 weights and data when converting, or {_OTHER_ENGINE}"


def _layer_is_whole(graph: Graph, operator: Operator, runtime: Runtime) -> tuple[str, str] | None:
    broken = broken_layer(graph, operator)
    return None if broken is None else (broken, "converting the model again")


def _data_is_int8(graph: Graph, operator: Operator, runtime: Runtime) -> tuple[str, str] | None:
    place = _DATA_OPERANDS.get(operator.opcode, 0)
    data = [t for t in graph.operands(operator)[place : place + 1] if t is not None]
    weights = graph.operands(operator)[1:2] if operator.opcode in _WEIGHTED else ()
    # What an ARG_MAX gives are indices; `check_interface` has seen to their type.
    results = () if operator.opcode == "ARG_MAX" else graph.results(operator)
    for tensor in (*data, *(t for t in weights if t is not None), *results):
        if tensor.dtype != "INT8":
            return f"{short_name(tensor.name)} is {tensor.dtype}, not INT8", "full-integer int8 quantisation"
    return None


def _bias_is_int32(graph: Graph, operator: Operator, runtime: Runtime) -> tuple[str, str] | None:
    bias = graph.operands(operator)[2:3] if operator.opcode in _WEIGHTED else ()
    for tensor in bias:
        if tensor is not None and tensor.dtype != "INT32":
            return f"its bias is {tensor.dtype}, not INT32", "full-integer int8 quantisation"
    return None


def _dense_scales_are_known(graph: Graph, operator: Operator, runtime: Runtime) -> tuple[str, str] | None:
    if runtime.per_channel_fully_connected or operator.opcode != "FULLY_CONNECTED":
        return None
    weights = graph.operands(operator)[1]
    scales = 1 if weights is None or weights.quantization is None else len(weights.quantization.scales)
    if scales == 1:
        return None
    return f"its weights have {scales} scales, {runtime.name} uses the first for all", _PER_TENSOR_DENSE


def _convolution_has_no_groups(graph: Graph, operator: Operator, runtime: Runtime) -> tuple[str, str] | None:
    # The reference kernels convolve in groups. With CMSIS-NN 4ab83cc3c every output was wrong on a Cortex-M4,
    # and which kernels a library has is not known here.
    if operator.opcode != "CONV_2D":
        return None
    data, weights = graph.operands(operator)[:2]
    if data is None or weights is None or data.shape[-1] == weights.shape[-1]:
        return None
    reason = f"it sees {weights.shape[-1]} of {data.shape[-1]} channels; CMSIS-NN computes groups wrong"
    return reason, "a convolution over all channels"


def _is_plain(graph: Graph, operator: Operator, runtime: Runtime) -> tuple[str, str] | None:
    # The interpreter takes more, and ignores what it does not know: scales per cell, other curves, an axis
    # that there is not.
    if operator.opcode not in _PLAIN:
        return None
    from mcu_ser.aot.supported import find_unsupported

    broken = next((layer for layer in find_unsupported(graph) if layer.index == operator.index), None)
    if broken is not None:
        return broken.reason, _PLAIN[operator.opcode]
    # The reference kernel takes 0 for no limit. Which kernels a library has is not known here.
    if getattr(operator.options, "cell_clip", None) == 0:
        return "its cell state has no limit, and CMSIS-NN takes that for a limit of 0", _OTHER_ENGINE
    return None


# Operators that must be as the ahead-of-time engine has them, and what would be.
_PLAIN = {
    "ARG_MAX": "an argmax along one axis at the model's end",
    "UNIDIRECTIONAL_SEQUENCE_LSTM": "a plain LSTM layer in full-integer int8 quantisation",
}
# Place of the data where it is not the first operand.
_DATA_OPERANDS = {"SPLIT": 1}
_WEIGHTED = frozenset({"CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED"})
_RULES: tuple[_Rule, ...] = (
    _operator_is_known,
    _version_is_known,
    # Those behind it rely on this one.
    _layer_is_whole,
    _data_is_int8,
    _bias_is_int32,
    _dense_scales_are_known,
    _convolution_has_no_groups,
    _is_plain,
)

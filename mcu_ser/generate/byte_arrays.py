# SPDX-License-Identifier: Apache-2.0
"""A .tflite as the C++ files of a TFLite-Micro project: byte array, exact operator resolver, arena size.

Engine tflm compiles them; projects of engine aot that CMake builds have them in `src/tflm/`, for users who
bring the TFLite-Micro library themselves.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from mcu_ser.errors import ModelError

if TYPE_CHECKING:
    from mcu_ser.aot.ir import BatchMatmulOptions, Graph, Operator, Tensor

# Operator name in the .tflite schema -> method of MicroMutableOpResolver.
RESOLVER_METHODS = {
    "ADD": "AddAdd",
    "ARG_MAX": "AddArgMax",
    "AVERAGE_POOL_2D": "AddAveragePool2D",
    "BATCH_MATMUL": "AddBatchMatMul",
    "CONCATENATION": "AddConcatenation",
    "CONV_2D": "AddConv2D",
    "DEPTHWISE_CONV_2D": "AddDepthwiseConv2D",
    "EXPAND_DIMS": "AddExpandDims",
    "FULLY_CONNECTED": "AddFullyConnected",
    "HARD_SWISH": "AddHardSwish",
    "L2_NORMALIZATION": "AddL2Normalization",
    "LEAKY_RELU": "AddLeakyRelu",
    "LOGISTIC": "AddLogistic",
    "MAXIMUM": "AddMaximum",
    "MAX_POOL_2D": "AddMaxPool2D",
    "MEAN": "AddMean",
    "MINIMUM": "AddMinimum",
    "MUL": "AddMul",
    "PACK": "AddPack",
    "PAD": "AddPad",
    "PADV2": "AddPadV2",
    "PRELU": "AddPrelu",
    "QUANTIZE": "AddQuantize",
    "REDUCE_MAX": "AddReduceMax",
    "RELU": "AddRelu",
    "RELU6": "AddRelu6",
    "RESHAPE": "AddReshape",
    "RESIZE_NEAREST_NEIGHBOR": "AddResizeNearestNeighbor",
    "REVERSE_V2": "AddReverseV2",
    "SLICE": "AddSlice",
    "SOFTMAX": "AddSoftmax",
    "SPLIT": "AddSplit",
    "SPLIT_V": "AddSplitV",
    "SQUEEZE": "AddSqueeze",
    "STRIDED_SLICE": "AddStridedSlice",
    "SUB": "AddSub",
    "SUM": "AddSum",
    "TANH": "AddTanh",
    "TRANSPOSE": "AddTranspose",
    "TRANSPOSE_CONV": "AddTransposeConv",
    "UNIDIRECTIONAL_SEQUENCE_LSTM": "AddUnidirectionalSequenceLSTM",
    "UNPACK": "AddUnpack",
}

# Operators of which TFLite-Micro has a registration for int8 alone: with CMSIS-NN it leaves the rest out.
_INT8_REGISTRATIONS = frozenset(
    {
        *("ADD", "AVERAGE_POOL_2D", "CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED", "MAX_POOL_2D", "MUL"),
        "SOFTMAX",
    }
)

# TFLite-Micro keeps, per operator, a node, a registration, tensors and the kernel's data in the arena:
# 123 to 168 bytes were measured on a Cortex-M4 (kws_ref_model, ic_resnet_int8, ad01_int8).
OPERATOR_BYTES = 176
# Per output channel of a per-channel operator: multiplier and shift, 32 bits each.
CHANNEL_BYTES = 8
# The data of an LSTM's kernel, that of CMSIS-NN among them, beyond OPERATOR_BYTES.
LSTM_BYTES = 1536
# The interpreter's own objects, and what planning needs for a while.
MARGIN_BYTES = 1024
ALIGNMENT = 16

_BYTES_PER_LINE = 16

# From more input channels on CMSIS-NN computes a TRANSPOSE_CONV as a convolution with reversed weights.
_LEAST_REVERSED_DEPTH = 16


@dataclass(frozen=True)
class TflmArena:
    """Estimate of the interpreter's arena on a 32-bit core, by part, in bytes.

    `activation_bytes` is the most that is live in a layer, with the scratch buffer of CMSIS-NN;
    `peak_layer` the index of that layer, None for a model without layers.
    """

    activation_bytes: int
    channel_bytes: int
    operator_bytes: int
    margin_bytes: int = MARGIN_BYTES
    peak_layer: int | None = None

    @property
    def arena_bytes(self) -> int:
        """The whole arena, a multiple of 16."""
        parts = self.activation_bytes + self.channel_bytes + self.operator_bytes + self.margin_bytes
        return _aligned(parts)


@dataclass(frozen=True)
class TflmValues:
    """What the templates of a TFLite-Micro project print."""

    model_lines: tuple[str, ...]
    model_bytes: int
    registrations: tuple[str, ...]
    registration_count: int
    activation_bytes: int
    channel_bytes: int
    operator_bytes: int
    margin_bytes: int
    arena_bytes: int
    has_states: bool


def tflm_values(model: bytes, graph: Graph) -> TflmValues:
    """The values for one model; `graph` is what `tflite_reader` reads in it.

    Raises:
        ModelError: The resolver method of an operator is not known.
    """
    from mcu_ser.aot.states import has_states

    arena = estimate_arena(graph)
    registrations = resolver_registrations(graph)
    return TflmValues(
        model_lines=tuple(byte_lines(model)),
        model_bytes=len(model),
        registrations=registrations,
        registration_count=len(registrations),
        activation_bytes=arena.activation_bytes,
        channel_bytes=arena.channel_bytes,
        operator_bytes=arena.operator_bytes,
        margin_bytes=arena.margin_bytes,
        arena_bytes=arena.arena_bytes,
        has_states=has_states(graph),
    )


def resolver_registrations(graph: Graph) -> tuple[str, ...]:
    """The calls of the resolver that register exactly the model's operators, sorted.

    An operator is registered in its form for int8, if it has one, unless a layer of the model is int16.

    Raises:
        ModelError: The resolver method of an operator is not known.
    """
    opcodes = {operator.opcode for operator in graph.operators}
    # The form for int8 takes the elements of an int16 layer for int8 ones, without an error.
    wide = {operator.opcode for operator in graph.operators if graph.is_int16(operator)}
    unknown = sorted(opcodes - RESOLVER_METHODS.keys())
    if unknown:
        raise ModelError(graph.name, f"no TFLite-Micro resolver method is known for {', '.join(unknown)}")
    arguments = {opcode: _registration(opcode, is_int16=opcode in wide) for opcode in opcodes}
    return tuple(sorted(f"{RESOLVER_METHODS[opcode]}({argument})" for opcode, argument in arguments.items()))


def _registration(opcode: str, *, is_int16: bool) -> str:
    """The argument of a resolver's method: nothing, for the library's default, which takes all types."""
    return f"Register_{opcode}_INT8()" if opcode in _INT8_REGISTRATIONS and not is_int16 else ""


def estimate_arena(graph: Graph) -> TflmArena:
    """The arena that the interpreter needs on a 32-bit core; `check_layers` has seen to the layers.

    Activations are the largest sum of simultaneously live tensors, each rounded up to 16 bytes; unlike the
    ahead-of-time engine, the interpreter gives every tensor a buffer of its own. Scratch buffers are those of
    CMSIS-NN: the reference kernels take none for these operators, but an LSTM's.
    """
    from mcu_ser.aot.lifetimes import find_buffers

    buffers = find_buffers(graph, {})
    live = {
        layer: sum(_aligned(b.bytes) for b in buffers if b.first <= layer <= b.last)
        for layer in range(-1, len(graph.operators) + 1)
    }
    for operator in graph.operators:
        live[operator.index] += _aligned(_scratch_bytes(graph, operator)) + _gate_bytes(graph, operator)
    channels = sum(
        len(tensor.quantization.scales)
        for operator in graph.operators
        # Operand 1 of every operator with weights is its weights.
        for tensor in graph.operands(operator)[1:2]
        if tensor is not None and tensor.quantization is not None and len(tensor.quantization.scales) > 1
    )
    return TflmArena(
        activation_bytes=max(live.values()),
        channel_bytes=CHANNEL_BYTES * channels,
        operator_bytes=sum(OPERATOR_BYTES + _kept_bytes(graph, op) for op in graph.operators),
        peak_layer=max(range(len(graph.operators)), key=live.__getitem__, default=None),
    )


def _scratch_bytes(graph: Graph, operator: Operator) -> int:
    """Scratch buffer of CMSIS-NN on a core with DSP and without MVE (arm_*_get_buffer_sizes_s8.c)."""
    if operator.opcode == "AVERAGE_POOL_2D":
        return 4 * graph.results(operator)[0].shape[-1]
    if operator.opcode == "TRANSPOSE_CONV":
        return _transpose_conv_bytes(graph, operator)
    data, weights = (*graph.operands(operator), None, None)[:2]
    if operator.opcode == "FULLY_CONNECTED" and weights is not None:
        return _dense_bytes(graph, operator, weights)
    if data is None or weights is None or len(weights.shape) != 4:
        return 0
    window = weights.shape[1] * weights.shape[2]
    if operator.opcode == "CONV_2D" and window > 1:
        return 2 * 2 * -(-window * data.shape[-1] // 4) * 4  # two columns of int16, each rounded up to 4
    is_deep = operator.opcode == "DEPTHWISE_CONV_2D" and weights.shape[1:3] != (3, 3)
    return 2 * window * data.shape[-1] if is_deep else 0


def _dense_bytes(graph: Graph, operator: Operator, weights: Tensor) -> int:
    """CMSIS-NN computes some as convolutions of 1 x 1, which want a multiplier and a shift per channel."""
    scales = 1 if weights.quantization is None else len(weights.quantization.scales)
    is_convolution = len(graph.results(operator)[0].shape) > 2 and weights.shape[-1] % 4 == 0
    return 8 * weights.shape[0] if is_convolution and scales == 1 else 0


def _gate_bytes(graph: Graph, operator: Operator) -> int:
    """Scratch buffers of an LSTM, an int16 per cell each: three, and one more in the reference kernel."""
    if operator.opcode != "UNIDIRECTIONAL_SEQUENCE_LSTM":
        return 0
    return 4 * _aligned(2 * graph.results(operator)[0].shape[-1])


def _transpose_conv_bytes(graph: Graph, operator: Operator) -> int:
    """Scratch buffers of CMSIS-NN: those of a convolution that it turns some layers into, else the sums."""
    from mcu_ser.aot.ir import WindowOptions

    assert isinstance(operator.options, WindowOptions)
    channels, height, width, depth = graph.tensors[operator.inputs[1]].shape
    vertical, horizontal = operator.options.stride
    if vertical <= 2 and horizontal <= 2 and depth > _LEAST_REVERSED_DEPTH:
        window = height * width * depth
        return 2 * 2 * -(-window // 4) * 4 + _aligned(window * channels)
    columns = (graph.tensors[operator.inputs[2]].shape[2] - 1) * horizontal + max(width, vertical)
    return 4 * columns * channels * max(height, vertical)


def _kept_bytes(graph: Graph, operator: Operator) -> int:
    """What a BATCH_MATMUL or an LSTM keeps besides, from one inference to the next."""
    from mcu_ser.aot.ir import BatchMatmulOptions, LstmOptions

    options = operator.options
    if isinstance(options, LstmOptions):
        states = (graph.tensors[index] for index in operator.inputs if index >= 0)
        kept = sum(_aligned(state.bytes) for state in states if state.is_variable)
        # CMSIS-NN: what zero points and biases come to, for the two products of each gate.
        return LSTM_BYTES + kept + 8 * _aligned(4 * graph.results(operator)[0].shape[-1])
    return _swapped_bytes(graph, operator, options) if isinstance(options, BatchMatmulOptions) else 0


def _swapped_bytes(graph: Graph, operator: Operator, options: BatchMatmulOptions) -> int:
    """Copies that a BATCH_MATMUL keeps of operands whose rows and columns it swaps."""
    copied = (options.first_swapped, not options.second_swapped)
    operands = (graph.tensors[index] for index in operator.inputs)
    return sum(_aligned(operand.elements) for operand, copy in zip(operands, copied, strict=True) if copy)


def byte_lines(data: bytes) -> Iterator[str]:
    """`data` as lines of C initialisers, each ending in a comma."""
    for start in range(0, len(data), _BYTES_PER_LINE):
        yield ", ".join(f"0x{byte:02x}" for byte in data[start : start + _BYTES_PER_LINE]) + ","


def _aligned(size: int) -> int:
    return -(-size // ALIGNMENT) * ALIGNMENT

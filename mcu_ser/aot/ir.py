# SPDX-License-Identifier: Apache-2.0
"""The model between reader and emitter: frozen tensors, operators and their graph, for every stage of `aot`.

A `Graph` says what the .tflite says. It may hold operators and types that the engine does not support;
`supported` decides about those. `verify_graph` checks what every later stage takes for granted.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

import numpy.typing as npt

from mcu_ser.errors import ModelError

Constant = npt.NDArray[Any]

# Bytes of one element of the types that activations and constants may have.
ELEMENT_BYTES = {"INT8": 1, "INT16": 2, "INT32": 4, "INT64": 8, "FLOAT32": 4}

# Index that a .tflite uses for an optional input that is not given.
ABSENT = -1


class Padding(Enum):
    """Border rule of convolutions and pools, as in the .tflite schema."""

    SAME = 0
    VALID = 1


class Activation(Enum):
    """Activation fused into an operator, as in the .tflite schema."""

    NONE = 0
    RELU = 1
    RELU_N1_TO_1 = 2
    RELU6 = 3
    TANH = 4
    SIGN_BIT = 5


@dataclass(frozen=True)
class Quantization:
    """Affine quantisation: real = scale * (stored - zero_point).

    `scales` and `zero_points` hold one value, or one per index of dimension `axis`. Scales are the
    binary32 values of the file.
    """

    scales: tuple[float, ...]
    zero_points: tuple[int, ...]
    axis: int = 0


@dataclass(frozen=True, eq=False)
class Tensor:
    """One tensor; `data` holds the value of a constant and is None for one that is computed.

    `dtype` is the type's name in the .tflite schema, e.g. INT8. `left_out` are the indices along
    the last dimension of the file's tensor that are not computed (`channel_folding`); `shape` is of the rest.
    A variable is the state of one layer (`states`), zero before each inference.
    """

    index: int
    name: str
    shape: tuple[int, ...]
    dtype: str
    quantization: Quantization | None
    data: Constant | None = None
    left_out: tuple[int, ...] = ()
    is_variable: bool = False

    @property
    def kept(self) -> tuple[int, ...]:
        """Indices along the last dimension of the file's tensor that are computed."""
        gone = frozenset(self.left_out)
        depth = (self.shape[-1] if self.shape else 1) + len(gone)
        return tuple(i for i in range(depth) if i not in gone)

    @property
    def elements(self) -> int:
        return math.prod(self.shape)

    @property
    def bytes(self) -> int:
        """Bytes of its elements; types that the engine does not know count as one each."""
        return self.elements * ELEMENT_BYTES.get(self.dtype, 1)

    @property
    def scale(self) -> float:
        """Scale of a per-tensor quantised tensor."""
        return self._per_tensor().scales[0]

    @property
    def zero_point(self) -> int:
        """Zero point of a per-tensor quantised tensor."""
        return self._per_tensor().zero_points[0]

    @property
    def shape_text(self) -> str:
        """Shape as people write it, e.g. 1x49x10x1."""
        return "x".join(map(str, self.shape)) if self.shape else "scalar"

    def _per_tensor(self) -> Quantization:
        if self.quantization is None or len(self.quantization.scales) != 1:
            raise ModelError(f"tensor {self.name}", "has no per-tensor quantisation")
        return self.quantization


@dataclass(frozen=True)
class WindowOptions:
    """Padding, stride and dilation of a window that slides over height and width.

    `border` is that of a PAD before the layer which is no layer any more (`pad_fusion`), in place of
    `padding`: elements before and after the height, and before and after the width.
    """

    padding: Padding
    stride: tuple[int, int]
    dilation: tuple[int, int]
    activation: Activation
    border: tuple[tuple[int, int], tuple[int, int]] | None = field(default=None, kw_only=True)


@dataclass(frozen=True)
class ConvolutionOptions(WindowOptions):
    """`int32_sums`: a layer of 16-bit activations without bias adds up in int32, not in int64."""

    int32_sums: bool = False


@dataclass(frozen=True)
class DepthwiseOptions(WindowOptions):
    """`depth_multiplier` output channels are computed from each input channel."""

    depth_multiplier: int


@dataclass(frozen=True)
class PoolOptions(WindowOptions):
    """`window` is height and width of the pool."""

    window: tuple[int, int]


@dataclass(frozen=True)
class FullyConnectedOptions:
    """`weights_format` 0 is the row-major default; others are shuffled for one processor.

    `int32_sums` is as in `ConvolutionOptions`.
    """

    activation: Activation
    weights_format: int
    int32_sums: bool = False


@dataclass(frozen=True)
class AddOptions:
    """Activation fused into an ADD, MUL or SUB."""

    activation: Activation


@dataclass(frozen=True)
class BatchMatmulOptions:
    """Whether the last two dimensions of an operand are swapped before the product."""

    first_swapped: bool
    second_swapped: bool


@dataclass(frozen=True)
class LeakyReluOptions:
    """Inputs below zero are multiplied by `alpha`, a binary32."""

    alpha: float


@dataclass(frozen=True)
class SoftmaxOptions:
    """Softmax of `beta` * input."""

    beta: float


@dataclass(frozen=True)
class PartsOptions:
    """How an operator joins or divides tensors along `axis`, which may count from the end.

    `count` is the number of parts where the options say it, else 0.
    """

    axis: int
    count: int = 0
    activation: Activation = Activation.NONE


@dataclass(frozen=True)
class StridedSliceOptions:
    """Bit i of a mask is about dimension i.

    `begin_mask` and `end_mask` take a dimension from its first or to its last index, `shrink_axis_mask`
    drops it from the output. `offset` says that ends count from the begins.
    """

    begin_mask: int
    end_mask: int
    ellipsis_mask: int
    new_axis_mask: int
    shrink_axis_mask: int
    offset: bool


@dataclass(frozen=True)
class SqueezeOptions:
    """The dimensions of 1 to drop, which may count from the end; none means all of them."""

    axes: tuple[int, ...]


@dataclass(frozen=True)
class ResizeOptions:
    """Where the pixels of a resized image lie on the input's."""

    align_corners: bool
    half_pixel_centers: bool


@dataclass(frozen=True)
class LstmOptions:
    """An LSTM over a sequence.

    `activation` is that of the cell gate and of the cell state. Cell states are limited to -`cell_clip` ..
    `cell_clip`, a binary32, if that is above 0. `time_major`: time comes before the batch. `diagonal`: the
    recurrent weights are the diagonals of matrices.
    """

    activation: Activation
    cell_clip: float
    time_major: bool
    diagonal: bool


@dataclass(frozen=True)
class NormOptions:
    """Activation fused into a normalisation."""

    activation: Activation


Options = (
    AddOptions
    | BatchMatmulOptions
    | FullyConnectedOptions
    | LeakyReluOptions
    | LstmOptions
    | NormOptions
    | PartsOptions
    | ResizeOptions
    | SoftmaxOptions
    | SqueezeOptions
    | StridedSliceOptions
    | WindowOptions
)


@dataclass(frozen=True)
class Operator:
    """One operator; `inputs` and `outputs` are tensor indices, `ABSENT` for an optional input not given.

    `index` is its place in the file. `opcode` is the operator's name in the .tflite schema, e.g. CONV_2D,
    `version` the lowest that the converter says will do. `options` is None for operators without options and
    for unknown ones.
    """

    index: int
    opcode: str
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    options: Options | None = None
    version: int = 1


@dataclass(frozen=True, eq=False)
class Graph:
    """A model; operators are in the order in which they run.

    `name` names the model in error messages.
    """

    name: str
    tensors: tuple[Tensor, ...]
    operators: tuple[Operator, ...]
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]

    def operands(self, operator: Operator) -> tuple[Tensor | None, ...]:
        """The input tensors of an operator, None for an absent one."""
        return tuple(None if i == ABSENT else self.tensors[i] for i in operator.inputs)

    def results(self, operator: Operator) -> tuple[Tensor, ...]:
        """The output tensors of an operator."""
        return tuple(self.tensors[i] for i in operator.outputs)

    def is_int16(self, operator: Operator) -> bool:
        """Whether a layer is one of 16-bit activations: by its output."""
        return any(tensor.dtype == "INT16" for tensor in self.results(operator)[:1])

    def layer_name(self, operator: Operator) -> str:
        """Name of a layer: that of its output tensor."""
        return self.tensors[operator.outputs[0]].name if operator.outputs else "(no output)"


def short_name(name: str) -> str:
    """First part of the name of a fused layer, which a converter builds by joining the names with ';'."""
    return name.split(";", 1)[0]


def verify_graph(graph: Graph) -> None:
    """Check that indices exist and that every value is computed once and before it is used.

    Raises:
        ModelError: The graph breaks one of these rules.
    """
    for index in (*graph.inputs, *graph.outputs):
        _require_tensor(graph, index, "the model's inputs and outputs")
    known = set(graph.inputs) | {t.index for t in graph.tensors if t.data is not None or t.is_variable}
    for operator in graph.operators:
        where = f"operator {operator.index} ({operator.opcode})"
        for index in operator.inputs:
            if index == ABSENT:
                continue
            _require_tensor(graph, index, where)
            if index not in known:
                raise ModelError(graph.name, f"{where} reads tensor {index} before anything computes it")
        for index in operator.outputs:
            _require_tensor(graph, index, where)
            if index in known:
                raise ModelError(graph.name, f"{where} writes tensor {index}, which already has a value")
            known.add(index)
    for index in graph.outputs:
        if index not in known:
            raise ModelError(graph.name, f"nothing computes output tensor {index}")


def _require_tensor(graph: Graph, index: int, where: str) -> None:
    if not 0 <= index < len(graph.tensors):
        raise ModelError(
            graph.name,
            f"{where} names tensor {index}, which does not exist",
            limit=f"{len(graph.tensors)} tensors",
        )

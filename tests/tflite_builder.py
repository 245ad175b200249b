# SPDX-License-Identifier: Apache-2.0
"""Builds .tflite models in memory, for tests: tensors, operators and options, straight to the flatbuffer.

    model = TfliteBuilder()
    x = model.tensor((1, 4), scale=0.5)
    y = model.tensor((1, 4), scale=0.5)
    model.operator("RELU", [x], [y])
    content = model.build([x], [y])

Nothing is checked here: tests of the reader build models that are wrong on purpose.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import flatbuffers
import numpy as np
import numpy.typing as npt
import tflite

DTYPES = {"INT8": np.int8, "INT16": np.int16, "INT32": np.int32, "INT64": np.int64, "FLOAT32": np.float32}

OPTION_TABLES = {
    "ADD": "AddOptions",
    "AVERAGE_POOL_2D": "Pool2DOptions",
    "BATCH_MATMUL": "BatchMatMulOptions",
    "CONV_2D": "Conv2DOptions",
    "DEPTHWISE_CONV_2D": "DepthwiseConv2DOptions",
    "FULLY_CONNECTED": "FullyConnectedOptions",
    "CONCATENATION": "ConcatenationOptions",
    "LEAKY_RELU": "LeakyReluOptions",
    "MAX_POOL_2D": "Pool2DOptions",
    "MEAN": "ReducerOptions",
    "MUL": "MulOptions",
    "PACK": "PackOptions",
    "PAD": "PadOptions",
    "PADV2": "PadV2Options",
    "RESHAPE": "ReshapeOptions",
    "REVERSE_V2": "ReverseV2Options",
    "SLICE": "SliceOptions",
    "SOFTMAX": "SoftmaxOptions",
    "SUB": "SubOptions",
    "SPLIT": "SplitOptions",
    "SPLIT_V": "SplitVOptions",
    "SQUEEZE": "SqueezeOptions",
    "STRIDED_SLICE": "StridedSliceOptions",
    "EXPAND_DIMS": "ExpandDimsOptions",
    "ARG_MAX": "ArgMaxOptions",
    "L2_NORMALIZATION": "L2NormOptions",
    "REDUCE_MAX": "ReducerOptions",
    "RESIZE_NEAREST_NEIGHBOR": "ResizeNearestNeighborOptions",
    "SUM": "ReducerOptions",
    "TRANSPOSE": "TransposeOptions",
    "TRANSPOSE_CONV": "TransposeConvOptions",
    "UNIDIRECTIONAL_SEQUENCE_LSTM": "UnidirectionalSequenceLSTMOptions",
    "UNPACK": "UnpackOptions",
}


@dataclass
class _Tensor:
    shape: tuple[int, ...]
    dtype: str
    scales: tuple[float, ...]
    zero_points: tuple[int, ...]
    axis: int
    data: bytes | None
    name: str
    variable: bool
    sparse: bool
    external: bool
    buffer: int | None


@dataclass
class _Operator:
    opcode: str
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    options: dict[str, Any]
    table: str | None
    code: int | None
    version: int


@dataclass
class TfliteBuilder:
    """A model that grows tensor by tensor; `build` gives the file."""

    version: int = 3
    subgraphs: int = 1
    _tensors: list[_Tensor] = field(default_factory=list)
    _operators: list[_Operator] = field(default_factory=list)

    def tensor(
        self,
        shape: Sequence[int],
        dtype: str = "INT8",
        *,
        scale: float | Sequence[float] | None = None,
        zero_point: int | Sequence[int] = 0,
        axis: int = 0,
        data: npt.ArrayLike | bytes | None = None,
        name: str | None = None,
        variable: bool = False,
        sparse: bool = False,
        external: bool = False,
        buffer: int | None = None,
    ) -> int:
        """Add a tensor; returns its index.

        `data` makes it a constant. `sparse` marks it as stored in a sparse encoding, `external` its data as
        stored outside of the flatbuffer; `buffer` overrides the index of its buffer.
        """
        scales = () if scale is None else tuple(np.atleast_1d(np.asarray(scale, np.float32)).tolist())
        zero_points = (zero_point,) * len(scales) if isinstance(zero_point, int) else tuple(zero_point)
        if data is not None and not isinstance(data, bytes):
            data = np.asarray(data, DTYPES[dtype]).tobytes()
        index = len(self._tensors)
        label = f"t{index}" if name is None else name
        self._tensors.append(
            _Tensor(
                tuple(shape),
                dtype,
                scales,
                zero_points,
                axis,
                data,
                label,
                variable,
                sparse,
                external,
                buffer,
            )
        )
        return index

    def shape(self, index: int) -> tuple[int, ...]:
        """Shape of a tensor that was added."""
        return self._tensors[index].shape

    def operator(
        self,
        opcode: str,
        inputs: Sequence[int],
        outputs: Sequence[int],
        *,
        table: str | None = "",
        code: int | None = None,
        version: int = 1,
        **options: Any,
    ) -> None:
        """Add an operator. Options have the names of the schema's accessors, e.g. StrideH=2.

        `table` overrides the options table of the operator, None leaves the options out; `code` overrides
        the index of its operator code. Operators of one kind share their code, with the largest `version`.
        """
        name = OPTION_TABLES.get(opcode) if table == "" else table
        self._operators.append(_Operator(opcode, tuple(inputs), tuple(outputs), options, name, code, version))

    def build(self, inputs: Sequence[int], outputs: Sequence[int]) -> bytes:
        """The model as a .tflite file with these tensors as input and output."""
        builder = flatbuffers.Builder(4096)
        buffers = self._buffers(builder)
        opcodes = sorted({operator.opcode for operator in self._operators})
        versions = [max(o.version for o in self._operators if o.opcode == opcode) for opcode in opcodes]
        codes = _offsets(builder, list(map(partial(_operator_code, builder), opcodes, versions)))
        subgraphs = _offsets(
            builder, [self._subgraph(builder, opcodes, inputs, outputs) for _ in range(self.subgraphs)]
        )
        tflite.ModelStart(builder)
        tflite.ModelAddVersion(builder, self.version)
        tflite.ModelAddOperatorCodes(builder, codes)
        tflite.ModelAddSubgraphs(builder, subgraphs)
        tflite.ModelAddBuffers(builder, buffers)
        builder.Finish(tflite.ModelEnd(builder), b"TFL3")
        return bytes(builder.Output())

    def _buffers(self, builder: Any) -> int:
        contents = [(b"", False), *((tensor.data or b"", tensor.external) for tensor in self._tensors)]
        offsets = []
        for content, external in contents:
            data = builder.CreateByteVector(content) if content else None
            tflite.BufferStart(builder)
            if data is not None:
                tflite.BufferAddData(builder, data)
            if external:
                tflite.BufferAddOffset(builder, 4096)
            offsets.append(tflite.BufferEnd(builder))
        return _offsets(builder, offsets)

    def _subgraph(
        self, builder: Any, opcodes: list[str], inputs: Sequence[int], outputs: Sequence[int]
    ) -> int:
        tensors = _offsets(builder, [_tensor(builder, t, i + 1) for i, t in enumerate(self._tensors)])
        operators = _offsets(builder, [_operator(builder, op, opcodes) for op in self._operators])
        input_vector, output_vector = _integers(builder, inputs), _integers(builder, outputs)
        tflite.SubGraphStart(builder)
        tflite.SubGraphAddTensors(builder, tensors)
        tflite.SubGraphAddOperators(builder, operators)
        tflite.SubGraphAddInputs(builder, input_vector)
        tflite.SubGraphAddOutputs(builder, output_vector)
        return int(tflite.SubGraphEnd(builder))


def _offsets(builder: Any, offsets: Sequence[int]) -> int:
    builder.StartVector(4, len(offsets), 4)
    for offset in reversed(offsets):
        builder.PrependUOffsetTRelative(offset)
    return int(builder.EndVector())


def _integers(builder: Any, values: Sequence[int]) -> int:
    return int(builder.CreateNumpyVector(np.asarray(values, np.int32)))


def _operator_code(builder: Any, opcode: str, version: int) -> int:
    number = getattr(tflite.BuiltinOperator, opcode)
    tflite.OperatorCodeStart(builder)
    tflite.OperatorCodeAddDeprecatedBuiltinCode(builder, min(number, 127))
    tflite.OperatorCodeAddBuiltinCode(builder, number)
    tflite.OperatorCodeAddVersion(builder, version)
    return int(tflite.OperatorCodeEnd(builder))


def _tensor(builder: Any, tensor: _Tensor, buffer: int) -> int:
    name = builder.CreateString(tensor.name)
    shape = _integers(builder, tensor.shape)
    quantization = _quantization(builder, tensor) if tensor.scales else None
    sparsity = _sparsity(builder) if tensor.sparse else None
    tflite.TensorStart(builder)
    tflite.TensorAddShape(builder, shape)
    tflite.TensorAddType(builder, getattr(tflite.TensorType, tensor.dtype))
    tflite.TensorAddBuffer(builder, buffer if tensor.buffer is None else tensor.buffer)
    tflite.TensorAddName(builder, name)
    tflite.TensorAddIsVariable(builder, tensor.variable)
    if quantization is not None:
        tflite.TensorAddQuantization(builder, quantization)
    if sparsity is not None:
        tflite.TensorAddSparsity(builder, sparsity)
    return int(tflite.TensorEnd(builder))


def _sparsity(builder: Any) -> int:
    tflite.SparsityParametersStart(builder)
    return int(tflite.SparsityParametersEnd(builder))


def _quantization(builder: Any, tensor: _Tensor) -> int:
    scale = builder.CreateNumpyVector(np.asarray(tensor.scales, np.float32))
    zero_point = builder.CreateNumpyVector(np.asarray(tensor.zero_points, np.int64))
    tflite.QuantizationParametersStart(builder)
    tflite.QuantizationParametersAddScale(builder, scale)
    tflite.QuantizationParametersAddZeroPoint(builder, zero_point)
    tflite.QuantizationParametersAddQuantizedDimension(builder, tensor.axis)
    return int(tflite.QuantizationParametersEnd(builder))


def _operator(builder: Any, operator: _Operator, opcodes: list[str]) -> int:
    inputs, outputs = _integers(builder, operator.inputs), _integers(builder, operator.outputs)
    options = _options(builder, operator) if operator.table else None
    tflite.OperatorStart(builder)
    code = opcodes.index(operator.opcode) if operator.code is None else operator.code
    tflite.OperatorAddOpcodeIndex(builder, code)
    tflite.OperatorAddInputs(builder, inputs)
    tflite.OperatorAddOutputs(builder, outputs)
    if options is not None:
        tflite.OperatorAddBuiltinOptionsType(builder, getattr(tflite.BuiltinOptions, str(operator.table)))
        tflite.OperatorAddBuiltinOptions(builder, options)
    return int(tflite.OperatorEnd(builder))


def _options(builder: Any, operator: _Operator) -> int:
    table = str(operator.table)
    # Vectors must be complete before the table begins.
    values = {
        name: _integers(builder, value) if isinstance(value, tuple | list) else value
        for name, value in operator.options.items()
    }
    getattr(tflite, f"{table}Start")(builder)
    for name, value in values.items():
        getattr(tflite, f"{table}Add{name}")(builder, value)
    return int(getattr(tflite, f"{table}End")(builder))

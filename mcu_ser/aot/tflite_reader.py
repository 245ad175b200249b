# SPDX-License-Identifier: Apache-2.0
"""Turns the bytes of a .tflite (a flatbuffer) into a `Graph`, for the compiler and for `inspect`.

Nothing is rewritten and nothing is judged but the file itself. The file is not trusted: the flatbuffer
accessors of the `tflite` package follow any offset, so every failure they can have becomes a ModelError,
and `_Bounds` keeps a small file from claiming vectors without end.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import lru_cache
from typing import Any

import numpy as np

from mcu_ser.aot import operator_options
from mcu_ser.aot.ir import Constant, Graph, Operator, Quantization, Tensor, verify_graph
from mcu_ser.aot.states import verify_states
from mcu_ser.errors import ModelError

# Constants of these types are decoded; little-endian as the format demands.
NUMPY_TYPES = {
    "INT8": "i1",
    "UINT8": "u1",
    "BOOL": "?",
    "INT16": "<i2",
    "UINT16": "<u2",
    "INT32": "<i4",
    "UINT32": "<u4",
    "INT64": "<i8",
    "UINT64": "<u8",
    "FLOAT16": "<f2",
    "FLOAT32": "<f4",
    "FLOAT64": "<f8",
}

MAX_RANK = 8
MAX_ELEMENTS = 1 << 31

# Converters share the buffers of equal constants, which are counted once, and next to no other vectors. So a
# file that claims more than this many times its own length overlaps them in order to keep a reader busy.
_CLAIMS_PER_BYTE = 8

_FLATBUFFER_FAULTS = (struct.error, IndexError, ValueError, TypeError, OverflowError, AttributeError)


class _Bounds:
    """Counts the bytes that the file claims to hold and refuses impossible claims."""

    def __init__(self, name: str, model: bytes) -> None:
        self._name = name
        self._length = len(model)
        self._claimed = 0
        self._constants: dict[int, bytes] = {}

    def vector(self, count: int, item_bytes: int, what: str) -> int:
        """Return `count` if the file can hold a vector of that many items of that size."""
        self._claimed += count * item_bytes + 4
        if count * item_bytes > self._length:
            raise ModelError(self._name, f"is damaged: claims {count} {what}", limit=f"{self._length} bytes")
        most = _CLAIMS_PER_BYTE * self._length
        if self._claimed > most:
            problem = f"is damaged: claims {self._claimed} bytes in all, up to {count} {what}"
            limit = f"{most} bytes, {_CLAIMS_PER_BYTE} times its length"
            raise ModelError(self._name, problem, limit=limit)
        return count

    def constant(self, index: int, buffer: Any) -> bytes:
        """The data of a buffer, which is counted and copied for the first of the tensors that share it."""
        if index not in self._constants:
            size = self.vector(buffer.DataLength(), 1, "bytes of a constant")
            self._constants[index] = buffer.DataAsNumpy().tobytes() if size else b""
        return self._constants[index]


def read_model(model: bytes, name: str = "model") -> Graph:
    """Read a .tflite.

    Args:
        model: Content of the file.
        name: What to call the model in errors, e.g. its path.

    Raises:
        ModelError: The bytes are not a .tflite, are damaged, or hold more than one subgraph.
    """
    if len(model) < 8:
        raise ModelError(name, f"is not a .tflite: {len(model)} bytes long")
    if model[4:8] != b"TFL3":
        raise ModelError(name, "is not a .tflite: the identifier TFL3 is missing")
    with damage_reported(name):
        graph = _read_graph(model, name)
    verify_graph(graph)
    verify_states(graph)
    return graph


@contextmanager
def damage_reported(name: str) -> Iterator[None]:
    """What the accessors raise where a file is damaged becomes a ModelError."""
    try:
        yield
    except _FLATBUFFER_FAULTS as error:
        raise ModelError(
            name, "is damaged or truncated", hint="copying or converting the model again"
        ) from error


def _read_graph(model: bytes, name: str) -> Graph:
    import tflite

    bounds = _Bounds(name, model)
    root = tflite.Model.GetRootAs(model, 0)
    if root.Version() != 3:
        raise ModelError(name, f"has .tflite schema version {root.Version()}", limit="version 3")
    if root.SubgraphsLength() != 1:
        raise ModelError(name, f"has {root.SubgraphsLength()} subgraphs", limit="1 subgraph")
    subgraph = root.Subgraphs(0)
    opcodes = _read_opcodes(root, bounds)
    operators = tuple(
        _read_operator(subgraph.Operators(i), i, opcodes, bounds, name)
        for i in range(bounds.vector(subgraph.OperatorsLength(), 4, "operators"))
    )
    inputs = _integers(subgraph.InputsLength, subgraph.InputsAsNumpy, bounds, "model inputs")
    outputs = _integers(subgraph.OutputsLength, subgraph.OutputsAsNumpy, bounds, "model outputs")
    used = {*inputs, *outputs}.union(*((*operator.inputs, *operator.outputs) for operator in operators))
    tensors = tuple(
        _read_tensor(root, subgraph.Tensors(i), i, bounds, name, is_used=i in used)
        for i in range(bounds.vector(subgraph.TensorsLength(), 4, "tensors"))
    )
    return Graph(name=name, tensors=tensors, operators=operators, inputs=inputs, outputs=outputs)


@lru_cache(maxsize=2)
def _schema_names(enum: str) -> dict[int, str]:
    import tflite

    values = vars(getattr(tflite, enum))
    return {value: name for name, value in values.items() if isinstance(value, int)}


def _integers(
    length: Callable[[], int], values: Callable[[], Any], bounds: _Bounds, what: str, item_bytes: int = 4
) -> tuple[int, ...]:
    count = bounds.vector(length(), item_bytes, what)
    return tuple(int(value) for value in values()) if count else ()


def _read_opcodes(root: Any, bounds: _Bounds) -> tuple[tuple[str, int], ...]:
    """Name and version of each operator code."""
    names = _schema_names("BuiltinOperator")

    def opcode(code: Any) -> str:
        # Files written before schema 3a have the operator in the 8-bit field alone.
        number = max(code.BuiltinCode(), code.DeprecatedBuiltinCode())
        name = names.get(number, f"OPERATOR_{number}")
        if name != "CUSTOM":
            return name
        custom = code.CustomCode() or b""
        bounds.vector(len(custom), 1, "bytes of an operator name")
        return f"CUSTOM {_text(custom)}"

    count = bounds.vector(root.OperatorCodesLength(), 4, "operator codes")
    codes = [root.OperatorCodes(i) for i in range(count)]
    return tuple((opcode(code), code.Version()) for code in codes)


def _text(raw: bytes) -> str:
    """Name from the file with anything that could garble a terminal or a log replaced."""
    text = raw.decode("utf-8", "replace")
    return "".join(c if c.isprintable() else "?" for c in text)


def _read_tensor(root: Any, tensor: Any, index: int, bounds: _Bounds, name: str, *, is_used: bool) -> Tensor:
    label = tensor.Name() or b""
    bounds.vector(len(label), 1, "bytes of a tensor name")
    where = f"tensor {index} ({_text(label)})"
    shape = _integers(tensor.ShapeLength, tensor.ShapeAsNumpy, bounds, "dimensions of a tensor")
    # Converters leave empty tensors that say how they have quantised the inside of a layer.
    _check_shape(shape if is_used else tuple(size or 1 for size in shape), where, name)
    dtype = _schema_names("TensorType").get(tensor.Type(), f"TYPE_{tensor.Type()}")
    if tensor.Sparsity() is not None:
        raise ModelError(name, f"{where} is stored in a sparse encoding, which the engine does not read")
    return Tensor(
        index=index,
        name=_text(label) or f"tensor_{index}",
        shape=shape,
        dtype=dtype,
        quantization=_read_quantization(tensor.Quantization(), bounds, where, name),
        data=_read_constant(root, tensor.Buffer(), (shape, dtype), bounds, (where, name)),
        is_variable=bool(tensor.IsVariable()),
    )


def _check_shape(shape: tuple[int, ...], where: str, name: str) -> None:
    if len(shape) > MAX_RANK:
        raise ModelError(name, f"{where} has {len(shape)} dimensions", limit=f"{MAX_RANK}")
    if any(size < 1 for size in shape):
        raise ModelError(
            name,
            f"{where} has shape {list(shape)}; every dimension must be known and at least 1",
            hint="convert the model with a fixed input shape",
        )
    elements = 1
    for size in shape:
        elements *= size
    if elements >= MAX_ELEMENTS:
        raise ModelError(name, f"{where} has {elements} elements", limit=f"{MAX_ELEMENTS - 1}")


def _read_quantization(parameters: Any, bounds: _Bounds, where: str, name: str) -> Quantization | None:
    if parameters is None:
        return None
    count = bounds.vector(parameters.ScaleLength(), 4, "scales of a tensor")
    if not count:
        return None
    scales = tuple(float(scale) for scale in parameters.ScaleAsNumpy())
    zero_points = _integers(
        parameters.ZeroPointLength, parameters.ZeroPointAsNumpy, bounds, "zero points of a tensor", 8
    )
    if len(zero_points) != count:
        raise ModelError(name, f"{where} has {count} scales and {len(zero_points)} zero points")
    return Quantization(scales, zero_points, parameters.QuantizedDimension())


def _read_constant(
    root: Any, buffer_index: int, kind: tuple[tuple[int, ...], str], bounds: _Bounds, at: tuple[str, str]
) -> Constant | None:
    (shape, dtype), (where, name) = kind, at
    if buffer_index >= root.BuffersLength():
        raise ModelError(
            name, f"{where} names buffer {buffer_index}", limit=f"{root.BuffersLength()} buffers"
        )
    buffer = root.Buffers(buffer_index)
    if buffer.Offset() > 1:
        raise ModelError(name, f"{where} is stored outside of the flatbuffer, which the engine does not read")
    data = bounds.constant(buffer_index, buffer)
    if not data or dtype not in NUMPY_TYPES:
        return None
    numpy_type = np.dtype(NUMPY_TYPES[dtype])
    expected = int(np.prod(shape, dtype=np.int64)) * numpy_type.itemsize
    if len(data) != expected:
        raise ModelError(name, f"{where} needs {expected} bytes of data and has {len(data)}")
    constant: Constant = np.frombuffer(data, dtype=numpy_type).reshape(shape)
    return constant


def _read_operator(
    operator: Any, index: int, opcodes: tuple[tuple[str, int], ...], bounds: _Bounds, name: str
) -> Operator:
    code = operator.OpcodeIndex()
    if code >= len(opcodes):
        raise ModelError(
            name, f"operator {index} has operator code {code}", limit=f"{len(opcodes)} operator codes"
        )
    opcode, version = opcodes[code]
    where = f"operator {index} ({opcode})"
    return Operator(
        index=index,
        opcode=opcode,
        version=version,
        inputs=_integers(operator.InputsLength, operator.InputsAsNumpy, bounds, f"inputs of {where}"),
        outputs=_integers(operator.OutputsLength, operator.OutputsAsNumpy, bounds, f"outputs of {where}"),
        options=operator_options.read_options(opcode, operator, where, name),
    )

# SPDX-License-Identifier: Apache-2.0
"""Takes the float edges off a quantised .tflite: a QUANTIZE behind its input, a DEQUANTIZE before its output.

Converters put them there unless they are told to make an int8 input and output. On a board they are of no
use: the host quantises the samples, with the same scale and zero point, and int8 goes down the wire. What is
left is a .tflite of its own, with which every engine and oracle deals as with any other.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from mcu_ser.aot.ir import Graph, Operator
from mcu_ser.aot.tflite_reader import damage_reported, read_model
from mcu_ser.errors import ModelError

# Where the fields of a SubGraph and of a Model stand in their tables (schema.fbs, version 3).
_INPUTS, _OUTPUTS, _OPERATORS = 6, 8, 10
_SIGNATURES = 18

_STORED = ("INT8", "INT16")


@dataclass(frozen=True)
class QuantizedModel:
    """A .tflite without float edges.

    Attributes:
        content: The bytes of the file; those that were read where there was nothing to take off.
        taken_off: The operators that are not in it any more, of "QUANTIZE" and "DEQUANTIZE".
    """

    content: bytes
    taken_off: tuple[str, ...] = ()


def load_quantized(path: Path) -> QuantizedModel:
    """Read a .tflite and take its float edges off.

    Raises:
        ModelError: The file cannot be read, or is damaged.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise ModelError(path, f"cannot be read ({error.strerror})") from error
    return without_float_edges(content, str(path))


def without_float_edges(model: bytes, name: str = "model") -> QuantizedModel:
    """Take off the QUANTIZE that alone reads a float input, and the DEQUANTIZE that makes a float output.

    Args:
        model: Content of a .tflite.
        name: What to call the model in errors, e.g. its path.

    Raises:
        ModelError: The file is damaged, or so made that it cannot be edited.
    """
    graph = read_model(model, name)
    edges = [edge for edge in (_input_edge(graph), _output_edge(graph)) if edge is not None]
    if not edges:
        return QuantizedModel(model)
    left = _without(graph, edges)
    with damage_reported(name):
        content = _edited(model, edges, left)
    if not _holds(content, left):
        raise ModelError(
            name,
            "has a float input or output that cannot be taken off",
            hint="inference_input_type and inference_output_type int8 when converting to .tflite",
        )
    return QuantizedModel(content, tuple(edge.opcode for edge in edges))


def _input_edge(graph: Graph) -> Operator | None:
    if len(graph.inputs) != 1 or graph.tensors[graph.inputs[0]].dtype != "FLOAT32":
        return None
    readers = [operator for operator in graph.operators if graph.inputs[0] in operator.inputs]
    if len(readers) != 1 or graph.inputs[0] in graph.outputs:
        return None
    return _if_edge(graph, readers[0], "QUANTIZE", readers[0].outputs)


def _output_edge(graph: Graph) -> Operator | None:
    if len(graph.outputs) != 1 or graph.tensors[graph.outputs[0]].dtype != "FLOAT32":
        return None
    if any(graph.outputs[0] in operator.inputs for operator in graph.operators):
        return None
    writers = [operator for operator in graph.operators if graph.outputs[0] in operator.outputs]
    if len(writers) != 1:
        return None
    return _if_edge(graph, writers[0], "DEQUANTIZE", writers[0].inputs)


def _if_edge(graph: Graph, operator: Operator, opcode: str, inner: tuple[int, ...]) -> Operator | None:
    """The operator, if it is of the kind and has one stored tensor on its inner side."""
    fits = operator.opcode == opcode and len(operator.inputs) == len(operator.outputs) == 1
    stored = fits and graph.tensors[inner[0]].dtype in _STORED and graph.tensors[inner[0]].data is None
    return operator if stored else None


def _without(graph: Graph, edges: list[Operator]) -> Graph:
    """The graph that is left; its operators are counted anew."""
    kept = [operator for operator in graph.operators if operator not in edges]
    inputs, outputs = graph.inputs, graph.outputs
    for edge in edges:
        if edge.opcode == "QUANTIZE":
            inputs = edge.outputs
        else:
            outputs = edge.inputs
    numbered = tuple(replace(operator, index=index) for index, operator in enumerate(kept))
    return replace(graph, operators=numbered, inputs=inputs, outputs=outputs)


def _edited(model: bytes, edges: list[Operator], left: Graph) -> bytes:
    """The file with the operators out of their list, and other tensors as its input and output."""
    import tflite

    root = tflite.Model.GetRootAs(model, 0)
    table = root.Subgraphs(0)._tab
    content = bytearray(model)
    for edge in sorted(edges, key=lambda edge: edge.index, reverse=True):
        _drop_reference(content, _vector(table, _OPERATORS), edge.index)
    for field, ends in ((_INPUTS, left.inputs), (_OUTPUTS, left.outputs)):
        # The other end may have none, or several.
        for place, tensor in enumerate(ends):
            struct.pack_into("<i", content, _vector(table, field) + 4 * place, tensor)
    if root.SignatureDefsLength():
        # Signatures name the float tensors, which nobody computes any more.
        struct.pack_into("<I", content, _vector(root._tab, _SIGNATURES) - 4, 0)
    return bytes(content)


def _vector(table: Any, field: int) -> int:
    """Where the first element of a vector stands; its length is before it."""
    return int(table.Vector(table.Offset(field)))


def _drop_reference(content: bytearray, start: int, index: int) -> None:
    """Take a reference out of a vector of references, which count from their own place."""
    (length,) = struct.unpack_from("<I", content, start - 4)
    for place in range(index + 1, length):
        (distance,) = struct.unpack_from("<I", content, start + 4 * place)
        struct.pack_into("<I", content, start + 4 * (place - 1), distance + 4)
    struct.pack_into("<I", content, start - 4, length - 1)


def _holds(content: bytes, expected: Graph) -> bool:
    """Whether the file says what it should: where vectors share their bytes, editing one changes another."""
    try:
        found = read_model(content)
    except ModelError:
        return False
    ends = (found.inputs, found.outputs) == (expected.inputs, expected.outputs)
    tensors = [[_facts(tensor) for tensor in graph.tensors] for graph in (found, expected)]
    return ends and found.operators == expected.operators and tensors[0] == tensors[1]


def _facts(tensor: Any) -> tuple[Any, ...]:
    data = None if tensor.data is None else tensor.data.tobytes()
    return (tensor.name, tensor.shape, tensor.dtype, tensor.quantization, tensor.is_variable, data)

# SPDX-License-Identifier: Apache-2.0
"""Turns a quantised .tflite and samples into the exact output bytes that every engine and board must give.

The oracle is the TFLite-Micro interpreter itself, at the one version pinned in pyproject.toml: reference
kernels, double rounding in requantisation. Nothing here needs TensorFlow.
"""

from __future__ import annotations

import math
import struct
from typing import TYPE_CHECKING

import numpy as np

from mcu_ser.convert.quantization import Quantization
from mcu_ser.errors import ModelError, SamplesError
from mcu_ser.progress import silent

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Any

    from numpy.typing import NDArray

    from mcu_ser.progress import Track

FILE_IDENTIFIER = b"TFL3"

# What inputs, outputs and activations may be.
STORED_TYPES = (np.dtype(np.int8), np.dtype(np.int16))
# What an output may be besides: indices.
INDEX_TYPE = np.dtype(np.int32)

# The interpreter's own guess (10 times the file) is too small for models with few weights; this memory is
# the host's, and costs nothing until touched.
_ARENA_FLOOR_BYTES = 16 << 20


class Oracle:
    """The TFLite-Micro interpreter of one model whose input and output are int8 or int16.

    Attributes:
        input_shape: Shape of the input tensor, batch dimension included.
        output_shape: Shape of the output tensor, batch dimension included.
        input_type: int8 or int16; `output_type` likewise, or int32 for indices.
        input_quantization: How real features become the input's stored values.
        output_quantization: What real values the output's stored values stand for; those of indices are real.

    Args:
        model: Content of a .tflite with one input and one output.
        name: What error messages call the model.
        keep_tensors: Give every tensor memory of its own, so that `tensor` can read it after `run`.

    Raises:
        ModelError: The bytes are not such a model, or TFLite-Micro cannot run it.
    """

    def __init__(self, model: bytes, name: str = "model", *, keep_tensors: bool = False) -> None:
        self.name = name
        _check_signature(model, name)
        self._interpreter = _interpreter(model, name, keep_tensors=keep_tensors)
        self.input_shape, self.input_quantization, self.input_type = _quantised_tensor(
            self._interpreter.get_input_details(0), f"{name}: input"
        )
        output = self._interpreter.get_output_details(0)
        if np.dtype(output["dtype"]) == INDEX_TYPE:
            self.output_quantization, self.output_type = Quantization(1.0, 0), INDEX_TYPE
            self.output_shape = _shape(output)
        else:
            found = _quantised_tensor(output, f"{name}: output")
            self.output_shape, self.output_quantization, self.output_type = found

    @property
    def input_bytes(self) -> int:
        """Bytes of one input."""
        return math.prod(self.input_shape) * self.input_type.itemsize

    @property
    def output_bytes(self) -> int:
        """Bytes of one output."""
        return math.prod(self.output_shape) * self.output_type.itemsize

    def run(self, x: NDArray[Any], track: Track = silent) -> NDArray[Any]:
        """Outputs of each sample, which do not depend on other samples: recurrent layers start from zero.

        Args:
            x: Of the input's type, of shape (n, *input_shape[1:]) or (n, input elements), or the bytes of
                such values as int8 (n, input_bytes).
            track: Told of each sample done.

        Returns:
            Of the output's type, (n, output elements).

        Raises:
            SamplesError: `x` has another dtype or shape.
            ModelError: The interpreter failed.
        """
        x = self._stored(x)
        outputs = np.empty((len(x), math.prod(self.output_shape)), self.output_type)
        with track("oracle", len(x)) as advance:
            for index, sample in enumerate(x):
                self._interpreter.set_input(np.ascontiguousarray(sample).reshape(self.input_shape), 0)
                try:
                    self._interpreter.reset()
                    self._interpreter.invoke()
                except RuntimeError as error:
                    raise ModelError(self.name, f"TFLite-Micro failed at sample {index} ({error})") from error
                outputs[index] = self._interpreter.get_output(0).reshape(-1)
                advance(1)
        return outputs

    def tensor(self, index: int) -> NDArray[Any]:
        """What a tensor holds after the last sample of `run`: int8, int16 or indices, of shape (elements,).

        Raises:
            ModelError: It is of another type.
        """
        data = np.asarray(self._interpreter.GetTensor(index, 0)["tensor_data"])
        if data.dtype not in (*STORED_TYPES, INDEX_TYPE):
            raise ModelError(self.name, f"tensor {index} is {data.dtype}, not int8, int16 or int32")
        values: NDArray[Any] = data.reshape(-1).copy()
        return values

    def _stored(self, x: NDArray[Any]) -> NDArray[Any]:
        """Samples as values of the input's type."""
        if x.dtype == np.int8 and x.ndim == 2 and x.shape[1] == self.input_bytes:
            return np.ascontiguousarray(x).view(self.input_type)
        if x.dtype != self.input_type:
            raise SamplesError(
                "samples",
                f"are {x.dtype}, {self.name} takes {self.input_type}",
                hint="mcu_ser.convert.quantization",
            )
        if x.ndim < 2 or x.shape[1:] not in {self.input_shape[1:], (math.prod(self.input_shape),)}:
            raise SamplesError(
                "samples", f"have shape {x.shape}, {self.name} takes (n, {_dimensions(self.input_shape[1:])})"
            )
        return x


def layer_outputs(
    model: bytes, name: str, sample: NDArray[Any], tensors: Sequence[int]
) -> list[NDArray[Any]]:
    """Tensors inside of a model, as TFLite-Micro computes them for one sample.

    Args:
        model: Content of a .tflite that `Oracle` takes.
        name: What error messages call the model.
        sample: One input as `Oracle.run` takes it, of one dimension.
        tensors: Indices of tensors that operators of the model compute.

    Returns:
        int8, int16 or int32 of shape (elements,) for each of `tensors`.

    Raises:
        SamplesError: `sample` has another dtype or size.
        ModelError: TFLite-Micro cannot run the model, or a tensor is of another type.
    """
    oracle = Oracle(model, name, keep_tensors=True)
    oracle.run(sample.reshape(1, -1))
    return [oracle.tensor(index) for index in tensors]


def _dimensions(shape: tuple[int, ...]) -> str:
    return ", ".join(str(extent) for extent in shape)


def _check_signature(model: bytes, name: str) -> None:
    """Refuse bytes that are no .tflite with one input and one output before native code reads them."""
    # The interpreter reads a file without checking it; walking the whole object tree in Python first turns
    # an offset that leaves the file into an exception.
    from tflite_micro.tensorflow.lite.micro.python import schema_py_generated as schema

    if len(model) < 8 or model[4:8] != FILE_IDENTIFIER:
        raise ModelError(name, f"is not a .tflite (no {FILE_IDENTIFIER.decode()} at byte 4)")
    try:
        tree = schema.ModelT.InitFromObj(schema.Model.GetRootAsModel(model, 0))
    except (struct.error, IndexError, ValueError, TypeError, MemoryError, OverflowError) as error:
        raise ModelError(name, f"is truncated or corrupt ({error})", hint="convert it again") from error
    if not tree.subgraphs:
        raise ModelError(name, "has no subgraph")
    for what, indices in (("input", tree.subgraphs[0].inputs), ("output", tree.subgraphs[0].outputs)):
        count = 0 if indices is None else len(indices)
        if count != 1:
            raise ModelError(name, f"has {count} {what}s", limit="1")


def _interpreter(model: bytes, name: str, *, keep_tensors: bool) -> Any:
    from tflite_micro import runtime

    arena_bytes = _ARENA_FLOOR_BYTES + 10 * len(model)
    config = runtime.InterpreterConfig
    kept = config.kPreserveAllTensors if keep_tensors else config.kAllocationRecording
    try:
        return runtime.Interpreter.from_bytes(
            model,
            arena_size=arena_bytes,
            intrepreter_config=kept,  # the argument's name is misspelt there
        )
    except (RuntimeError, ValueError) as error:
        raise ModelError(
            name, f"TFLite-Micro refuses it ({error})", hint=f"mcu-ser inspect {name}"
        ) from error


def _quantised_tensor(
    details: Mapping[str, Any], subject: str
) -> tuple[tuple[int, ...], Quantization, np.dtype[Any]]:
    dtype = np.dtype(details["dtype"])
    if dtype not in STORED_TYPES:
        raise ModelError(subject, f"is {dtype}, not int8 or int16", hint="full-integer int8 quantisation")
    parameters = details["quantization_parameters"]
    scales, zero_points = parameters["scales"], parameters["zero_points"]
    if len(scales) != 1 or len(zero_points) != 1:
        raise ModelError(subject, "has no per-tensor quantisation", hint="full-integer int8 quantisation")
    return _shape(details), Quantization(float(scales[0]), int(zero_points[0])), dtype


def _shape(details: Mapping[str, Any]) -> tuple[int, ...]:
    return tuple(int(extent) for extent in details["shape"])

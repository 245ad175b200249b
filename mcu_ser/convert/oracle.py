# SPDX-License-Identifier: Apache-2.0
"""Turns an int8 .tflite and int8 samples into the exact output bytes that every engine and board must give.

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

# The interpreter's own guess (10 times the file) is too small for models with few weights; this memory is
# the host's, and costs nothing until touched.
_ARENA_FLOOR_BYTES = 16 << 20


class Oracle:
    """The TFLite-Micro interpreter of one int8 model.

    Attributes:
        input_shape: Shape of the input tensor, batch dimension included.
        output_shape: Shape of the output tensor, batch dimension included.
        input_quantization: How real features become the input's int8 values.
        output_quantization: What real values the output's int8 values stand for.

    Args:
        model: Content of a .tflite with one int8 input and one int8 output.
        name: What error messages call the model.
        keep_tensors: Give every tensor memory of its own, so that `tensor` can read it after `run`.

    Raises:
        ModelError: The bytes are not such a model, or TFLite-Micro cannot run it.
    """

    def __init__(self, model: bytes, name: str = "model", *, keep_tensors: bool = False) -> None:
        self.name = name
        _check_signature(model, name)
        self._interpreter = _interpreter(model, name, keep_tensors=keep_tensors)
        self.input_shape, self.input_quantization = _int8_tensor(
            self._interpreter.get_input_details(0), f"{name}: input"
        )
        self.output_shape, self.output_quantization = _int8_tensor(
            self._interpreter.get_output_details(0), f"{name}: output"
        )

    @property
    def input_bytes(self) -> int:
        """Bytes of one input."""
        return math.prod(self.input_shape)

    @property
    def output_bytes(self) -> int:
        """Bytes of one output."""
        return math.prod(self.output_shape)

    def run(self, x: NDArray[np.int8], track: Track = silent) -> NDArray[np.int8]:
        """Output bytes of each sample.

        Args:
            x: int8 of shape (n, *input_shape[1:]) or (n, input_bytes).
            track: Told of each sample done.

        Returns:
            int8 of shape (n, output_bytes).

        Raises:
            SamplesError: `x` has another dtype or shape.
            ModelError: The interpreter failed.
        """
        self._check_samples(x)
        outputs = np.empty((len(x), self.output_bytes), np.int8)
        with track("oracle", len(x)) as advance:
            for index, sample in enumerate(x):
                self._interpreter.set_input(np.ascontiguousarray(sample).reshape(self.input_shape), 0)
                try:
                    self._interpreter.invoke()
                except RuntimeError as error:
                    raise ModelError(self.name, f"TFLite-Micro failed at sample {index} ({error})") from error
                outputs[index] = self._interpreter.get_output(0).reshape(-1)
                advance(1)
        return outputs

    def tensor(self, index: int) -> NDArray[np.int8]:
        """What a tensor holds after the last sample of `run`: int8 of shape (elements,).

        Raises:
            ModelError: It is not int8.
        """
        data = np.asarray(self._interpreter.GetTensor(index, 0)["tensor_data"])
        if data.dtype != np.int8:
            raise ModelError(self.name, f"tensor {index} is {data.dtype}, not int8")
        values: NDArray[np.int8] = data.reshape(-1).copy()
        return values

    def _check_samples(self, x: NDArray[np.int8]) -> None:
        if x.dtype != np.int8:
            raise SamplesError(
                "samples", f"are {x.dtype}, {self.name} takes int8", hint="mcu_ser.convert.quantization"
            )
        if x.ndim < 2 or x.shape[1:] not in {self.input_shape[1:], (self.input_bytes,)}:
            raise SamplesError(
                "samples", f"have shape {x.shape}, {self.name} takes (n, {_dimensions(self.input_shape[1:])})"
            )


def layer_outputs(
    model: bytes, name: str, sample: NDArray[np.int8], tensors: Sequence[int]
) -> list[NDArray[np.int8]]:
    """Tensors inside of a model, as TFLite-Micro computes them for one sample.

    Args:
        model: Content of a .tflite that `Oracle` takes.
        name: What error messages call the model.
        sample: int8 of as many values as the input has.
        tensors: Indices of tensors that operators of the model compute.

    Returns:
        int8 of shape (elements,) for each of `tensors`.

    Raises:
        SamplesError: `sample` has another dtype or size.
        ModelError: TFLite-Micro cannot run the model, or a tensor is not int8.
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


def _int8_tensor(details: Mapping[str, Any], subject: str) -> tuple[tuple[int, ...], Quantization]:
    dtype = np.dtype(details["dtype"])
    if dtype != np.int8:
        raise ModelError(subject, f"is {dtype}, not int8", hint="full-integer int8 quantisation")
    parameters = details["quantization_parameters"]
    scales, zero_points = parameters["scales"], parameters["zero_points"]
    if len(scales) != 1 or len(zero_points) != 1:
        raise ModelError(subject, "has no per-tensor quantisation", hint="full-integer int8 quantisation")
    shape = tuple(int(extent) for extent in details["shape"])
    return shape, Quantization(float(scales[0]), int(zero_points[0]))

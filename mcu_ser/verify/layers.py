# SPDX-License-Identifier: Apache-2.0
"""What a board says of every layer of one sample, beside what the oracle says: for `bisect` and `profile`.

A layer is an operator of the .tflite, in its order; its tensor is the operator's output. Board, oracle and
both engines count them alike. Engine aot does not compute channels that no output depends on
(`aot.channel_folding`): of such a tensor the others are compared. The firmware must have been generated with
--layers.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from mcu_ser.aot.channel_folding import fold_channels
from mcu_ser.aot.ir import short_name
from mcu_ser.aot.tflite_reader import NUMPY_TYPES, read_model
from mcu_ser.convert.oracle import layer_outputs
from mcu_ser.device.link import Link
from mcu_ser.device.start import open_device
from mcu_ser.errors import ConfigError, DeviceFaultError, MismatchError, SamplesError
from mcu_ser.progress import Track, silent
from mcu_ser.shell_command import shell_command
from mcu_ser.tflm.requirements import operator_macs
from mcu_ser.verify.client import Client
from mcu_ser.verify.harness import Expectation, require_match
from mcu_ser.verify.messages import LayerRecord, TickSource
from mcu_ser.verify.protocol import crc32

if TYPE_CHECKING:
    from mcu_ser.aot.ir import Graph, Operator
    from mcu_ser.generate.project import Project
    from mcu_ser.verify.messages import Hello
    from mcu_ser.verify.samples import Samples

Stored = npt.NDArray[Any]

# More than an engine needs: the slowest layer measured, TFLite-Micro's reference CONV_2D of one input
# channel, takes 45 instructions per MAC. A layer without MACs takes less than one of this many would.
TICKS_PER_MAC = 64


@dataclass(frozen=True)
class LayerRequest:
    """What is asked for besides the verdict.

    Attributes:
        sample: Index of the sample that is traced; None for the first whose output differs, else the first.
        profile: Whether time per layer is wanted, and not only the first wrong layer.
    """

    sample: int | None = None
    profile: bool = False

    @property
    def runs(self) -> int:
        """How often the sample is run: a real board's ticks vary by what its bus and caches do."""
        return 3 if self.profile else 1


@dataclass(frozen=True)
class ModelLayer:
    """One layer as the board computes it.

    `name` and `dtype` are those of its tensor, `macs` are counted as `aot` does. `left_out` are the indices
    along the last dimension of the file's tensor that the board does not compute; `shape` is of the rest.
    """

    index: int
    operator: str
    name: str
    shape: tuple[int, ...]
    macs: int
    tensor: int
    dtype: str = "INT8"
    left_out: tuple[int, ...] = ()

    @property
    def bytes(self) -> int:
        """Length of its tensor on the board."""
        return int(np.prod(self.shape, dtype=np.int64)) * self.numpy_type.itemsize

    @property
    def numpy_type(self) -> np.dtype[Any]:
        """What an element is to NumPy."""
        return np.dtype(NUMPY_TYPES[self.dtype])

    def computed(self, tensor: Stored) -> Stored:
        """What the board computes of the file's tensor, of the layer's shape."""
        if self.left_out:
            rows = tensor.reshape(-1, self.shape[-1] + len(self.left_out))
            tensor = np.delete(rows, self.left_out, axis=1)
        return tensor.reshape(self.shape)

    def __str__(self) -> str:
        return f"layer {self.index}, {self.operator} ({self.name})"


@dataclass(frozen=True, eq=False)
class TracedLayer:
    """One layer of the traced sample.

    Attributes:
        layer: What the .tflite says.
        expected: The oracle's tensor, of the layer's shape and type: without what the board leaves out.
        identical: Whether the board's tensor has the oracle's CRC-32.
        ticks: The median of the runs; None where nothing was measured.
    """

    layer: ModelLayer
    expected: Stored
    identical: bool
    ticks: int | None


@dataclass(frozen=True, eq=False)
class LayerTrace:
    """All layers of one sample on one board.

    Attributes:
        graph: The model as the board computes it.
        sample: Index of the sample; `sample_id` is its name.
        layers: In the order of the .tflite.
        first_wrong: Tensor of the first layer that is not identical, as the board has it; None if all are.
        tick_source: Name of the counter.
    """

    graph: Graph
    sample: int
    sample_id: str
    layers: tuple[TracedLayer, ...]
    first_wrong: Stored | None
    tick_source: str


def require_layers(project: Project, samples: Samples, request: LayerRequest) -> None:
    """Check what can be checked before anything runs.

    Raises:
        ConfigError: The firmware of the project does not trace layers.
        SamplesError: There is no such sample.
    """
    if not project.manifest.layers:
        problem = "has firmware that does not tell of its layers"
        raise ConfigError(project.root, problem, hint=generate_with_layers(project))
    count = len(samples.x)
    if request.sample is not None and not 0 <= request.sample < count:
        raise SamplesError("--sample", str(request.sample), limit=f"0 to {count - 1}")


def generate_with_layers(project: Project) -> str:
    """The command that makes a project like this one beside it, with firmware that traces layers."""
    options = ["--board", project.board.id, "--engine", project.engine, "--layers"]
    if project.engine == "tflm" and project.manifest.arena_basis != "estimated":
        options += ["--arena-bytes", str(project.arena_bytes)]
    if project.baud != project.board.serial.baud:
        options += ["--baud", str(project.baud)]
    if project.front_end_path is not None:
        options += ["--front-end", str(project.front_end_path)]
    if project.manifest.winograd_bytes:
        options += ["--winograd-bytes", str(project.manifest.winograd_bytes)]
    if project.manifest.optimization != "speed":
        options += ["--optimize", project.manifest.optimization]
    out = f"{project.root}-layers"
    return shell_command("mcu-ser", "generate", project.model_path, *options, "--out", out)


def graph_on_board(project: Project) -> Graph:
    """The model of a project as its engine computes it."""
    graph = read_model(project.model_path.read_bytes(), project.model_path.name)
    return fold_channels(graph) if project.engine == "aot" else graph


def model_layers(graph: Graph) -> tuple[ModelLayer, ...]:
    """The layers of a model."""
    return tuple(_model_layer(graph, operator) for operator in graph.operators)


def _model_layer(graph: Graph, operator: Operator) -> ModelLayer:
    output = graph.results(operator)[0]
    return ModelLayer(
        index=operator.index,
        operator=operator.opcode,
        name=short_name(output.name),
        shape=output.shape,
        macs=operator_macs(graph, operator),
        tensor=output.index,
        dtype=output.dtype,
        left_out=output.left_out,
    )


def trace_on_device(
    project: Project,
    samples: Samples,
    sample: int,
    request: LayerRequest,
    *,
    port: str | None = None,
    track: Track = silent,
) -> LayerTrace:
    """Run one sample on the board of a project, layer by layer, and on the oracle.

    Args:
        project: With firmware that traces layers, built.
        samples: Where the sample is from.
        sample: Its index.
        request: What is wanted of it.
        port: Port URL of a board; without it the project's emulated board is started.
        track: Shows progress, one step per layer and run.

    Raises:
        DeviceError: The run could not be completed.
    """
    with ExitStack() as stack:
        device = stack.enter_context(open_device(project, port))
        client = Client(stack.enter_context(Link(device)))
        hello = client.hello()
        require_match(client.url, Expectation.of(project), hello)
        model, graph = project.model_path.read_bytes(), graph_on_board(project)
        return trace(client, hello, model, graph, samples, sample, runs=request.runs, track=track)


def trace(
    client: Client,
    hello: Hello,
    model: bytes,
    graph: Graph,
    samples: Samples,
    sample: int,
    *,
    runs: int = 1,
    track: Track = silent,
) -> LayerTrace:
    """The trace of one sample on the board behind `client`, which has said `hello`.

    Raises:
        MismatchError: The board has other layers than the model.
        DeviceFaultError: The board gives other bytes in another run.
        LinkError: The run could not be completed.
    """
    layers, data = model_layers(graph), samples.x[sample]
    whole = layer_outputs(model, graph.name, data, [layer.tensor for layer in layers])
    expected = [layer.computed(tensor) for layer, tensor in zip(layers, whole, strict=True)]
    with track("layers", runs * len(layers)) as advance:
        records, ticks = [], []
        for _ in range(runs):
            found, undisturbed = _records(client, layers, sample, data.tobytes())
            records.append([(record.crc, record.bytes) for record in found])
            if undisturbed:
                ticks.append([record.ticks for record in found])
            advance(len(layers))
    _require_repeatable(client, layers, records)
    traced = tuple(
        TracedLayer(
            layer=layer,
            expected=tensor,
            identical=crc == crc32(tensor.tobytes()),
            ticks=_median_ticks(layer, hello, [run[layer.index] for run in ticks]),
        )
        for layer, tensor, (crc, _) in zip(layers, expected, records[0], strict=True)
    )
    wrong = next((entry.layer for entry in traced if not entry.identical), None)
    tensor = None if wrong is None else _tensor(client, wrong, sample, data.tobytes(), records[0])
    return LayerTrace(graph, sample, samples.ids[sample], traced, tensor, hello.tick_source.name.lower())


def _records(
    client: Client, layers: Sequence[ModelLayer], sample: int, data: bytes
) -> tuple[list[LayerRecord], bool]:
    """A record of every layer, and whether nothing disturbed the runs that they are from."""
    records: list[LayerRecord] = []
    undisturbed = True
    while len(records) < len(layers):
        first = len(records)
        last = min(first + client.layers_per_run, len(layers)) - 1
        count, page, quiet = client.trace(sample, data, first, last)
        if count != len(layers):
            raise MismatchError(client.url, f"the board has {count} layers, the model {len(layers)}")
        records += page
        undisturbed &= quiet
    for layer, record in zip(layers, records, strict=True):
        if record.bytes != layer.bytes:
            problem = f"{layer} has {record.bytes} B on the board, {layer.bytes} B in the model"
            raise MismatchError(client.url, problem)
    return records, undisturbed


def _tensor(
    client: Client, layer: ModelLayer, sample: int, data: bytes, records: Sequence[tuple[int, int]]
) -> Stored:
    """A layer's tensor as the board has it: the model is run once more and stops behind that layer."""
    _, (record,), _ = client.trace(sample, data, layer.index, layer.index)
    _require_repeatable(client, [layer], [[records[layer.index]], [(record.crc, record.bytes)]])
    content = client.tensor(layer.index, layer.bytes)
    if crc32(content) != record.crc:
        problem = f"the tensor of {layer} has not the CRC-32 that the board announced"
        raise DeviceFaultError(client.url, problem, hint="a reset of the board")
    return np.frombuffer(content, layer.numpy_type).reshape(layer.shape)


def _require_repeatable(
    client: Client, layers: Sequence[ModelLayer], runs: Sequence[Sequence[tuple[int, int]]]
) -> None:
    for layer, *seen in zip(layers, *runs, strict=True):
        if len(set(seen)) > 1:
            problem = f"{layer} gives other bytes for the same input in another run"
            raise DeviceFaultError(
                client.url, problem, hint="its supply voltage, clock and flash wait states"
            )


def _median_ticks(layer: ModelLayer, hello: Hello, ticks: Sequence[int]) -> int | None:
    # The device counts in 32 bits. What may have wrapped is not reported, nor what no counter counted.
    may_wrap = layer.macs * TICKS_PER_MAC >= 1 << 32
    if not ticks or may_wrap or hello.tick_source is TickSource.NONE:
        return None
    return sorted(ticks)[(len(ticks) - 1) // 2]

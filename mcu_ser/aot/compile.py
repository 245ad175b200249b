# SPDX-License-Identifier: Apache-2.0
"""The ahead-of-time compiler: the bytes of a .tflite in, C files and a memory plan out.

The stages in order; the graph and the plan are verified between them.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from mcu_ser.aot import arena, c_emitter, cost, lifetimes, passes, supported
from mcu_ser.aot.c_emitter import EmittedLayer, EmittedModel, EmittedStep
from mcu_ser.aot.channel_folding import fold_channels
from mcu_ser.aot.dying_inputs import overlapping
from mcu_ser.aot.ir import Graph, Operator, short_name
from mcu_ser.aot.kernels import arg_max, kernel_call
from mcu_ser.aot.kernels.conv_2d_winograd import WINOGRAD_KERNEL
from mcu_ser.aot.kernels.kernel_call import KernelCall, SparseChoice, Table
from mcu_ser.aot.lifetimes import Buffer
from mcu_ser.aot.narrow_choice import with_narrow
from mcu_ser.aot.operator_order import in_best_order
from mcu_ser.aot.optimization import Optimization
from mcu_ser.aot.overlap import Overlaps, find_overlaps
from mcu_ser.aot.pad_fusion import fuse_pads
from mcu_ser.aot.scratch_choice import without_much_scratch
from mcu_ser.aot.sparse_choice import with_sparse_room
from mcu_ser.aot.sparse_storage import with_sparse_storage
from mcu_ser.aot.tflite_reader import NUMPY_TYPES, read_model
from mcu_ser.aot.winograd_choice import with_winograd
from mcu_ser.artifacts import sha256_hex

# Included by every kernel.
_SHARED_HEADER = "kernel.h"

# Operators whose second operand are weights.
_WEIGHTED = frozenset({"CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED", "TRANSPOSE_CONV"})


@dataclass(frozen=True)
class TensorSpec:
    """The model's input or output: real = scale * (stored - zero_point).

    `dtype` is INT8 or INT16; or INT32, and the output's values are indices, each of `indices_of` elements.
    """

    name: str
    shape: tuple[int, ...]
    scale: float
    zero_point: int
    bytes: int
    dtype: str = "INT8"
    indices_of: int = 0

    @property
    def classes(self) -> int | None:
        """Classes of which an output tells one sample's; None if it is several indices."""
        if not self.indices_of:
            return self.elements
        return self.indices_of if self.elements == 1 else None

    @property
    def elements(self) -> int:
        return math.prod(self.shape)

    @property
    def numpy_type(self) -> np.dtype[Any]:
        """What an element is to NumPy."""
        return np.dtype(NUMPY_TYPES[self.dtype])


@dataclass(frozen=True)
class Layer:
    """What one layer costs.

    `weight_bytes` counts all constants of the layer as they lie in flash, `sparsity` is the fraction of zeros
    among its int8 weights (None without weights). `arena_offset` is where its output starts, `live_bytes`
    what must be kept in the arena while it runs, less what may overlap, of which `scratch_bytes` are its
    kernel's own. `kernel` is the C function that was chosen for it, None where there is nothing to do.
    `predicted_instructions` are those of a Cortex-M4 with DSP instructions (`cost`): 0 where there is nothing
    to do, None where the kernel was not measured; `prediction_error` is the fraction by which they may be
    wrong, or more where it `depends_on_inputs`, whose mean over random ones is given. `weight_shape` is that
    of the file (None without weights). The output's bytes are kept in the arena from layer `first` to layer
    `last` in the order of execution, which counts those tensors too that share them; the model's input is
    written at layer -1, its output read at the number of layers. An `index` is the file's. `sparse_choice`
    says what the layer takes with and without its zeros, None where it has no sparse form, or where the build
    is for size. `left_out` channels of its output are not needed and not computed (`channel_folding`): shapes
    and figures are of what is left.
    """

    index: int
    operator: str
    name: str
    input_shapes: tuple[tuple[int, ...], ...]
    output_shape: tuple[int, ...]
    macs: int
    weight_bytes: int
    sparsity: float | None
    arena_offset: int
    live_bytes: int
    kernel: str | None
    scratch_bytes: int
    predicted_instructions: int | None
    prediction_error: float | None
    depends_on_inputs: bool
    weight_shape: tuple[int, ...] | None
    output_bytes: int
    first: int
    last: int
    sparse_choice: SparseChoice | None
    left_out: int = 0

    @property
    def weights(self) -> int:
        """Weights of the file, 0 without."""
        return math.prod(self.weight_shape) if self.weight_shape is not None else 0

    @property
    def zeros(self) -> int:
        """Those of them that are zero."""
        return round((self.sparsity or 0.0) * self.weights)


@dataclass(frozen=True, eq=False)
class CompiledModel:
    """A model as C. Layers and operators of the graph are in the order in which they run (`operator_order`).

    `sources`: file name -> C text. `kernels`: the headers of firmware_templates/runtime/kernels/ that the C
    includes. `overlaps` says which buffers may lie over each other. `calls` are those that were chosen, by
    index of their layer. Sizes are in bytes; `macs` counts multiply-accumulates of one inference.
    """

    name: str
    sha256: str
    sources: Mapping[str, str]
    kernels: tuple[str, ...]
    graph: Graph
    plan: arena.Plan
    buffers: tuple[Buffer, ...]
    overlaps: Overlaps
    layers: tuple[Layer, ...]
    calls: Mapping[int, KernelCall]
    input: TensorSpec
    output: TensorSpec

    @property
    def arena_bytes(self) -> int:
        return self.plan.bytes

    @property
    def weight_bytes(self) -> int:
        return sum(layer.weight_bytes for layer in self.layers)

    @property
    def macs(self) -> int:
        return sum(layer.macs for layer in self.layers)

    @property
    def winograd_layers(self) -> tuple[int, ...]:
        """Indices of the layers that are computed by Winograd's algorithm."""
        return tuple(sorted(layer.index for layer in self.layers if layer.kernel == WINOGRAD_KERNEL))

    @property
    def peak_layer(self) -> Layer | None:
        """The layer with the most live bytes; None for a model without layers."""
        return max(self.layers, key=lambda layer: layer.live_bytes, default=None)


def compile_model(
    model: bytes,
    name: str = "model",
    *,
    traced: bool = False,
    winograd_bytes: int = 0,
    optimization: Optimization = Optimization.SPEED,
) -> CompiledModel:
    """Compile a .tflite.

    Args:
        model: Content of the file.
        name: What to call the model in errors, e.g. its path.
        traced: The C tells the firmware's server of each layer.
        winograd_bytes: By how much the constants may grow for convolutions by Winograd's algorithm.
        optimization: What kernels are chosen for.

    Raises:
        ModelError: The file is damaged or the engine does not support the model.
    """
    read = read_model(model, name)
    supported.check_supported(read)
    graph = fold_channels(read)
    if not traced:
        # A board that tells of its layers tells of them all.
        graph = fuse_pads(graph)
    aliases = passes.find_aliases(graph)
    found = ((operator.index, kernel_call(graph, operator, optimization)) for operator in graph.operators)
    calls = {index: call for index, call in found if call is not None}
    graph = in_best_order(graph, aliases, _scratch(calls))
    calls = _chosen(graph, aliases, calls, optimization, winograd_bytes)
    buffers = lifetimes.find_buffers(graph, aliases, _scratch(calls))
    overlaps = find_overlaps(buffers, overlapping(graph, aliases, calls))
    plan = arena.plan_arena(buffers, overlaps)
    arena.verify_plan(buffers, plan, overlaps)
    offsets = _Offsets(plan, aliases, overlaps)
    emitted = replace(_emitted_model(graph, calls, offsets, sha256_hex(model)), traced=traced)
    emitted = replace(emitted, optimization=optimization)
    return CompiledModel(
        name=name,
        sha256=emitted.sha256,
        sources=c_emitter.emit(emitted),
        kernels=_headers(calls),
        graph=graph,
        plan=plan,
        buffers=buffers,
        overlaps=overlaps,
        layers=_layers(graph, calls, buffers, offsets),
        calls=calls,
        input=tensor_spec(graph, graph.inputs[0]),
        output=tensor_spec(graph, graph.outputs[0]),
    )


def _chosen(
    graph: Graph,
    aliases: Mapping[int, int],
    calls: Mapping[int, KernelCall],
    optimization: Optimization,
    winograd_bytes: int,
) -> dict[int, KernelCall]:
    """The calls, others where the whole model decides what suits a layer."""
    if optimization is Optimization.SIZE:
        return with_sparse_storage(graph, aliases, calls)
    calls = with_sparse_room(graph, aliases, calls)
    calls = with_narrow(graph, aliases, calls)
    calls = without_much_scratch(graph, aliases, calls)
    return with_winograd(graph, aliases, calls, winograd_bytes)


def _scratch(calls: Mapping[int, KernelCall]) -> dict[int, int]:
    return {index: call.scratch_bytes for index, call in calls.items()}


def _headers(calls: Mapping[int, KernelCall]) -> tuple[str, ...]:
    needed = {name for call in calls.values() for name in (call.header, *call.included)}
    return tuple(sorted(needed | {_SHARED_HEADER}))


@dataclass(frozen=True)
class _Offsets:
    """Where the tensors lie, aliases resolved, and which of them may overlap."""

    plan: arena.Plan
    aliases: Mapping[int, int]
    overlaps: Overlaps

    def __getitem__(self, tensor: int) -> int:
        return self.plan.offsets[self.aliases.get(tensor, tensor)]


def tensor_spec(graph: Graph, index: int) -> TensorSpec:
    """The input or output of a supported model."""
    tensor = graph.tensors[index]
    if tensor.dtype == "INT32":
        (layer,) = (operator for operator in graph.operators if index in operator.outputs)
        classes = arg_max.searched(graph, layer)
        return TensorSpec(tensor.name, tensor.shape, 1.0, 0, tensor.bytes, tensor.dtype, classes)
    return TensorSpec(tensor.name, tensor.shape, tensor.scale, tensor.zero_point, tensor.bytes, tensor.dtype)


def _emitted_model(
    graph: Graph, calls: Mapping[int, KernelCall], offsets: _Offsets, sha256: str
) -> EmittedModel:
    input_, output = graph.tensors[graph.inputs[0]], graph.tensors[graph.outputs[0]]
    return EmittedModel(
        sha256=sha256,
        layers=tuple(_emitted_layer(graph, op, calls.get(op.index), offsets) for op in graph.operators),
        arena_bytes=offsets.plan.bytes,
        input_offset=offsets[input_.index],
        input_bytes=input_.bytes,
        output_offset=offsets[output.index],
        output_bytes=output.bytes,
    )


def _emitted_layer(
    graph: Graph, operator: Operator, call: KernelCall | None, offsets: _Offsets
) -> EmittedLayer:
    output = graph.results(operator)[0]
    steps = call.steps() if call else ()
    shapes = ", ".join(graph.tensors[i].shape_text for i in _read(operator, call))
    gone = len(output.left_out)
    less = f" ({gone} of {gone + output.shape[-1]} channels are not needed)" if gone else ""
    macs = f", {call.macs} MACs" if call and call.macs else ""
    name = c_emitter.comment_text(short_name(output.name))
    return EmittedLayer(
        index=operator.index,
        operator=operator.opcode,
        title=f"Layer {operator.index}: {operator.opcode} {name}: {shapes} to "
        f"{output.shape_text}{less}{macs}",
        steps=tuple(
            _emitted_step(graph, operator, step, number, offsets) for number, step in enumerate(steps)
        ),
        output_offset=offsets[output.index],
        output_bytes=output.bytes,
    )


def _emitted_step(
    graph: Graph, operator: Operator, call: KernelCall, number: int, offsets: _Offsets
) -> EmittedStep:
    scratch = offsets[lifetimes.scratch_index(operator.index)] if call.scratch_bytes else None
    return EmittedStep(
        call=call,
        # Layers of several calls have one input per call.
        inputs=tuple(_source(graph, i, number + place, offsets) for place, i in enumerate(call.inputs)),
        output_offset=offsets[call.output],
        scratch_offset=scratch,
    )


def _read(operator: Operator, call: KernelCall | None) -> tuple[int, ...]:
    """The tensors that a layer reads besides its constants, each as often as it is an operand."""
    if call is None:
        return operator.inputs[:1]
    read = [i for step in call.steps() for i in step.inputs]
    return tuple(read) if len(operator.outputs) == 1 else call.inputs


def _source(graph: Graph, tensor: int, place: int, offsets: _Offsets) -> int | Table:
    """Where a kernel reads an input: an offset into the arena, or a constant of the model."""
    data = graph.tensors[tensor].data
    return offsets[tensor] if data is None else Table(f"input_{place}", data)


def _layers(
    graph: Graph, calls: Mapping[int, KernelCall], buffers: tuple[Buffer, ...], offsets: _Offsets
) -> tuple[Layer, ...]:
    """All layers; a kernel whose header no other call needs is compiled for that one."""
    users = Counter(step.header for call in calls.values() for step in call.steps())
    layers = []
    for moment, operator in enumerate(graph.operators):
        call = calls.get(operator.index)
        prediction = cost.predict(call, alone=users[call.header] == 1) if call else cost.NOTHING
        layers.append(_layer(graph, moment, (call, prediction), buffers, offsets))
    return tuple(layers)


def _layer(
    graph: Graph,
    moment: int,
    chosen: tuple[KernelCall | None, cost.Prediction],
    buffers: tuple[Buffer, ...],
    offsets: _Offsets,
) -> Layer:
    operator, (call, prediction) = graph.operators[moment], chosen
    output = graph.results(operator)[0]
    inputs = [graph.tensors[i] for i in _read(operator, call)]
    constants = sum(t.bytes for t in inputs if t.data is not None)
    tables = [table for step in (call.steps() if call else ()) for table in step.tables()]
    place = offsets.aliases.get(output.index, output.index)
    kept = next(buffer for buffer in buffers if buffer.tensor == place)
    return Layer(
        index=operator.index,
        operator=operator.opcode,
        name=output.name,
        input_shapes=tuple(t.shape for t in inputs),
        output_shape=output.shape,
        macs=call.macs if call else 0,
        weight_bytes=constants + sum(t.values.nbytes for t in tables),
        sparsity=call.sparsity if call else None,
        arena_offset=offsets[output.index],
        live_bytes=arena.live_bytes(buffers, moment, offsets.overlaps),
        kernel=call.kernel if call else None,
        scratch_bytes=call.scratch_bytes if call else 0,
        predicted_instructions=prediction.instructions,
        prediction_error=prediction.error,
        depends_on_inputs=prediction.depends_on_inputs,
        weight_shape=_weight_shape(graph, operator),
        output_bytes=output.bytes,
        first=kept.first,
        last=kept.last,
        sparse_choice=call.sparse_choice if call else None,
        left_out=len(output.left_out),
    )


def _weight_shape(graph: Graph, operator: Operator) -> tuple[int, ...] | None:
    """Shape of what an operator multiplies its input with."""
    if operator.opcode not in _WEIGHTED:
        return None
    return graph.tensors[operator.inputs[1]].shape

# SPDX-License-Identifier: Apache-2.0
"""A model as one engine takes it: what generator, manifest and templates need, whatever the engine."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from mcu_ser.aot.compile import TensorSpec, compile_model, tensor_spec
from mcu_ser.aot.optimization import Optimization
from mcu_ser.aot.supported import check_interface
from mcu_ser.aot.tflite_reader import read_model
from mcu_ser.errors import ConfigError
from mcu_ser.generate.byte_arrays import ALIGNMENT
from mcu_ser.generate.fit import Needs, aot_needs, tflm_needs
from mcu_ser.tflm.requirements import tflm_requirements
from mcu_ser.tflm.runtime_support import check_runtime, runtime_for

if TYPE_CHECKING:
    from mcu_ser.board import Board
    from mcu_ser.generate.manifest import ArenaBasis

# The interpreter itself takes more (engine_tflm.cpp).
_LEAST_ARENA_BYTES = 512


@dataclass(frozen=True)
class Arena:
    """Size of the activation arena in bytes, and where the number comes from."""

    bytes: int
    basis: ArenaBasis


@dataclass(frozen=True)
class Winograd:
    """Flash that convolutions by Winograd's algorithm may take more, and the layers that are computed so."""

    bytes: int
    layers: tuple[int, ...]


@dataclass(frozen=True, eq=False)
class EngineModel:
    """A model as an engine takes it.

    Attributes:
        input: What goes in.
        output: What comes out.
        layers: How many operators the .tflite has.
        arena: RAM for activations, and for what else the engine keeps beside them.
        weight_bytes: Constants in flash; with engine tflm the whole .tflite.
        macs: Multiply-accumulates of one inference.
        needs: The same, as a board is asked for it.
        sources: File name -> C text (engine aot).
        kernels: Headers of firmware_templates/runtime/kernels/ that the C includes (engine aot).
        winograd: What was spent on Winograd's algorithm (engine aot).
        optimization: What the firmware is built for.
    """

    input: TensorSpec
    output: TensorSpec
    layers: int
    arena: Arena
    weight_bytes: int
    macs: int
    needs: Needs
    sources: Mapping[str, str] = field(default_factory=dict)
    kernels: tuple[str, ...] = ()
    winograd: Winograd | None = None
    optimization: Optimization = Optimization.SPEED

    @property
    def arena_bytes(self) -> int:
        return self.arena.bytes


def engine_model(
    model: bytes,
    name: str,
    board: Board,
    engine: str,
    arena: Arena | None = None,
    *,
    layers: bool = False,
    winograd_bytes: int = 0,
    optimization: Optimization = Optimization.SPEED,
) -> EngineModel:
    """A model for an engine on a board.

    Args:
        model: Content of the .tflite.
        name: What to call it in errors, e.g. its path.
        board: What it will run on.
        engine: `aot` or `tflm`.
        arena: Of engine tflm, instead of the estimate.
        layers: The firmware traces layers.
        winograd_bytes: Of engine aot: flash that convolutions by Winograd's algorithm may take more.
        optimization: Of engine aot: what the firmware is built for.

    Raises:
        ModelError: The file is damaged, or the engine does not support the model.
        ConfigError: The platform has no such engine, or the engine no such option, or a size is none.
    """
    _require_winograd(engine, winograd_bytes)
    require_optimization(engine, optimization, winograd_bytes)
    if engine == "tflm":
        return _tflm_model(model, name, board, arena)
    if arena is not None:
        raise ConfigError("engine 'aot'", "plans its arena; the size cannot be given", hint="--engine tflm")
    compiled = compile_model(
        model, name, traced=layers, winograd_bytes=winograd_bytes, optimization=optimization
    )
    return EngineModel(
        input=compiled.input,
        output=compiled.output,
        layers=len(compiled.layers),
        arena=Arena(compiled.arena_bytes, "planned"),
        weight_bytes=compiled.weight_bytes,
        macs=compiled.macs,
        needs=aot_needs(compiled),
        sources=compiled.sources,
        kernels=compiled.kernels,
        winograd=Winograd(winograd_bytes, compiled.winograd_layers) if winograd_bytes else None,
        optimization=optimization,
    )


def _require_winograd(engine: str, winograd_bytes: int) -> None:
    if winograd_bytes < 0:
        raise ConfigError(f"{winograd_bytes} bytes for Winograd's algorithm", "are none", limit="at least 0")
    if winograd_bytes and engine != "aot":
        problem = "chooses its kernels itself; flash for Winograd's algorithm cannot be given"
        raise ConfigError(f"engine {engine!r}", problem, hint="--engine aot")


def require_optimization(engine: str, optimization: Optimization, winograd_bytes: int = 0) -> None:
    """Check that an engine can be built for what is asked.

    Raises:
        ConfigError: It cannot, or not with flash for Winograd's algorithm.
    """
    if optimization is Optimization.SPEED:
        return
    if engine != "aot":
        problem = "is a library that was built before; its firmware cannot be optimised for size"
        raise ConfigError(f"engine {engine!r}", problem, hint="--engine aot")
    if winograd_bytes:
        problem = f"cannot spend {winograd_bytes} B of flash on Winograd's algorithm"
        raise ConfigError("a build for size", problem, hint="--optimize speed, or no --winograd-bytes")


def _tflm_model(model: bytes, name: str, board: Board, arena: Arena | None) -> EngineModel:
    runtime = runtime_for(board)
    if runtime is None:
        raise ConfigError("engine 'tflm'", f"does not exist on {board.id}", hint="--engine aot")
    graph = read_model(model, name)
    check_interface(graph)
    check_runtime(graph, runtime)
    requirements = tflm_requirements(model, graph, runtime)
    if arena is None:
        arena = Arena(requirements.arena_bytes, "estimated")
    _require_arena(arena)
    return EngineModel(
        input=tensor_spec(graph, graph.inputs[0]),
        output=tensor_spec(graph, graph.outputs[0]),
        layers=len(graph.operators),
        arena=arena,
        weight_bytes=requirements.flash_bytes,
        macs=requirements.macs,
        needs=replace(tflm_needs(requirements, graph), arena_bytes=arena.bytes),
    )


def _require_arena(arena: Arena) -> None:
    if arena.bytes < _LEAST_ARENA_BYTES or arena.bytes % ALIGNMENT:
        problem = f"of {arena.bytes} B is none"
        raise ConfigError("arena", problem, limit=f"a multiple of {ALIGNMENT}, at least {_LEAST_ARENA_BYTES}")

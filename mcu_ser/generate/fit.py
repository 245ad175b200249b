# SPDX-License-Identifier: Apache-2.0
"""Holds what an engine needs for a model against the memory of a board, before a project is generated.

Only what the model itself takes is counted: its constants in flash and its arena in RAM. The board's budget
leaves room for the rest of the firmware, which is measured when it has been built. The generator and
`inspect` ask the same functions, so they cannot disagree.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

from mcu_ser.aot.ir import short_name
from mcu_ser.board.placement import RamNeeds, largest_arena_bytes, place
from mcu_ser.errors import BudgetError

if TYPE_CHECKING:
    from mcu_ser.aot.compile import CompiledModel, Layer
    from mcu_ser.aot.ir import Graph, Operator
    from mcu_ser.board import Board
    from mcu_ser.tflm.requirements import TflmRequirements


# What a firmware of engine tflm has in flash beside its model and what the board's reserve (32,768 B) holds:
# interpreter, planner and C library, and for each kind of operator what its kernels take. Measured with
# CMSIS-NN (gcc 12.2, release), beyond the reserve: 26,376 B for the six kinds of kws_ref_model, 32,852 B for
# eleven others of a test. The test with a real library holds every firmware against this.
INTERPRETER_BYTES = 24_576
OPERATOR_KIND_BYTES = 1_024


def interpreter_bytes(graph: Graph) -> int:
    """Flash of the interpreter with the kernels of a model, beyond the board's reserve."""
    return INTERPRETER_BYTES + OPERATOR_KIND_BYTES * len({operator.opcode for operator in graph.operators})


@dataclass(frozen=True)
class FrontEndSize:
    """What a front end takes of a board, in bytes; the map itself is the model's input, in the arena.

    Attributes:
        flash_bytes: Of any board.
        ram_bytes: Of a board without a microphone.
        microphone_ram_bytes: What one with a microphone needs besides: room for what it hears while the
            model runs.
    """

    flash_bytes: int
    ram_bytes: int
    microphone_ram_bytes: int = 0

    def on(self, board: Board) -> FrontEndSize:
        """What it takes of this board."""
        more = 0 if board.microphone is None else self.microphone_ram_bytes
        return FrontEndSize(self.flash_bytes, self.ram_bytes + more)


@dataclass(frozen=True)
class Needs:
    """What an engine needs of any board for a model.

    Attributes:
        engine: `aot` or `tflm`.
        constants: What lies in flash: "the weights", or "the model and the interpreter".
        flash_bytes: Its size.
        arena_bytes: RAM for activations, and for what else the engine keeps beside them.
        arena_basis: "planned" exactly, or "estimated"; see `generate.manifest`.
        flash_layer: The layer with the most constants, as messages name it; None without layers.
        arena_layer: The layer with the most live activations; likewise.
        front_end_flash_bytes: What the front end takes of the flash; 0 without one.
        front_end_ram_bytes: What it takes of the RAM.
    """

    engine: str
    constants: str
    flash_bytes: int
    arena_bytes: int
    arena_basis: str
    flash_layer: str | None
    arena_layer: str | None
    front_end_flash_bytes: int = 0
    front_end_ram_bytes: int = 0

    def with_front_end(self, size: FrontEndSize | None) -> Needs:
        """The same of a firmware with a front end."""
        if size is None:
            return self
        return replace(self, front_end_flash_bytes=size.flash_bytes, front_end_ram_bytes=size.ram_bytes)


@dataclass(frozen=True)
class Fit:
    """The needs of a model and what a board can give, in bytes; a limit of None is none.

    `arena_region` is the RAM region that the arena would go to; None if it fits nowhere, or on the host.
    """

    board_id: str
    needs: Needs
    flash_limit: int | None
    arena_limit: int | None
    arena_region: str | None

    @property
    def flash_excess(self) -> int:
        """Bytes by which the constants are too many; 0 if they fit."""
        return _excess(self.needs.flash_bytes, self.flash_limit)

    @property
    def arena_excess(self) -> int:
        """Bytes by which the arena is too large; 0 if it fits."""
        return _excess(self.needs.arena_bytes, self.arena_limit)

    @property
    def fits(self) -> bool:
        return self.flash_excess == 0 and self.arena_excess == 0

    @property
    def dominant(self) -> Literal["arena", "flash"]:
        """The memory that is tighter, or further from enough."""
        flash = _fraction(self.needs.flash_bytes, self.flash_limit)
        arena = _fraction(self.needs.arena_bytes, self.arena_limit)
        return "arena" if arena >= flash else "flash"

    @property
    def dominant_layer(self) -> str | None:
        """The layer that needs most of that memory; None without layers."""
        return self.needs.arena_layer if self.dominant == "arena" else self.needs.flash_layer


def aot_needs(compiled: CompiledModel) -> Needs:
    """What the ahead-of-time engine needs: exact."""
    heaviest = max(compiled.layers, key=lambda layer: layer.weight_bytes, default=None)
    return Needs(
        engine="aot",
        constants="the weights",
        flash_bytes=compiled.weight_bytes,
        arena_bytes=compiled.arena_bytes,
        arena_basis="planned",
        flash_layer=_layer_text(heaviest),
        arena_layer=_layer_text(compiled.peak_layer),
    )


def tflm_needs(requirements: TflmRequirements, graph: Graph) -> Needs:
    """What TFLite-Micro needs: the .tflite as it is, the interpreter, and an arena that is estimated."""
    heaviest = max(graph.operators, key=lambda operator: _constant_bytes(graph, operator), default=None)
    peak = requirements.arena_peak
    return Needs(
        engine="tflm",
        constants="the model and the interpreter",
        flash_bytes=requirements.flash_bytes + interpreter_bytes(graph),
        arena_bytes=requirements.arena_bytes,
        arena_basis="estimated",
        flash_layer=_operator_text(graph, heaviest),
        arena_layer=None if peak is None else _operator_text(graph, graph.operators[peak]),
    )


def find_fit(needs: Needs, board: Board) -> Fit:
    """Whether a board can give what is needed."""
    budget = board.budget
    flash = board.flash_bytes
    if flash is None or budget is None:
        flash_limit = None
    else:
        flash_limit = flash - budget.flash_reserve_bytes - needs.front_end_flash_bytes
    return Fit(
        board_id=board.id,
        needs=needs,
        flash_limit=flash_limit,
        arena_limit=_arena_limit(needs, board),
        arena_region=_arena_region(needs, board),
    )


def check_fit(needs: Needs, board: Board) -> None:
    """Check that a board can give what is needed.

    Raises:
        BudgetError: It cannot; says by how much and which layer needs the most.
    """
    fit = find_fit(needs, board)
    if fit.arena_excess:
        raise BudgetError(
            board.id,
            f"arena needs {needs.arena_bytes} B, {fit.arena_excess} B too many{_at(needs.arena_layer)}",
            limit=f"{fit.arena_limit} B{_beside(needs.front_end_ram_bytes)}",
            hint="a smaller input, fewer channels in that layer, or a board with more RAM",
        )
    if fit.flash_excess:
        raise BudgetError(
            board.id,
            f"flash needs {needs.flash_bytes} B for {needs.constants}, {fit.flash_excess} B too many"
            + _at(needs.flash_layer),
            limit=f"{fit.flash_limit} B{_beside(needs.front_end_flash_bytes)}",
            hint="fewer channels in that layer, or a board with more flash",
        )


def _arena_limit(needs: Needs, board: Board) -> int | None:
    """The budget, or what the front end's data leave of it."""
    budget = board.budget
    if budget is None or not needs.front_end_ram_bytes:
        return None if budget is None else budget.arena_bytes
    data_bytes = budget.data_bytes + needs.front_end_ram_bytes
    return min(budget.arena_bytes, largest_arena_bytes(board.ram_regions, budget.stack_bytes, data_bytes))


def _beside(front_end_bytes: int) -> str:
    return f" beside {front_end_bytes} B of the front end" if front_end_bytes else ""


def _arena_region(needs: Needs, board: Board) -> str | None:
    budget, limit = board.budget, _arena_limit(needs, board)
    if budget is None or limit is None or needs.arena_bytes > limit:
        return None
    data_bytes = budget.data_bytes + needs.front_end_ram_bytes
    placement = place(board.ram_regions, RamNeeds(needs.arena_bytes, budget.stack_bytes, data_bytes))
    return None if placement is None else placement.arena.name


def _excess(need: int, limit: int | None) -> int:
    return 0 if limit is None else max(0, need - limit)


def _fraction(need: int, limit: int | None) -> float:
    """Share of a memory, infinite for one that the board has not got."""
    if limit is None:
        return 0.0
    return need / limit if limit else math.inf


def _at(layer: str | None) -> str:
    return "" if layer is None else f" (largest at {layer})"


def _layer_text(layer: Layer | None) -> str | None:
    return None if layer is None else f"layer {layer.index}, {layer.operator} {short_name(layer.name)}"


def _operator_text(graph: Graph, operator: Operator | None) -> str | None:
    if operator is None:
        return None
    return f"layer {operator.index}, {operator.opcode} {short_name(graph.layer_name(operator))}"


def _constant_bytes(graph: Graph, operator: Operator) -> int:
    return sum(t.data.nbytes for t in graph.operands(operator) if t is not None and t.data is not None)

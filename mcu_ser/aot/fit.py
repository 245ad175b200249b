# SPDX-License-Identifier: Apache-2.0
"""Holds a compiled model against the memory of a board, for `inspect` and before a project is generated.

Only what the model itself takes is counted: its constants in flash and its arena in RAM. The board's budget
leaves room for the rest of the firmware, which is measured when it has been built.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from mcu_ser.aot.ir import short_name
from mcu_ser.errors import BudgetError

if TYPE_CHECKING:
    from mcu_ser.aot.compile import CompiledModel, Layer
    from mcu_ser.board import Board


@dataclass(frozen=True)
class Fit:
    """What a model needs of a board and what the board can give, in bytes; a limit of None is none."""

    board_id: str
    flash_bytes: int
    flash_limit: int | None
    arena_bytes: int
    arena_limit: int | None

    @property
    def flash_excess(self) -> int:
        """Bytes by which the constants are too many; 0 if they fit."""
        return _excess(self.flash_bytes, self.flash_limit)

    @property
    def arena_excess(self) -> int:
        """Bytes by which the arena is too large; 0 if it fits."""
        return _excess(self.arena_bytes, self.arena_limit)

    @property
    def fits(self) -> bool:
        return self.flash_excess == 0 and self.arena_excess == 0


def find_fit(compiled: CompiledModel, board: Board) -> Fit:
    """What the model needs of the board, whether it fits or not."""
    budget = board.budget
    flash = board.flash_bytes
    return Fit(
        board_id=board.id,
        flash_bytes=compiled.weight_bytes,
        flash_limit=None if flash is None or budget is None else flash - budget.flash_reserve_bytes,
        arena_bytes=compiled.arena_bytes,
        arena_limit=None if budget is None else budget.arena_bytes,
    )


def check_fit(compiled: CompiledModel, board: Board) -> None:
    """Check that the model fits the board.

    Raises:
        BudgetError: It does not; says by how much and which layer needs the most.
    """
    fit = find_fit(compiled, board)
    if fit.arena_excess:
        raise BudgetError(
            fit.board_id,
            f"arena needs {fit.arena_bytes} B, {fit.arena_excess} B too many{_at(compiled.peak_layer)}",
            limit=f"{fit.arena_limit} B",
            hint="a smaller input, fewer channels in that layer, or a board with more RAM",
        )
    if fit.flash_excess:
        largest = max(compiled.layers, key=lambda layer: layer.weight_bytes)
        raise BudgetError(
            fit.board_id,
            f"weights need {fit.flash_bytes} B of flash, {fit.flash_excess} B too many{_at(largest)}",
            limit=f"{fit.flash_limit} B",
            hint="fewer channels in that layer, or a board with more flash",
        )


def _excess(need: int, limit: int | None) -> int:
    return 0 if limit is None else max(0, need - limit)


def _at(layer: Layer | None) -> str:
    if layer is None:
        return ""
    return f" (largest at layer {layer.index}, {layer.operator} {short_name(layer.name)})"

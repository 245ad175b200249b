# SPDX-License-Identifier: Apache-2.0
"""Limits that a user sets for a firmware, beside those of its board: one that is passed fails the check."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any

from mcu_ser.errors import ConfigError

if TYPE_CHECKING:
    from mcu_ser.board import Board

_UNITS = {"flash": "B of flash", "ram": "B of RAM", "instructions": "instructions in one inference"}


@dataclass(frozen=True)
class Limits:
    """Most that a firmware may take; None is no limit.

    Attributes:
        flash: Bytes of flash.
        ram: Bytes of RAM.
        instructions: Executed instructions of the longest inference.
    """

    flash: int | None = None
    ram: int | None = None
    instructions: int | None = None

    def require_countable(self, board: Board) -> None:
        """Check that the board can tell what is limited.

        Raises:
            ConfigError: Instructions are limited, and this board counts none.
        """
        # TIM2 is what counts them (device.emulator); the emulator's other machines have no such timer.
        counts = board.emulator is not None and board.platform == "stm32"
        if self.instructions is not None and not counts:
            problem = f"{board.id} counts no instructions"
            raise ConfigError("--max-instructions", problem, hint="an emulated STM32 board")

    def judge(self, document: dict[str, Any]) -> list[dict[str, Any]]:
        """What `report.json` says of the limits, given the figures in it.

        What was not measured does not hold: of an unknown value nobody knows that it is small enough. Of
        instructions, that is so if even one sample's were not.
        """
        samples, measured = document["samples"], _measured_samples(document)
        values = {
            "flash": document["flash_bytes"],
            "ram": document["ram_bytes"],
            "instructions": None if measured < samples else document["instructions"]["max"],
        }
        given = {field.name: getattr(self, field.name) for field in fields(self)}
        return [
            {
                "name": name,
                "limit": limit,
                "value": values[name],
                "held": values[name] is not None and values[name] <= limit,
            }
            | ({"samples": samples, "measured": measured} if name == "instructions" else {})
            for name, limit in given.items()
            if limit is not None
        ]


NO_LIMITS = Limits()


def _measured_samples(document: dict[str, Any]) -> int:
    """Of how many samples of a report the instructions were counted, disturbed by nothing."""
    if document["instructions"]["max"] is None:
        return 0
    return sum(document["ticks"]["histogram"]["counts"])


def limit_problem(limit: dict[str, Any]) -> str | None:
    """What is wrong with an entry of `limits` in `report.json`, in words; None if it holds."""
    if limit["held"]:
        return None
    unit = _UNITS[limit["name"]]
    if limit["value"] is None:
        some = limit.get("measured")
        what = f"measured in {some} of {limit['samples']} samples only" if some else "not measured"
        return f"{unit}: {what}, limit {limit['limit']}"
    return f"{limit['value']} {unit}, limit {limit['limit']}"

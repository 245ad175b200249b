# SPDX-License-Identifier: Apache-2.0
"""The `flash` section of a board file: which tools can flash the board, and with which arguments."""

from __future__ import annotations

from pydantic import model_validator

from mcu_ser.board.section import Section


class FlashTools(Section):
    """Tools that can flash the board: runner name -> its arguments, and the runner taken by default."""

    default: str
    runners: dict[str, dict[str, str | int | bool]]

    @model_validator(mode="after")
    def _default_is_a_runner(self) -> FlashTools:
        if self.default not in self.runners:
            raise ValueError(f"default runner {self.default!r} is not among {sorted(self.runners)}")
        return self

# SPDX-License-Identifier: Apache-2.0
"""The `build` section of an Arduino board file."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from mcu_ser.board.section import Section


class ArduinoBuild(Section):
    """How an Arduino sketch is compiled: the fully qualified board name."""

    fqbn: Annotated[str, Field(pattern=r"^[^:\s]+:[^:\s]+:[^:\s]+$")]

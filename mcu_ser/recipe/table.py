# SPDX-License-Identifier: Apache-2.0
"""What every table of a recipe has in common: it is frozen, strict, and refuses an unknown key."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

Fraction = Annotated[float, Field(ge=0, lt=1)]


class Stage(BaseModel):
    """The tables of one stage."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)

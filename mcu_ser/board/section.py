# SPDX-License-Identifier: Apache-2.0
"""What every section of a board file is made of: frozen, exact types, no unknown keys."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

Address = Annotated[int, Field(ge=0, le=0xFFFFFFFF)]
Hertz = Annotated[int, Field(gt=0, le=1_000_000_000)]
Source = Annotated[str, Field(min_length=1)]
Bit = Annotated[int, Field(ge=0, le=31)]
# Machine options of gcc.
CFlag = Annotated[str, Field(pattern=r"^-m[A-Za-z0-9=+.-]+$")]


class Section(BaseModel):
    """A section of a board file: frozen, exact types, no unknown keys."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

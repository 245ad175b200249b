# SPDX-License-Identifier: Apache-2.0
"""`project.json`: what a firmware project was generated from, and the SHA-256 of every file in it.

Written by the generator; read by build, emulate and verify, which refuse a project that is not what it says.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from mcu_ser.artifacts import canonical_json
from mcu_ser.errors import ConfigError

if TYPE_CHECKING:
    from pathlib import Path

MANIFEST_NAME = "project.json"
# Raised when the meaning of project.json changes.
FORMAT: Final = 1

Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class TensorEntry(_Part):
    """Input or output of the model: real = scale * (stored - zero_point)."""

    name: str
    shape: tuple[Annotated[int, Field(gt=0)], ...]
    scale: Annotated[float, Field(gt=0)]
    zero_point: Annotated[int, Field(ge=-128, le=127)]
    bytes: Annotated[int, Field(gt=0)]


class Manifest(_Part):
    """The content of project.json; `files` is project-relative path -> SHA-256."""

    format: Literal[1]
    mcu_ser: str
    board: str
    engine: str
    executable: str
    model_sha256: Sha256
    build_id: Annotated[str, Field(pattern=r"^[0-9a-f]{32}$")]
    arena_bytes: int
    weight_bytes: int
    macs: int
    input: TensorEntry
    output: TensorEntry
    files: dict[str, Sha256]

    def to_json(self) -> str:
        """The text of project.json."""
        return canonical_json(self.model_dump(mode="json"))


def read_manifest(root: Path) -> Manifest:
    """The manifest of the project in `root`.

    Raises:
        ConfigError: `root` is no firmware project, or its manifest is damaged or of another format.
    """
    path = root / MANIFEST_NAME
    if not path.is_file():
        raise ConfigError(
            root,
            f"is not a firmware project (no {MANIFEST_NAME})",
            hint=f"mcu-ser generate MODEL.tflite --board BOARD --out {root}",
        )
    try:
        return Manifest.model_validate_json(path.read_bytes())
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        key = ".".join(str(part) for part in first["loc"]) or "content"
        raise ConfigError(
            path,
            f"is not a manifest of this version of mcu-ser ({key}: {first['msg'].lower()})",
            hint="mcu-ser generate again",
        ) from error

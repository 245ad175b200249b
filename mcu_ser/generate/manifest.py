# SPDX-License-Identifier: Apache-2.0
"""`project.json`: what a firmware project was generated from, and the SHA-256 of every file in it.

Written by the generator; read by build, emulate and verify, which refuse a project that is not what it says.
"""

from __future__ import annotations

import math
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal, TypeAlias

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, model_validator

from mcu_ser.aot.ir import ELEMENT_BYTES
from mcu_ser.artifacts import canonical_json
from mcu_ser.board import load_board
from mcu_ser.errors import ConfigError
from mcu_ser.generate.template import BuildSystem
from mcu_ser.shell_command import shell_command

if TYPE_CHECKING:
    from pathlib import Path

MANIFEST_NAME = "project.json"
# Raised when the meaning of project.json changes.
FORMAT: Final = 2

# Where an arena's size comes from: planned exactly (aot); estimated for a 32-bit core, given by the user, or
# certified: found on the board as the least that runs (tflm).
ArenaBasis: TypeAlias = Literal["planned", "estimated", "given", "certified"]

Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]

FileName = Annotated[str, Field(pattern=r"^[A-Za-z0-9_][A-Za-z0-9_.-]*$")]


def _inside_project(name: str) -> str:
    path = PurePosixPath(name)
    if path.is_absolute() or ".." in path.parts or not path.name:
        raise ValueError(f"{name!r} is not inside of the project")
    return name


ProjectPath = Annotated[str, AfterValidator(_inside_project)]


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class TensorEntry(_Part):
    """Input or output of the model, as `aot.compile.TensorSpec` says; without `dtype` it is INT8."""

    name: str
    shape: tuple[Annotated[int, Field(gt=0)], ...]
    scale: Annotated[float, Field(gt=0, allow_inf_nan=False)]
    zero_point: Annotated[int, Field(ge=-128, le=127)]
    bytes: Annotated[int, Field(gt=0)]
    dtype: Annotated[str, Field(pattern=r"^INT(8|16|32)$")] = "INT8"
    indices_of: Annotated[int, Field(ge=0)] = 0

    @model_validator(mode="after")
    def _bytes_are_elements(self) -> TensorEntry:
        width = ELEMENT_BYTES[self.dtype]
        if self.bytes != width * math.prod(self.shape):
            kind = self.dtype.lower()
            raise ValueError(f"{self.bytes} bytes, but an {kind} tensor of shape {list(self.shape)}")
        if (self.dtype == "INT32") != (self.indices_of > 0):
            raise ValueError(
                f"{self.dtype} of indices of {self.indices_of}: indices, and nothing else, are INT32"
            )
        return self


class Manifest(_Part):
    """The content of project.json; `files` is project-relative path -> SHA-256.

    `arena_basis` says where `arena_bytes` comes from (`ArenaBasis`), `layers` whether the firmware traces
    layers, `front_end` whether it computes its input of audio; a project that does not say so does not.
    `winograd_bytes` is the flash that convolutions by Winograd's algorithm may take more, `winograd_layers`
    which layers are computed so. `optimization` is what kernels, and a Cortex-M's compiler flags, were
    chosen for. `taken_off` are the float edges that model.tflite has no more (`aot.float_edges`).
    """

    format: Literal[2]
    mcu_ser: str
    board: str
    engine: str
    executable: FileName
    build: BuildSystem
    baud: int
    model_sha256: Sha256
    build_id: Annotated[str, Field(pattern=r"^[0-9a-f]{32}$")]
    arena_bytes: int
    arena_basis: ArenaBasis
    weight_bytes: int
    macs: int
    layers: bool = False
    front_end: bool = False
    winograd_bytes: Annotated[int, Field(ge=0)] = 0
    winograd_layers: tuple[Annotated[int, Field(ge=0)], ...] = ()
    optimization: Literal["speed", "size"] = "speed"
    taken_off: tuple[Annotated[str, Field(pattern=r"^(DE)?QUANTIZE$")], ...] = ()
    input: TensorEntry
    output: TensorEntry
    files: dict[ProjectPath, Sha256]

    @model_validator(mode="after")
    def _input_is_stored(self) -> Manifest:
        if self.input.indices_of:
            raise ValueError("the input holds indices; an output may")
        return self

    def to_json(self) -> str:
        """The text of project.json."""
        # What most projects have not is left out, so that these are the same bytes in every version.
        absent: dict[str, Any] = {} if self.front_end else {"front_end": True}
        if not self.winograd_bytes:
            absent |= {"winograd_bytes": True, "winograd_layers": True}
        if self.optimization == "speed":
            absent |= {"optimization": True}
        if not self.taken_off:
            absent |= {"taken_off": True}
        ends = {"input": self.input, "output": self.output}
        for name, entry in ends.items():
            usual = {"dtype": entry.dtype == "INT8", "indices_of": not entry.indices_of}
            absent |= {name: {key for key, left_out in usual.items() if left_out}}
        return canonical_json(self.model_dump(mode="json", exclude=absent))


def read_manifest(root: Path) -> Manifest:
    """The manifest of the project in `root`.

    Raises:
        ConfigError: `root` is no firmware project, or its manifest cannot be read, is damaged or of another
            format.
    """
    path = root / MANIFEST_NAME
    try:
        content = path.read_bytes() if path.is_file() else None
    except OSError as error:
        raise ConfigError(path, f"cannot be read ({error.strerror})", hint="its permissions") from error
    if content is None:
        raise ConfigError(
            root,
            f"is not a firmware project (no {MANIFEST_NAME})",
            hint=f"mcu-ser generate MODEL.tflite --board BOARD --out {root}",
        )
    try:
        return Manifest.model_validate_json(content)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        key = ".".join(str(part) for part in first["loc"]) or "content"
        raise ConfigError(
            path,
            f"is not a manifest of this version of mcu-ser ({key}: {first['msg'].lower()})",
            hint=generate_beside(root),
        ) from error


def generate_beside(root: Path, manifest: Manifest | None = None) -> str:
    """The command that makes a project anew, beside one that is damaged and so is not overwritten.

    Args:
        root: The damaged project.
        manifest: What it was generated as, if that is known.
    """
    options: list[object] = ["--board", "BOARD"]
    if manifest is not None:
        options = ["--board", manifest.board, "--engine", manifest.engine]
        if manifest.engine == "tflm" and manifest.arena_basis != "estimated":
            options += ["--arena-bytes", manifest.arena_bytes]
        options += ["--baud", manifest.baud] if manifest.baud != _default_baud(manifest) else []
        options += ["--layers"] if manifest.layers else []
        options += ["--front-end", "FRONT_END.json"] if manifest.front_end else []
        options += ["--winograd-bytes", manifest.winograd_bytes] if manifest.winograd_bytes else []
        options += ["--optimize", manifest.optimization] if manifest.optimization != "speed" else []
    # "." has no name to put another beside.
    named = root if root.name not in ("", "..") else root.resolve()
    return shell_command("mcu-ser", "generate", "MODEL.tflite", *options, "--out", f"{named}-anew")


def _default_baud(manifest: Manifest) -> int:
    """Bit rate without `--baud`; of a board that is not among ours, its own directory decides."""
    try:
        return load_board(manifest.board).serial.baud
    except ConfigError:
        return manifest.baud

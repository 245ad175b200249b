# SPDX-License-Identifier: Apache-2.0
"""The `build` section of an Arduino board file: which core and libraries compile the sketch, each pinned."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from mcu_ser.board.section import Section, Source

# Names and versions are printed into sketch.yaml and platformio.ini.
Version = Annotated[str, Field(pattern=r"^\d+\.\d+\.\d+(-[A-Za-z0-9.]+)?$")]
Word = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]*$")]


class ArduinoCore(Section):
    """The core of the Arduino index: VENDOR:ARCHITECTURE, and its exact version."""

    package: Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]+:[A-Za-z0-9_-]+$")]
    version: Version
    source: Source


class PlatformIo(Section):
    """The board in PlatformIO: development platform with its exact version, and its name of the board."""

    platform: Word
    version: Version
    board: Word
    source: Source


class TflmLibrary(Section):
    """The Arduino library with TFLite-Micro, for engine tflm.

    Attributes:
        name: As the Library Manager spells it; sketch.yaml is matched letter by letter.
        owner: Who publishes it in PlatformIO's registry.
        version: Exact.
        header: What a sketch includes before TFLite-Micro's own headers.
        defines: What it must be compiled with, e.g. to keep its log off the port that carries the protocol.
    """

    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9.\-_ ]+$")]
    owner: Word
    version: Version
    header: Annotated[str, Field(pattern=r"^[A-Za-z0-9_]+\.h$")]
    defines: tuple[Annotated[str, Field(pattern=r"^[A-Z][A-Z0-9_]*$")], ...]
    source: Source


class ArduinoBuild(Section):
    """How an Arduino sketch is compiled.

    Attributes:
        fqbn: Fully qualified board name, VENDOR:ARCHITECTURE:BOARD.
        core: What arduino-cli compiles with.
        platformio: What PlatformIO compiles with; None if it does not know the board.
        tflm_library: None if no library with TFLite-Micro is known to work.
    """

    fqbn: Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]+:[A-Za-z0-9_-]+:[A-Za-z0-9_]+$")]
    core: ArduinoCore
    platformio: PlatformIo | None
    tflm_library: TflmLibrary | None
    source: Source

    @property
    def profile(self) -> str:
        """Name of the build profile in sketch.yaml and of the environment in platformio.ini."""
        return self.fqbn.rpartition(":")[2]

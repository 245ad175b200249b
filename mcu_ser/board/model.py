# SPDX-License-Identifier: Apache-2.0
"""The frozen, checked `Board` that a board file describes.

A board file holds facts about a type of board, each with its source; ports and probe serials, which are
facts about one desk, are never in it. Unknown keys, missing sources and impossible sums are errors.
"""

from __future__ import annotations

import datetime
import itertools
from typing import Annotated, Any, Literal

from pydantic import Field, PrivateAttr, ValidationError, model_validator

from mcu_ser.board.arduino import ArduinoBuild
from mcu_ser.board.baud import MAX_BAUD_ERROR_FRACTION
from mcu_ser.board.flash_tools import FlashTools
from mcu_ser.board.mps import MpsBuild
from mcu_ser.board.placement import largest_arena_bytes
from mcu_ser.board.section import Address, Hertz, Section, Source
from mcu_ser.board.stm32 import Stm32Build
from mcu_ser.board.validation import NestedError

Bytes = Annotated[int, Field(ge=0, le=1 << 32)]
# Names are printed into C comments, CMake and Markdown.
Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9 ._+()-]*$")]
Identifier = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._+-]*$")]
UsbId = Annotated[int, Field(ge=0, le=0xFFFF)]
Platform = Literal["arduino", "stm32", "mps", "host"]


class Mcu(Section):
    """The microcontroller: order code, core, what the core can do, and its clock once set up."""

    part: Identifier
    core: Identifier
    features: tuple[Literal["dsp", "fpu", "mve", "cache"], ...]
    clock_hz: Hertz | None
    source: Source


class MemoryRegion(Section):
    """A range that the firmware may use; a boot loader is already taken off.

    `fast` marks RAM that is coupled to the core, without wait states or other bus masters: CCM, DTCM. Arena
    and stack go there if they fit (`placement`).
    """

    name: Annotated[str, Field(pattern=r"^[A-Z][A-Z0-9_]*$")]
    kind: Literal["flash", "ram"]
    origin: Address
    bytes: Annotated[int, Field(gt=0, le=1 << 32)]
    fast: bool = False
    source: Source

    @property
    def end(self) -> int:
        """First address behind the region."""
        return self.origin + self.bytes


class HostBuild(Section):
    """A native program; nothing to say."""


class Serial(Section):
    """The serial port: USB ids (vendor, product) by which it is found, and its speed."""

    usb_ids: tuple[tuple[UsbId, UsbId], ...]
    baud: Annotated[int, Field(ge=9600, le=4_000_000)]
    touch_1200bps: bool
    source: Source


class Emulator(Section):
    """The emulator that models the board: QEMU machine, and which `-serial` carries the protocol."""

    kind: Literal["qemu"]
    machine: Annotated[str, Field(pattern=r"^[a-z0-9-]+$")]
    serial_index: Annotated[int, Field(ge=0, le=7)]
    source: Source


class Budget(Section):
    """What a firmware may take of the board.

    Attributes:
        arena_bytes: Most RAM for activations.
        stack_bytes: RAM reserved for the stack by the linker script.
        data_bytes: RAM kept free for everything else that is static: link buffers, the runtime's data.
        flash_reserve_bytes: Flash set aside for code when a model alone is judged; a built firmware is
            measured against the whole flash.
    """

    arena_bytes: Bytes
    stack_bytes: Annotated[int, Field(ge=1024, le=1 << 24, multiple_of=8)]
    data_bytes: Bytes = 8192
    flash_reserve_bytes: Bytes
    source: Source


class Microphone(Section):
    """A microphone on the board."""

    kind: Literal["pdm"]
    sample_rate_hz: Hertz
    source: Source


class Status(Section):
    """What was really done with this board, from most to least.

    Attributes:
        level: `hardware`: the firmware ran on the board. `emulated`: it ran on QEMU's model of the board.
            `native`: it ran as a program of this computer. `simulated`: the same ELF ran, from reset, on an
            instruction set simulator with the project's own model of the registers that it touches.
            `compiles`: it was built, and its sizes were checked.
        date: When.
        note: With what, and what was not done.
    """

    level: Literal["hardware", "emulated", "native", "simulated", "compiles"]
    date: datetime.date
    note: Annotated[str, Field(min_length=1)]


class Board(Section):
    """A type of board. The host has no limits worth checking: its `memory` is empty, its `budget` None.

    `notes` are what a user of this board must know, a sentence or two each; the project's README prints them.
    """

    id: Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*$")]
    name: Name
    vendor: Name
    platform: Platform
    mcu: Mcu
    memory: tuple[MemoryRegion, ...]
    build: Stm32Build | MpsBuild | ArduinoBuild | HostBuild
    serial: Serial
    flash: FlashTools | None
    emulator: Emulator | None
    budget: Budget | None
    microphone: Microphone | None
    status: Status
    notes: tuple[Annotated[str, Field(min_length=1)], ...] = ()

    _yaml_text: str = PrivateAttr(default="")

    @property
    def yaml_text(self) -> str:
        """The board file, as it was read."""
        return self._yaml_text

    @property
    def flash_regions(self) -> tuple[MemoryRegion, ...]:
        return tuple(region for region in self.memory if region.kind == "flash")

    @property
    def ram_regions(self) -> tuple[MemoryRegion, ...]:
        """RAM; the first region holds .data and .bss (`placement`)."""
        return tuple(region for region in self.memory if region.kind == "ram")

    @property
    def flash_bytes(self) -> int | None:
        """Flash for code and constants (the first flash region); None without limit."""
        return self.flash_regions[0].bytes if self.flash_regions else None

    @property
    def ram_bytes(self) -> int | None:
        """All RAM; None without limit."""
        return sum(region.bytes for region in self.ram_regions) if self.ram_regions else None

    @model_validator(mode="before")
    @classmethod
    def _build_matches_platform(cls, data: Any) -> Any:
        """Validate `build` as the section of its platform, so that errors speak of that alone."""
        sections: dict[str, type[Section]] = {
            "arduino": ArduinoBuild,
            "stm32": Stm32Build,
            "mps": MpsBuild,
            "host": HostBuild,
        }
        if not isinstance(data, dict) or data.get("platform") not in sections or "build" not in data:
            return data
        section = sections[data["platform"]]
        try:
            return {**data, "build": section.model_validate(data["build"])}
        except ValidationError as error:
            raise NestedError("build", error) from error

    @model_validator(mode="after")
    def _consistent(self) -> Board:
        if self.platform != "host":
            self._check_memory()
        elif self.memory or self.budget:
            raise ValueError("memory and budget of a host board must be empty and null")
        if isinstance(self.build, Stm32Build):
            self._check_stm32(self.build)
        if isinstance(self.build, MpsBuild):
            self._check_baud(self.build.baud_error_fraction(self.serial.baud), "its clock")
        return self

    def _check_memory(self) -> None:
        if not self.flash_regions or not self.ram_regions:
            raise ValueError("memory needs a flash and a ram region")
        if len({region.name for region in self.memory}) != len(self.memory):
            raise ValueError("memory has two regions of one name")
        ordered = sorted(self.memory, key=lambda region: region.origin)
        for region in ordered:
            if region.end > 1 << 32:
                raise ValueError(f"memory region {region.name} ends at {region.end:#x}, limit {1 << 32:#x}")
        for lower, upper in itertools.pairwise(ordered):
            if lower.end > upper.origin:
                raise ValueError(f"memory regions {lower.name} and {upper.name} overlap")
        if self.budget is None:
            raise ValueError("budget is missing")
        self._check_ram(self.budget)
        flash = self.flash_regions[0]
        if self.budget.flash_reserve_bytes > flash.bytes:
            reserve = self.budget.flash_reserve_bytes
            raise ValueError(f"budget: flash reserve is {reserve} B, {flash.name} has {flash.bytes} B")

    def _check_ram(self, budget: Budget) -> None:
        largest = largest_arena_bytes(self.ram_regions, budget.stack_bytes, budget.data_bytes)
        if budget.arena_bytes > largest:
            regions = " + ".join(f"{region.name} {region.bytes} B" for region in self.ram_regions)
            excess = budget.arena_bytes - largest
            raise ValueError(
                f"budget: an arena of {budget.arena_bytes} B is {excess} B too large beside "
                f"{budget.stack_bytes} B of stack and {budget.data_bytes} B of data ({regions})"
            )

    def _check_stm32(self, build: Stm32Build) -> None:
        if build.clock.core_hz != self.mcu.clock_hz:
            raise ValueError(
                f"build.clock gives {build.clock.core_hz} Hz, mcu.clock_hz is {self.mcu.clock_hz} Hz"
            )
        self._check_baud(build.baud_error_fraction(self.serial.baud), "full or reset clock")

    def _check_baud(self, error: float, clock: str) -> None:
        if error > MAX_BAUD_ERROR_FRACTION:
            raise ValueError(
                f"serial.baud {self.serial.baud} is {error:.1%} off at {clock}, "
                f"limit {MAX_BAUD_ERROR_FRACTION:.0%}"
            )

# SPDX-License-Identifier: Apache-2.0
"""The `flash` section of a board file: which tools can flash the board, and what each must be told.

What depends on the desk (port, probe serial number, where a tool is installed) is never here.
"""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, model_validator

from mcu_ser.board.section import Section, Source

# Words of a command line: no spaces, quotes or leading dash that would make them something else.
Word = Annotated[str, Field(pattern=r"^[A-Za-z0-9_][A-Za-z0-9_./+-]*$")]
UsbId = Annotated[int, Field(ge=0, le=0xFFFF)]


class OpenocdArguments(Section):
    """OpenOCD with a debug probe.

    Attributes:
        scripts: Its own configuration files, e.g. board/st_nucleo_f4.cfg, in the order of `-f`.
    """

    scripts: Annotated[tuple[Word, ...], Field(min_length=1)]
    source: Source


class StFlashArguments(Section):
    """st-flash (stlink-tools) with an ST-LINK.

    Attributes:
        connect_under_reset: Hold NRST while connecting: works whatever the firmware does, if NRST is wired.
    """

    connect_under_reset: bool
    source: Source


class Stm32ProgrammerArguments(Section):
    """STM32CubeProgrammer's command line with an ST-LINK; `connect_under_reset` as for st-flash."""

    connect_under_reset: bool
    source: Source


class MassStorageArguments(Section):
    """A copy to the USB volume of the probe; `labels` are the names that its firmware versions give it."""

    labels: Annotated[tuple[Word, ...], Field(min_length=1)]
    source: Source


class DfuUtilArguments(Section):
    """dfu-util with a USB boot loader.

    Attributes:
        usb_id: Vendor and product of the boot loader.
        alternate_setting: Number of the memory to write (bAlternateSetting).
    """

    usb_id: tuple[UsbId, UsbId]
    alternate_setting: Annotated[int, Field(ge=0, le=255)]
    source: Source


class PyocdArguments(Section):
    """PyOCD with a debug probe.

    Attributes:
        target: Its name of the chip.
        pack: Whether it knows the chip only after `pyocd pack install TARGET`.
        connect_under_reset: As for st-flash.
    """

    target: Word
    pack: bool
    connect_under_reset: bool
    source: Source


class BossacArguments(Section):
    """Arduino's fork of bossac; `bootloader_usb_ids` are vendor and product of the board's boot loader."""

    bootloader_usb_ids: Annotated[tuple[tuple[UsbId, UsbId], ...], Field(min_length=1)]
    source: Source


class ArduinoCliArguments(Section):
    """`arduino-cli upload` with the profile of the project's sketch.yaml (`build.profile`)."""

    source: Source


class PlatformioArguments(Section):
    """`pio run --target upload` with the environment of the project's platformio.ini (`build.profile`)."""

    source: Source


class FlashRunners(Section):
    """The runners that serve the board, by name; None where one does not.

    They are tried in this order: what needs no more than the board's own USB cable comes first.
    """

    bossac: BossacArguments | None = None
    arduino_cli: ArduinoCliArguments | None = None
    platformio: PlatformioArguments | None = None
    openocd: OpenocdArguments | None = None
    stflash: StFlashArguments | None = None
    stm32_programmer_cli: Stm32ProgrammerArguments | None = None
    mass_storage: MassStorageArguments | None = None
    dfu_util: DfuUtilArguments | None = None
    pyocd: PyocdArguments | None = None


class FlashTools(Section):
    """Tools that can flash the board, and the one that is taken if it is installed."""

    default: str
    runners: FlashRunners

    @property
    def names(self) -> tuple[str, ...]:
        """The board's runners: the default first, then the others in the order in which they are tried."""
        others = (name for name in FlashRunners.model_fields if name != self.default)
        return tuple(name for name in (self.default, *others) if getattr(self.runners, name) is not None)

    @model_validator(mode="after")
    def _default_is_a_runner(self) -> FlashTools:
        known = [name for name in FlashRunners.model_fields if getattr(self.runners, name) is not None]
        if self.default not in known:
            raise ValueError(f"default runner {self.default!r} is not among {known}")
        return self

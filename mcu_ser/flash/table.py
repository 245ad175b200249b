# SPDX-License-Identifier: Apache-2.0
"""Every runner, by the name that board files and `--runner` use."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mcu_ser.flash.arduino_cli import ArduinoCli
from mcu_ser.flash.bossac import Bossac
from mcu_ser.flash.dfu_util import DfuUtil
from mcu_ser.flash.mass_storage import MassStorage
from mcu_ser.flash.openocd import Openocd
from mcu_ser.flash.platformio import Platformio
from mcu_ser.flash.pyocd import Pyocd
from mcu_ser.flash.runner import Runner
from mcu_ser.flash.st_flash import StFlash
from mcu_ser.flash.stm32_programmer_cli import Stm32ProgrammerCli

RUNNERS: Mapping[str, Runner[Any]] = {
    runner.name: runner
    for runner in (
        Openocd(),
        StFlash(),
        Stm32ProgrammerCli(),
        MassStorage(),
        DfuUtil(),
        Pyocd(),
        Bossac(),
        ArduinoCli(),
        Platformio(),
    )
}

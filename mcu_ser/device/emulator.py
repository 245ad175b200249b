# SPDX-License-Identifier: Apache-2.0
"""An emulated board: QEMU started, watched and stopped; its UART is a loopback TCP port.

`-icount shift=0,sleep=off` makes one executed instruction one nanosecond of virtual time, so a timer of 1 GHz
(TIM2 of QEMU's STM32 machines) counts instructions, and two runs count the same.
"""

from __future__ import annotations

import socket
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType

from mcu_ser.device.device import DEFAULT_BAUD
from mcu_ser.device.process import SupervisedProcess, how_it_ended
from mcu_ser.errors import ConfigError, DeviceFaultError
from mcu_ser.programs import QEMU_ARM

_START_S = 20.0


class QemuEmulator:
    """Runs an ELF on a machine that QEMU models; a context manager.

    The core starts when the first client connects, so no byte of the firmware's is lost. Later clients find
    the firmware running.

    Args:
        elf: The firmware.
        machine: QEMU's name of the machine, e.g. netduinoplus2.
        serial_index: Which of the machine's UARTs carries the protocol, from 0.

    Raises (on entering):
        ConfigError: The ELF is absent.
        ToolMissingError: QEMU is not installed.
        DeviceFaultError: QEMU refuses to start.
    """

    baud = DEFAULT_BAUD

    def __init__(self, elf: Path, machine: str, *, serial_index: int = 0) -> None:
        self._elf = elf
        self._machine = machine
        self._serial_index = serial_index
        self._process: SupervisedProcess | None = None
        self._url = ""

    @property
    def url(self) -> str:
        return self._url

    @property
    def pid(self) -> int:
        """Process id of QEMU."""
        return self._running().pid

    def __enter__(self) -> QemuEmulator:
        if not self._elf.is_file():
            raise ConfigError(self._elf, "is not there", hint="mcu-ser build PROJECT")
        qemu = str(QEMU_ARM.require().absolute())
        # QEMU inherits a socket that already listens: no other program can take the port in between.
        with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as listener:
            listener.bind(("127.0.0.1", 0))
            listener.listen(1)
            descriptor = listener.fileno()
            argv = qemu_argv(qemu, self._elf, self._machine, descriptor, self._serial_index)
            self._process = SupervisedProcess(argv, pass_fds=[descriptor])
            self._url = f"socket://127.0.0.1:{listener.getsockname()[1]}"
        try:
            # QEMU says so just before it waits for the client.
            if self._process.wait_for_output("waiting for connection", _START_S, stderr=True) is None:
                self.raise_if_dead()
                raise DeviceFaultError(
                    self._machine, f"{QEMU_ARM.command} does not listen after {_START_S:g} s"
                )
        except BaseException:
            self._process.stop()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._running().stop()

    def raise_if_dead(self, wait_s: float = 0.0) -> None:
        process = self._running()
        code = process.returncode(wait_s)
        if code is not None:
            raise DeviceFaultError(self._machine, _obituary(code, process.last_words()))

    def _running(self) -> SupervisedProcess:
        if self._process is None:
            raise RuntimeError("QemuEmulator is used outside its context")
        return self._process


def qemu_argv(qemu: str, elf: Path, machine: str, listener: int, serial_index: int) -> list[str]:
    """The command line; `listener` is the descriptor of a listening socket that QEMU inherits."""
    # nodelay: QEMU sends the UART's bytes one by one, and TCP would hold back all but the first for 40 ms.
    unused: Sequence[str] = ["-serial", "null"] * serial_index
    return [
        qemu,
        *("-M", machine),
        *("-kernel", str(elf)),
        *("-display", "none"),
        *("-monitor", "none"),
        *("-chardev", f"socket,id=protocol,fd={listener},server=on,wait=on,nodelay=on"),
        *unused,
        *("-serial", "chardev:protocol"),
        *("-icount", "shift=0,sleep=off"),
    ]


def _obituary(code: int, last_words: str) -> str:
    lines = [line.strip() for line in last_words.splitlines() if line.strip()]
    # QEMU aborts when the emulated core can go no further.
    fatal = next((line for line in lines if line.startswith("qemu: fatal:")), None)
    if fatal is not None:
        registers = " ".join(line for line in lines if line.startswith(("R12=", "XPSR=")))
        return f"the firmware crashed ({fatal}; {registers})"
    # QEMU's notes about its own set-up are no last words.
    words = next((line for line in lines if "info:" not in line and "warning:" not in line), "")
    return f"QEMU ended ({how_it_ended(code)})" + (f": {words}" if words else "")

# SPDX-License-Identifier: Apache-2.0
"""The host's end of a simulated board: the same interface as a serial port's."""

from __future__ import annotations

from mcu_ser.device.link import Link
from tests.unicorn_board.machine import Machine
from tests.unicorn_board.registers import ChipViolation


class MachineLink(Link):
    """A link to a board that is running: time passes on the board only while the host waits for it."""

    def __init__(self, machine: Machine, board_id: str) -> None:
        self._machine = machine
        self.url = f"unicorn://{board_id}"
        self.bytes_sent = 0
        self.bytes_received = 0

    def read(self, timeout_s: float) -> bytes:
        if not self._machine.output:
            self._machine.run()
        if not self._machine.output:
            # Waiting longer changes nothing on a board that sleeps.
            raise ChipViolation(self._machine.chip.why_silent())
        data = bytes(self._machine.output)
        self._machine.output.clear()
        self.bytes_received += len(data)
        return data

    def write(self, data: bytes) -> None:
        self.bytes_sent += len(data)
        self._machine.send(data)

    def raise_if_dead(self) -> None:
        pass

    def close(self) -> None:
        pass

# SPDX-License-Identifier: Apache-2.0
"""GPIO ports: the mode and alternate function of pins (the same registers in F4, F7, L4 and H7)."""

from __future__ import annotations

from tests.unicorn_board.registers import ChipViolation, Gate, Register, RegisterBlock

_ALTERNATE = 2
_MODES = ("input", "output", "alternate function", "analog")
# Pins of the debug port (SWDIO, SWCLK) on port A.
_DEBUG_PINS = (13, 14)


class Gpio(RegisterBlock):
    """One port; `letter` A to K, `analog_reset` for families whose pins start as analog ones (L4, H7)."""

    def __init__(self, letter: str, base: int, gate: Gate, *, analog_reset: bool) -> None:
        idle = 0xFFFFFFFF if analog_reset else 0
        alternate_at_reset = {"A": (13, 14, 15), "B": (3, 4)}.get(letter, ())
        mode = idle
        for pin in alternate_at_reset:
            mode = mode & ~(3 << 2 * pin) | _ALTERNATE << 2 * pin
        self.letter = letter
        super().__init__(
            f"GPIO{letter}",
            base,
            {
                0x00: Register("MODER", mode),
                0x04: Register("OTYPER", 0, 0xFFFF),
                0x08: Register("OSPEEDR"),
                0x0C: Register("PUPDR", {"A": 0x6400_0000, "B": 0x0000_0100}.get(letter, 0)),
                0x10: Register("IDR", 0, 0, 0xFFFF),
                0x14: Register("ODR", 0, 0xFFFF),
                0x18: Register("BSRR"),
                0x20: Register("AFRL"),
                0x24: Register("AFRH"),
            },
            gate,
        )
        if letter == "A":
            self.on_write["MODER"] = self._keep_debug_port

    def require_function(self, pin: int, function: int, role: str) -> None:
        """Raise unless `pin` is connected to alternate function `function`."""
        name = f"P{self.letter}{pin}"
        mode = self.values["MODER"] >> 2 * pin & 3
        if mode != _ALTERNATE:
            raise ChipViolation(f"{role} {name} is in mode {_MODES[mode]}, not alternate function")
        found = self.values["AFRH" if pin >= 8 else "AFRL"] >> 4 * (pin % 8) & 15
        if found != function:
            raise ChipViolation(f"{role} {name} has alternate function AF{found}, the UART is AF{function}")

    def _keep_debug_port(self, _old: int, new: int) -> None:
        for pin in _DEBUG_PINS:
            if new >> 2 * pin & 3 != _ALTERNATE:
                raise ChipViolation(f"GPIOA_MODER takes PA{pin} from the debug port")

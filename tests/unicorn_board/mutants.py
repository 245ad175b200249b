# SPDX-License-Identifier: Apache-2.0
"""Wrong board files: each has one mistake that the chip would not forgive, and the reason that must be given.

A mistake that `parse_board` refuses by itself (sums that contradict each other) is repaired far enough here
to be accepted: limits are raised and the promised clock is made to agree.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from mcu_ser.board import Board, parse_board
from mcu_ser.resources import boards_dir
from tests.unicorn_board.facts import BOARDS, BoardFacts

Data = dict[str, Any]
_PLENTY_HZ = 1_000_000_000
# The ones in C, where PyYAML has them: there are hundreds of mutants.
_Loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_Dumper = getattr(yaml, "CSafeDumper", yaml.SafeDumper)


@dataclass(frozen=True)
class Mutant:
    """A mistake, and the pattern of the reason.

    Attributes:
        change: Makes the mistake in the YAML's data; returns the pattern, or None where the board cannot have
            it.
        stuck: Status bits that are broken meanwhile.
        baud: Bit rate that the firmware is generated for, None for the board's.
    """

    name: str
    change: Callable[[Data, BoardFacts], str | None]
    stuck: frozenset[str] = frozenset()
    baud: int | None = None


def edited(board: Board, change: Callable[[Data], object]) -> Board:
    """The board of a changed YAML."""
    data = yaml.load(board.yaml_text, _Loader)
    change(data)
    text = yaml.dump(data, Dumper=_Dumper, sort_keys=False)
    return parse_board(text, Path(f"{board.id}.yaml"))


def _uart(data: Data) -> Data:
    section: Data = data["build"]["uart"]
    return section


def _clock(data: Data) -> Data:
    section: Data = data["build"]["clock"]
    return section


def _raise_limits(data: Data) -> None:
    for key in _clock(data):
        if key.startswith("max_"):
            _clock(data)[key] = _PLENTY_HZ


def _is_f4(data: Data) -> bool:
    """F4 or F7: one clock driver."""
    return bool(_clock(data)["driver"] == "clock_f4")


def _is_h7(data: Data) -> bool:
    return bool(_clock(data)["driver"] == "clock_h7")


def _clock_enable_bit(data: Data, facts: BoardFacts) -> str:
    _uart(data)["clock_enable"]["bit"] += 1
    return f"^{facts.uart} is used while its clock is off"


def _clock_enable_register(data: Data, facts: BoardFacts) -> str:
    _uart(data)["clock_enable"]["register"] = _uart(data)["gpio_clock_enable"]["register"]
    return f"^{facts.uart} is used while its clock is off"


def _gpio_enable_bit(data: Data, facts: BoardFacts) -> str:
    _uart(data)["gpio_clock_enable"]["bit"] ^= 1
    return f"^GPIO{facts.tx.port} is used while its clock is off"


def _tx_function(data: Data, facts: BoardFacts) -> str:
    _uart(data)["tx"]["alternate_function"] ^= 1
    return (
        f"{facts.uart} TX P{facts.tx.port}{facts.tx.number} has alternate function AF{facts.tx.function ^ 1}"
    )


def _rx_function(data: Data, facts: BoardFacts) -> str:
    _uart(data)["rx"]["alternate_function"] ^= 1
    return (
        f"{facts.uart} RX P{facts.rx.port}{facts.rx.number} has alternate function AF{facts.rx.function ^ 1}"
    )


def _tx_pin(data: Data, facts: BoardFacts) -> str:
    _uart(data)["tx"]["pin"] = 5
    return f"{facts.uart} TX P{facts.tx.port}{facts.tx.number} is in mode (input|analog)"


def _rx_pin(data: Data, facts: BoardFacts) -> str:
    _uart(data)["rx"]["pin"] = 5
    return f"{facts.uart} RX P{facts.rx.port}{facts.rx.number} is in mode (input|analog)"


def _pin_port(data: Data, facts: BoardFacts) -> str:
    _uart(data)["tx"]["gpio"] ^= 0x400
    other = chr(ord("A") + (ord(facts.tx.port) - ord("A") ^ 1))
    return f"^GPIO{other} is used while its clock is off"


def _uart_base(data: Data, facts: BoardFacts) -> str:
    other = next(name for name in sorted(facts.chip.uarts) if name != facts.uart)
    _uart(data)["base"] = facts.chip.uarts[other].base
    return f"^{other} is used while its clock is off"


def _another_uart(data: Data, facts: BoardFacts) -> str:
    """Consistent with itself, but not what the board is wired to."""
    name = next(name for name in sorted(facts.chip.uarts) if name not in {facts.uart, "LPUART1"})
    other = facts.chip.uarts[name]
    uart = _uart(data)
    rcc = {"APB1ENR": 0x4002_3840, "APB2ENR": 0x4002_3844}
    if _is_h7(data):
        rcc = {"APB1LENR": 0x5802_44E8, "APB2ENR": 0x5802_44F0}
    elif not _is_f4(data):
        rcc = {"APB1ENR1": 0x4002_1058, "APB2ENR": 0x4002_1060}
    uart["instance"], uart["base"], uart["irq"] = name, other.base, other.irq
    uart["bus"] = "apb" + other.kernel[4]
    uart["clock_enable"] = {"register": rcc[other.gate.register], "bit": other.gate.bit}
    return f"^{name} is used, the board's serial port is {facts.uart}"


def _interrupt(data: Data, facts: BoardFacts) -> str:
    _uart(data)["irq"] += 1
    irq = facts.chip.uarts[facts.uart].irq
    return f"^{facts.uart} raises interrupt {irq}, which NVIC does not let through"


def _bus(data: Data, facts: BoardFacts) -> str | None:
    """The divisor is made for the clock of the other bus."""
    clock, uart = _clock(data), _uart(data)
    if clock["apb1_divider"] == clock["apb2_divider"]:
        return None
    uart["bus"] = "apb2" if uart["bus"] == "apb1" else "apb1"
    return f"^{facts.uart} runs at .* baud from .* Hz, .* off 115200, allowed 2%"


def _kernel_multiplier(data: Data, facts: BoardFacts) -> str | None:
    """A divisor as of a USART in an LPUART."""
    if facts.uart != "LPUART1":
        return None
    _uart(data)["instance"] = "UART5"
    return r"^LPUART1_BRR: divisor 0x412, at least 0x300|^LPUART1 runs at .* baud|is not 3 to 4096 times"


def _baud(data: Data, facts: BoardFacts) -> str:
    return f"^{facts.uart} runs at 5[67]... baud from .* Hz, -(49|50).[0-9]% off 115200, allowed 2%"


def _scaled_pll(data: Data, numerator: int, denominator: int) -> int:
    """Change PLLN and all that must agree with it; returns the core clock that comes out."""
    clock = _clock(data)
    clock["pll"]["n"] = clock["pll"]["n"] * numerator // denominator
    pll, driver = clock["pll"], clock["driver"]
    source = 16_000_000 if driver == "clock_l4" else clock["reset_hz"]
    hz = int(source * pll["n"] // (pll["m"] * pll["r" if driver == "clock_l4" else "p"]))
    _raise_limits(data)
    data["mcu"]["clock_hz"] = hz
    return hz


def _pll_too_fast(data: Data, facts: BoardFacts) -> str | None:
    if facts.clock_hz == 216_000_000:
        return None  # its VCO is at its limit already, which reading the file checks
    _scaled_pll(data, 26, 25)
    if _clock(data)["driver"] == "clock_l4" and not _clock(data)["boost"]:
        _clock(data)["boost"] = True  # or the file is refused
        return "^PWR has no register at offset 0x80"
    return r"^the core clock is \d+ Hz, allowed|^PWR: \d+ Hz at voltage scale|^PWR.* \d+ Hz; now at most"


def _pll_too_slow(data: Data, facts: BoardFacts) -> str | None:
    hz = _scaled_pll(data, 11, 12)
    if _clock(data)["pll"]["n"] < 192 and facts.clock_hz == 84_000_000:
        return r"^RCC_PLLCFGR: PLLN = \d+, allowed 192 to 432"
    return f"^the core runs at {hz} Hz, the board has {facts.clock_hz} Hz"


def _wait_states(data: Data, facts: BoardFacts) -> str:
    _clock(data)["flash_wait_states"] = 1 if _is_h7(data) else _clock(data)["flash_wait_states"] - 1
    return r"^FLASH_ACR: \d wait states.* at \d+ Hz.*, \d.* needed"


def _write_delay(data: Data, facts: BoardFacts) -> str | None:
    if not _is_h7(data):
        return None
    _clock(data)["flash_write_delay"] = 1
    return r"^FLASH_ACR: 4 wait states, WRHIGHFREQ 1 at 200000000 Hz of AXI, 2 and 2 are needed"


def _apb_divider(name: str, data: Data) -> str | None:
    clock = _clock(data)
    if clock.get(f"{name}_divider", 1) == 1 or (name == "apb2" and not _is_f4(data) and not _is_h7(data)):
        return None
    clock[f"{name}_divider"] //= 2
    _raise_limits(data)
    return rf"^{name.upper()} is \d+ Hz, allowed 0 to \d+ Hz"


def _ahb_divider(data: Data, facts: BoardFacts) -> str | None:
    if not _is_h7(data):
        return None
    _clock(data)["ahb_divider"] = 1
    _raise_limits(data)
    return r"^AXI and AHB is 400000000 Hz, allowed 0 to 200000000 Hz"


def _voltage_scale(data: Data, facts: BoardFacts) -> str | None:
    if "voltage_scale" not in _clock(data):
        return None
    _clock(data)["voltage_scale"] -= 1
    return r"^PWR: \d+ Hz at voltage scale VOS = \d"


def _over_drive(data: Data, facts: BoardFacts) -> str | None:
    if not _clock(data).get("over_drive"):
        return None
    _clock(data)["over_drive"] = False
    return r"^PWR: \d+ Hz at voltage scale VOS = 3 without over-drive"


def _supply(data: Data, facts: BoardFacts) -> str | None:
    if facts.tx.port != "G":
        return None
    _uart(data)["io_supply"] = None
    return r"^PG7 is cut off from its supply \(PWR_CR2 IOSV\)"


def _supply_bit(data: Data, facts: BoardFacts) -> str | None:
    if facts.tx.port != "G":
        return None
    _uart(data)["io_supply"]["bit"] = 10
    return r"^PG7 is cut off from its supply \(PWR_CR2 IOSV\)"


def _reset_clock(data: Data, facts: BoardFacts) -> str:
    """Another clock after reset than the chip's; the PLL's settings agree with it."""
    clock = _clock(data)
    if clock["driver"] == "clock_l4":
        clock["reset_hz"] *= 2
    else:
        clock["reset_hz"] //= 2
        clock["pll"]["m"] //= 2
    return f"^{facts.uart} runs at .* baud from {facts.reset_hz} Hz, .* off 115200, allowed 2%"


def _flash_address(data: Data, facts: BoardFacts) -> str:
    """Flash where there is none."""
    data["memory"][0]["origin"] = 0x0900_0000
    return r"^the image has \d+ bytes at 0x09000000, outside of the flash"


def _ram_address(data: Data, facts: BoardFacts) -> str:
    """RAM where there is none."""
    region = next(entry for entry in data["memory"] if entry["kind"] == "ram")
    region["origin"] = 0x2FF0_0000
    data["memory"] = [data["memory"][0], region]
    data["budget"]["arena_bytes"] = 4096
    return r"^access to 0x[0-9a-f]{8}, where nothing answers: the core faults"


MUTANTS = (
    Mutant("UART clock-enable bit", _clock_enable_bit),
    Mutant("UART clock-enable register", _clock_enable_register),
    Mutant("GPIO clock-enable bit", _gpio_enable_bit),
    Mutant("TX alternate function", _tx_function),
    Mutant("RX alternate function", _rx_function),
    Mutant("TX pin", _tx_pin),
    Mutant("RX pin", _rx_pin),
    Mutant("TX port", _pin_port),
    Mutant("UART base", _uart_base),
    Mutant("another UART", _another_uart),
    Mutant("interrupt", _interrupt),
    Mutant("bus of the UART", _bus),
    Mutant("LPUART as a UART", _kernel_multiplier),
    Mutant("bit rate", _baud, baud=57600),
    Mutant("PLL too fast", _pll_too_fast),
    Mutant("PLL too slow", _pll_too_slow),
    Mutant("flash wait states", _wait_states),
    Mutant("flash write delay", _write_delay),
    Mutant("APB1 divider", lambda data, facts: _apb_divider("apb1", data)),
    Mutant("APB2 divider", lambda data, facts: _apb_divider("apb2", data)),
    Mutant("AHB divider", _ahb_divider),
    Mutant("voltage scale", _voltage_scale),
    Mutant("over-drive", _over_drive),
    Mutant("supply of the pins", _supply),
    Mutant("supply bit of the pins", _supply_bit),
    Mutant("reset clock", _reset_clock, stuck=frozenset({"HSIRDY"})),
    Mutant("flash address", _flash_address),
    Mutant("RAM address", _ram_address),
)


def applicable() -> list[tuple[str, Mutant]]:
    """Every board with every mistake that it can have."""
    pairs = []
    for board_id, facts in sorted(BOARDS.items()):
        data = yaml.load((boards_dir() / f"{board_id}.yaml").read_text(encoding="utf-8"), _Loader)
        pairs += [(board_id, m) for m in MUTANTS if m.change(copy.deepcopy(data), facts) is not None]
    return pairs

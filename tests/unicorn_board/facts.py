# SPDX-License-Identifier: Apache-2.0
"""What each board is wired to and what its chip has: the second, independent telling.

Sources: boards as in ST's user manuals (UM1724 NUCLEO-64, UM1974 NUCLEO-144, UM2407 NUCLEO-H743ZI2, UM2179
NUCLEO-144 L4+, UM2153 B-L475E-IOT01A, UM1472 STM32F407G-DISC1), checked against the variants of STM32duino
and Zephyr's device trees; chips as in the reference manuals (RM0090, RM0368, RM0383, RM0390, RM0410, RM0351,
RM0432, RM0433) and ST's CMSIS device headers.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from tests.unicorn_board import clocks_f4
from tests.unicorn_board.clocks import Clocks
from tests.unicorn_board.clocks_f4 import ClocksF4
from tests.unicorn_board.clocks_h7 import ClocksH7
from tests.unicorn_board.clocks_l4 import L4R5, L476, ClocksL4
from tests.unicorn_board.core import CORTEX_M4, CORTEX_M7_F767, CORTEX_M7_H743, CoreFacts
from tests.unicorn_board.registers import Gate

KB = 1024


@dataclass(frozen=True)
class Memory:
    """A range of RAM.

    Attributes:
        executable: The core can fetch code from it.
        cached: It lies behind the data cache, so that a reset loses what was written last.
    """

    origin: int
    bytes: int
    executable: bool = True
    cached: bool = False


@dataclass(frozen=True)
class UartFacts:
    """A UART of a chip.

    Attributes:
        kind: "v1" (SR, DR), "v2" (ISR, TDR), "fifo" (v2 with FIFO and prescaler) or "lpuart".
        kernel: Its clock: the bus, and where the family has a choice, the lowest bit of the selecting field.
    """

    kind: str
    base: int
    irq: int
    gate: Gate
    kernel: str


@dataclass(frozen=True)
class Chip:
    """A chip.

    Attributes:
        clocks: Makes its clock tree, given the names of the status bits that are stuck.
        gpio_base: Of port A; the others follow at 0x400.
        gpio_enable: Register of RCC with the clock enables of the ports, A in bit 0.
        tim2_enable: Register of RCC with the clock enable of TIM2, in bit 0.
    """

    core: CoreFacts
    clocks: Callable[..., Clocks]
    flash_bytes: int
    ram: tuple[Memory, ...]
    gpio_base: int
    gpio_enable: str
    ports: str
    analog_reset: bool
    tim2_enable: str
    uarts: dict[str, UartFacts]


@dataclass(frozen=True)
class Pin:
    """A pin, as the data sheet writes it, and its alternate function."""

    port: str
    number: int
    function: int


@dataclass(frozen=True)
class BoardFacts:
    """A board: its chip, the UART of its serial port, and the clock that the firmware promises."""

    chip: Chip
    clock_hz: int
    reset_hz: int
    uart: str
    tx: Pin
    rx: Pin


def _usarts_v1(*names: str) -> dict[str, UartFacts]:
    known = {
        "USART1": UartFacts("v1", 0x4001_1000, 37, Gate("APB2ENR", 4), "pclk2"),
        "USART2": UartFacts("v1", 0x4000_4400, 38, Gate("APB1ENR", 17), "pclk1"),
        "USART3": UartFacts("v1", 0x4000_4800, 39, Gate("APB1ENR", 18), "pclk1"),
        "USART6": UartFacts("v1", 0x4001_1400, 71, Gate("APB2ENR", 5), "pclk2"),
    }
    return {name: known[name] for name in names}


def _usarts_l4(kind: str) -> dict[str, UartFacts]:
    return {
        "USART1": UartFacts(kind, 0x4001_3800, 37, Gate("APB2ENR", 14), "pclk2:0"),
        "USART2": UartFacts(kind, 0x4000_4400, 38, Gate("APB1ENR1", 17), "pclk1:2"),
        "USART3": UartFacts(kind, 0x4000_4800, 39, Gate("APB1ENR1", 18), "pclk1:4"),
        "LPUART1": UartFacts("lpuart", 0x4000_8000, 70, Gate("APB1ENR2", 0), "pclk1:10"),
    }


def _chip_f4(part: clocks_f4.PartF4, flash_kb: int, ram_kb: int, *, ccm: bool, usart3: bool) -> Chip:
    ram = (Memory(0x2000_0000, ram_kb * KB),)
    if ccm:
        ram += (Memory(0x1000_0000, 64 * KB, executable=False),)
    names = ("USART1", "USART2", "USART6") + (("USART3",) if usart3 else ())
    return Chip(
        core=CORTEX_M4,
        clocks=partial(ClocksF4, part),
        flash_bytes=flash_kb * KB,
        ram=ram,
        gpio_base=0x4002_0000,
        gpio_enable="AHB1ENR",
        ports="ABCDEFGH",
        analog_reset=False,
        tim2_enable="APB1ENR",
        uarts=_usarts_v1(*names),
    )


def _chip_l4(part: clocks_f4.PartF4 | object, flash_kb: int, ram: tuple[Memory, ...], kind: str) -> Chip:
    return Chip(
        core=CORTEX_M4,
        clocks=partial(ClocksL4, part),
        flash_bytes=flash_kb * KB,
        ram=ram,
        gpio_base=0x4800_0000,
        gpio_enable="AHB2ENR",
        ports="ABCDEFGH",
        analog_reset=True,
        tim2_enable="APB1ENR1",
        uarts=_usarts_l4(kind),
    )


_L476_RAM = (Memory(0x2000_0000, 96 * KB), Memory(0x1000_0000, 32 * KB))
_F401 = _chip_f4(clocks_f4.F401, 512, 96, ccm=False, usart3=False)
_F411 = _chip_f4(clocks_f4.F411, 512, 128, ccm=False, usart3=False)
_F446 = _chip_f4(clocks_f4.F446, 512, 128, ccm=False, usart3=True)
_F405 = _chip_f4(clocks_f4.F405, 1024, 128, ccm=True, usart3=True)
_L476 = _chip_l4(L476, 1024, _L476_RAM, "v2")
# SRAM1, SRAM2 and SRAM3 follow each other; SRAM2 has a second address.
_L4R5 = _chip_l4(L4R5, 2048, (Memory(0x2000_0000, 640 * KB), Memory(0x1000_0000, 64 * KB)), "fifo")
_F767 = Chip(
    core=CORTEX_M7_F767,
    clocks=partial(ClocksF4, clocks_f4.F767),
    flash_bytes=2048 * KB,
    ram=(
        Memory(0x2000_0000, 128 * KB),
        Memory(0x2002_0000, 384 * KB, cached=True),
        Memory(0, 16 * KB),
    ),
    gpio_base=0x4002_0000,
    gpio_enable="AHB1ENR",
    ports="ABCDEFGH",
    analog_reset=False,
    tim2_enable="APB1ENR",
    uarts={
        "USART1": UartFacts("v2", 0x4001_1000, 37, Gate("APB2ENR", 4), "pclk2:0"),
        "USART2": UartFacts("v2", 0x4000_4400, 38, Gate("APB1ENR", 17), "pclk1:2"),
        "USART3": UartFacts("v2", 0x4000_4800, 39, Gate("APB1ENR", 18), "pclk1:4"),
    },
)
_H743 = Chip(
    core=CORTEX_M7_H743,
    clocks=ClocksH7,
    flash_bytes=2048 * KB,
    # The clocks of the SRAM in domain D2 (0x30000000) are off after reset, so it is not here.
    ram=(
        Memory(0x2000_0000, 128 * KB),
        Memory(0, 64 * KB),
        Memory(0x2400_0000, 512 * KB, cached=True),
        Memory(0x3800_0000, 64 * KB, cached=True),
    ),
    gpio_base=0x5802_0000,
    gpio_enable="AHB4ENR",
    ports="ABCDEFGH",
    analog_reset=True,
    tim2_enable="APB1LENR",
    uarts={
        "USART1": UartFacts("fifo", 0x4001_1000, 37, Gate("APB2ENR", 4), "pclk2:3"),
        "USART2": UartFacts("fifo", 0x4000_4400, 38, Gate("APB1LENR", 17), "pclk1:0"),
        "USART3": UartFacts("fifo", 0x4000_4800, 39, Gate("APB1LENR", 18), "pclk1:0"),
    },
)

_PA2, _PA3 = Pin("A", 2, 7), Pin("A", 3, 7)
_PD8, _PD9 = Pin("D", 8, 7), Pin("D", 9, 7)
HSI, MSI, HSI64 = 16_000_000, 4_000_000, 64_000_000

BOARDS = {
    "netduinoplus2": BoardFacts(_F405, 168_000_000, HSI, "USART1", Pin("A", 9, 7), Pin("A", 10, 7)),
    "nucleo_f401re": BoardFacts(_F401, 84_000_000, HSI, "USART2", _PA2, _PA3),
    "nucleo_f411re": BoardFacts(_F411, 100_000_000, HSI, "USART2", _PA2, _PA3),
    "nucleo_f446re": BoardFacts(_F446, 180_000_000, HSI, "USART2", _PA2, _PA3),
    "stm32f407g_disc1": BoardFacts(_F405, 168_000_000, HSI, "USART2", _PA2, _PA3),
    "nucleo_f767zi": BoardFacts(_F767, 216_000_000, HSI, "USART3", _PD8, _PD9),
    "nucleo_l476rg": BoardFacts(_L476, 80_000_000, MSI, "USART2", _PA2, _PA3),
    "b_l475e_iot01a": BoardFacts(_L476, 80_000_000, MSI, "USART1", Pin("B", 6, 7), Pin("B", 7, 7)),
    "nucleo_l4r5zi": BoardFacts(_L4R5, 120_000_000, MSI, "LPUART1", Pin("G", 7, 8), Pin("G", 8, 8)),
    "nucleo_h743zi2": BoardFacts(_H743, 400_000_000, HSI64, "USART3", _PD8, _PD9),
}

# SPDX-License-Identifier: Apache-2.0
"""The register models refuse what the chips refuse: orders of steps that no board file can get wrong."""

from __future__ import annotations

from collections.abc import Callable

import pytest

pytest.importorskip("unicorn", reason="unicorn is not installed: pip install -e .[dev]")

from tests.unicorn_board.clocks_f4 import F401, F405, F446, ClocksF4
from tests.unicorn_board.clocks_h7 import ClocksH7
from tests.unicorn_board.clocks_l4 import L4R5, L476, ClocksL4
from tests.unicorn_board.core import CORTEX_M4, CORTEX_M7_H743, CycleCounter, SystemControl
from tests.unicorn_board.gpio import Gpio
from tests.unicorn_board.registers import POLLS, ChipViolation, Gate, RegisterBlock
from tests.unicorn_board.uart import ORE, RXNE, TXE, Uart, UartV1, UartV2

NONE: frozenset[str] = frozenset()
# F4, offsets of RCC and bits.
CR, PLLCFGR, CFGR, AHB1ENR, APB1ENR = 0x00, 0x04, 0x08, 0x30, 0x40
PLLON, PWREN = 1 << 24, 1 << 28
PLL_F446 = 0x2800_2D08  # 180 MHz, boards.md B3
PLL_F405 = 0x0700_2A08  # 168 MHz


def poll(block: RegisterBlock, offset: int) -> int:
    """Read until every status bit has followed."""
    return [block.read(offset) for _ in range(POLLS)][-1]


def f4_with_pll(part=F446, pllcfgr: int = PLL_F446) -> ClocksF4:
    """An F4 whose PLL runs, whose flash has all wait states, and whose dividers fit; core still on HSI."""
    clocks = ClocksF4(part)
    clocks.flash.write(0, 0x705)
    poll(clocks.flash, 0)
    clocks.rcc.write(PLLCFGR, pllcfgr)
    clocks.rcc.write(CR, 0x83 | PLLON)
    poll(clocks.rcc, CR)
    poll(clocks.pwr, 4)
    clocks.rcc.write(CFGR, 0x9400)
    return clocks


def f4_pll_settings(clocks: ClocksF4, value: int) -> None:
    clocks.rcc.write(PLLCFGR, value)
    clocks.rcc.write(CR, 0x83 | PLLON)


def f4_switch_without_voltage_ready() -> None:
    clocks = ClocksF4(F405)
    clocks.flash.write(0, 0x705)
    poll(clocks.flash, 0)
    clocks.rcc.write(PLLCFGR, PLL_F405)
    clocks.rcc.write(CR, 0x83 | PLLON)
    poll(clocks.rcc, CR)
    clocks.rcc.write(CFGR, 0x9402)


def f4_wait_states_not_read_back() -> None:
    clocks = f4_with_pll(F405, PLL_F405)
    clocks.flash.write(0, 0x700)
    clocks.flash.write(0, 0x705)
    clocks.rcc.write(CFGR, 0x9402)


def f4_over_drive_in_one_step() -> None:
    clocks = f4_with_pll()
    clocks.pwr.write(0, 3 << 14 | 1 << 16 | 1 << 17)


def f4_clock_of_the_power_controller() -> None:
    clocks = ClocksF4(F446)
    clocks.require_clock(clocks.pwr)


def f4_clock_not_settled() -> None:
    clocks = ClocksF4(F446)
    clocks.rcc.write(APB1ENR, PWREN)
    clocks.require_clock(clocks.pwr)


def f4_pll_stopped_in_use() -> None:
    clocks = f4_with_pll(F405, PLL_F405)
    clocks.rcc.write(CFGR, 0x9402)
    clocks.rcc.write(CR, 0x83)


def l4_with_pll(part=L4R5, n: int = 60) -> ClocksL4:
    clocks = ClocksL4(part)
    clocks.now = lambda: 0.0
    clocks.rcc.write(0x00, 0x163)
    poll(clocks.rcc, 0x00)
    clocks.rcc.write(0x0C, 1 << 24 | n << 8 | 3 << 4 | 2)
    clocks.rcc.write(0x00, 0x163 | PLLON)
    poll(clocks.rcc, 0x00)
    clocks.flash.write(0, 0x705 if part is L4R5 else 0x704)
    poll(clocks.flash, 0)
    return clocks


def l4_boost_without_step() -> None:
    clocks = l4_with_pll()
    clocks.pwr.write(0x80, 0)
    clocks.rcc.write(0x08, 3)


def l4_boost_with_short_step() -> None:
    clocks = l4_with_pll()
    clocks.pwr.write(0x80, 0)
    clocks.rcc.write(0x08, 8 << 4 | 3)
    poll(clocks.rcc, 0x08)
    clocks.now = lambda: 0.9e-6
    clocks.rcc.write(0x08, 3)


def l4_without_boost() -> None:
    l4_with_pll().rcc.write(0x08, 3)


def l4_pll_without_input() -> None:
    clocks = ClocksL4(L476)
    clocks.rcc.write(0x0C, 1 << 24 | 40 << 8 | 3 << 4 | 2)
    clocks.rcc.write(0x00, 0x163 | PLLON)


def l4_pll_output_off() -> None:
    clocks = l4_with_pll(L476, 40)
    clocks.rcc.write(0x0C, 40 << 8 | 3 << 4 | 2)
    clocks.rcc.write(0x08, 3)


def l4_slow_range() -> None:
    clocks = l4_with_pll(L476, 40)
    clocks.pwr.write(0x00, 2 << 9)
    clocks.rcc.write(0x08, 3)


def l4_voltage_changing() -> None:
    clocks = l4_with_pll(L476, 40)
    clocks.pwr.write(0x00, 2 << 9)
    clocks.pwr.write(0x00, 1 << 9)
    clocks.rcc.write(0x08, 3)


def h7_voltage_before_supply() -> None:
    ClocksH7().pwr.write(0x18, 3 << 14)


def h7_voltage_not_settled() -> None:
    clocks = ClocksH7()
    clocks.pwr.write(0x0C, 6)
    clocks.pwr.write(0x18, 3 << 14)


def h7_supply_changed() -> None:
    clocks = ClocksH7()
    clocks.pwr.write(0x0C, 6)
    clocks.pwr.write(0x0C, 0x106)


def h7_supply_bypassed() -> None:
    ClocksH7().pwr.write(0x0C, 5)


def h7_odd_divider() -> None:
    clocks = ClocksH7()
    clocks.rcc.write(0x28, 4 << 4)
    clocks.rcc.write(0x2C, 0x1FF_000C)
    clocks.rcc.write(0x30, 2 << 9 | 49)
    clocks.rcc.write(0x00, 1 | PLLON)


def h7_wrong_input_range() -> None:
    clocks = ClocksH7()
    clocks.rcc.write(0x28, 4 << 4)
    clocks.rcc.write(0x2C, 0x1FF_0000)
    clocks.rcc.write(0x30, 1 << 9 | 49)
    clocks.rcc.write(0x00, 1 | PLLON)


def uart(kind: type[Uart] = UartV2, **more: object) -> Uart:
    fifo = {"fifo": False} if kind is UartV2 else {}
    made = kind("USART9", 0x4000_0000, Gate("APB1ENR", 0), irq=1, host_baud=115200, **fifo, **more)
    made.kernel_hz = lambda: 16_000_000
    made.now = lambda: 0.0
    made.skip_to = lambda moment: None
    made.on_sent = lambda byte: None
    made.require_wired = lambda uart, direction: None
    return made


def running_uart() -> Uart:
    made = uart()
    made.write(0x0C, 139)
    made.write(0x00, 0x2D)
    return made


def uart_written_too_fast() -> None:
    made = running_uart()
    for byte in range(3):
        made.write(0x28, byte)


def uart_divisor_while_on() -> None:
    running_uart().write(0x0C, 140)


def uart_sends_while_off() -> None:
    made = uart()
    made.write(0x0C, 139)
    made.write(0x00, 1)
    made.write(0x28, 0)


def uart_v1_sends_while_off() -> None:
    """QEMU's F405 sends all the same."""
    uart(UartV1).write(0x04, 0x55)


def uart_reset_while_sending() -> None:
    made = running_uart()
    made.write(0x28, 0)
    made.require_idle()


def uart_hears_while_off() -> None:
    uart().arrive(0)


def uart_divisor_too_small() -> None:
    made = uart()
    made.write(0x0C, 15)
    made.write(0x00, 0x2D)
    made.write(0x28, 0)


def debug_port() -> None:
    Gpio("A", 0x4002_0000, Gate("AHB1ENR", 0), analog_reset=False).write(0x00, 0)


def system(core=CORTEX_M7_H743) -> SystemControl:
    return SystemControl(core, lambda: 0, NONE)


def data_cache_dirty() -> None:
    made = system()
    made.write(0xF50, 0)
    made.write(0xF60, 0)
    made.write(0xD14, 0x30200)


def cache_on_a_core_without() -> None:
    system(CORTEX_M4).write(0xD14, 0x30200)


REFUSALS: tuple[tuple[Callable[[], object], str], ...] = (
    (lambda: f4_with_pll().rcc.write(PLLCFGR, PLL_F446), "PLLCFGR is written while the PLL is on"),
    (lambda: ClocksF4(F446).rcc.write(CFGR, 2), r"a PLL that is not ready \(PLLRDY\)"),
    (lambda: ClocksF4(F446).rcc.write(CFGR, 3), "SW = 3, neither HSI nor PLL"),
    (lambda: ClocksF4(F446).rcc.write(CR, 0x82), "HSI, which everything runs from, is switched off"),
    (lambda: ClocksF4(F446).rcc.write(PLLCFGR, 1 << 15), "RCC_PLLCFGR: reserved bits 0x8000 are set"),
    (lambda: ClocksF4(F446).rcc.write(0x1C, 0), "RCC has no register at offset 0x1c"),
    (lambda: f4_pll_settings(ClocksF4(F401), 0x0700_2A08), "PLLN = 168, allowed 192 to 432"),
    (lambda: f4_pll_settings(ClocksF4(F446), 0x2800_2D04), "input of the VCO is 4000000 Hz"),
    (lambda: f4_pll_settings(ClocksF4(F446), 0x2000_2D08), "PLLM or PLLQ below 2"),
    (lambda: f4_pll_settings(ClocksF4(F446), PLL_F446 | 1 << 22), "the PLL is fed by HSE"),
    (lambda: f4_with_pll().pwr.write(0, 2 << 14), r"voltage scale \(VOS\) changes while the PLL is on"),
    (f4_switch_without_voltage_ready, r"before the voltage is there \(VOSRDY\)"),
    (f4_wait_states_not_read_back, "0 wait states at 168000000 Hz, 5 are needed"),
    (lambda: f4_with_pll().rcc.write(CFGR, 0x9402), "VOS = 3 without over-drive, allowed 168000000 Hz"),
    (f4_over_drive_in_one_step, r"ODSWEN is set before over-drive is ready \(ODRDY\)"),
    (f4_clock_of_the_power_controller, "PWR is used while its clock is off .RCC_APB1ENR bit 28"),
    (f4_clock_not_settled, "PWR is used .* read back RCC_APB1ENR bit 28 first"),
    (f4_pll_stopped_in_use, "the PLL is switched off while the core runs from it"),
    (l4_boost_without_step, r"jumps to 120000000 Hz"),
    (l4_boost_with_short_step, r"HPRE = /2 lasted 0.90 us, needed 1 us"),
    (l4_without_boost, r"boost mode \(R1MODE\) is needed for 120000000 Hz; now at most 80000000 Hz"),
    (l4_pll_without_input, "before its input, HSI16, is ready"),
    (l4_pll_output_off, "PLLREN is off"),
    (l4_slow_range, "PWR allows 80000000 Hz; now at most 26000000 Hz"),
    (l4_voltage_changing, r"still changing \(VOSF\)"),
    (lambda: ClocksL4(L476).rcc.write(0x00, 0x62), "MSI is switched off while the core runs from it"),
    (h7_voltage_before_supply, "before the supply is configured"),
    (h7_voltage_not_settled, r"before the voltage is settled \(ACTVOSRDY\)"),
    (h7_supply_changed, "PWR_CR3 is changed a second time"),
    (h7_supply_bypassed, "supplied through the LDO"),
    (h7_odd_divider, "DIVP1 = 3, odd dividers"),
    (h7_wrong_input_range, r"input of PLL1 \(PLL1RGE\) is 16000000 Hz, allowed 1000000 to 2000000 Hz"),
    (lambda: ClocksH7().syscfg.write(0x2C, 1), "from silicon revision V on only"),
    (uart_written_too_fast, "before the last one was taken"),
    (uart_divisor_while_on, r"BRR is written while the UART is on \(UE\)"),
    (uart_sends_while_off, "sent while the transmitter is off"),
    (uart_v1_sends_while_off, "sent while the transmitter is off"),
    (uart_reset_while_sending, "reset while a byte is still being sent"),
    (uart_hears_while_off, "arrives while the receiver is off"),
    (uart_divisor_too_small, "divisor 15, at least 16"),
    (debug_port, "takes PA13 from the debug port"),
    (lambda: system().write(0xD0C, 4), "without its key"),
    (lambda: system().write(0xD14, 0x20200), "instruction cache is switched on without ICIALLU"),
    (data_cache_dirty, "the data cache is switched on with 511 lines not invalidated"),
    (cache_on_a_core_without, "reserved bits 0x30000"),
)


@pytest.mark.parametrize(("act", "reason"), REFUSALS, ids=[reason for _, reason in REFUSALS])
def test_what_the_chip_does_not_forgive_is_refused(act: Callable[[], object], reason: str) -> None:
    with pytest.raises(ChipViolation, match=reason):
        act()


def test_right_order_reaches_full_clock() -> None:
    clocks = f4_with_pll()
    clocks.pwr.write(0, 3 << 14 | 1 << 16)
    poll(clocks.pwr, 4)
    clocks.pwr.write(0, 3 << 14 | 3 << 16)
    poll(clocks.pwr, 4)
    clocks.rcc.write(CFGR, 0x9402)
    assert clocks.core_hz == 16_000_000
    assert poll(clocks.rcc, CFGR) >> 2 & 3 == 2
    assert (clocks.core_hz, clocks.timer_hz) == (180_000_000, 90_000_000)
    assert (clocks.kernel_hz("pclk1"), clocks.kernel_hz("pclk2")) == (45_000_000, 90_000_000)


@pytest.mark.parametrize(
    ("clocks", "flag", "offset", "bit"),
    [
        (ClocksF4, "PLLRDY", CR, 25),
        (ClocksL4, "PLLRDY", 0x00, 25),
    ],
)
def test_stuck_flag_never_comes(
    clocks: type[ClocksF4] | type[ClocksL4], flag: str, offset: int, bit: int
) -> None:
    part = F446 if clocks is ClocksF4 else L476
    made = clocks(part, frozenset({flag}))
    if clocks is ClocksL4:
        made.rcc.write(0x00, 0x163)
        poll(made.rcc, 0x00)
        made.rcc.write(0x0C, 1 << 24 | 40 << 8 | 3 << 4 | 2)
        made.rcc.write(0x00, 0x163 | PLLON)
    else:
        made.rcc.write(PLLCFGR, PLL_F446)
        made.rcc.write(CR, 0x83 | PLLON)
    assert not any(made.rcc.read(offset) >> bit & 1 for _ in range(10 * POLLS))


def test_second_byte_before_the_first_is_read_is_an_overrun_until_it_is_cleared() -> None:
    made = running_uart()
    made.arrive(1)
    made.arrive(2)
    assert made.read(0x1C) & (ORE | RXNE | TXE) == ORE | RXNE | TXE
    assert (made.read(0x24), made.interrupt) == (1, True)
    made.write(0x20, ORE)
    assert (made.read(0x1C) & (ORE | RXNE), made.interrupt) == (0, False)


def test_overrun_of_the_first_usart_is_cleared_by_reading_sr_then_dr() -> None:
    made = uart(UartV1)
    made.write(0x08, 139)
    made.write(0x0C, 0x202C)
    made.arrive(1)
    made.arrive(2)
    assert made.read(0x04) == 1
    assert made.interrupt, "the status was not read, so ORE stays"
    assert made.read(0x00) & (ORE | RXNE) == ORE
    made.read(0x04)
    assert not made.interrupt


def test_cycle_counter_of_a_cortex_m7_stands_still_until_it_is_unlocked() -> None:
    cycles = iter(range(0, 10_000, 10))
    made = system()
    made.write(0xDFC, 1 << 24)
    counter = CycleCounter(CORTEX_M7_H743, made, lambda: next(cycles), NONE)
    counter.write(0x000, 1)
    assert [counter.read(0x004), counter.read(0x004)] == [0, 0]
    counter.write(0xFB0, 0xC5ACCE55)
    counter.write(0x000, 1)
    assert counter.read(0x004) < counter.read(0x004)

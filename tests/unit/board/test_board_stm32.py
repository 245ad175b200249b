# SPDX-License-Identifier: Apache-2.0
"""Register values of the STM32F4 clock tree, against values that were decoded from running start-up code."""

import re
from pathlib import Path
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mcu_ser.board import load_board, parse_board
from mcu_ser.board.clock_f4 import ClockF4, Pll
from mcu_ser.board.stm32 import FAMILIES, FamilyName, Stm32Build
from mcu_ser.errors import ConfigError
from mcu_ser.resources import firmware_templates_dir


def clock(pll: Pll, apb1: int, apb2: int, wait_states: int, vos: int, core_hz: int) -> ClockF4:
    return ClockF4.model_validate(
        {
            "driver": "clock_f4",
            "reset_hz": 16_000_000,
            "pll": pll,
            "ahb_divider": 1,
            "apb1_divider": apb1,
            "apb2_divider": apb2,
            "flash_wait_states": wait_states,
            "voltage_scale": vos,
            "over_drive": False,
            "max_sysclk_hz": core_hz,
            "max_apb1_hz": core_hz // apb1,
            "max_apb2_hz": core_hz // apb2,
            "source": "reference manual",
        }
    )


@pytest.mark.parametrize(
    ("part", "tree", "pllcfgr", "cfgr", "acr", "mhz"),
    [
        ("F401RE", clock(Pll(m=16, n=336, p=4, q=7), 2, 1, 2, 2, 84_000_000), 0x07015410, 0x1000, 0x702, 84),
        (
            "F411RE",
            clock(Pll(m=16, n=200, p=2, q=4), 2, 1, 3, 3, 100_000_000),
            0x04003210,
            0x1000,
            0x703,
            100,
        ),
        (
            "F446RE",
            clock(Pll(m=8, n=180, p=2, q=8, r=2), 4, 2, 5, 3, 180_000_000),
            0x28002D08,
            0x9400,
            0x705,
            180,
        ),
        ("F405RG", clock(Pll(m=8, n=168, p=2, q=7), 4, 2, 5, 1, 168_000_000), 0x07002A08, 0x9400, 0x705, 168),
    ],
)
def test_register_values_of_real_parts(
    part: str, tree: ClockF4, pllcfgr: int, cfgr: int, acr: int, mhz: int
) -> None:
    assert (tree.pllcfgr, tree.cfgr_dividers, tree.flash_acr) == (pllcfgr, cfgr, acr), part
    assert tree.core_hz == mhz * 1_000_000


def test_shipped_board_runs_at_the_clock_it_names() -> None:
    board = load_board("netduinoplus2")
    assert isinstance(board.build, Stm32Build)
    assert board.build.clock.pllcfgr == 0x07002A08
    assert (board.build.clock.apb1_hz, board.build.clock.apb2_hz) == (42_000_000, 84_000_000)
    assert board.build.clock.pwr_cr_vos == 1 << 14


@given(
    m=st.integers(8, 16),
    n=st.integers(50, 432),
    p=st.sampled_from([2, 4, 6, 8]),
    q=st.integers(2, 15),
    r=st.integers(2, 7),
)
def test_pllcfgr_holds_each_field_in_its_place(m: int, n: int, p: int, q: int, r: int) -> None:
    """Decoded as RM0390 lays the register out, by shifts that the encoder does not share."""
    word = ClockF4.pllcfgr.fget(ClockF4.model_construct(pll=Pll(m=m, n=n, p=p, q=q, r=r)))  # type: ignore[attr-defined]
    assert word & 0x3F == m
    assert word >> 6 & 0x1FF == n
    assert (word >> 16 & 3) * 2 + 2 == p
    assert word >> 24 & 0xF == q
    assert word >> 28 & 7 == r
    assert word & ~(0x3F | 0x1FF << 6 | 3 << 16 | 0xF << 24 | 7 << 28) == 0


@pytest.mark.parametrize(
    ("baud", "worst"), [(115200, 0.0010), (9600, 0.0005), (460800, 0.0080), (921600, 0.0213)]
)
def test_baud_error_covers_full_and_reset_clock(baud: int, worst: float) -> None:
    board = load_board("netduinoplus2")
    assert isinstance(board.build, Stm32Build)
    errors = [abs(hz / round(hz / baud) - baud) / baud for hz in (84_000_000, 16_000_000)]
    assert board.build.baud_error_fraction(baud) == max(errors)
    assert max(errors) == pytest.approx(worst, abs=0.0005)


@pytest.mark.parametrize("name", sorted(FAMILIES))
def test_every_driver_a_family_names_exists_in_the_template(name: FamilyName) -> None:
    family, stm32 = FAMILIES[name], firmware_templates_dir() / "stm32"
    for section in (family.clock, family.uart):
        (driver,) = get_args(section.model_fields["driver"].annotation)
        assert (stm32 / f"{driver}.c").is_file()
    assert (stm32 / family.registers).is_file()


def test_addresses_of_the_board_lie_where_the_register_header_has_the_peripherals() -> None:
    """The YAML and registers_stm32f4.h state facts of one chip; they must not contradict each other."""
    board = load_board("netduinoplus2")
    assert isinstance(board.build, Stm32Build)
    header = (firmware_templates_dir() / "stm32" / "registers_stm32f4.h").read_text()
    rcc_cr = int(re.findall(r"#define RCC_CR REG32\((0x[0-9A-F]+)u\)", header)[0], 16)
    # RM0090: RCC_AHB1ENR at offset 0x30, RCC_APB2ENR at 0x44 of RCC, which starts with RCC_CR.
    assert board.build.uart.gpio_clock_enable.register_address == rcc_cr + 0x30
    assert board.build.uart.clock_enable.register_address == rcc_cr + 0x44
    # GPIOA is bit 0 of AHB1ENR and the ports follow each other by 0x400.
    port = (board.build.uart.tx.gpio - 0x40020000) // 0x400
    assert board.build.uart.gpio_clock_enable.bit == port


def test_uart_on_the_slow_bus_is_checked_at_that_clock() -> None:
    text = load_board("netduinoplus2").yaml_text.replace("bus: apb2", "bus: apb1")
    board = parse_board(text.replace("baud: 115200", "baud: 460800"), Path("x.yaml"))
    assert isinstance(board.build, Stm32Build)
    assert board.build.baud_error_fraction(460800) == max(
        abs(hz / round(hz / 460800) - 460800) / 460800 for hz in (42_000_000, 16_000_000)
    )


# PLL words, dividers, wait states and clocks that start-up code was seen to reach.
@pytest.mark.parametrize(
    ("board_id", "registers", "clocks_hz"),
    [
        (
            "nucleo_l476rg",
            {
                "BOARD_RCC_PLLCFGR": 0x01002832,
                "BOARD_RCC_CFGR_DIVIDERS": 0,
                "BOARD_FLASH_ACR": 0x704,
            },
            (80_000_000, 80_000_000, 80_000_000, 80_000_000),
        ),
        (
            "nucleo_l4r5zi",
            {
                "BOARD_RCC_PLLCFGR": 0x01003C32,
                "BOARD_RCC_CFGR_DIVIDERS": 0,
                "BOARD_FLASH_ACR": 0x705,
            },
            (120_000_000, 120_000_000, 120_000_000, 120_000_000),
        ),
        (
            "nucleo_f767zi",
            {
                "BOARD_RCC_PLLCFGR": 0x29003608,
                "BOARD_RCC_CFGR_DIVIDERS": 0x9400,
                "BOARD_FLASH_ACR": 0x307,
                "BOARD_PWR_CR_VOS": 0xC000,
            },
            (216_000_000, 54_000_000, 108_000_000, 108_000_000),
        ),
        (
            "nucleo_h743zi2",
            {
                "BOARD_RCC_PLLCKSELR_DIVM1": 4 << 4,
                "BOARD_RCC_PLLCFGR_PLL1": 7 << 16 | 3 << 2,
                "BOARD_RCC_PLL1DIVR": 0x01070231,
                "BOARD_RCC_D1CFGR": 4 << 4 | 8,
                "BOARD_RCC_D2CFGR": 4 << 8 | 4 << 4,
                "BOARD_RCC_D3CFGR": 4 << 4,
                "BOARD_FLASH_ACR": 2 << 4 | 4,
                "BOARD_PWR_D3CR_VOS": 3 << 14,
            },
            (400_000_000, 100_000_000, 100_000_000, 200_000_000),
        ),
    ],
)
def test_register_values_of_the_other_families(
    board_id: str, registers: dict[str, int], clocks_hz: tuple[int, int, int, int]
) -> None:
    build = load_board(board_id).build
    assert isinstance(build, Stm32Build)
    clock = build.clock
    assert clock.registers == registers
    assert (clock.core_hz, clock.apb1_hz, clock.apb2_hz, clock.tim2_hz) == clocks_hz


@pytest.mark.parametrize(
    ("board_id", "old", "new", "message"),
    [
        (
            "nucleo_l4r5zi",
            "boost: true",
            "boost: false",
            "core clock is 120000000 Hz, limit 80000000 Hz without",
        ),
        ("nucleo_l4r5zi", "  ahb_divider: 1", "  ahb_divider: 2", "ahb_divider is 2, limit 1 with boost"),
        (
            "nucleo_l476rg",
            "{m: 4, n: 40, r: 2}",
            "{m: 8, n: 40, r: 2}",
            "VCO input is 2000000 Hz, limit 4000000",
        ),
        ("nucleo_l476rg", "{m: 4, n: 40, r: 2}", "{m: 1, n: 40, r: 8}", "VCO output is 640000000 Hz, limit"),
        (
            "nucleo_l476rg",
            "{m: 4, n: 40, r: 2}",
            "{m: 4, n: 41, r: 2}",
            "core clock is 82000000 Hz, limit 80000000",
        ),
        ("nucleo_l476rg", "{m: 4, n: 40, r: 2}", "{m: 4, n: 40, r: 3}", "build.clock.pll.r: 3: "),
        ("nucleo_f767zi", "apb1_divider: 4", "apb1_divider: 2", "APB1 clock is 108000000 Hz, limit 54000000"),
        ("nucleo_f767zi", "driver: uart_v2", "driver: uart_v1", "build.uart.driver: 'uart_v1': "),
        (
            "nucleo_h743zi2",
            "    ahb_divider: 2",
            "    ahb_divider: 1",
            "AHB clock is 400000000 Hz, limit 200000000",
        ),
        (
            "nucleo_h743zi2",
            "apb3_divider: 2",
            "apb3_divider: 1",
            "APB3 clock is 200000000 Hz, limit 100000000",
        ),
        (
            "nucleo_h743zi2",
            "apb4_divider: 2",
            "apb4_divider: 1",
            "APB4 clock is 200000000 Hz, limit 100000000",
        ),
        (
            "nucleo_h743zi2",
            "{m: 4, n: 50,",
            "{m: 4, n: 60,",
            "VCO output is 960000000 Hz, limit 192000000 to",
        ),
        ("nucleo_h743zi2", "{m: 4, n: 50,", "{m: 2, n: 25,", "VCO input is 32000000 Hz, limit 2000000 to"),
        ("nucleo_h743zi2", "p: 2, q: 8", "p: 3, q: 8", "build.clock.pll.p: 3: "),
        ("nucleo_h743zi2", "family: stm32h7", "family: stm32l4", "build.clock.driver: 'clock_h7': "),
        ("nucleo_h743zi2", "family: stm32h7", "family: stm32u5", "build.family: 'stm32u5': "),
        (
            "mps2_an386",
            "clock_hz: 25000000\n    source",
            "clock_hz: 1000000\n    source",
            "45.7% off at its clock",
        ),
    ],
)
def test_what_the_chip_cannot_run_is_refused(board_id: str, old: str, new: str, message: str) -> None:
    text = load_board(board_id).yaml_text
    assert text.count(old) == 1
    with pytest.raises(ConfigError) as caught:
        parse_board(text.replace(old, new), Path("x.yaml"))
    assert message in str(caught.value)


def test_document_of_a_board_has_what_its_family_adds() -> None:
    """`boards show --json` prints it."""
    document = load_board("nucleo_l4r5zi").model_dump(mode="json")
    assert document["build"]["clock"]["boost"] is True
    assert document["build"]["clock"]["pll"] == {"m": 4, "n": 60, "r": 2}
    assert document["build"]["uart"]["io_supply"]["bit"] == 9


def test_lpuart_divides_256ths_of_a_cycle() -> None:
    build = load_board("nucleo_l4r5zi").build
    assert isinstance(build, Stm32Build)
    assert (build.uart.clock_multiplier, build.uart.divisors) == (256, (0x300, 0xFFFFF))
    build = load_board("nucleo_l476rg").build
    assert isinstance(build, Stm32Build)
    assert (build.uart.clock_multiplier, build.uart.divisors) == (1, (16, 0xFFFF))

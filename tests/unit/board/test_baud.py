# SPDX-License-Identifier: Apache-2.0
"""Bit rates that a UART can be divided to, and what is refused."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mcu_ser.board import Board, list_boards, load_board, parse_board
from mcu_ser.board.baud import DividedUart, require_baud
from mcu_ser.board.mps import MpsBuild
from mcu_ser.board.stm32 import Stm32Build
from mcu_ser.errors import ConfigError

DIVIDING = [board for board in list_boards() if isinstance(board.build, (Stm32Build, MpsBuild))]


def uart_of(board: Board) -> tuple[DividedUart, int]:
    assert isinstance(board.build, (Stm32Build, MpsBuild))
    return board.build.uart, board.build.uart_hz


@pytest.mark.parametrize("baud", [9600, 19200, 38400, 57600, 115200, 230400, 460800, 921600])
@pytest.mark.parametrize("board", DIVIDING, ids=lambda board: board.id)
def test_every_usual_rate_is_within_two_percent_at_the_full_clock(board: Board, baud: int) -> None:
    if board.id == "nucleo_l4r5zi" and baud < 120_000_000 / 4096:
        # The divisor of an LPUART ends at 4096 clock cycles per bit.
        with pytest.raises(ConfigError, match="--baud 29297"):
            require_baud(board, baud)
    else:
        require_baud(board, baud)


# boards.md B2: values of BRR that were computed for these clocks.
@pytest.mark.parametrize(
    ("board_id", "clock_hz", "baud", "divisor"),
    [
        ("nucleo_f446re", 16_000_000, 115200, 139),
        ("nucleo_l476rg", 4_000_000, 115200, 35),
        ("nucleo_h743zi2", 64_000_000, 115200, 556),
        ("nucleo_f401re", 42_000_000, 921600, 46),
        ("nucleo_l476rg", 80_000_000, 921600, 87),
        ("nucleo_l4r5zi", 4_000_000, 115200, 8889),
        ("nucleo_l4r5zi", 120_000_000, 115200, 266667),
    ],
)
def test_divisors_of_real_clocks(board_id: str, clock_hz: int, baud: int, divisor: int) -> None:
    uart, _ = uart_of(load_board(board_id))
    assert uart.divisor(clock_hz, baud) == divisor


@given(st.sampled_from(DIVIDING), st.integers(1200, 4_000_000))
def test_no_divisor_is_nearer_than_the_one_taken(board: Board, baud: int) -> None:
    uart, clock_hz = uart_of(board)
    least, greatest = uart.divisors
    taken = uart.divisor(clock_hz, baud)
    assert least <= taken <= greatest

    def period_error(divisor: int) -> float:
        return abs(divisor / (clock_hz * uart.clock_multiplier) - 1 / baud)

    others = [divisor for divisor in (taken - 1, taken + 1) if least <= divisor <= greatest]
    # The divisor nearest in time per bit; half a step is the most that rounding may cost.
    assert all(period_error(taken) <= period_error(divisor) * (1 + 1e-9) for divisor in others)


@given(st.sampled_from(DIVIDING), st.integers(9600, 921_600))
def test_a_rate_is_refused_exactly_when_it_is_too_far_off(board: Board, baud: int) -> None:
    uart, clock_hz = uart_of(board)
    real = clock_hz * uart.clock_multiplier / uart.divisor(clock_hz, baud)
    if abs(real - baud) <= 0.02 * baud:
        require_baud(board, baud)
    else:
        with pytest.raises(ConfigError):
            require_baud(board, baud)


def slow_board() -> Board:
    """An F405 whose APB2 runs at 10.5 MHz."""
    text = load_board("netduinoplus2").yaml_text.replace("apb2_divider: 2", "apb2_divider: 16")
    return parse_board(text, Path("slow.yaml"))


def test_a_rate_that_the_clock_cannot_give_is_refused_with_the_nearest() -> None:
    board = slow_board()
    with pytest.raises(ConfigError) as caught:
        require_baud(board, 640_000)
    assert str(caught.value) == (
        "netduinoplus2: 640000 bit/s would be 2.5% off: its UART divides 10500000 Hz, limit 2%; "
        "try: --baud 617647 or 656250"
    )
    require_baud(board, 617_647)


def test_the_nearest_rates_lie_on_both_sides() -> None:
    uart, _ = uart_of(slow_board())
    assert uart.nearest_bauds(10_500_000, 640_000) == (617_647, 656_250)
    assert uart.nearest_bauds(10_500_000, 4_000_000) == (656_250,)


@pytest.mark.parametrize("baud", [0, -1, 1200, 9599, 921601, 4_000_000])
def test_a_rate_beyond_all_limits_is_refused(baud: int) -> None:
    with pytest.raises(ConfigError) as caught:
        require_baud(load_board("nucleo_f446re"), baud)
    assert str(caught.value) == (f"nucleo_f446re: cannot be set to {baud} bit/s, limit 9600 to 921600 bit/s")


@pytest.mark.parametrize("board_id", ["host", "arduino_nano_33_ble"])
def test_boards_without_a_divided_uart_take_no_rate(board_id: str) -> None:
    with pytest.raises(ConfigError) as caught:
        require_baud(load_board(board_id), 115200)
    assert str(caught.value) == (
        f"{board_id}: has no serial port whose bit rate can be set; try: leave out --baud"
    )


def test_a_rate_too_fast_for_the_reset_clock_falls_back_to_the_default() -> None:
    board = load_board("nucleo_l476rg")
    assert isinstance(board.build, Stm32Build)
    assert board.build.reset_baud(921_600, 115_200) == 115_200  # MSI: 4 MHz
    assert board.build.reset_baud(57_600, 115_200) == 57_600
    board = load_board("nucleo_h743zi2")
    assert isinstance(board.build, Stm32Build)
    assert board.build.reset_baud(921_600, 115_200) == 921_600  # HSI: 64 MHz

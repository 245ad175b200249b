# SPDX-License-Identifier: Apache-2.0
"""Every STM32 board's real ELF, from reset to byte-exact answers, on a register model of its chip."""

import re
from collections.abc import Callable

import numpy as np
import pytest

pytest.importorskip("unicorn", reason="unicorn is not installed: pip install -e .[dev]")

from mcu_ser.board import Board, list_boards, load_board
from mcu_ser.board.baud import MAX_BAUD_ERROR_FRACTION
from mcu_ser.board.stm32 import Stm32Build
from mcu_ser.convert.oracle import Oracle
from mcu_ser.errors import ConfigError
from mcu_ser.verify.client import Client
from mcu_ser.verify.harness import Expectation, run_samples
from mcu_ser.verify.messages import Boot, Hello, ResetCause, TickSource
from mcu_ser.verify.protocol import FrameDecoder, MessageType
from tests.stm32_firmware import require_tools
from tests.tiny_model import tiny_classifier
from tests.unicorn_board.facts import BOARDS, BoardFacts
from tests.unicorn_board.firmware import Workbench
from tests.unicorn_board.link import MachineLink
from tests.unicorn_board.machine import Machine
from tests.unicorn_board.mutants import Mutant, applicable, edited
from tests.unicorn_board.registers import ChipViolation

pytestmark = pytest.mark.emulator

MODEL = tiny_classifier()
BAUD = 115200
FASTEST_BAUD = 921600
# What each clock driver waits for, on one board per driver and variant of it.
F4_FLAGS = ("HSIRDY", "PLLRDY", "VOSRDY", "SWS", "LATENCY")
L4_FLAGS = ("MSIRDY", "HSIRDY", "PLLRDY", "VOSF", "SWS", "LATENCY")
DRIVER_FLAGS = {
    "nucleo_f411re": F4_FLAGS,
    "nucleo_f446re": (*F4_FLAGS, "ODRDY", "ODSWRDY"),
    "nucleo_f767zi": (*F4_FLAGS, "ODRDY", "ODSWRDY"),
    "nucleo_l476rg": L4_FLAGS,
    "nucleo_l4r5zi": L4_FLAGS,
    "nucleo_h743zi2": ("HSIRDY", "PLL1RDY", "ACTVOSRDY", "VOSRDY", "SWS", "LATENCY"),
}

Bench = Callable[[str], Workbench]


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Bench:
    """The built project of a board, made when it is first asked for."""
    made: dict[str, Workbench] = {}

    def get(board_id: str) -> Workbench:
        if board_id not in made:
            board = load_board(board_id)
            require_tools(board)
            made[board_id] = Workbench(board, MODEL, tmp_path_factory.mktemp(board_id))
        return made[board_id]

    return get


def said_on_start(machine: Machine) -> Boot:
    """The one frame that a board sends by itself."""
    machine.run()
    if not machine.output:
        raise ChipViolation(machine.chip.why_silent())
    (frame,) = FrameDecoder().feed(bytes(machine.output))
    machine.output.clear()
    assert frame.type == MessageType.BOOT
    return Boot.unpack(frame.payload)


def require_promised_clock(machine: Machine, facts: BoardFacts, hello: Hello) -> None:
    """What the board says of its clock, what the registers say and what the board is to run at are one."""
    if machine.chip.clocks.core_hz != facts.clock_hz:
        raise ChipViolation(
            f"the core runs at {machine.chip.clocks.core_hz} Hz, the board has {facts.clock_hz} Hz"
        )
    assert hello.core_hz == facts.clock_hz
    assert hello.tick_hz == facts.clock_hz


def stm32_boards() -> list[Board]:
    return [board for board in list_boards() if isinstance(board.build, Stm32Build)]


def test_every_stm32_board_is_modelled_and_says_no_more_of_itself() -> None:
    levels = {board.id: board.status.level for board in stm32_boards()}
    emulated = {"netduinoplus2": "emulated"}
    assert levels == {board_id: emulated.get(board_id, "simulated") for board_id in BOARDS}


@pytest.mark.parametrize("board_id", sorted(BOARDS))
def test_board_runs_from_reset_to_byte_exact_answers_and_again_after_a_reset(
    bench: Bench, board_id: str
) -> None:
    facts, project = BOARDS[board_id], bench(board_id).project
    assert project.board.mcu.clock_hz == facts.clock_hz
    machine = Machine(facts, bench(board_id).elf, BAUD)
    assert said_on_start(machine).reset_cause == ResetCause.POWER_ON
    client = Client(MachineLink(machine, board_id))
    x = np.random.default_rng(5).integers(-128, 128, (2, project.input.bytes), dtype=np.int8)
    expected = Oracle(project.model_path.read_bytes()).run(x)
    for resets, cause in ((0, ResetCause.POWER_ON), (1, ResetCause.SOFTWARE)):
        answers = run_samples(client, Expectation.of(project), x)
        assert np.array_equal(answers.outputs, expected)
        assert (machine.resets, answers.hello.reset_cause) == (resets, cause)
        require_promised_clock(machine, facts, answers.hello)
        assert answers.hello.tick_source == TickSource.DWT
        assert answers.hello.fault is None
        assert abs(machine.chip.uart.baud - BAUD) <= MAX_BAUD_ERROR_FRACTION * BAUD
        assert answers.device.rx_overruns == 0
        assert 0 < answers.device.stack_high_water < answers.device.stack_bytes
        if not resets:
            boot = client.reset()
            assert boot is not None
            assert boot.reset_cause == ResetCause.SOFTWARE


@pytest.mark.parametrize("board_id", sorted(BOARDS))
def test_fastest_rate_works_where_the_clock_allows_it(bench: Bench, board_id: str) -> None:
    work = bench(board_id)
    machine = Machine(BOARDS[board_id], work.variant(work.project.board, baud=FASTEST_BAUD), FASTEST_BAUD)
    said_on_start(machine)
    client = Client(MachineLink(machine, board_id))
    hello = client.hello()
    require_promised_clock(machine, BOARDS[board_id], hello)
    x = np.random.default_rng(7).integers(-128, 128, (1, hello.input_bytes), dtype=np.int8)
    answer = client.run(0, x[0].tobytes())
    assert answer.output == Oracle(MODEL).run(x)[0].tobytes()
    assert client.stats().rx_overruns == 0


def broken_flags() -> list[tuple[str, str]]:
    """Each wait of each driver; and the clock after reset, which is the board's own fact, on all boards."""
    pairs = [(board_id, flag) for board_id, flags in DRIVER_FLAGS.items() for flag in flags]
    return pairs + [(board_id, "PLLRDY") for board_id in sorted(BOARDS) if board_id not in DRIVER_FLAGS]


@pytest.mark.parametrize(("board_id", "flag"), broken_flags())
def test_board_whose_clock_does_not_come_up_answers_at_its_reset_clock(
    bench: Bench, board_id: str, flag: str
) -> None:
    facts = BOARDS[board_id]
    machine = Machine(facts, bench(board_id).elf, BAUD, frozenset({flag}))
    said_on_start(machine)
    client = Client(MachineLink(machine, board_id))
    hello = client.hello()
    assert machine.chip.clocks.core_hz == facts.reset_hz
    # When not even the oscillator it runs from is ready, the clock controller is not believed at all.
    unknown = flag == ("MSIRDY" if "MSIRDY" in machine.chip.clocks.FLAGS else "HSIRDY")
    assert hello.core_hz == (0 if unknown else facts.reset_hz)
    assert client.echo(b"at the reset clock") == b"at the reset clock"


@pytest.mark.parametrize("board_id", sorted(DRIVER_FLAGS))
@pytest.mark.parametrize(
    ("broken", "source"),
    [({"DWT"}, TickSource.TIM2), ({"DWT", "TIM2"}, TickSource.SYSTICK),
     ({"DWT", "TIM2", "SYSTICK"}, TickSource.NONE)],
)  # fmt: skip
def test_another_counter_takes_over_and_its_rate_is_right(
    bench: Bench, board_id: str, broken: set[str], source: TickSource
) -> None:
    machine = Machine(BOARDS[board_id], bench(board_id).elf, BAUD, frozenset(broken))
    said_on_start(machine)
    hello = Client(MachineLink(machine, board_id)).hello()
    hz = {TickSource.TIM2: machine.chip.clocks.timer_hz, TickSource.SYSTICK: machine.chip.clocks.core_hz}
    assert (hello.tick_source, hello.tick_hz) == (source, hz.get(source, 0))


@pytest.mark.parametrize(
    ("board_id", "mutant"), applicable(), ids=lambda value: value.name if isinstance(value, Mutant) else value
)
def test_wrong_board_file_fails_with_its_reason(bench: Bench, board_id: str, mutant: Mutant) -> None:
    facts, work = BOARDS[board_id], bench(board_id)
    reasons: list[str] = []
    board = edited(work.project.board, lambda data: reasons.append(str(mutant.change(data, facts))))
    elf = work.variant(board, baud=mutant.baud)
    with pytest.raises(ChipViolation) as caught:
        machine = Machine(facts, elf, BAUD, mutant.stuck)
        said_on_start(machine)
        client = Client(MachineLink(machine, board_id))
        require_promised_clock(machine, facts, client.hello())
    assert re.search(reasons[0], str(caught.value)), str(caught.value)


F4, L4R5, F7, H7 = "nucleo_f446re", "nucleo_l4r5zi", "nucleo_f767zi", "nucleo_h743zi2"
VMOV = '  __asm__ volatile("vmov.f32 s0, #1.0");\n'
BRR_V2 = "  USART_BRR = divisor(bus_hz, baud);\n"
CR1_V2 = "  USART_CR1 = USART_CR1_UE | USART_CR1_TE | USART_CR1_RE | USART_CR1_RXNEIE;\n"


@pytest.mark.parametrize(
    ("board_id", "source", "old", "new", "reason"),
    [
        (
            F4,
            "startup.c",
            "  SCB_VTOR =",
            VMOV + "  SCB_VTOR =",
            "^a floating-point instruction runs before the FPU",
        ),
        (F4, "clock_f4.c", "(void)RCC_APB1ENR;", "", "^PWR is used right after its clock was enabled"),
        (F4, "uart_pins.c", "(void)REG32(reg);", "", "^GPIOA is used right after its clock was enabled"),
        (
            F4,
            "clock_f4.c",
            "  FLASH_ACR = BOARD_FLASH_ACR;\n",
            "",
            "^the core runs at 16000000 Hz, the board",
        ),
        (F4, "uart_v1.c", " | USART_CR1_RXNEIE", "", r"^USART2 holds a byte and raises no interrupt"),
        (F4, "uart_v1.c", "  NVIC_ISER(", "  NVIC_ISER(1u + ", "^USART2 raises interrupt 38, which NVIC"),
        (
            F4,
            "port_cortex_m.c",
            "  uart_flush();\n",
            "",
            "^USART2: the chip is reset while a byte is still being",
        ),
        (
            L4R5,
            "clock_l4.c",
            "SETTLE_TURNS 100u",
            "SETTLE_TURNS 1u",
            r"^RCC_CFGR: HPRE = /2 lasted 0\.\d+ us",
        ),
        (L4R5, "clock_l4.c", " | RCC_CFGR_HPRE_2", "", r"^RCC_CFGR: the core jumps to 120000000 Hz"),
        (F7, "uart_v2.c", BRR_V2 + CR1_V2, CR1_V2 + BRR_V2, "^USART3_BRR is written while the UART is on"),
        (
            F7,
            "caches.c",
            "  SCB_ICIALLU = 0;\n",
            "",
            "^SCB_CCR: the instruction cache is switched on without",
        ),
        (H7, "clock_h7.c", "PWR_CR3_SCUEN;", "PWR_CR3_BYPASS;", "^PWR_CR3 = 0x7: the board is supplied"),
    ],
)
def test_wrong_driver_fails_with_its_reason(
    bench: Bench, board_id: str, source: str, old: str, new: str, reason: str
) -> None:
    facts, work = BOARDS[board_id], bench(board_id)
    elf = work.variant(work.project.board, edits={source: (old, new)})
    with pytest.raises(ChipViolation, match=reason):
        machine = Machine(facts, elf, BAUD)
        said_on_start(machine)
        client = Client(MachineLink(machine, board_id))
        require_promised_clock(machine, facts, client.hello())
        client.reset()


@pytest.mark.parametrize("board_id", [F4, L4R5, F7, H7])
def test_uart_that_a_boot_loader_left_on_is_set_up_anew(bench: Bench, board_id: str) -> None:
    """On, with oversampling by 8, nine data bits, two stop bits, DMA and flow control."""
    machine = Machine(BOARDS[board_id], bench(board_id).elf, BAUD)
    uart = machine.chip.uart
    enabled = 1 << 13 if "SR" in uart.values else 1 << 0
    uart.values.update(CR1=enabled | 1 << 15 | 1 << 12, CR2=2 << 12, CR3=3 << 8 | 3 << 6, BRR=0x1D4C)
    said_on_start(machine)
    assert (uart.values["CR2"], uart.values["CR3"]) == (0, 0)
    assert Client(MachineLink(machine, board_id)).hello().board_id == board_id


@pytest.mark.parametrize("board_id", [F4, L4R5, F7, H7])
def test_fault_is_reported_after_the_reset_that_it_causes(bench: Bench, board_id: str) -> None:
    """On a Cortex-M7 the record must get past the data cache."""
    work = bench(board_id)
    fault = "  uart_flush();\n  *(volatile uint32_t *)0x90000000u = 1u;\n"
    elf = work.variant(work.project.board, edits={"port_cortex_m.c": ("  uart_flush();\n", fault)})
    machine = Machine(BOARDS[board_id], elf, BAUD, faults=True)
    said_on_start(machine)
    client = Client(MachineLink(machine, board_id))
    client.hello()
    boot = client.reset()
    assert boot is not None
    assert boot.fault is not None
    assert machine.function_at(boot.fault.pc) == "port_reset"
    assert (boot.fault.cfsr, boot.fault.hfsr) == (1 << 15 | 1 << 9, 1 << 30)
    assert client.hello().fault == boot.fault


@pytest.mark.parametrize("board_id", [F4, F7, H7])
def test_cycle_counter_needs_its_lock_opened_on_a_cortex_m7_alone(bench: Bench, board_id: str) -> None:
    work = bench(board_id)
    edits = {"ticks.c": ("  DWT_LAR = DWT_LAR_UNLOCK;\n", "")}
    machine = Machine(BOARDS[board_id], work.variant(work.project.board, edits=edits), BAUD)
    said_on_start(machine)
    hello = Client(MachineLink(machine, board_id)).hello()
    assert hello.tick_source == (TickSource.DWT if board_id == F4 else TickSource.TIM2)


@pytest.mark.parametrize("board_id", sorted(BOARDS))
def test_board_file_that_is_written_anew_without_a_change_runs(bench: Bench, board_id: str) -> None:
    """The short way to the firmware of a mutant breaks nothing by itself."""
    work = bench(board_id)
    machine = Machine(BOARDS[board_id], work.variant(edited(work.project.board, lambda data: None)), BAUD)
    said_on_start(machine)
    hello = Client(MachineLink(machine, board_id)).hello()
    require_promised_clock(machine, BOARDS[board_id], hello)


@pytest.mark.parametrize("board_id", sorted(BOARDS))
def test_clock_that_contradicts_the_promise_is_refused_on_reading(board_id: str) -> None:
    def change(data):
        data["build"]["clock"]["pll"]["n"] -= 1

    with pytest.raises(ConfigError, match=r"gives \d+ Hz, mcu.clock_hz is \d+ Hz|whole number of hertz|VCO"):
        edited(load_board(board_id), change)

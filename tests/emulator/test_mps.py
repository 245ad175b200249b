# SPDX-License-Identifier: Apache-2.0
"""The emulated MPS boards: full verify, counters, faults, and a model that no real board here can hold."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from mcu_ser.board import load_board
from mcu_ser.cli.main import main
from mcu_ser.device.emulator import QemuEmulator
from mcu_ser.device.link import Link
from mcu_ser.errors import BudgetError
from mcu_ser.generate.project import generate
from mcu_ser.toolchain.cmake_gcc import BuildResult
from tests.stm32_firmware import Probe, build_probe, require_tools
from tests.tflite_builder import TfliteBuilder
from tests.tiny_model import tiny_classifier

pytestmark = pytest.mark.emulator

MACHINES = {"mps2_an386": "mps2-an386", "mps2_an500": "mps2-an500", "mps3_an547": "mps3-an547"}
SOFTWARE_RESET = 3
TICKS_SYSTICK = 3
# Armv7-M B3.2.15.
UNDEFINSTR, PRECISERR = 1 << 16, 1 << 9


@pytest.fixture(scope="module", params=sorted(MACHINES))
def built(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> tuple[str, BuildResult]:
    board = load_board(request.param)
    require_tools(board, emulator=True)
    return request.param, build_probe(tmp_path_factory.mktemp(request.param), board)


@pytest.fixture
def probe(built: tuple[str, BuildResult]) -> Iterator[Probe]:
    board_id, result = built
    with QemuEmulator(result.elf, MACHINES[board_id]) as emulator, Link(emulator) as link:
        probe = Probe(link)
        assert probe.line() == [0, 0, 0, 0, 0, 0], "first boot: unknown cause, no fault"
        yield probe


@pytest.mark.parametrize("board_id", sorted(MACHINES))
def test_board_computes_what_the_host_computes(board_id: str, tmp_path: Path) -> None:
    require_tools(load_board(board_id), emulator=True)
    model, project, report = tmp_path / "tiny.tflite", tmp_path / "project", tmp_path / "report"
    model.write_bytes(tiny_classifier())
    assert main(["generate", str(model), "--board", board_id, "--out", str(project)]) == 0
    assert main(["build", str(project)]) == 0
    options = ["--random", "50", "--out", str(report), "--no-litert"]
    assert main(["verify", str(project), *options]) == 0
    document = json.loads((report / "report.json").read_text())
    assert (document["verdict"], document["identical"], document["samples"]) == ("pass", 50, 50)
    # SysTick moves once in 31 to 40 instructions: ticks are told as ticks.
    assert document["instructions"]["median"] is None
    assert document["ticks"]["source"] == "systick"
    assert document["ticks"]["hz"] == load_board(board_id).mcu.clock_hz
    assert document["ticks"]["median"] > 0


def test_data_is_copied_bss_is_clear_and_the_fpu_is_on(probe: Probe) -> None:
    assert probe.ask(b"d") == [0x11111111, 0, 0x22222222, 0, 0x33333333, 0]
    assert probe.ask(b"f") == [475]


def test_every_byte_comes_back_in_order(probe: Probe) -> None:
    letters = bytes(range(ord("0"), ord("9") + 1)) * 500
    probe.send(letters)
    assert probe.take(len(letters)) == letters
    assert probe.ask(b"n") == [0]


def test_ring_that_overflows_keeps_the_first_bytes_and_counts_the_rest(probe: Probe) -> None:
    (ring_bytes,) = probe.ask(b"o")
    digits = b"0123456789" * (ring_bytes // 10 + 2)
    probe.send(digits[: ring_bytes + 10])
    assert probe.take(1) == b"\n"
    assert probe.take(ring_bytes) == digits[:ring_bytes]
    assert probe.ask(b"n") == [10]


def test_systick_counts_at_the_clock_of_the_image(built: tuple[str, BuildResult], probe: Probe) -> None:
    clock_hz = load_board(built[0]).mcu.clock_hz
    assert clock_hz is not None
    source, tick_hz, core_hz, short, long = probe.ask(b"t")
    assert (source, tick_hz, core_hz) == (TICKS_SYSTICK, clock_hz, clock_hz)
    # One instruction takes 1 ns (device.emulator). Each reading may be a tick early.
    assert abs(long - short - 4 * 99_000 * clock_hz // 10**9) <= 2


def test_stack_use_is_measured(probe: Probe) -> None:
    size, before, after = probe.ask(b"s")
    assert size == 8192
    assert 0 < before < 1024
    assert before + 20 * 64 <= after < 4096


@pytest.mark.parametrize(
    ("command", "cfsr"), [(b"!", PRECISERR), (b"u", UNDEFINSTR)], ids=["bad address", "udf"]
)
def test_fault_is_recorded_and_the_firmware_starts_again(probe: Probe, command: bytes, cfsr: int) -> None:
    cause, faulted, pc, _, found_cfsr, _ = probe.ask(command)
    assert (cause, faulted) == (SOFTWARE_RESET, 1)
    assert found_cfsr & cfsr
    assert 0 < pc < 0x80000
    assert probe.ask(b"R") == [SOFTWARE_RESET, 0, 0, 0, 0, 0]


def test_stack_overflow_faults_and_is_recorded(probe: Probe) -> None:
    cause, faulted, *_ = probe.ask(b"S")
    assert (cause, faulted) == (SOFTWARE_RESET, 1)
    assert probe.ask(b"d") == [0x11111111, 0, 0x22222222, 0, 0x33333333, 0]


def large_model() -> bytes:
    """PAD to 420 x 420 x 4 (705,600 B), then MEAN: little to send, but much RAM."""
    model = TfliteBuilder()
    x = model.tensor((1, 8, 8, 4), scale=0.5, zero_point=3, name="x")
    edges = model.tensor((4, 2), "INT32", data=[0, 0, 206, 206, 206, 206, 0, 0], name="edges")
    wide = model.tensor((1, 420, 420, 4), scale=0.5, zero_point=3, name="wide")
    axes = model.tensor((2,), "INT32", data=[1, 2], name="axes")
    y = model.tensor((1, 4), scale=0.001, zero_point=0, name="y")
    model.operator("PAD", [x, edges], [wide])
    model.operator("MEAN", [wide, axes], [y], KeepDims=False)
    return model.build([x], [y])


@pytest.mark.parametrize("board_id", ["mps2_an386", "mps3_an547"])
def test_a_model_with_a_large_arena_runs(board_id: str, tmp_path: Path) -> None:
    """On the AN547 it lies in SRAM, because DTCM is too small for it."""
    require_tools(load_board(board_id), emulator=True)
    model, project, report = tmp_path / "large.tflite", tmp_path / "project", tmp_path / "report"
    model.write_bytes(large_model())
    assert main(["generate", str(model), "--board", board_id, "--out", str(project)]) == 0
    assert main(["build", str(project)]) == 0
    assert main(["verify", str(project), "--random", "3", "--out", str(report), "--no-litert"]) == 0
    assert json.loads((report / "report.json").read_text())["identical"] == 3
    with pytest.raises(BudgetError, match=r"^nucleo_l4r5zi: arena needs \d+ B, \d+ B too many"):
        generate(model, load_board("nucleo_l4r5zi"), "aot", tmp_path / "small")

# SPDX-License-Identifier: Apache-2.0
"""The images that flash tools get: they are one firmware, and what a tool writes from them boots."""

import os
import signal
import socket
import sys
from pathlib import Path

import pytest
from elftools.elf.elffile import ELFFile

from mcu_ser.board import load_board
from mcu_ser.flash.flash import Limits, flash, plan
from mcu_ser.generate.project import Project
from mcu_ser.programs import QEMU_ARM
from mcu_ser.toolchain.build import build
from tests.stm32_firmware import generate_tiny, require_tools

pytestmark = pytest.mark.emulator

# Stands for dfu-util: "writes" the image at its address into the flash of an emulated board and starts that.
DFU_UTIL = """\
#!{python}
import pathlib, subprocess, sys
image, address = sys.argv[sys.argv.index("--download") + 1], sys.argv[sys.argv.index("--dfuse-address") + 1]
address, _, leave = address.partition(":")
assert leave == "leave"
# The stack pointer and the reset vector of an STM32 are read from where the flash begins.
child = subprocess.Popen(
    ["{qemu}", "-M", "netduinoplus2", "-display", "none", "-monitor", "none",
     "-device", f"loader,file={{image}},addr={{address}},force-raw=on",
     "-serial", "tcp:127.0.0.1:{port},server=on,wait=on,nodelay=on", "-icount", "shift=0,sleep=off"],
    stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True)
pathlib.Path("{pid}").write_text(str(child.pid))
print("File downloaded successfully")
print("dfu-util: Error during download get_status")
sys.exit(74)
"""


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Project:
    board = load_board("netduinoplus2")
    require_tools(board, emulator=True)
    project = generate_tiny(tmp_path_factory.mktemp("images"), board)
    build(project)
    return project


def flash_content(elf: Path) -> tuple[int, bytes]:
    """Address and bytes of what an ELF puts into flash, gaps as zeros."""
    with elf.open("rb") as stream:
        segments = [
            (segment["p_paddr"], segment.data())
            for segment in ELFFile(stream).iter_segments()
            if segment["p_type"] == "PT_LOAD" and segment["p_filesz"]
        ]
    return placed(segments)


def placed(parts: list[tuple[int, bytes]]) -> tuple[int, bytes]:
    first = min(address for address, _ in parts)
    content = bytearray(max(address + len(data) for address, data in parts) - first)
    for address, data in parts:
        content[address - first : address - first + len(data)] = data
    return first, bytes(content)


def intel_hex(path: Path) -> tuple[int, bytes]:
    """Address and bytes of an Intel hex file: record 0 is data, 1 the end, 2 and 4 upper address bits."""
    parts, base = [], 0
    for line in path.read_text().splitlines():
        record = bytes.fromhex(line.removeprefix(":"))
        assert sum(record) % 256 == 0
        length, offset, kind, data = record[0], int.from_bytes(record[1:3], "big"), record[3], record[4:-1]
        assert len(data) == length
        if kind == 0:
            parts.append((base + offset, data))
        elif kind in {2, 4}:
            base = int.from_bytes(data, "big") << (4 if kind == 2 else 16)
        else:
            assert kind in {1, 3, 5}
    return placed(parts)


def test_elf_bin_and_hex_are_one_firmware(project: Project) -> None:
    elf = flash_content(project.elf_path)
    assert elf[0] == project.board.flash_regions[0].origin
    assert intel_hex(project.elf_path.with_suffix(".hex")) == elf
    assert project.elf_path.with_suffix(".bin").read_bytes() == elf[1]


def test_what_is_written_to_the_start_of_the_flash_boots_and_answers(
    project: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    pid = tmp_path / "pid"
    tool = tmp_path / "dfu-util"
    tool.write_text(DFU_UTIL.format(python=sys.executable, qemu=QEMU_ARM.require(), port=port, pid=pid))
    tool.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    planned = plan(project, port=f"socket://127.0.0.1:{port}", list_ports=lambda: ())
    assert planned.runner.name == "dfu_util"
    try:
        result = flash(planned, limits=Limits(tool_s=60, answer_s=60))
        assert result.hello.build_id == project.build_id
        assert result.hello.board_id == "netduinoplus2"
    finally:
        if pid.exists():
            os.kill(int(pid.read_text()), signal.SIGKILL)

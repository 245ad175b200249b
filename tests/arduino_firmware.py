# SPDX-License-Identifier: Apache-2.0
"""Builds Arduino projects for tests against the stand-in of the Arduino API, and runs them in QEMU."""

from __future__ import annotations

import os
import shutil
import socket
import struct
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

import numpy as np
import numpy.typing as npt
import pytest
from elftools.elf.elffile import ELFFile

from mcu_ser.board import load_board
from mcu_ser.device.process import SupervisedProcess
from mcu_ser.generate.project import Project, generate
from mcu_ser.programs import QEMU_ARM
from mcu_ser.toolchain.build import build

BOARD = "arduino_nano_33_ble"
CORE = Path(__file__).parent / "arduino" / "core"
# What boards.txt and the variant of the core say, but for the language.
TARGET = ("-mcpu=cortex-m4", "-mthumb", "-mfpu=fpv4-sp-d16", "-mfloat-abi=softfp", "-Os", "-funsigned-char")
SECTIONS = ("-ffunction-sections", "-fdata-sections")
DEFINES = ("-DARDUINO=10607", "-DARDUINO_ARCH_MBED", "-DARDUINO_ARDUINO_NANO33BLE")
LANGUAGE = {
    ".c": ("arm-none-eabi-gcc", "-std=gnu11"),
    ".cpp": ("arm-none-eabi-g++", "-std=gnu++14", "-fno-rtti", "-fno-exceptions", "-fno-threadsafe-statics"),
}
# -Wpedantic finds what gnu++14 takes from later standards and the core's GCC 7 would not.
STRICT = ("-Wall", "-Wextra", "-Wpedantic", "-Werror")
PROGRAMS = ("arm-none-eabi-gcc", "arm-none-eabi-g++", "arm-none-eabi-objcopy")


def require_arduino_tools(*more: str) -> None:
    """Skip the test, with the reason, unless the compiler and `more` programs are installed."""
    missing = [program for program in (*PROGRAMS, *more) if shutil.which(program) is None]
    if missing:
        pytest.skip(f"not installed: {', '.join(missing)}")


def sketch_sources(sketch: Path, work: Path) -> list[Path]:
    """What arduino-cli compiles of a sketch: src/ as it is, and the .ino with Arduino.h before it."""
    ino = sketch / f"{sketch.name}.ino"
    preprocessed = work / f"{ino.name}.cpp"
    preprocessed.write_text(f'#include <Arduino.h>\n#line 1 "{ino}"\n{ino.read_text()}')
    below = sorted((sketch / "src").rglob("*"))
    return [preprocessed, *(path for path in below if path.suffix in LANGUAGE)]


def compile_sketch(sketch: Path, elf: Path) -> None:
    """Compile and link a sketch with the stand-in core, as arduino-cli would: no include path into src/."""
    elf.parent.mkdir(parents=True, exist_ok=True)
    objects = []
    core = [CORE / "core.cpp", CORE / "pdm.cpp", CORE / "mbed_hal.c"]
    for number, source in enumerate([*sketch_sources(sketch, elf.parent), *core]):
        compiler, *language = LANGUAGE[source.suffix]
        objects.append(str(elf.parent / f"{number}-{source.name}.o"))
        command = [compiler, *language, *TARGET, *SECTIONS, *DEFINES, *STRICT, f"-I{CORE}", f"-I{sketch}"]
        _run([*command, "-c", str(source), "-o", objects[-1]])
    link = ["-nostartfiles", "--specs=nano.specs", "-Wl,--gc-sections", f"-Wl,-T,{CORE / 'core.ld'}"]
    _run(["arm-none-eabi-gcc", *TARGET, *link, *objects, "-o", str(elf)])
    _run(["arm-none-eabi-objcopy", "-O", "binary", str(elf), str(elf.with_suffix(".bin"))])


def _run(command: Sequence[str]) -> None:
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    if done.returncode:
        sys.exit(done.stderr)


def put_stand_in_arduino_cli(directory: Path) -> None:
    """`arduino-cli compile` as a program that compiles with the stand-in core."""
    directory.mkdir(exist_ok=True)
    root = Path(__file__).parents[1]
    code = (
        "import sys; from pathlib import Path; "
        f"sys.path.insert(0, {str(root)!r}); from tests.arduino_firmware import compile_sketch; "
        "sketch = Path(sys.argv[-1]); out = Path(sys.argv[sys.argv.index('--build-path') + 1]); "
        "compile_sketch(sketch, out / f'{sketch.name}.ino.elf')"
    )
    program = directory / "arduino-cli"
    program.write_text(f'#!/bin/sh\nexec {sys.executable} -c "{code}" "$@"\n')
    program.chmod(0o755)


def build_sketch(
    directory: Path,
    model: Path,
    monkeypatch: pytest.MonkeyPatch,
    edits: Sequence[tuple[str, str, str]] = (),
    front_end: Path | None = None,
) -> Project:
    """A built project of a model; `edits` are (file, old text, new text), as a user would edit it."""
    require_arduino_tools()
    project = generate(model, load_board(BOARD), "aot", directory / "project", front_end=front_end)
    build_with_stand_in(project, directory, monkeypatch, edits)
    return project


def build_with_stand_in(
    project: Project,
    directory: Path,
    monkeypatch: pytest.MonkeyPatch,
    edits: Sequence[tuple[str, str, str]] = (),
) -> None:
    """Build a project with the stand-in core; `directory` gets the program that does."""
    for name, old, new in edits:
        path = project.root / name
        text = path.read_text()
        assert text.count(old) == 1, f"{old!r} must stand in {name} once"
        path.write_text(text.replace(old, new))
    put_stand_in_arduino_cli(directory / "tools")
    monkeypatch.setenv("PATH", f"{directory / 'tools'}:{os.environ['PATH']}")
    build(project)


@dataclass(frozen=True)
class Report:
    """What the stand-in core has seen of the sketch."""

    begins: int
    baud: int
    writes: int
    longest_write: int
    refused_writes: int
    stack_used: int


class SketchEmulator:
    """A device for `Link`: a sketch that runs in QEMU, with the tester's hand on the cable."""

    baud = 115200

    def __init__(self, elf: Path, microphone: Path | None = None) -> None:
        """`microphone` is what it hears, as `microphone_image` makes it; without it there is none."""
        self._elf = elf
        self._microphone = microphone

    def __enter__(self) -> SketchEmulator:
        with (
            socket.create_server(("127.0.0.1", 0)) as cable,
            socket.create_server(("127.0.0.1", 0)) as tester,
        ):
            argv = _qemu_argv(self._elf, cable.fileno(), tester.fileno(), self._microphone)
            self._process = SupervisedProcess(argv, pass_fds=[cable.fileno(), tester.fileno()])
            self.url = f"socket://127.0.0.1:{cable.getsockname()[1]}"
            self._tester = socket.create_connection(tester.getsockname())
        self._tester.settimeout(20)
        waits = self._process.wait_for_output("waiting for connection", 20.0, stderr=True)
        assert waits is not None, self._process.last_words()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._tester.close()
        self._process.stop()

    def raise_if_dead(self, wait_s: float = 0.0) -> None:
        assert self._process.returncode(wait_s) is None, self._process.last_words()

    def close_port(self) -> None:
        """DTR goes low."""
        self._tell(b"0")

    def open_port(self) -> None:
        """DTR goes high."""
        self._tell(b"1")

    def press_reset(self) -> None:
        """The reset button; afterwards the port is closed."""
        with self.restart():
            self._tester.sendall(b"R")

    @contextmanager
    def restart(self) -> Iterator[None]:
        """Wait until what the block does has restarted the board; afterwards the port is closed."""
        self.report()  # what was said before is read
        yield
        assert self._line() == "start"

    def report(self) -> Report:
        """What was seen since the last reset."""
        self._tester.sendall(b"?")
        line = self._line()
        while line == "start":
            line = self._line()
        return Report(*map(int, line.split()))

    def microphone_report(self) -> tuple[int, bool, int]:
        """Blocks that the microphone has given, whether it is on, and the lights: 1 red, 2 green, 4 blue."""
        self._tester.sendall(b"M")
        line = self._line()
        while line == "start":
            line = self._line()
        blocks, is_on, lights = map(int, line.split())
        return blocks, bool(is_on), lights

    def _line(self) -> str:
        line = b""
        while not line.endswith(b"\n"):
            byte = self._tester.recv(1)
            assert byte, self._process.last_words()
            line += byte
        return line.decode().strip()

    def _tell(self, command: bytes) -> None:
        self._tester.sendall(command)
        self.report()  # answered in order, so the command has been heard


def _vectors(elf: Path) -> Path:
    """The sketch's stack and entry: the boot loader jumps by them, QEMU starts with those at address 0."""
    image = elf.with_suffix(".vectors")
    with elf.open("rb") as stream:
        image.write_bytes(ELFFile(stream).get_section_by_name(".text").data()[:8])
    return image


def microphone_image(path: Path, pcm: npt.NDArray[np.int16], cycles_per_instruction: float) -> Path:
    """What the stand-in's microphone hears, a block every 16 ms of a core of 64 MHz.

    QEMU counts instructions, a nanosecond each; the timer that gives the blocks has 25 MHz.
    """
    instructions = 0.016 * 64e6 / cycles_per_instruction
    ticks = round(instructions * 1e-9 * 25e6)
    path.write_bytes(struct.pack("<II", ticks, len(pcm)) + pcm.astype("<i2").tobytes())
    return path


def _qemu_argv(elf: Path, cable: int, tester: int, microphone: Path | None) -> list[str]:
    heard = (
        [] if microphone is None else ["-device", f"loader,file={microphone},addr=0x21000000,force-raw=on"]
    )
    return [
        str(QEMU_ARM.require()),
        *("-M", "mps2-an386"),
        *("-kernel", str(elf)),
        *("-device", f"loader,file={_vectors(elf)},addr=0,force-raw=on"),
        *heard,
        *("-display", "none"),
        *("-monitor", "none"),
        *("-chardev", f"socket,id=tester,fd={tester},server=on,wait=off,nodelay=on"),
        *("-chardev", f"socket,id=cable,fd={cable},server=on,wait=on,nodelay=on"),
        *("-serial", "chardev:cable"),
        *("-serial", "chardev:tester"),
        *("-icount", "shift=0,sleep=off"),
    ]


class AvrEmulator:
    """A device for `Link`: a sketch that runs on QEMU's Arduino Mega 2560."""

    baud = 115200

    def __init__(self, elf: Path) -> None:
        self._elf = elf

    def __enter__(self) -> AvrEmulator:
        with socket.create_server(("127.0.0.1", 0)) as cable:
            self._process = SupervisedProcess(self._argv(cable.fileno()), pass_fds=[cable.fileno()])
            self.url = f"socket://127.0.0.1:{cable.getsockname()[1]}"
        waits = self._process.wait_for_output("waiting for connection", 20.0, stderr=True)
        assert waits is not None, self._process.last_words()
        return self

    def _argv(self, cable: int) -> list[str]:
        qemu = shutil.which("qemu-system-avr")
        assert qemu is not None
        return [
            qemu,
            *("-M", "mega2560"),
            *("-bios", str(self._elf)),
            *("-display", "none"),
            *("-monitor", "none"),
            *("-chardev", f"socket,id=cable,fd={cable},server=on,wait=on,nodelay=on"),
            *("-serial", "chardev:cable"),
        ]

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._process.stop()

    def raise_if_dead(self, wait_s: float = 0.0) -> None:
        assert self._process.returncode(wait_s) is None, self._process.last_words()

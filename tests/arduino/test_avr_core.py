# SPDX-License-Identifier: Apache-2.0
"""The sketch's skeleton with a real Arduino core: Debian's for AVR, on QEMU's Mega 2560.

An int of 16 bits, 8 KB of RAM, a receive buffer that overflows, GCC 5: what holds here is portable. The
engine is the obedient one of the protocol tests.
"""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from mcu_ser.device.link import Link
from mcu_ser.resources import firmware_templates_dir
from mcu_ser.verify.client import Client
from mcu_ser.verify.messages import ResetCause, TickSource
from tests.arduino_firmware import AvrEmulator, sketch_sources
from tests.native_firmware import ENGINE, TestModel

pytestmark = pytest.mark.emulator

# Engines, the program of the host, and what only some projects have.
OF_FRONT_END = ("server_audio.", "server_listen.", "audio_ring.", "port_microphone.")
ABSENT = ("engine_", "main.", "server_layers.", "layer_trace.", *OF_FRONT_END)

ARDUINO = Path("/usr/share/arduino/hardware/arduino/avr")
CORE, VARIANT = ARDUINO / "cores" / "arduino", ARDUINO / "variants" / "mega"
# boards.txt and platform.txt, without link-time optimisation.
TARGET = ("-mmcu=atmega2560", "-Os", "-ffunction-sections", "-fdata-sections")
DEFINES = (
    *("-DF_CPU=16000000L", "-DARDUINO=10819", "-DARDUINO_AVR_MEGA2560", "-DARDUINO_ARCH_AVR"),
    # GCC 5 has it in no header of gnu++11, and the core's WString.cpp wants it.
    "-DDECIMAL_DIG=__DECIMAL_DIG__",
    # The longest frame must fit the receive buffer of a UART.
    *("-DSERIAL_RX_BUFFER_SIZE=256", "-DSERVER_MAX_PAYLOAD=212u"),
)
LANGUAGE = {
    ".S": ("avr-gcc", "-x", "assembler-with-cpp"),
    ".c": ("avr-gcc", "-std=gnu11"),
    ".cpp": ("avr-g++", "-std=gnu++11", "-fno-exceptions", "-fno-threadsafe-statics"),
}
STRICT = ("-Wall", "-Wextra", "-Wpedantic", "-Werror")
MODEL = TestModel(input_bytes=100, output_bytes=5, board="mega2560")


def compile_all(
    sources: list[Path], include: list[Path], directory: Path, flags: tuple[str, ...]
) -> list[Path]:
    directory.mkdir()
    objects = []
    for source in sources:
        objects.append(directory / f"{source.name}.o")
        command = [
            *LANGUAGE[source.suffix],
            *TARGET,
            *DEFINES,
            *flags,
            f"-I{CORE}",
            f"-I{VARIANT}",
        ]
        command += [*(f"-I{path}" for path in include), "-c", str(source), "-o", str(objects[-1])]
        subprocess.run(command, check=True, timeout=120)
    return objects


def write_sketch(directory: Path) -> Path:
    """The files of the Arduino template around the test engine."""
    templates = firmware_templates_dir()
    sketch = directory / "skeleton"
    (sketch / "src").mkdir(parents=True)
    shutil.copy(templates / "arduino" / "firmware.ino", sketch / "skeleton.ino")
    runtime = [p for p in (templates / "runtime").glob("*.[ch]") if not p.name.startswith(ABSENT)]
    port = [templates / "arduino" / "port_arduino.cpp", templates / "arduino" / "mcu.h"]
    for path in (*runtime, *port, ENGINE, Path(__file__).with_name("mcu_avr.cpp")):
        shutil.copy(path, sketch / "src")
    (sketch / "src" / "model_info.h").write_text(MODEL.header())
    return sketch


@pytest.fixture(scope="module")
def elf(tmp_path_factory: pytest.TempPathFactory) -> Path:
    missing = [name for name in ("avr-gcc", "avr-g++", "qemu-system-avr") if shutil.which(name) is None]
    if missing or not CORE.is_dir():
        pytest.skip(f"not installed: {', '.join(missing or ['arduino-core-avr'])}")
    directory = tmp_path_factory.mktemp("avr")
    core = [path for path in sorted(CORE.iterdir()) if path.suffix in LANGUAGE]
    core_objects = compile_all(core, [], directory / "core", ("-w",))
    sketch = write_sketch(directory)
    (directory / "work").mkdir()
    own = compile_all(sketch_sources(sketch, directory / "work"), [sketch], directory / "own", STRICT)
    elf = directory / "skeleton.elf"
    link = ["avr-gcc", *TARGET, "-Wl,--gc-sections", *map(str, [*own, *core_objects]), "-lm", "-o", str(elf)]
    subprocess.run(link, check=True, timeout=120)
    return elf


@pytest.fixture
def board(elf: Path):
    with AvrEmulator(elf) as board:
        yield board


def test_hello_and_echo(board: AvrEmulator) -> None:
    with Link(board) as link:
        client = Client(link)
        hello = client.hello()
        assert (hello.board_id, hello.max_payload, hello.credit) == ("mega2560", 212, 1)
        assert (hello.tick_source, hello.core_hz) == (TickSource.NONE, 16_000_000)
        assert (hello.input_bytes, hello.output_bytes) == (100, 5)
        for length in (0, 1, 63, 64, 65, 128, 208):
            data = bytes(n % 256 for n in range(length))
            assert client.echo(data) == data


def test_inferences_are_those_of_the_engine(board: AvrEmulator) -> None:
    with Link(board) as link:
        client = Client(link)
        client.hello()
        for index, sample in enumerate(MODEL.samples(5)):
            assert client.run(index, sample.tobytes()).output == MODEL.expected_output(sample.tobytes())
        assert client.stats().inferences == 5


def test_garbage_that_overflows_the_receive_buffer(board: AvrEmulator) -> None:
    with Link(board) as link:
        link.write(b"AT\r\x00" + bytes(range(256)) * 12)
        client = Client(link)
        client.hello()
        assert client.echo(b"still here") == b"still here"


def test_restart_is_announced(board: AvrEmulator) -> None:
    with Link(board) as link:
        client = Client(link)
        client.hello()
        boot = client.reset()
        assert boot is not None
        assert boot.reset_cause == ResetCause.UNKNOWN
        assert client.hello().board_id == "mega2560"

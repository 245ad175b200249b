# SPDX-License-Identifier: Apache-2.0
from pathlib import Path

import pytest

from mcu_ser.board import load_board, parse_board
from mcu_ser.board.arduino import ArduinoBuild
from mcu_ser.errors import ConfigError
from mcu_ser.resources import boards_dir

TEXT = (boards_dir() / "arduino_nano_33_ble.yaml").read_text()
PATH = Path("arduino_nano_33_ble.yaml")
BOARDS = ("arduino_nano_33_ble", "arduino_nano_33_ble_sense")


@pytest.mark.parametrize("board_id", BOARDS)
def test_core_and_libraries_are_pinned(board_id: str) -> None:
    build = load_board(board_id).build
    assert isinstance(build, ArduinoBuild)
    assert (build.fqbn, build.profile) == ("arduino:mbed_nano:nano33ble", "nano33ble")
    assert (build.core.package, build.core.version) == ("arduino:mbed_nano", "4.6.0")
    assert build.platformio is not None
    assert (build.platformio.platform, build.platformio.version) == ("nordicnrf52", "10.11.0")
    # The Library Manager matches letter by letter; the header is spelled otherwise.
    assert build.tflm_library is not None
    assert build.tflm_library.name == "Chirale_TensorFLowLite"
    assert build.tflm_library.header == "Chirale_TensorFlowLite.h"


def test_memory_is_what_the_boot_loader_leaves() -> None:
    board = load_board("arduino_nano_33_ble")
    assert (board.flash_regions[0].origin, board.flash_bytes) == (0x10000, 960 * 1024)
    assert board.flash_regions[0].end == 1024 * 1024
    assert board.ram_bytes == 256 * 1024
    assert board.budget is not None
    # An empty sketch takes about 46 KB, the main thread's 32 KB stack included; USB needs a heap.
    assert board.budget.arena_bytes + 46 * 1024 + 16 * 1024 <= 256 * 1024
    assert board.budget.stack_bytes == 32768


def test_the_port_may_never_be_opened_at_1200_baud() -> None:
    board = load_board("arduino_nano_33_ble")
    assert board.serial.touch_1200bps
    assert board.serial.baud != 1200
    with pytest.raises(ConfigError, match=r"serial\.baud: 1200: "):
        parse_board(TEXT.replace("baud: 115200", "baud: 1200"), PATH)


def test_the_boards_differ_in_the_microphone_alone() -> None:
    plain, sense = (load_board(board_id) for board_id in BOARDS)
    assert plain.microphone is None
    assert sense.microphone is not None
    assert (sense.microphone.kind, sense.microphone.sample_rate_hz) == ("pdm", 16000)
    own = {"id", "name", "microphone"}
    assert plain.model_dump(exclude=own) == sense.model_dump(exclude=own)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("fqbn: arduino:mbed_nano:nano33ble", "fqbn: nano33ble", "build.fqbn: 'nano33ble': "),
        ("    version: 4.6.0", "    version: '>=4.0.0'", "build.core.version: '>=4.0.0': "),
        ("    version: 4.6.0", "    version: '4.6'", "build.core.version: '4.6': "),
        ("    version: 10.11.0", "    version: ^10.11.0", "build.platformio.version: '^10.11.0': "),
        ("    package: arduino:mbed_nano", "    package: mbed_nano", "build.core.package: 'mbed_nano': "),
        ("Chirale_TensorFlowLite.h", "<x>", "build.tflm_library.header: '<x>': "),
        ("  fqbn:", "  speed: 1\n  fqbn:", "build.speed: unknown key"),
    ],
)
def test_wrong_build_section_is_an_error(old: str, new: str, message: str) -> None:
    assert old in TEXT
    with pytest.raises(ConfigError) as caught:
        parse_board(TEXT.replace(old, new, 1), PATH)
    assert message in str(caught.value)


def test_build_section_is_that_of_the_platform() -> None:
    with pytest.raises(ConfigError, match=r"build\.fqbn: unknown key"):
        parse_board(TEXT.replace("platform: arduino\n", "platform: stm32\n"), PATH)

# SPDX-License-Identifier: Apache-2.0
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mcu_ser.board import Board, list_boards, load_board, parse_board
from mcu_ser.board.placement import largest_arena_bytes
from mcu_ser.errors import ConfigError
from mcu_ser.resources import boards_dir

STM32_YAML = (boards_dir() / "netduinoplus2.yaml").read_text()
HOST_YAML = (boards_dir() / "host.yaml").read_text()
PATH = Path("some/netduinoplus2.yaml")


def refusal(old: str, new: str, text: str = STM32_YAML) -> str:
    assert text.count(old) == 1, f"{old!r} must stand in the board file once"
    with pytest.raises(ConfigError) as caught:
        parse_board(text.replace(old, new), PATH)
    return str(caught.value)


def test_shipped_boards_are_valid_and_listed_by_id() -> None:
    board_ids = [board.id for board in list_boards()]
    assert board_ids == sorted(path.stem for path in boards_dir().glob("*.yaml"))
    assert {"host", "netduinoplus2", "nucleo_f446re"} <= set(board_ids)


def test_every_shipped_number_has_a_source() -> None:
    for board in list_boards():
        sources = [board.mcu.source, board.serial.source, *(region.source for region in board.memory)]
        assert all(sources)


def test_emulated_board_says_what_the_rest_relies_on() -> None:
    board = load_board("netduinoplus2")
    assert (board.platform, board.mcu.core, board.flash_bytes, board.ram_bytes) == (
        "stm32",
        "cortex-m4",
        1024 * 1024,
        128 * 1024,
    )
    assert board.emulator is not None
    assert (board.emulator.machine, board.emulator.serial_index) == ("netduinoplus2", 0)
    assert board.budget is not None
    assert board.budget.arena_bytes + board.budget.stack_bytes <= 128 * 1024


def test_host_has_no_limits() -> None:
    board = load_board("host")
    assert (board.flash_bytes, board.ram_bytes, board.budget, board.memory) == (None, None, None, ())


def test_board_keeps_the_text_of_its_file() -> None:
    assert load_board("netduinoplus2").yaml_text == STM32_YAML


def test_board_is_frozen() -> None:
    board = load_board("host")
    with pytest.raises(ValueError, match="frozen"):
        board.name = "other"


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("  clock_hz: 168000000", "  clok_hz: 168000000", "mcu.clok_hz: unknown key"),
        ("vendor: Secret Labs\n", "", "vendor: missing"),
        ("    bytes: 131072", "    bytes: 128 KB", "memory.1.bytes: '128 KB': "),
        ("    bytes: 131072", "    bytes: '131072'", "memory.1.bytes: '131072': "),
        ("    bytes: 131072", "    bytes: 0", "memory.1.bytes: 0: "),
        ("    kind: ram", "    kind: rom", "memory.1.kind: 'rom': input should be 'flash' or 'ram'"),
        ("platform: stm32", "platform: stm8", "platform: 'stm8': "),
        ("    base: 0x40011000", "    base: 0x140011000", "build.uart.base: 5368778752: "),
        ("    driver: uart_v1", "    driver: uart_v9", "build.uart.driver: 'uart_v9': "),
        ("  family: stm32f4", "  family: stm32f4\n  speed: high", "build.speed: unknown key"),
        ("  level: emulated", "  level: perfect", "status.level: 'perfect': "),
        ("  date: 2026-11-22", "  date: soon", "status.date: 'soon': "),
        ("id: netduinoplus2", "id: Netduino-Plus", "id: 'Netduino-Plus': "),
        ("name: Netduino Plus 2", "name: '*/ evil /*'", "name: '*/ evil /*': "),
        ("  core: cortex-m4", "  core: 'm4)'", "mcu.core: 'm4)': "),
        ("-mthumb, ", "-mthumb, -DX=1, ", "build.cflags.2: '-DX=1': "),
    ],
)
def test_wrong_key_or_value_is_named_with_its_place(old: str, new: str, message: str) -> None:
    text = refusal(old, new)
    assert text.startswith(f"{PATH}: ")
    assert message in text


def test_missing_source_is_an_error() -> None:
    for line in STM32_YAML.splitlines():
        if line.strip().startswith("source:") and not line.rstrip().endswith(">-"):
            where = STM32_YAML.replace(line + "\n", "", 1)
            with pytest.raises(ConfigError, match=r"source: missing"):
                parse_board(where, PATH)


def test_every_problem_is_told_at_once() -> None:
    text = refusal("vendor: Secret Labs", "vendr: Secret Labs")
    assert "vendor: missing" in text
    assert "vendr: unknown key" in text


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (
            "  arena_bytes: 114688",
            "  arena_bytes: 114704",
            "budget: an arena of 114704 B is 16 B too large beside 8192 B of stack and 8192 B of data "
            "(RAM 131072 B)",
        ),
        (
            "  flash_reserve_bytes: 32768",
            "  flash_reserve_bytes: 1048577",
            "budget: flash reserve is 1048577 B, FLASH has 1048576 B",
        ),
        ("    origin: 0x20000000", "    origin: 0x08080000", "memory regions FLASH and RAM overlap"),
        ("    origin: 0x20000000", "    origin: 0xFFFFFF00", "RAM ends at 0x10001ff00, limit 0x100000000"),
        ("  - name: RAM", "  - name: FLASH", "memory has two regions of one name"),
        ("    kind: ram", "    kind: flash", "memory needs a flash and a ram region"),
        (
            "  clock_hz: 168000000",
            "  clock_hz: 160000000",
            "gives 168000000 Hz, mcu.clock_hz is 160000000 Hz",
        ),
        ("n: 168,", "n: 432,", "build.clock: VCO output is 864000000 Hz, limit 100000000 to 432000000 Hz"),
        ("{m: 8,", "{m: 4,", "VCO input is 4000000 Hz, limit 950000 to 2100000 Hz"),
        ("apb1_divider: 4", "apb1_divider: 2", "APB1 clock is 84000000 Hz, limit 42000000 Hz"),
        ("apb2_divider: 2", "apb2_divider: 1", "APB2 clock is 168000000 Hz, limit 84000000 Hz"),
        ("max_sysclk_hz: 168000000", "max_sysclk_hz: 84000000", "core clock is 168000000 Hz, limit 84000000"),
        ("  baud: 115200", "  baud: 921600", "serial.baud 921600 is 2.1% off at full or reset clock"),
    ],
)
def test_impossible_sum_is_an_error(old: str, new: str, message: str) -> None:
    assert message in refusal(old, new)


def test_regions_may_touch() -> None:
    board = parse_board(STM32_YAML.replace("origin: 0x20000000", "origin: 0x08100000"), PATH)
    assert board.flash_regions[0].end == board.ram_regions[0].origin


def test_shipped_boards_offer_all_the_ram_there_is() -> None:
    for board in list_boards():
        if board.budget is not None and board.platform != "arduino":
            budget = board.budget
            largest = largest_arena_bytes(board.ram_regions, budget.stack_bytes, budget.data_bytes)
            assert budget.arena_bytes == largest, board.id


def test_microcontroller_needs_a_budget_and_a_host_none() -> None:
    budget = STM32_YAML[STM32_YAML.index("budget:") : STM32_YAML.index("microphone:")]
    assert "budget is missing" in refusal(budget, "budget: null\n")
    assert "must be empty and null" in refusal("budget: null", budget, HOST_YAML)


def flash_refusal(section: str) -> str:
    return refusal("flash: null", f"flash: {section}", HOST_YAML)


@pytest.mark.parametrize(
    ("section", "message"),
    [
        (
            "{default: bossac, runners: {mass_storage: {labels: [A], source: s}}}",
            "flash: default runner 'bossac' is not among ['mass_storage']",
        ),
        ("{default: jlink, runners: {jlink: {device: A}}}", "flash.runners.jlink: unknown key"),
        (
            "{default: dfu_util, runners: {dfu_util: {usb_id: [1155, 57105], serial: 1, source: s}}}",
            "flash.runners.dfu_util.serial: unknown key",
        ),
        ("{default: openocd, runners: {openocd: {scripts: [a.cfg]}}}", "openocd.source: missing"),
        ("{default: openocd, runners: {openocd: {scripts: [], source: s}}}", "openocd.scripts: ()"),
        ("{default: openocd, runners: {openocd: {scripts: [-c], source: s}}}", "openocd.scripts.0: '-c'"),
        ("{default: openocd, runners: {openocd: {scripts: [a b], source: s}}}", "openocd.scripts.0: 'a b'"),
        (
            "{default: dfu_util, runners: {dfu_util: {usb_id: [65536, 1], alternate_setting: 0, source: s}}}",
            "dfu_util.usb_id.0: 65536",
        ),
    ],
)
def test_flash_sections_that_are_refused(section: str, message: str) -> None:
    assert message in flash_refusal(section)


def test_the_default_runner_is_tried_first() -> None:
    section = "flash: {default: pyocd, runners: {openocd: {scripts: [a.cfg], source: s}, pyocd: {target: t, "
    text = HOST_YAML.replace("flash: null", section + "pack: false, connect_under_reset: true, source: s}}}")
    board = parse_board(text, PATH)
    assert board.flash is not None
    assert board.flash.names == ("pyocd", "openocd")
    assert board.flash.runners.stflash is None


def test_every_board_that_one_can_buy_can_be_flashed() -> None:
    for board in list_boards():
        assert (board.flash is not None) == (board.platform in {"arduino", "stm32"}), board.id


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "no mapping of keys at the top"),
        ("- a\n- b\n", "no mapping of keys at the top"),
        ("id: [", "is not a board file: "),
        ("id: a\nid: b\n", "key 'id' is repeated"),
        ("a: &x {b: *x}\n", "aliases (*name) are not allowed"),
        ("id: !!python/object/apply:os.system [ls]\n", "is not a board file: "),
        ("? {a: b}\n: c\n", "is not a board file: "),
        ("? [a, b]\n: c\n", "found unhashable key"),
        ("[" * 5000, "is not a board file: "),
        ("1: 2\n", "keys should be strings"),
    ],
)
def test_what_is_no_board_file_is_one_clear_line(text: str, message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse_board(text, PATH)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_repeated_key_deep_inside_is_an_error() -> None:
    assert "key 'm' is repeated" in refusal("{m: 8,", "{m: 8, m: 9,")


@given(st.text(max_size=200))
def test_any_text_is_refused_with_a_config_error(text: str) -> None:
    with pytest.raises(ConfigError):
        parse_board(text, PATH)


@given(st.data())
def test_any_line_left_out_is_refused_or_still_a_whole_board(data: st.DataObject) -> None:
    lines = STM32_YAML.splitlines(keepends=True)
    gone = data.draw(st.integers(0, len(lines) - 1))
    text = "".join(lines[:gone] + lines[gone + 1 :])
    try:
        board = parse_board(text, PATH)
    except ConfigError as error:
        assert str(PATH) in str(error)
    else:
        assert isinstance(board, Board)


def test_unknown_board_lists_the_known_ones() -> None:
    with pytest.raises(ConfigError) as caught:
        load_board("nucleo")
    known = ", ".join(board.id for board in list_boards())
    assert str(caught.value) == f"board 'nucleo': is not in mcu-ser; try: one of {known}"


@pytest.mark.parametrize("board_id", ["../boards/host", "", ".", "host.yaml", "host\0"])
def test_board_id_is_never_a_path(board_id: str) -> None:
    with pytest.raises(ConfigError, match="is not in mcu-ser"):
        load_board(board_id)


def test_boards_of_a_directory(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"holds no board files .*; try: --boards-dir"):
        list_boards(tmp_path)
    text = STM32_YAML.replace("id: netduinoplus2", "id: mine")
    (tmp_path / "mine.yaml").write_text(text)
    assert [board.id for board in list_boards(tmp_path)] == ["mine"]
    (tmp_path / "theirs.yaml").write_text(text)
    with pytest.raises(ConfigError, match="id: 'mine' is not the name of the file, 'theirs'"):
        list_boards(tmp_path)


def test_unreadable_board_file(tmp_path: Path) -> None:
    (tmp_path / "mine.yaml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ConfigError, match="cannot be read"):
        load_board("mine", tmp_path)

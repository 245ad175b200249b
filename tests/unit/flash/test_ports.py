# SPDX-License-Identifier: Apache-2.0
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mcu_ser.board import list_boards, load_board
from mcu_ser.errors import ConfigError, DeviceError
from mcu_ser.flash import ports
from mcu_ser.flash.ports import (
    PortRecord,
    access_problem,
    board_usb_ids,
    bootloader_usb_ids,
    find_port,
    list_ports,
    record_of,
    with_ids,
)

ST_LINK = PortRecord("/dev/ttyACM0", (0x0483, 0x374B), "0667FF31", "STM32 STLink", "1-1")
OTHER_ST_LINK = PortRecord("/dev/ttyACM1", (0x0483, 0x374B), "0668AA02", "STM32 STLink", "1-2")
NANO = PortRecord("/dev/ttyACM2", (0x2341, 0x805A), "B3A1", "Nano 33 BLE", "1-3")
NANO_LOADER = PortRecord("/dev/ttyACM3", (0x2341, 0x005A), "", "Arduino Nano 33 BLE", "1-3")
ADAPTER = PortRecord("/dev/ttyUSB0", (0x0403, 0x6001), "", "FT232R", "1-4")
BUILT_IN = PortRecord("/dev/ttyS0")
ALL = (ST_LINK, OTHER_ST_LINK, NANO, NANO_LOADER, ADAPTER, BUILT_IN)
NUCLEO = load_board("nucleo_f446re")
NANO_BOARD = load_board("arduino_nano_33_ble")


def test_a_port_is_found_by_the_ids_of_its_board() -> None:
    assert find_port(NUCLEO, [BUILT_IN, ADAPTER, ST_LINK, NANO]) == ST_LINK
    assert find_port(NANO_BOARD, [BUILT_IN, ADAPTER, ST_LINK, NANO]) == NANO


def test_a_board_that_waits_in_its_boot_loader_is_found_too() -> None:
    assert find_port(NANO_BOARD, [ST_LINK, NANO_LOADER]) == NANO_LOADER


def test_two_candidates_are_listed_and_none_is_chosen() -> None:
    with pytest.raises(ConfigError) as caught:
        find_port(NUCLEO, [ST_LINK, NANO, OTHER_ST_LINK])
    assert str(caught.value) == (
        "nucleo_f446re: 2 ports may be it: "
        "/dev/ttyACM0 (0483:374b, STM32 STLink, serial number 0667FF31); "
        "/dev/ttyACM1 (0483:374b, STM32 STLink, serial number 0668AA02); "
        "try: --port /dev/ttyACM0, or whichever it is"
    )


def test_no_candidate_says_what_was_seen() -> None:
    with pytest.raises(DeviceError) as caught:
        find_port(NANO_BOARD, [ST_LINK, BUILT_IN])
    assert str(caught.value) == (
        "arduino_nano_33_ble: no port has its USB ids (2341:805a); seen: "
        "/dev/ttyACM0 (0483:374b, STM32 STLink, serial number 0667FF31); /dev/ttyS0; "
        "try: a USB cable that carries data, or --port PORT"
    )
    with pytest.raises(DeviceError, match="seen: no port at all"):
        find_port(NANO_BOARD, [])


@pytest.mark.parametrize("board_id", ["stm32f407g_disc1", "netduinoplus2"])
def test_a_board_without_a_port_of_its_own_needs_it_named(board_id: str) -> None:
    with pytest.raises(ConfigError, match="so it cannot be found; try: --port with the port of the adapter"):
        find_port(load_board(board_id), ALL)


@given(st.permutations(ALL), st.sampled_from([(0x0483, 0x374B), (0x2341, 0x805A), (0x1234, 0x5678)]))
def test_matching_takes_all_of_the_id_and_nothing_else(
    records: list[PortRecord], usb_id: tuple[int, int]
) -> None:
    found = with_ids(records, [usb_id])
    assert set(found) == {record for record in records if record.usb_id == usb_id}


@given(st.lists(st.sampled_from(ALL), unique=True))
def test_a_port_is_found_exactly_if_one_may_be_it(records: list[PortRecord]) -> None:
    for board in (NUCLEO, NANO_BOARD):
        candidates = [record for record in records if record.usb_id in board_usb_ids(board)]
        try:
            assert [find_port(board, records)] == candidates
        except ConfigError:
            assert len(candidates) > 1
        except DeviceError:
            assert not candidates


def test_boot_loader_ids_are_no_ids_of_a_running_firmware() -> None:
    for board in list_boards():
        assert not set(bootloader_usb_ids(board)) & set(board.serial.usb_ids), board.id
        # Arduino's boards with a touch are those whose boot loader has a port of its own.
        assert bool(bootloader_usb_ids(board)) == board.serial.touch_1200bps, board.id


def test_records_hold_what_pyserial_lists(monkeypatch: pytest.MonkeyPatch) -> None:
    listed = [
        SimpleNamespace(
            device="/dev/ttyS0", vid=None, pid=None, serial_number=None, product=None, location=None
        ),
        SimpleNamespace(
            device="/dev/ttyACM0",
            vid=0x0483,
            pid=0x374B,
            serial_number="0667FF31",
            product="STM32 STLink",
            location="1-1:1.2",
        ),
    ]
    monkeypatch.setattr("serial.tools.list_ports.comports", lambda: listed)
    assert list_ports() == (ST_LINK, BUILT_IN)


def test_the_real_list_can_be_taken() -> None:
    assert all(isinstance(record, PortRecord) for record in list_ports())


def test_a_named_port_keeps_what_is_known_about_it(tmp_path) -> None:
    link = tmp_path / "by-id"
    link.symlink_to("/dev/ttyACM0")
    assert record_of("/dev/ttyACM0", ALL) == ST_LINK
    assert record_of(str(link), ALL) == ST_LINK
    assert record_of("socket://127.0.0.1:4001", ALL) == PortRecord("socket://127.0.0.1:4001")
    assert record_of("COM7", ALL) == PortRecord("COM7")


def test_only_a_probe_of_sts_has_a_serial_number_that_counts() -> None:
    assert ST_LINK.is_st_link
    assert not NANO.is_st_link
    assert not PortRecord("COM3", (0x0483, 0x374B)).is_st_link
    assert not PortRecord("COM3", (0x0483, 0x374B), "\xa6f\x8f").is_st_link


def test_a_port_that_may_not_be_opened_names_the_group(tmp_path, monkeypatch: pytest.MonkeyPatch) -> None:
    device = tmp_path / "ttyACM0"
    device.touch()
    assert access_problem(str(device)) is None
    assert access_problem(str(tmp_path / "absent")) is None
    monkeypatch.setattr(ports.os, "access", lambda path, mode: False)
    monkeypatch.setattr(ports.Path, "group", lambda path: "dialout")
    assert access_problem(str(device)) == (
        "this user may not open it (it belongs to group dialout)",
        "sudo usermod -aG dialout $USER, then log in again",
    )

# SPDX-License-Identifier: Apache-2.0
import dataclasses
import re
import struct

import pytest

from mcu_ser.resources import firmware_templates_dir
from mcu_ser.verify import protocol_header
from mcu_ser.verify.messages import (
    LAYOUTS,
    Boot,
    DeviceStats,
    FaultRecord,
    Hello,
    Inference,
    Layout,
    PayloadError,
    Refusal,
    Report,
    ResetCause,
    TickSource,
)
from mcu_ser.verify.protocol import ANSWER, MessageType

HELLO_VALUES = {
    "board_id": b"netduinoplus2",
    "engine": b"aot",
    "model_sha256": bytes(range(32)),
    "build_id": bytes(range(16)),
    "input_bytes": 490,
    "output_bytes": 12,
    "input_rank": 4,
    "output_rank": 2,
    "tick_source": 2,
    "reset_cause": 3,
    "input_shape": (1, 49, 10, 1, 0, 0),
    "output_shape": (1, 12, 0, 0, 0, 0),
    "input_scale_bits": 0x3F000000,
    "input_zero_point": -3,
    "output_scale_bits": 0x3B800000,
    "output_zero_point": -128,
    "arena_bytes": 16000,
    "arena_used": 15000,
    "core_hz": 168_000_000,
    "tick_hz": 84_000_000,
    "engine_status": -1,
    "fault_pc": 0,
    "fault_lr": 0,
    "fault_cfsr": 0,
    "fault_hfsr": 0,
    "rx_buffer_bytes": 2048,
    "max_payload": 512,
    "credit": 3,
    "features": 1,
}


def pack_hello(**changes):
    return LAYOUTS["HELLO_ANSWER"].pack(HELLO_VALUES | changes)


def test_hello_says_everything():
    hello = Hello.unpack(pack_hello())
    assert hello == Hello(
        board_id="netduinoplus2",
        engine="aot",
        model_sha256=bytes(range(32)).hex(),
        build_id=bytes(range(16)).hex(),
        input_bytes=490,
        output_bytes=12,
        input_shape=(1, 49, 10, 1),
        output_shape=(1, 12),
        input_scale_bits=0x3F000000,
        input_zero_point=-3,
        output_scale_bits=0x3B800000,
        output_zero_point=-128,
        tick_source=TickSource.TIM2,
        tick_hz=84_000_000,
        core_hz=168_000_000,
        reset_cause=ResetCause.SOFTWARE,
        arena_bytes=16000,
        arena_used=15000,
        engine_status=-1,
        fault=None,
        rx_buffer_bytes=2048,
        max_payload=512,
        credit=3,
        features=1,
    )


def test_hello_of_the_first_firmware_has_no_features_and_those_of_later_ones_may_be_unknown():
    assert Hello.unpack(pack_hello()[:-4]) == dataclasses.replace(Hello.unpack(pack_hello()), features=0)
    assert Hello.unpack(pack_hello(features=0xFFFF_FFFF)).features == 0xFFFF_FFFF
    for cut in (1, 3, 5):
        with pytest.raises(PayloadError):
            Hello.unpack(pack_hello()[:-cut])


def test_hello_brings_the_fault_of_the_previous_run():
    hello = Hello.unpack(
        pack_hello(fault_pc=0x08001234, fault_lr=1, fault_cfsr=0x8200, fault_hfsr=0x40000000)
    )
    assert str(hello.fault) == "pc 0x08001234, lr 0x00000001, cfsr 0x00008200, hfsr 0x40000000"


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"input_rank": 7}, "input of rank 7, limit 6"),
        ({"output_rank": 255}, "output of rank 255, limit 6"),
        ({"input_bytes": (1 << 24) + 1}, "input of 16777217 bytes, limit 16777216"),
        ({"output_bytes": 0xFFFFFFFF}, "output of 4294967295 bytes, limit 16777216"),
        ({"tick_source": 99}, "99 is no TickSource"),
        ({"reset_cause": 99}, "99 is no ResetCause"),
    ],
)
def test_hello_with_impossible_values_is_refused(changes, problem):
    with pytest.raises(PayloadError, match=re.escape(problem)):
        Hello.unpack(pack_hello(**changes))


def test_a_board_id_cannot_write_to_the_terminal():
    assert Hello.unpack(pack_hello(board_id=b"x\x1b[2J\xff\n")).board_id == "x?[2J??"


@pytest.mark.parametrize("change", [-1, 1])
@pytest.mark.parametrize(
    ("kind", "message"),
    [
        (Hello, "HELLO_ANSWER"),
        (Report, "NACK"),
        (DeviceStats, "STATS_ANSWER"),
        (Refusal, "ERROR"),
        (Boot, "BOOT"),
    ],
)
def test_a_payload_of_the_wrong_length_is_refused(kind, message, change):
    with pytest.raises(PayloadError, match=f"expected {LAYOUTS[message].bytes}$"):
        kind.unpack(bytes(LAYOUTS[message].bytes + change))


def test_an_inference_has_64_bit_ticks_and_the_output_behind_its_fields():
    inference = Inference.unpack(struct.pack("<IIII", 5, 7, 2, 0xCAFE) + b"out")
    assert inference == Inference(sample=5, ticks=(2 << 32) + 7, output_crc=0xCAFE, output=b"out")
    with pytest.raises(PayloadError, match="at least 16"):
        Inference.unpack(bytes(15))


def test_report_refusal_boot_and_stats_are_read_in_their_order():
    assert Report.unpack(struct.pack("<HHI", 3, 0xFFFF, 9)) == Report(next_seq=3, received=9)
    assert Refusal.unpack(struct.pack("<BBHI", 2, 8, 0, 77)) == Refusal(request=2, code=8, detail=77)
    boot = Boot.unpack(struct.pack("<B3sIIII", 4, b"", 1, 2, 3, 4))
    assert boot == Boot(ResetCause.WATCHDOG, FaultRecord(1, 2, 3, 4))
    assert DeviceStats.unpack(struct.pack("<10I", *range(10))) == DeviceStats(*range(10))


def test_a_layout_refuses_a_tail_that_it_does_not_have():
    with pytest.raises(PayloadError, match="no tail"):
        Layout(("a", "I")).pack({"a": 1}, b"x")


def test_every_answer_belongs_to_a_request():
    requests = {kind for kind in MessageType if kind < ANSWER}
    answers = {kind for kind in MessageType if kind.name.endswith("_ANSWER")}
    assert {kind.value | ANSWER for kind in requests} == {kind.value for kind in answers}
    assert all(kind.name == f"{MessageType(kind - ANSWER).name}_ANSWER" for kind in answers)


def test_the_layouts_are_of_messages():
    assert set(LAYOUTS) <= {kind.name for kind in MessageType}


def test_the_c_header_is_the_one_these_tables_give():
    assert protocol_header.header_path().read_text() == protocol_header.render(), (
        "run: python -m mcu_ser.verify.protocol_header"
    )


@pytest.mark.parametrize(("enum", "prefix"), [(TickSource, "PORT_TICKS_"), (ResetCause, "PORT_RESET_")])
def test_the_numbers_of_port_h_are_the_same(enum, prefix):
    text = (firmware_templates_dir() / "runtime" / "port.h").read_text()
    in_c = {name: int(number) for name, number in re.findall(rf"{prefix}(\w+) = (\d+)", text)}
    assert in_c == {member.name: member.value for member in enum}

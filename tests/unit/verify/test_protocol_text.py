# SPDX-License-Identifier: Apache-2.0
"""PROTOCOL.md against the tables and the code: someone else's firmware is written from it."""

import re

import pytest

from mcu_ser.verify import client, exchange, messages, protocol
from mcu_ser.verify.patience import Patience, RoundTrip
from mcu_ser.verify.protocol import ErrorCode, Frame, MessageType, encode_frame
from mcu_ser.verify.protocol_tables import MARKER, TEXT_PATH, render

TEXT = TEXT_PATH.read_text(encoding="utf-8")
WORDS = " ".join(TEXT.partition(MARKER)[0].split())


def test_the_tables_are_the_ones_that_the_host_uses():
    assert TEXT.partition(MARKER)[2] == "\n" + render(), "run: python -m mcu_ser.verify.protocol_tables"


def test_the_tables_can_be_read_back():
    # By hand, so that a defect of the renderer shows: offsets must be the sums of the lengths before.
    sizes = {"u8": 1, "u16": 2, "u32": 4, "i32": 4}
    for name, layout in messages.LAYOUTS.items():
        section = TEXT.partition(f"\n### {name}\n")[2].partition("\n### ")[0]
        rows = re.findall(r"^\| (\d+) \| (\w+) \| (?:(\d+) )?(?:x )?(\w+) \|$", section, re.MULTILINE)
        assert [row[1] for row in rows] == [field for field, _ in layout.fields] + ["data"] * layout.tail
        at = 0
        for offset, _, count, kind in rows:
            assert int(offset) == at
            at += int(count or 1) * sizes.get(kind, 1 if count else 0)
        assert at == layout.bytes


@pytest.mark.parametrize(
    "kind", [kind for kind in MessageType if kind < protocol.ANSWER], ids=lambda k: k.name
)
def test_every_request_is_explained(kind):
    assert f"| {kind.name} |" in WORDS


def test_no_row_of_a_table_stands_alone():
    assert not re.search(r"\n\n\|[^\n]*\|\n(?!\| ---)", TEXT)


@pytest.mark.parametrize("code", ErrorCode, ids=lambda code: code.name)
def test_every_refusal_is_explained(code):
    assert re.search(rf"\b{code.name}\b", WORDS)


def test_the_example_is_a_frame():
    assert f" {encode_frame(Frame(MessageType.ECHO, 0x12345678, 1, b'A')).hex(' ')} " in WORDS


@pytest.mark.parametrize(
    "sentence",
    [
        "version u8 | type u8 | session u32 | seq u16 | length u16 | payload | crc32 u32",
        f"# The serial protocol, version {protocol.PROTOCOL_VERSION} ",
        f"Header and CRC are {protocol.OVERHEAD_BYTES} bytes more",
        f"takes the payload and {protocol.wire_bytes(0)} bytes",
        f"at least {messages.LAYOUTS['HELLO_ANSWER'].bytes} (its own answer to HELLO)",
        f"`max_payload` below {client._MIN_PAYLOAD} or above {protocol.MAX_PAYLOAD}",
        f"a rank above {messages.MAX_RANK}",
        f"| input and output tensor | {messages.MAX_TENSOR_BYTES} bytes |",
        f"every {exchange._HELLO_WAIT_S} s, and gives up after {Patience().hello_s:g} s",
        f"It gives up {Patience().answer_s:g} s after the first sending, for INFER and LAYERS "
        f"{Patience().inference_s:g} s",
        f"at least {RoundTrip._FLOOR_S:g} s, doubled twice",
        f"damage no sooner than after {exchange._DAMAGE_PAUSE_S:g} s",
    ],
)
def test_the_numbers_of_the_text_are_those_of_the_code(sentence):
    assert sentence in WORDS + " "

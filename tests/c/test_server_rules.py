# SPDX-License-Identifier: Apache-2.0
"""The firmware's server against the rules of PROTOCOL.md, written down once more: any sequence of frames."""

import itertools
from dataclasses import dataclass, field

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mcu_ser.device.host_process import HostProcess
from mcu_ser.device.link import Link
from mcu_ser.verify.messages import LAYOUTS
from mcu_ser.verify.protocol import ANSWER, ErrorCode, Frame, MessageType, encode_frame
from tests.c.server_line import MODEL, Line
from tests.lossy_link import refusal, report

UNKNOWN = 0x55
INPUTS = {MessageType.INPUT, MessageType.INPUT_PACKED}
DATA = bytes(range(100))
sessions = itertools.count(1, 2)  # of the examples; the even numbers end them
MAX_DAMAGE_NACKS = 16


@dataclass
class Device:
    """The device as PROTOCOL.md has it, with ECHO, INPUT and a request that it does not know."""

    session: int
    next_seq: int = 1
    received: int = 0
    last_answer: bytes = b""
    gap_reported: bool = False
    damaged: int = 0
    said: list[bytes] = field(default_factory=list)

    def damage(self):
        if self.damaged < MAX_DAMAGE_NACKS:
            self.damaged += 1
            self.nack(Frame(0, self.session, self.next_seq))

    def take(self, frame):
        self.damaged = 0
        if frame.type >= ANSWER:
            return
        if frame.version != 1:
            self.said.append(refusal(frame, ErrorCode.BAD_VERSION, 1))
        elif frame.session != self.session:
            self.said.append(refusal(frame, ErrorCode.NO_SESSION))
        else:
            self.take_in_session(frame)

    def take_in_session(self, frame):
        ahead = (frame.seq - self.next_seq) & 0xFFFF
        if ahead == 0xFFFF:
            self.gap_reported = False
            self.said.append(self.last_answer)
        elif ahead >= 0x8000:
            self.gap_reported = False
            kind = frame.type | ANSWER if frame.type in INPUTS else MessageType.NACK
            self.said.append(self.state(kind, frame))
        elif ahead > 0:
            if not self.gap_reported:
                self.nack(frame)
        else:
            self.carry_out(frame)

    def carry_out(self, frame):
        offset, data = 0, b""
        if frame.type in INPUTS:
            values, data = LAYOUTS[MessageType(frame.type).name].unpack(frame.payload)
            offset = values["offset"]
            if frame.type == MessageType.INPUT_PACKED:
                data = bytes(values["count"])
            if offset not in {0, self.received}:
                self.nack(frame)
                return
        self.next_seq = (self.next_seq + 1) & 0xFFFF
        self.gap_reported = False
        if frame.type == MessageType.ECHO:
            answer = encode_frame(Frame(MessageType.ECHO_ANSWER, self.session, frame.seq, frame.payload))
        elif frame.type == UNKNOWN:
            answer = refusal(frame, ErrorCode.UNKNOWN_TYPE, UNKNOWN)
        elif not data:
            answer = refusal(frame, ErrorCode.BAD_LENGTH, len(frame.payload))
        elif offset + len(data) > MODEL.input_bytes:
            answer = refusal(frame, ErrorCode.OUT_OF_RANGE, offset)
        else:
            self.received = offset + len(data)
            answer = self.state(frame.type | ANSWER, frame)
        self.last_answer = answer
        self.said.append(answer)

    def nack(self, frame):
        self.gap_reported = True
        self.said.append(self.state(MessageType.NACK, frame))

    def state(self, kind, frame):
        return encode_frame(Frame(kind, frame.session, frame.seq, report(self.next_seq, self.received)))


@pytest.fixture(scope="module")
def started(program):
    with HostProcess(program) as device, Link(device) as link:
        line = Line(link)
        assert line.receive().type == MessageType.BOOT
        yield line


KINDS = st.sampled_from(
    ["echo", "input", "packed", "unknown", "answer", "other session", "version", "damage"]
)
STEPS = st.lists(
    st.tuples(
        KINDS,
        # How far the seq is from the next one; mostly it is the next.
        st.sampled_from([0, 0, 0, 0, 1, 2, -1, -1, -2, -3, 0x7FFF, -0x8000]),
        st.sampled_from(["next", "next", "start", "behind", "before"]),
        st.integers(0, 130),
    ),
    max_size=25,
)


def packed(offset, length):
    """As many zeros."""
    values = {"offset": offset, "count": length, "above": 1, "left": 1}
    bits = "".join("000" + "1" * min(32, length - at) for at in range(0, length, 32))
    stream = int((bits + "0" * (-len(bits) % 8)) or "0", 2).to_bytes(-(-len(bits) // 8))
    return LAYOUTS["INPUT_PACKED"].pack(values, stream)


def frame_of(kind, seq, offset, length, session):
    payload = LAYOUTS["INPUT"].pack({"offset": offset}, (DATA * 2)[:length])
    match kind:
        case "input" | "damage":
            message = MessageType.INPUT, payload
        case "packed":
            message = MessageType.INPUT_PACKED, packed(offset, length)
        case "unknown":
            message = UNKNOWN, payload
        case "answer":
            message = MessageType.NACK, payload
        case "other session":
            return Frame(MessageType.ECHO, session ^ 0x8000_0000, seq, payload)
        case "version":
            return Frame(MessageType.ECHO, session, seq, payload, version=2)
        case _:
            message = MessageType.ECHO, DATA[:length]
    kind, payload = message
    return Frame(kind, session, seq, payload)


@settings(max_examples=300)
@given(steps=STEPS, first_seq=st.sampled_from([0, 0xFFF8, 0x7FF8]))
def test_any_sequence_of_frames_is_answered_by_the_rules(started, steps, first_seq):
    session = next(sessions)
    hello = started.ask(Frame(MessageType.HELLO, session, first_seq))
    assert hello.type == MessageType.HELLO_ANSWER
    device = Device(session, next_seq=(first_seq + 1) & 0xFFFF, last_answer=encode_frame(hello))
    for kind, away, where, length in steps:
        seq = (device.next_seq + away) & 0xFFFF
        places = {"next": 0, "behind": 1, "before": -1}
        offset = 0 if where == "start" else max(0, device.received + places[where])
        frame = frame_of(kind, seq, offset, length, session)
        wire = encode_frame(frame)
        if kind == "damage":
            started.link.write(wire[:6] + bytes([wire[6] ^ 0xFF or 1]) + wire[7:])
            device.damage()
        else:
            started.link.write(wire)
            device.take(frame)
    started.send(Frame(MessageType.HELLO, session + 1, 0))
    said = []
    while (answer := started.receive()) is not None and answer.session != session + 1:
        said.append(encode_frame(answer))
    assert said == device.said
    assert answer.type == MessageType.HELLO_ANSWER

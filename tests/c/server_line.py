# SPDX-License-Identifier: Apache-2.0
"""A client of the firmware's server that sends and receives single frames."""

from mcu_ser.verify.messages import LAYOUTS, DeviceStats, Refusal
from mcu_ser.verify.protocol import ErrorCode, Frame, FrameDecoder, MessageType, crc32, encode_frame
from tests.native_firmware import TestModel

MODEL = TestModel(input_bytes=100, output_bytes=1200)
SESSION = 0x1234_5678
NOTHING_S = 0.05


class Line:
    """Sends and receives single frames."""

    def __init__(self, link):
        self.link = link
        self.decoder = FrameDecoder()
        self.arrived = []

    def send(self, *frames):
        self.link.write(b"".join(map(encode_frame, frames)))

    def receive(self, timeout_s=5.0):
        while not self.arrived:
            data = self.link.read(timeout_s)
            if not data:
                return None
            self.arrived += self.decoder.feed(data)
        return self.arrived.pop(0)

    def ask(self, frame):
        self.send(frame)
        return self.receive()

    def is_silent(self):
        return self.receive(NOTHING_S) is None


def hello(session=SESSION, seq=0):
    return Frame(MessageType.HELLO, session, seq)


def request(kind, seq, payload=b"", session=SESSION):
    return Frame(kind, session, seq, payload)


def input_chunk(seq, offset, data):
    return request(MessageType.INPUT, seq, LAYOUTS["INPUT"].pack({"offset": offset}, data))


def infer(seq, data, sample=9):
    return request(
        MessageType.INFER, seq, LAYOUTS["INFER"].pack({"sample": sample, "input_crc": crc32(data)})
    )


def output(seq, offset, length):
    return request(MessageType.OUTPUT, seq, LAYOUTS["OUTPUT"].pack({"offset": offset, "length": length}))


def stats(line, seq):
    return DeviceStats.unpack(line.ask(request(MessageType.STATS, seq)).payload)


def error(frame):
    assert frame.type == MessageType.ERROR
    refusal = Refusal.unpack(frame.payload)
    return ErrorCode(refusal.code), refusal.request, refusal.detail


DATA = bytes(range(1, 101))

# SPDX-License-Identifier: Apache-2.0
"""LAYERS and TENSOR of the firmware's server, compiled for the host with sanitizers."""

import dataclasses
import itertools

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mcu_ser.device.host_process import HostProcess
from mcu_ser.device.link import Link
from mcu_ser.verify.client import Client
from mcu_ser.verify.messages import LAYOUTS, RECORDS, LayerPage
from mcu_ser.verify.protocol import EngineStatus, ErrorCode, MessageType, crc32
from tests.c.server_line import (
    DATA,
    MODEL,
    SESSION,
    Line,
    error,
    hello,
    infer,
    input_chunk,
    output,
    request,
    stats,
)
from tests.lossy_link import Faults, LossyLink
from tests.native_firmware import build_native_firmware

# More layers than one answer of 512 bytes tells of.
TRACED = dataclasses.replace(MODEL, layers=50)
MOST = (512 - LAYOUTS["LAYERS_ANSWER"].bytes) // RECORDS["LAYER"].bytes
CHUNK = 512 - LAYOUTS["TENSOR_ANSWER"].bytes


@pytest.fixture(scope="module")
def traced_program(tmp_path_factory):
    return build_native_firmware(tmp_path_factory.mktemp("traced"), TRACED)


@pytest.fixture
def traced(traced_program):
    """A device that traces layers, in an open session with an input; the next seq is 2."""
    with HostProcess(traced_program) as device, Link(device) as link:
        line = Line(link)
        assert line.receive().type == MessageType.BOOT
        assert line.ask(hello()).type == MessageType.HELLO_ANSWER
        assert line.ask(input_chunk(1, 0, DATA)).type == MessageType.INPUT_ANSWER
        yield line


def layers(seq, first, last, data=DATA, sample=9):
    values = {"sample": sample, "input_crc": crc32(data), "first": first, "last": last}
    return request(MessageType.LAYERS, seq, LAYOUTS["LAYERS"].pack(values))


def tensor(seq, layer, offset, length):
    values = {"layer": layer, "offset": offset, "length": length}
    return request(MessageType.TENSOR, seq, LAYOUTS["TENSOR"].pack(values))


def test_a_page_tells_of_the_layers_that_were_asked_for(traced):
    page = LayerPage.unpack(traced.ask(layers(2, 3, 7)).payload)
    assert (page.sample, page.layers) == (9, 50)
    tensors = [TRACED.expected_tensor(DATA, layer) for layer in range(3, 8)]
    assert [(record.crc, record.bytes) for record in page.records] == [(crc32(t), len(t)) for t in tensors]
    assert all(record.ticks > 0 for record in page.records)


def test_the_longest_page_fits_in_a_frame_and_a_longer_one_is_refused(traced):
    assert len(LayerPage.unpack(traced.ask(layers(2, 0, MOST - 1)).payload).records) == MOST
    traced.ask(input_chunk(3, 0, DATA))
    refused = traced.ask(layers(4, 0, MOST))
    assert error(refused) == (ErrorCode.OUT_OF_RANGE, MessageType.LAYERS, MOST)
    # What cannot be asked for does not cost the input.
    assert traced.ask(layers(5, 0, 0)).type == MessageType.LAYERS_ANSWER


@pytest.mark.parametrize(("first", "last"), [(0, 50), (50, 50), (5, 4), (0, 0xFFFFFFFF), (0xFFFFFFFF, 3)])
def test_layers_that_the_model_has_not_are_refused(traced, first, last):
    assert error(traced.ask(layers(2, first, last))) == (ErrorCode.OUT_OF_RANGE, MessageType.LAYERS, last)


def test_a_tensor_is_read_in_pieces_where_the_run_has_stopped(traced):
    whole = TRACED.expected_tensor(DATA, 0)
    traced.ask(layers(2, 0, 0))
    first = traced.ask(tensor(3, 0, 0, CHUNK))
    rest = traced.ask(tensor(4, 0, CHUNK, len(whole) - CHUNK))
    pieces = [LAYOUTS["TENSOR_ANSWER"].unpack(answer.payload) for answer in (first, rest)]
    assert [fields for fields, _ in pieces] == [{"layer": 0, "offset": 0}, {"layer": 0, "offset": CHUNK}]
    assert b"".join(data for _, data in pieces) == whole


@pytest.mark.parametrize(
    ("offset", "length"), [(0, 502), (501, 1), (502, 0), (0xFFFFFFFF, 2), (1, 0xFFFFFFFF)]
)
def test_bytes_beyond_the_tensor_are_refused(traced, offset, length):
    assert TRACED.tensor_bytes(1) == 501
    traced.ask(layers(2, 1, 1))
    assert error(traced.ask(tensor(3, 1, offset, length)))[0] == ErrorCode.OUT_OF_RANGE


def test_a_piece_that_fills_more_than_a_frame_is_refused(traced):
    traced.ask(layers(2, 0, 0))
    assert traced.ask(tensor(3, 0, 0, CHUNK)).type == MessageType.TENSOR_ANSWER
    assert error(traced.ask(tensor(4, 0, 0, CHUNK + 1))) == (ErrorCode.OUT_OF_RANGE, MessageType.TENSOR, 0)


def test_only_the_tensor_of_the_last_layer_is_there(traced):
    assert error(traced.ask(tensor(2, 0, 0, 1))) == (ErrorCode.BAD_STATE, MessageType.TENSOR, 0)
    traced.ask(layers(3, 2, 4))
    assert error(traced.ask(tensor(4, 3, 0, 1))) == (ErrorCode.BAD_STATE, MessageType.TENSOR, 3)
    assert traced.ask(tensor(5, 4, 0, 1)).type == MessageType.TENSOR_ANSWER


@pytest.mark.parametrize("what", ["input", "session"])
def test_a_tensor_that_may_be_overwritten_is_gone(traced, what):
    traced.ask(layers(2, 0, 0))
    assert traced.ask(tensor(3, 0, 0, 1)).type == MessageType.TENSOR_ANSWER
    if what == "input":
        traced.ask(input_chunk(4, 0, DATA[:1]))
        session, seq = SESSION, 5
    else:
        traced.ask(hello(session=77))
        session, seq = 77, 1
    asked = dataclasses.replace(tensor(seq, 0, 0, 1), session=session)
    assert error(traced.ask(asked)) == (ErrorCode.BAD_STATE, MessageType.TENSOR, 0)


def test_tracing_uses_the_input_up_and_leaves_no_output(traced):
    traced.ask(layers(2, 0, 0))
    assert error(traced.ask(layers(3, 0, 0))) == (ErrorCode.BAD_STATE, MessageType.LAYERS, 0)
    assert error(traced.ask(output(4, 0, 1)))[0] == ErrorCode.BAD_STATE
    assert stats(traced, 5).inferences == 0


def test_another_input_than_announced_is_not_traced(traced):
    refused = traced.ask(layers(2, 0, 0, data=b"other"))
    assert error(refused) == (ErrorCode.BAD_INPUT_CRC, MessageType.LAYERS, crc32(DATA))


def test_an_inference_is_what_it_is_without_tracing(traced):
    answer = traced.ask(infer(2, DATA))
    assert answer.payload[LAYOUTS["INFER_ANSWER"].bytes :] == TRACED.expected_output(DATA)[:64]
    assert error(traced.ask(tensor(3, 49, 0, 1)))[0] == ErrorCode.BAD_STATE


@pytest.mark.parametrize("kind", [MessageType.LAYERS, MessageType.TENSOR])
@pytest.mark.parametrize("change", [-1, 1])
def test_requests_of_the_wrong_length_are_refused(traced, kind, change):
    length = LAYOUTS[kind.name].bytes + change
    assert error(traced.ask(request(kind, 2, bytes(length)))) == (ErrorCode.BAD_LENGTH, kind, length)


def test_an_engine_that_fails_is_no_layer(traced_program):
    data = b"!f" + DATA[2:]
    with HostProcess(traced_program) as device, Link(device) as link:
        line = Line(link)
        line.receive()
        line.ask(hello())
        line.ask(input_chunk(1, 0, data))
        refused = line.ask(layers(2, 0, 0, data=data))
        assert error(refused) == (ErrorCode.ENGINE, MessageType.LAYERS, -7 & 0xFFFFFFFF)
        assert error(line.ask(tensor(3, 0, 0, 1)))[0] == ErrorCode.BAD_STATE


def test_an_engine_that_runs_fewer_layers_is_refused(tmp_path):
    program = build_native_firmware(tmp_path, TRACED, defines=("ENGINE_HIDES_LAYERS=1u",))
    with HostProcess(program) as device, Link(device) as link:
        line = Line(link)
        line.receive()
        line.ask(hello())
        line.ask(input_chunk(1, 0, DATA))
        refused = line.ask(layers(2, 48, 49))
        assert error(refused) == (ErrorCode.ENGINE, MessageType.LAYERS, EngineStatus.INVOKE_FAILED)


@pytest.mark.parametrize("kind", [MessageType.LAYERS, MessageType.TENSOR])
def test_firmware_without_tracing_knows_no_such_request(tmp_path_factory, kind):
    program = build_native_firmware(tmp_path_factory.mktemp("plain"), MODEL)
    with HostProcess(program) as device, Link(device) as link:
        line = Line(link)
        line.receive()
        line.ask(hello())
        refused = line.ask(request(kind, 1, bytes(LAYOUTS[kind.name].bytes)))
        assert error(refused) == (ErrorCode.UNKNOWN_TYPE, kind, kind)


_SESSIONS = itertools.count(0x2000)
_NUMBERS = st.sampled_from([0, 1, 2, 41, 42, 49, 50, 51, 500, 501, 502, 1000, 1 << 31, (1 << 32) - 1])


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(requests=st.lists(st.tuples(st.booleans(), _NUMBERS, _NUMBERS, _NUMBERS), max_size=12))
def test_no_numbers_take_the_server_out_of_its_buffers(traced, requests):
    """The sanitizers stop the program at the first access out of bounds; here it has to go on answering."""
    session = next(_SESSIONS)
    frames = [hello(session)]
    for trace, *numbers in requests:
        seq = len(frames)
        if trace:
            frames += [input_chunk(seq, 0, DATA), layers(seq + 1, *numbers[:2])]
        else:
            frames.append(tensor(seq, *numbers))
    frames.append(request(MessageType.ECHO, len(frames), b"alive"))
    answers = [traced.ask(dataclasses.replace(frame, session=session)) for frame in frames]
    assert [answer.seq for answer in answers] == list(range(len(frames)))
    assert answers[-1].payload == b"alive"


@pytest.mark.parametrize("seed", range(4))
def test_layers_and_tensor_arrive_whole_over_a_bad_line(traced_program, seed):
    faults = Faults(drop=0.002, flip=0.002, double=0.001, noise=0.0005, repeat_frame=0.05)
    with HostProcess(traced_program) as device, LossyLink(device, faults, seed) as link:
        client = Client(link)
        client.hello()
        for round_, first, last in ((0, 0, MOST - 1), (1, MOST, 49), (2, 0, 0)):
            data = TRACED.samples(1, seed=round_)[0].tobytes()
            tensors = [TRACED.expected_tensor(data, layer) for layer in range(first, last + 1)]
            count, records, _ = client.trace(round_, data, first, last)
            assert count == 50
            assert [(record.crc, record.bytes) for record in records] == [(crc32(t), len(t)) for t in tensors]
            assert client.tensor(last, len(tensors[-1])) == tensors[-1]
        assert client.stats().inferences == 0
        assert client.run(7, data).output == TRACED.expected_output(data)

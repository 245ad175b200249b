# SPDX-License-Identifier: Apache-2.0
"""Runs on several boards: shares, losses, repeats that must agree."""

import os
import re
import signal
import threading
from contextlib import ExitStack

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mcu_ser.device.host_process import HostProcess
from mcu_ser.device.link import Link
from mcu_ser.errors import DeviceError, DeviceFaultError, LinkError, MismatchError
from mcu_ser.verify.client import Answer, Client
from mcu_ser.verify.harness import run_boards, run_samples
from mcu_ser.verify.protocol import MessageType
from mcu_ser.verify.shards import Ledger, Repeats, Task, number_ranges, repeat_order
from tests.lossy_link import PretendBoard, ScriptedLink, inference
from tests.native_firmware import TestModel, build_native_firmware
from tests.unit.verify.test_harness import MODEL_SMALL, SHORT, expectation, expected_outputs

PORTS = ("a", "b")


@pytest.fixture(scope="module")
def program(tmp_path_factory):
    return build_native_firmware(tmp_path_factory.mktemp("shards"), MODEL_SMALL)


def small_run(clients, x, ledger=None, **options):
    ledger = ledger or Ledger(len(x), MODEL_SMALL.output_bytes, PORTS[: len(clients)], **options)
    return run_boards(clients, expectation(MODEL_SMALL), x, ledger)


def answer(sample):
    return Answer(bytes([sample % 256]), sample, True)


@given(st.lists(st.integers(0, 200), unique=True).map(sorted))
def test_ranges_name_every_number_once(numbers):
    named = []
    for part in filter(None, number_ranges(numbers).split(",")):
        first, _, last = part.partition("-")
        named += range(int(first), int(last or first) + 1)
    assert named == numbers


@given(st.integers(1, 200), st.integers(1, 40))
def test_every_kth_sample_is_repeated_after_another_than_before(samples, every):
    order = repeat_order(samples, every)
    assert sorted(order) == list(range(0, samples, every))
    if samples > 2:
        before = [samples - 1, *order[:-1]]
        assert all(sample not in (other, other + 1) for sample, other in zip(order, before, strict=True))


def test_nothing_is_repeated_unless_asked_for():
    assert repeat_order(40, 0) == []


@given(st.data(), st.integers(1, 40), st.integers(0, 7), st.integers(1, 4))
def test_every_sample_is_done_once_whatever_the_boards_do(data, samples, every, boards):
    """Boards take, answer and get lost in any order; at least one stays."""
    ledger = Ledger(samples, 1, [f"port{board}" for board in range(boards)], repeat_every=every)
    held, live, done = {}, set(range(boards)), []
    while ledger.left:
        board = data.draw(st.sampled_from(sorted(live)))
        if board in held and len(live) > 1 and data.draw(st.integers(0, 9)) == 0:
            ledger.lose(board, LinkError(f"port{board}", "went away"))
            held.pop(board)
            live.discard(board)
        elif board in held:
            task = held.pop(board)
            ledger.done(board, answer(task.sample))
            done.append(task)
        else:
            task = ledger._next(board)  # what `take` asks as long as it waits
            if task is not None:
                held[board] = ledger._held[board] = task
    assert sorted(task.sample for task in done if not task.again) == list(range(samples))
    assert sorted(task.sample for task in done if task.again) == sorted(repeat_order(samples, every))
    np.testing.assert_array_equal(ledger.ticks, np.arange(samples))
    shares = ledger.shares()
    assert sum(share.samples for share in shares) == samples
    assert sum(share.repeats for share in shares) == ledger.repeats().samples
    assert {board for board, share in enumerate(shares) if share.lost} == set(range(boards)) - live
    if len(live) == boards > 1:
        assert ledger.repeats().across_boards == ledger.repeats().samples


def test_one_board_runs_every_kth_sample_twice():
    board = PretendBoard(MODEL_SMALL)
    x = MODEL_SMALL.samples(9)
    result = run_samples(Client(ScriptedLink(board)), expectation(MODEL_SMALL), x, repeat_every=4)
    np.testing.assert_array_equal(result.outputs, expected_outputs(x, MODEL_SMALL))
    assert result.repeats == Repeats(every=4, samples=3, across_boards=0)
    assert board.inferences == result.device.inferences == 12
    (share,) = result.boards
    assert (share.port, share.samples, share.ranges, share.repeats) == (None, 9, "0-8", 3)


def test_a_board_that_gives_other_bytes_the_second_time_is_no_proof():
    seen = set()

    def forgetful(board, frame):
        output = bytearray(MODEL_SMALL.expected_output(bytes(board.input)))
        sample = int.from_bytes(frame.payload[:4], "little")
        output[0] ^= sample in seen and sample == 4
        seen.add(sample)
        board.inferences += 1
        return [board.wrap(frame, inference(sample, bytes(output)))]

    client = Client(ScriptedLink(PretendBoard(MODEL_SMALL, {MessageType.INFER: forgetful})))
    with pytest.raises(DeviceFaultError, match="sample 4 gives other bytes than before, for the same input"):
        run_samples(client, expectation(MODEL_SMALL), MODEL_SMALL.samples(9), repeat_every=4)


def test_two_boards_share_the_samples_and_agree(program):
    x = MODEL_SMALL.samples(60)
    with ExitStack() as stack:
        links = [stack.enter_context(Link(stack.enter_context(HostProcess(program)))) for _ in PORTS]
        result = small_run([Client(link) for link in links], x, repeat_every=5)
    np.testing.assert_array_equal(result.outputs, expected_outputs(x, MODEL_SMALL))
    assert result.repeats == Repeats(every=5, samples=12, across_boards=12)
    assert [share.lost for share in result.boards] == [None, None]
    assert sum(share.samples for share in result.boards) == 60
    assert result.device.inferences == 72 + result.reruns
    assert all(share.samples + share.repeats for share in result.boards)
    assert result.link.frames > 72


@pytest.mark.parametrize("seed", range(4))
def test_a_board_that_dies_leaves_its_samples_to_the_other(program, seed):
    x = MODEL_SMALL.samples(80, seed)
    last = int(np.random.default_rng(seed).integers(1, 60))
    with ExitStack() as stack:
        devices = [stack.enter_context(HostProcess(program)) for _ in PORTS]
        links = [stack.enter_context(Link(device)) for device in devices]

        class MortalLedger(Ledger):
            def done(self, board, reply):
                super().done(board, reply)
                if board == 1 and int((self._by == 1).sum()) == last:
                    os.kill(devices[1].pid, signal.SIGKILL)

        ledger = MortalLedger(80, MODEL_SMALL.output_bytes, PORTS, repeat_every=8)
        # The other waits until the one that is to die has had its samples.
        had = threading.Event()
        original = ledger.take

        def take(board):
            if board == 0:
                had.wait(20)
            elif int((ledger._by == 1).sum()) >= last:
                had.set()
            return original(board)

        ledger.take = take
        result = small_run([Client(link, SHORT) for link in links], x, ledger)
    np.testing.assert_array_equal(result.outputs, expected_outputs(x, MODEL_SMALL))
    assert result.boards[1].samples == last
    assert "killed by SIGKILL) (sample " in result.boards[1].lost
    assert result.boards[0].samples == 80 - last
    assert result.boards[0].lost is None
    assert result.repeats.samples == 10
    # Of what the dead board has computed the other repeats its share; of its own it can only repeat itself.
    assert result.repeats.across_boards == sum(sample < last for sample in range(0, 80, 8))


def dying(after):
    def infer(board, frame):
        if board.inferences == after:
            return []
        return [board.answer(frame)]

    return Client(ScriptedLink(PretendBoard(MODEL_SMALL, {MessageType.INFER: infer})), SHORT)


def test_the_run_fails_when_all_boards_are_lost():
    with pytest.raises(LinkError) as caught:
        small_run([dying(2), dying(3)], MODEL_SMALL.samples(20))
    assert re.search(r"no answer to INFER .* \(sample \d+ of 20, last message INFER", str(caught.value))
    assert "all 2 boards are lost, this one was the last" in str(caught.value)
    assert caught.value.exit_code == 4


def test_a_run_that_ends_with_every_sample_but_no_board_fails():
    """Not one board could say at the end how many inferences it has counted."""

    def mute_at_the_end(board, frame):
        return [] if board.inferences else [board.answer(frame)]

    clients = [
        Client(ScriptedLink(PretendBoard(MODEL_SMALL, {MessageType.STATS: mute_at_the_end})), SHORT)
        for _ in PORTS
    ]
    with pytest.raises(LinkError, match="no answer to STATS"):
        small_run(clients, MODEL_SMALL.samples(6), repeat_every=1)


def test_boards_that_disagree_are_no_proof():
    def other(board, frame):
        sample = int.from_bytes(frame.payload[:4], "little")
        output = bytes(byte ^ 1 for byte in MODEL_SMALL.expected_output(bytes(board.input)))
        board.inferences += 1
        return [board.wrap(frame, inference(sample, output))]

    clients = [
        Client(ScriptedLink(PretendBoard(MODEL_SMALL))),
        Client(ScriptedLink(PretendBoard(MODEL_SMALL, {MessageType.INFER: other}))),
    ]
    with pytest.raises(DeviceFaultError, match=r"^[ab]: sample \d+ gives other bytes than on [ab], for the"):
        small_run(clients, MODEL_SMALL.samples(8), repeat_every=1)


def test_a_board_that_counts_other_inferences_ends_the_run_of_all():
    def count_twice(board, frame):
        board.inferences += 1
        return [board.answer(frame)]

    clients = [
        Client(ScriptedLink(PretendBoard(MODEL_SMALL))),
        Client(ScriptedLink(PretendBoard(MODEL_SMALL, {MessageType.INFER: count_twice}))),
    ]
    with pytest.raises(DeviceFaultError, match="the board counted"):
        small_run(clients, MODEL_SMALL.samples(8), repeat_every=1)


def test_a_board_of_another_model_is_refused_before_a_sample_is_sent():
    other = TestModel(input_bytes=20, output_bytes=5, model_sha256="00" * 32)
    links = [ScriptedLink(PretendBoard(MODEL_SMALL)), ScriptedLink(PretendBoard(other))]
    with pytest.raises(MismatchError, match="model SHA-256"):
        small_run([Client(link) for link in links], MODEL_SMALL.samples(3))
    assert {frame.type for link in links for frame in link.requests} == {MessageType.HELLO}


def test_boards_that_count_time_otherwise_are_refused():
    links = [ScriptedLink(PretendBoard(MODEL_SMALL, tick_hz=hz)) for hz in (84_000_000, 16_000_000)]
    with pytest.raises(MismatchError, match="counts HOST ticks at 16000000 Hz, the first board HOST at 84"):
        small_run([Client(link) for link in links], MODEL_SMALL.samples(3))


def test_an_error_that_is_no_boards_ends_the_run():
    class Full(Exception):
        pass

    class FullLedger(Ledger):
        def done(self, board, reply):
            raise Full

    clients = [Client(ScriptedLink(PretendBoard(MODEL_SMALL))) for _ in PORTS]
    with pytest.raises(Full):
        small_run(clients, MODEL_SMALL.samples(3), FullLedger(3, 5, PORTS))


def test_a_board_waits_for_what_another_may_leave_behind():
    ledger = Ledger(1, 1, PORTS)
    assert ledger.take(0) == Task(0, again=False)
    got = []
    waiting = threading.Thread(target=lambda: got.append(ledger.take(1)), daemon=True)
    waiting.start()
    waiting.join(0.05)
    assert waiting.is_alive()
    ledger.lose(0, DeviceError("a", "went away"))
    waiting.join(5)
    assert got == [Task(0, again=False)]

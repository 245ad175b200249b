# SPDX-License-Identifier: Apache-2.0
"""Which ticks of a board may be called instructions, and which may be reported at all."""

from types import SimpleNamespace

import numpy as np
import pytest

from mcu_ser.verify.check import _measurement
from mcu_ser.verify.link_stats import LinkStats
from mcu_ser.verify.messages import TickSource
from mcu_ser.verify.shards import Repeats, Share


def measured(*, source=TickSource.TIM2, tick_hz=0, emulator="qemu", macs=1000, undisturbed=(True, True)):
    result = SimpleNamespace(
        outputs=np.zeros((2, 3), np.int8),
        ticks=np.array([10, 20], np.uint64),
        undisturbed=np.array(undisturbed),
        hello=SimpleNamespace(tick_source=source, tick_hz=tick_hz),
        device=SimpleNamespace(stack_high_water=300),
        link=LinkStats(frames=4, retries=0, answers=4, bad_frames=0, bytes=400, seconds=2.0),
        repeats=Repeats(16, 1, 0),
        boards=(Share(None, 2, "0-1", 1, None),),
        heard={},
    )
    project = SimpleNamespace(
        board=SimpleNamespace(emulator=emulator),
        manifest=SimpleNamespace(macs=macs),
        output=SimpleNamespace(numpy_type=np.dtype(np.int8)),
    )
    return _measurement(result, project)


def test_tim2_of_an_emulated_board_counts_instructions():
    measurement = measured()
    assert measurement.ticks_are_instructions
    assert measurement.ticks.tolist() == [10, 20]
    assert measurement.link["bytes_per_s"] == 200.0


@pytest.mark.parametrize(
    "clock", [{"source": TickSource.DWT}, {"tick_hz": 84_000_000}, {"emulator": None}], ids=str
)
def test_a_real_clock_does_not_count_instructions(clock):
    assert not measured(**clock).ticks_are_instructions


def test_disturbed_inferences_are_left_out():
    assert measured(undisturbed=(False, True)).ticks.tolist() == [20]


@pytest.mark.parametrize(("macs", "reported"), [((1 << 26) - 1, 2), (1 << 26, 0)])
def test_ticks_that_may_have_wrapped_are_not_reported(macs, reported):
    assert len(measured(macs=macs).ticks) == reported


def test_what_no_counter_counted_is_not_reported():
    assert len(measured(source=TickSource.NONE).ticks) == 0


def line(*, bytes_sent=576, seconds=1.0, capacity=11520.0):
    return LinkStats(
        frames=4,
        retries=1,
        answers=4,
        bad_frames=0,
        bytes=700,
        seconds=seconds,
        sent_bytes=bytes_sent,
        payload_bytes=500,
        computing_s=0.25,
        capacity_bytes_per_s=capacity,
    )


def test_the_use_of_a_line_is_what_was_sent_against_what_it_carries():
    assert line().busy_fraction == 0.05
    assert line().payload_bytes_per_s == 500.0
    assert line(capacity=None).busy_fraction is None
    assert line(seconds=0.0).busy_fraction is None


def test_several_lines_carry_what_they_carry_together():
    both = LinkStats.sum([line(), line(seconds=2.0)])
    assert (both.frames, both.retries, both.bytes, both.sent_bytes) == (8, 2, 1400, 1152)
    assert (both.seconds, both.computing_s) == (2.0, 0.5)
    assert both.capacity_bytes_per_s == 23040.0
    assert both.busy_fraction == 1152 / 23040 / 2
    assert LinkStats.sum([line(), line(capacity=None)]).capacity_bytes_per_s is None

# SPDX-License-Identifier: Apache-2.0
"""The ring between a microphone's interrupt and the main loop: two threads under a race detector; edges."""

import ctypes
import subprocess
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mcu_ser.resources import firmware_templates_dir
from tests.native_firmware import STRICT, require_gcc

RUNTIME = firmware_templates_dir() / "runtime"
THREADS = Path(__file__).parent / "audio_ring_threads.c"
SIZE = 512


def compile_ring(directory, sources, *flags):
    (directory / "model_info.h").write_text("")
    out = directory / "ring"
    command = [require_gcc(), *STRICT, *flags, f"-I{directory}", f"-I{RUNTIME}", *map(str, sources)]
    return out, subprocess.run(
        [*command, str(RUNTIME / "audio_ring.c"), "-pthread", "-o", str(out)],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


@pytest.mark.parametrize("flags", [("-O2",), ("-O1", "-g", "-fsanitize=thread")], ids=["plain", "races"])
def test_two_threads(tmp_path, flags):
    program, compiled = compile_ring(tmp_path, [THREADS], *flags)
    if compiled.returncode and "tsan" in compiled.stderr:
        pytest.skip("the race detector is not installed")
    assert compiled.returncode == 0, compiled.stderr
    done = subprocess.run([program], capture_output=True, text=True, timeout=120, check=False)
    if "unexpected memory mapping" in done.stderr:
        pytest.skip("the race detector does not run on this kernel")
    assert done.returncode == 0, done.stdout + done.stderr
    put, taken, lost, blocks = map(int, done.stdout.split())
    assert put == taken + lost
    assert (lost > 0) == (blocks > 0)
    assert taken > 1000


@pytest.fixture(scope="module")
def ring(tmp_path_factory):
    library, compiled = compile_ring(tmp_path_factory.mktemp("ring"), [], "-O1", "-shared", "-fPIC")
    assert compiled.returncode == 0, compiled.stderr
    return ctypes.CDLL(str(library))


@given(st.lists(st.tuples(st.booleans(), st.integers(0, SIZE + 5)), max_size=60))
@settings(max_examples=200)
def test_blocks_come_whole_and_in_order_or_not_at_all(ring, steps):
    ring.audio_ring_clear()
    waiting, number, lost = [], 0, (0, 0)
    for puts, count in steps:
        if puts:
            block = [(number + i) % 32768 for i in range(count)]
            number += count
            ring.audio_ring_put((ctypes.c_int16 * max(1, count))(*block), count)
            if len(waiting) + count <= SIZE:
                waiting += block
            else:
                lost = (lost[0] + 1, lost[1] + count)
        else:
            taken = (ctypes.c_int16 * (SIZE + 5))()
            length = ring.audio_ring_take(taken, count)
            assert list(taken[:length]) == waiting[:count]
            assert length == min(count, len(waiting))
            del waiting[:count]
        assert ring.audio_ring_waiting() == len(waiting)
        assert (ring.audio_ring_lost_blocks(), ring.audio_ring_lost_samples()) == lost


def test_a_microphone_has_half_a_second():
    text = (RUNTIME / "audio_ring.h").read_text()
    assert "#ifdef BOARD_MICROPHONE\n#define AUDIO_RING_SAMPLES 8192u" in text


def test_a_size_that_is_no_power_of_two_does_not_compile(tmp_path):
    _, compiled = compile_ring(tmp_path, [], "-shared", "-fPIC", "-DAUDIO_RING_SAMPLES=500u")
    assert "must be a power of two" in compiled.stderr

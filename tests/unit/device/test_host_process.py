# SPDX-License-Identifier: Apache-2.0
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from mcu_ser.device.host_process import HostProcess
from mcu_ser.device.process import SupervisedProcess
from mcu_ser.errors import ConfigError, DeviceFaultError

LISTENS = 'echo "listening 127.0.0.1:4001"; exec sleep 60'


def script(tmp_path, text):
    path = tmp_path / "firmware"
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)
    return path


def is_running(pid):
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    # A process whose parent has not asked for its status yet is a zombie, not running.
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"


def wait_until_gone(pid):
    deadline = time.monotonic() + 5
    while is_running(pid):
        assert time.monotonic() < deadline, f"process {pid} is still there"
        time.sleep(0.01)


def test_the_url_is_the_one_the_program_prints(tmp_path):
    with HostProcess(script(tmp_path, LISTENS)) as device:
        assert device.url == "socket://127.0.0.1:4001"
        device.raise_if_dead()
        pid = device.pid
        assert is_running(pid)
    assert not is_running(pid)


def test_an_absent_program_is_not_built(tmp_path):
    with pytest.raises(ConfigError, match="firmware: is not there; try: mcu-ser build"):
        HostProcess(tmp_path / "firmware").__enter__()


def test_a_program_that_ends_at_once_says_why(tmp_path):
    path = script(tmp_path, 'echo "first line" >&2; echo "no port left" >&2; exit 3')
    with pytest.raises(
        DeviceFaultError, match=r"^firmware: the firmware ended \(exit status 3\): no port left$"
    ):
        HostProcess(path).__enter__()


@pytest.mark.parametrize("line", ["listening 0.0.0.0:4001", "listening 127.0.0.1:4001 and more", "listening"])
def test_a_program_that_listens_elsewhere_is_refused_and_stopped(tmp_path, line, monkeypatch):
    monkeypatch.setattr("mcu_ser.device.host_process._START_S", 0.2)
    path = script(tmp_path, f'echo $$ > {tmp_path}/pid; echo "{line}"; exec sleep 60')
    with pytest.raises(DeviceFaultError, match=r"does not listen after 0\.2 s"):
        HostProcess(path).__enter__()
    assert not is_running(int((tmp_path / "pid").read_text()))


def test_a_program_that_dies_later_is_noticed(tmp_path):
    with HostProcess(script(tmp_path, LISTENS)) as device:
        os.kill(device.pid, signal.SIGSEGV)
        with pytest.raises(DeviceFaultError, match=r"killed by SIGSEGV\)$"):
            device.raise_if_dead(wait_s=5)


def test_the_sanitizers_finding_is_the_reason_that_is_given(tmp_path):
    report = "==1==ERROR: AddressSanitizer: heap-buffer-overflow\n #0 in server.c\nABORTING"
    path = script(tmp_path, f'echo "listening 127.0.0.1:4001"; printf "{report}" >&2; exit 1')
    with HostProcess(path) as device:
        with pytest.raises(DeviceFaultError, match=r"ERROR: AddressSanitizer: heap-buffer-overflow$"):
            device.raise_if_dead(wait_s=5)


def test_a_program_that_ignores_being_asked_is_killed(tmp_path, monkeypatch):
    monkeypatch.setattr("mcu_ser.device.process._STOP_WAIT_S", 0.1)
    path = script(tmp_path, 'trap "" TERM; echo "listening 127.0.0.1:4001"; while :; do sleep 60; done')
    with HostProcess(path) as device:
        pid = device.pid
    assert not is_running(pid)


def test_it_is_of_no_use_outside_its_context(tmp_path):
    with pytest.raises(RuntimeError, match="outside its context"):
        HostProcess(tmp_path / "firmware").raise_if_dead()


@pytest.mark.skipif(sys.platform != "linux", reason="the kernel's parent-death signal is Linux's")
def test_a_program_does_not_outlive_a_killed_caller(tmp_path):
    code = (
        "import sys, time; from pathlib import Path; from mcu_ser.device.host_process import HostProcess\n"
        "with HostProcess(Path(sys.argv[1])) as device:\n"
        "    print(device.pid, flush=True)\n"
        "    time.sleep(60)\n"
    )
    root = str(Path(__file__).parents[3])
    command = [sys.executable, "-c", code, str(script(tmp_path, LISTENS))]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, text=True, env={**os.environ, "PYTHONPATH": root}
    ) as caller:
        pid = int(caller.stdout.readline())
        assert is_running(pid)
        caller.kill()
    wait_until_gone(pid)


def test_last_words_are_bounded(tmp_path):
    process = SupervisedProcess([str(script(tmp_path, "yes 0123456789 | head -c 100000 >&2; echo end >&2"))])
    try:
        assert process.returncode(wait_s=10) == 0
        assert len(process.last_words()) == 8192
        assert process.last_words().endswith("end\n")
    finally:
        process.stop()


def test_a_crash_leaves_no_core_file(tmp_path):
    process = SupervisedProcess([str(script(tmp_path, f"ulimit -c > {tmp_path}/limit"))])
    try:
        assert process.returncode(wait_s=10) == 0
    finally:
        process.stop()
    assert (tmp_path / "limit").read_text() == "0\n"

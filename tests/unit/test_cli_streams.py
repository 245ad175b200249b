# SPDX-License-Identifier: Apache-2.0
"""What the program does when nobody, or nothing, takes what it prints."""

import json
import os
import subprocess
import sys

import pytest

MCU_SER = f"{sys.executable} -m mcu_ser.cli.main"


def shell(command):
    """Run a line of bash; its exit code is that of the first program of a pipe."""
    line = f"{command}; exit ${{PIPESTATUS[0]}}"
    # As it is for users: what is printed is held back, and may be refused as late as at the end.
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"}
    return subprocess.run(
        ["bash", "-c", line], capture_output=True, text=True, timeout=60, check=False, env=environment
    )


@pytest.mark.parametrize("command", ["boards list", "doctor", "boards show netduinoplus2"])
def test_a_reader_that_was_never_there_is_no_failed_check(command):
    # Whoever reads is gone before a table of rich, or plain text, is printed.
    answer = shell(f"{MCU_SER} {command} | true")
    assert (answer.returncode, answer.stderr) == (141, "")


@pytest.mark.parametrize("command", ["boards list", "boards list --json", "boards show netduinoplus2"])
def test_a_closed_stdout_takes_what_is_printed(command):
    answer = shell(f"{MCU_SER} {command} >&-")
    assert (answer.returncode, answer.stdout) == (0, "")
    assert "Traceback" not in answer.stderr


def test_a_closed_stderr_leaves_the_exit_code_and_the_document():
    answer = shell(f"{MCU_SER} boards show no-such-board --json 2>&-")
    assert answer.returncode == 2
    assert json.loads(answer.stdout)["error"]["exit_code"] == 2


@pytest.mark.parametrize("command", ["boards list", "boards list --json", "boards show netduinoplus2"])
def test_a_full_disk_is_one_line(command):
    answer = shell(f"{MCU_SER} {command} > /dev/full")
    assert answer.returncode == 2
    assert answer.stderr.splitlines()[-1] == "mcu-ser: error: system: No space left on device"
    assert "Traceback" not in answer.stderr


def test_help_that_nobody_reads_is_no_error():
    answer = shell(f"{MCU_SER} --help | true")
    assert (answer.returncode, answer.stderr) == (0, "")


def test_a_full_disk_under_stderr_leaves_the_exit_code():
    assert shell(f"{MCU_SER} boards show no-such-board 2> /dev/full").returncode == 2

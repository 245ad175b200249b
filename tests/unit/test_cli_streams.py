# SPDX-License-Identifier: Apache-2.0
"""What the program does when nobody, or nothing, takes what it prints."""

import subprocess
import sys

import pytest

MCU_SER = f"{sys.executable} -m mcu_ser.cli.main"


def shell(command):
    """Run a line of bash; its exit code is that of the first program of a pipe."""
    line = f"{command}; exit ${{PIPESTATUS[0]}}"
    return subprocess.run(["bash", "-c", line], capture_output=True, text=True, timeout=60, check=False)


@pytest.mark.parametrize("command", ["boards list", "doctor", "boards show netduinoplus2"])
def test_a_reader_that_was_never_there_is_no_failed_check(command):
    # Whoever reads is gone before a table of rich, or plain text, is printed.
    answer = shell(f"{MCU_SER} {command} | true")
    assert (answer.returncode, answer.stderr) == (141, "")

# SPDX-License-Identifier: Apache-2.0
"""Every board's command line through the real tool, without a device: it must get as far as looking for one.

The probe's serial number and the port in these commands are nobody's, so a board that happens to be connected
is left alone.
"""

import shlex
import shutil
import subprocess
from pathlib import Path

import pytest

LINES = [
    line
    for line in (Path(__file__).parent / "commands.txt").read_text().splitlines()
    if line and not line.startswith("#")
]

# What each tool says when its arguments were right and there is nothing to flash.
NO_DEVICE = {
    "openocd": ("Error: open failed", "unable to find a matching CMSIS-DAP device"),
    "st-flash": ("Couldn't find any ST-Link devices", "can not find a ST-Link"),
    "dfu-util": ("No DFU capable USB device available",),
    "bossac": ("No device found on ttyNobodys",),
    "pyocd": ("No target device available", "No connected debug probe"),
}


def commands() -> dict[str, str]:
    """Command line -> the first board that has it; those of the tools that this can be done with."""
    found: dict[str, str] = {}
    for line in LINES:
        board, runner, command = line.split(" ", 2)
        if runner in {"openocd", "stflash", "dfu_util", "bossac", "pyocd"}:
            found.setdefault(command.replace("ttyACM1", "ttyNobodys"), f"{board}-{runner}")
    return found


@pytest.mark.parametrize("command", commands(), ids=commands().values())
def test_the_tool_takes_the_command(command: str, tmp_path: Path) -> None:
    argv = shlex.split(command)
    if shutil.which(argv[0]) is None:
        pytest.skip(f"{argv[0]} is not installed")
    for suffix in ("elf", "bin"):
        (tmp_path / f"firmware.{suffix}").write_bytes(bytes(64))
    (tmp_path / "firmware.hex").write_text(":00000001FF\n")
    answer = subprocess.run(
        argv, cwd=tmp_path, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60, check=False
    )
    assert answer.returncode != 0
    said = answer.stdout + answer.stderr
    assert any(words in said for words in NO_DEVICE[argv[0]]), said

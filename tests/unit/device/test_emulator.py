# SPDX-License-Identifier: Apache-2.0
"""The emulator's command line and its errors; tests/emulator runs it."""

from pathlib import Path

import pytest

from mcu_ser.device.emulator import QemuEmulator, _obituary, qemu_argv
from mcu_ser.errors import ConfigError, DeviceFaultError, ToolMissingError


def test_the_command_line():
    assert qemu_argv("/usr/bin/qemu", Path("fw.elf"), "netduinoplus2", 7, 0) == [
        "/usr/bin/qemu",
        *("-M", "netduinoplus2", "-kernel", "fw.elf", "-display", "none", "-monitor", "none"),
        *("-chardev", "socket,id=protocol,fd=7,server=on,wait=on,nodelay=on", "-serial", "chardev:protocol"),
        *("-icount", "shift=0,sleep=off"),
    ]


def test_unused_uarts_come_before_the_one_in_use():
    argv = qemu_argv("qemu", Path("fw.elf"), "m", 7, 2)
    serials = [argv[i + 1] for i, word in enumerate(argv) if word == "-serial"]
    assert serials == ["null", "null", "chardev:protocol"]


def test_an_absent_firmware_is_not_built(tmp_path):
    with pytest.raises(ConfigError, match=r"firmware\.elf: is not there; try: mcu-ser build"):
        QemuEmulator(tmp_path / "firmware.elf", "netduinoplus2").__enter__()


def test_a_missing_qemu_names_the_command_that_installs_it(tmp_path, monkeypatch):
    (tmp_path / "firmware.elf").write_bytes(b"x")
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ToolMissingError) as caught:
        QemuEmulator(tmp_path / "firmware.elf", "netduinoplus2").__enter__()
    assert str(caught.value).startswith("qemu-system-arm: not found")
    assert str(caught.value).endswith("try: apt-get install qemu-system-arm")
    assert caught.value.exit_code == 3


@pytest.mark.parametrize(
    ("code", "words", "expected"),
    [
        (
            -6,
            "qemu: info: QEMU waiting\nqemu: fatal: Lockup: can't escalate 3\n\n"
            "R00=0\nR12=1 R15=08000100\nXPSR=3\n",
            "the firmware crashed (qemu: fatal: Lockup: can't escalate 3; R12=1 R15=08000100 XPSR=3)",
        ),
        (-6, "", "QEMU ended (killed by SIGABRT)"),
        (
            1,
            "qemu-system-arm: info: QEMU waiting\nqemu-system-arm: unsupported machine type\n"
            "Use -machine help\n",
            "QEMU ended (exit status 1): qemu-system-arm: unsupported machine type",
        ),
        (0, "qemu-system-arm: warning: no timers\n", "QEMU ended (exit status 0)"),
    ],
)
def test_qemus_last_words(code, words, expected):
    assert _obituary(code, words) == expected


def test_a_qemu_that_says_nothing_is_given_up(tmp_path, monkeypatch):
    monkeypatch.setattr("mcu_ser.device.emulator._START_S", 0.2)
    fake = tmp_path / "qemu-system-arm"
    fake.write_text("#!/bin/sh\nexec sleep 60\n")
    fake.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    (tmp_path / "firmware.elf").write_bytes(b"x")
    with pytest.raises(DeviceFaultError, match=r"qemu-system-arm does not listen after 0\.2 s"):
        QemuEmulator(tmp_path / "firmware.elf", "netduinoplus2").__enter__()

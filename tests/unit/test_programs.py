# SPDX-License-Identifier: Apache-2.0
import json
from types import SimpleNamespace

import pytest

from mcu_ser import programs
from mcu_ser.cli import doctor
from mcu_ser.errors import ToolMissingError
from mcu_ser.install import Packages
from mcu_ser.programs import ARM_GCC, PACKAGES, PROGRAMS, QEMU_ARM, Program, extra_hint, require_packages


def fake_program(directory, name, first_line):
    path = directory / name
    path.write_text(f"#!/bin/sh\necho '{first_line}'\n")
    path.chmod(0o755)


@pytest.mark.parametrize(
    ("first_line", "version"),
    [
        ("arm-none-eabi-gcc (15:12.2.rel1-1) 12.2.1 20221205", "12.2.1"),
        ("QEMU emulator version 7.2.22 (Debian 1:7.2+dfsg-7+deb12u18)", "7.2.22"),
        ("cmake version 3.25.1", "3.25.1"),
        ("1.11.1", "1.11.1"),
        ("no number here", None),
    ],
)
def test_version_is_the_programs_own(tmp_path, monkeypatch, first_line, version):
    fake_program(tmp_path, "tool", first_line)
    monkeypatch.setenv("PATH", f"{tmp_path}:/bin:/usr/bin")
    assert Program("tool", "does something", Packages(apt="tool-package")).version() == version


@pytest.mark.parametrize("program", PROGRAMS, ids=lambda program: program.command)
def test_a_missing_program_names_its_package(tmp_path, monkeypatch, program):
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(programs, "package_manager", lambda: "apt")
    with pytest.raises(ToolMissingError) as error:
        program.require()
    assert str(error.value).endswith(f"try: apt-get install {program.packages.apt}")
    assert program.version() is None


@pytest.mark.parametrize(
    ("script", "problem"),
    [
        ("#!/bin/sh\nexit 127\n", "ends with status 127 when asked for its version"),
        ("#!/bin/sh\nexec sleep 60\n", "gives no version within 0 s"),
        ("#!/no/such/interpreter\n", "cannot be started (No such file or directory)"),
        ("\0 no program", "cannot be started (Exec format error)"),
    ],
)
def test_doctor_calls_a_tool_that_does_not_work_broken(tmp_path, monkeypatch, capsys, script, problem):
    monkeypatch.setattr(programs, "VERSION_TIMEOUT_S", 0.3)
    for program in PROGRAMS:
        fake_program(tmp_path, program.command, f"{program.command} 1.2.3")
    (tmp_path / "ninja").write_text(script)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    assert doctor.run(SimpleNamespace(json=True)) == 3
    captured = capsys.readouterr()
    tools = {row["name"]: row for row in json.loads(captured.out)["tools"]}
    assert tools["ninja"]["problem"] == f"broken: {problem}"
    assert (tools["cmake"]["problem"], tools["cmake"]["version"]) == (None, "1.2.3")
    assert "1 missing or broken; next: apt-get install ninja-build" in captured.err


def test_the_install_commands_are_those_of_a_checkout():
    assert extra_hint("") == "pip install . in the mcu-ser checkout"
    assert extra_hint("train") == "pip install '.[train]' in the mcu-ser checkout"


def test_a_missing_python_package_names_its_extra(monkeypatch):
    require_packages("")
    monkeypatch.setitem(PACKAGES, "train", ("numpy", "no-such-package-here"))
    with pytest.raises(ToolMissingError) as error:
        require_packages("train")
    assert str(error.value) == (
        "Python package no-such-package-here: is not installed; "
        "try: pip install '.[train]' in the mcu-ser checkout"
    )


def test_doctor_lists_what_is_missing_and_fails(tmp_path, monkeypatch, capsys):
    fake_program(tmp_path, QEMU_ARM.command, "QEMU emulator version 7.2.22")
    monkeypatch.setenv("PATH", str(tmp_path))
    assert doctor.run(SimpleNamespace(json=True)) == 3
    captured = capsys.readouterr()
    tools = {row["name"]: row for row in json.loads(captured.out)["tools"]}
    assert tools[ARM_GCC.command]["found"] is False
    assert tools[QEMU_ARM.command]["found"] is True
    assert f"next: {ARM_GCC.install_command}" in captured.err

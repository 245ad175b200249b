# SPDX-License-Identifier: Apache-2.0
"""tools/setup.sh on machines that lack something; programs and packages are stand-ins that note calls."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

TOOLS = Path(__file__).parents[2] / "tools"
SYSTEM_PROGRAMS = ("bash", "sh", "cat", "dirname", "env", "grep", "mkdir", "rm", "sha256sum", "tr")

# `python -m venv .venv` of a machine where it works: an interpreter with pip, and the activation script.
MAKE_VENV = """mkdir -p .venv/bin
cp -f "$STANDINS/venv-python" .venv/bin/python
echo "VIRTUAL_ENV=\\"$(pwd -P)/.venv\\"" > .venv/bin/activate"""


def program(directory: Path, name: str, script: str) -> None:
    directory.mkdir(parents=True, exist_ok=True)
    path = directory / name
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)


class Machine:
    """A checkout and a PATH of stand-ins, with everything that setup.sh wants."""

    def __init__(self, directory: Path) -> None:
        self.checkout, self.bin, self.calls = (
            directory / "my checkout",
            directory / "bin",
            directory / "calls",
        )
        self.checkout.mkdir()
        (self.checkout / "pyproject.toml").write_text("")
        shutil.copytree(TOOLS, self.checkout / "tools")
        self.bin.mkdir()
        for name in (*SYSTEM_PROGRAMS, "cp"):
            found = shutil.which(name)
            assert found, name
            (self.bin / name).symlink_to(found)
        for name in ("gcc", "clang", "cmake", "ninja", "qemu-system-arm"):
            program(self.bin, name, "exit 0")
        program(self.bin, "arm-none-eabi-gcc", "echo /lib/nano.specs")
        program(self.bin, "id", "echo 1000")
        program(self.bin, "apt-get", f'echo "apt-get $*" >> {self.calls}')
        program(self.bin, "sudo", 'exec "$@"')
        venv = f'case $1 in -m) echo "pip $*" >> {self.calls};; *) exec {sys.executable} "$@";; esac'
        program(self.bin, "venv-python", venv)
        program(self.bin, "python3.11", f'case $1 in -m) {MAKE_VENV};; *) exec {sys.executable} "$@";; esac')

    def setup(self, extras: str = "train") -> "subprocess.CompletedProcess[str]":
        self.calls.write_text("")
        return subprocess.run(
            [self.bin / "bash", self.checkout / "tools" / "setup.sh", extras],
            env={"PATH": str(self.bin), "STANDINS": str(self.bin)},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    def called(self, name: str) -> list[str]:
        return [line for line in self.calls.read_text().splitlines() if line.startswith(name)]


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


def test_second_run_has_nothing_to_do(machine: Machine) -> None:
    done = machine.setup()
    assert (done.returncode, done.stderr) == (0, "setup: installing mcu-ser[train] into .venv\n")
    assert len(machine.called("pip")) == 1
    done = machine.setup()
    assert (done.returncode, done.stderr) == (0, "")
    assert machine.called("pip") == []


@pytest.mark.parametrize(
    ("broken", "message"),
    [
        ('case $2 in "import pip") exit 1;; *) exit 0;; esac', "half made (no pip)"),
        ("exit 1", "not of a Python 3.10 to 3.13 on this machine"),
    ],
)
def test_unfit_environment_is_made_anew_and_said(machine: Machine, broken: str, message: str) -> None:
    machine.setup()
    program(machine.checkout / ".venv" / "bin", "python", broken)
    done = machine.setup()
    assert done.returncode == 0
    assert f"setup: .venv is {message}; making it anew\n" in done.stderr
    assert len(machine.called("pip")) == 1


def test_copied_checkout_gets_its_own_environment(machine: Machine, tmp_path: Path) -> None:
    machine.setup()
    shutil.copytree(machine.checkout, tmp_path / "copy")
    machine.checkout = tmp_path / "copy"
    done = machine.setup()
    assert "setup: .venv is made for another directory; making it anew\n" in done.stderr
    assert str(tmp_path / "copy") in (tmp_path / "copy" / ".venv" / "bin" / "activate").read_text()


def test_missing_packages_are_installed(machine: Machine) -> None:
    (machine.bin / "ninja").unlink()
    assert machine.setup().returncode == 0
    installed = "apt-get install -q -y --no-install-recommends ninja-build"
    assert machine.called("apt-get") == ["apt-get update -q", installed]


def test_compiler_without_headers_gets_them(machine: Machine) -> None:
    program(machine.bin, "gcc", "exit 1")
    assert machine.setup().returncode == 0
    assert machine.called("apt-get")[1].endswith(" libc6-dev")


ARDUINO_CORE = Path("/usr/share/arduino/hardware/arduino/avr/cores")


def test_clang_without_its_sanitizers_gets_them(machine: Machine) -> None:
    links = "case $1 in -dumpversion) echo 14.0.6;; *) exit 1;; esac"
    program(machine.bin, "clang", links)
    assert machine.setup("train").returncode == 0
    assert machine.called("apt-get") == []
    assert machine.setup("dev").returncode == 0
    assert machine.called("apt-get")[-1].endswith(" libclang-rt-14-dev")


def test_tests_get_a_second_compiler(machine: Machine) -> None:
    (machine.bin / "clang").unlink()
    done = machine.setup("dev")
    assert " clang " in machine.called("apt-get")[1]
    # The stand-in for apt-get brings nothing.
    assert (done.returncode, done.stderr.splitlines()[-1]) == (
        3,
        "setup: clang is installed and does not run",
    )


def test_tests_get_an_arduino_core_its_emulator_and_flash_tools(machine: Machine) -> None:
    """The demo does without."""
    assert machine.setup("train").returncode == 0
    assert machine.called("apt-get") == []
    assert machine.setup("train,dev").returncode == 0
    installed = machine.called("apt-get")[1].removeprefix("apt-get install -q -y --no-install-recommends ")
    core = [] if ARDUINO_CORE.is_dir() else ["arduino-core-avr"]
    flash_tools = ["openocd", "stlink-tools", "dfu-util", "bossa-cli"]
    assert installed.split() == ["gcc-avr", "qemu-system-misc", "avr-libc", *core, *flash_tools]


def test_avr_compiler_without_headers_gets_them(machine: Machine) -> None:
    program(machine.bin, "qemu-system-avr", "exit 0")
    for status, wanted in ((1, True), (0, False)):
        program(machine.bin, "avr-gcc", f"exit {status}")
        assert machine.setup("dev").returncode == 0
        assert any("avr-libc" in call for call in machine.called("apt-get")) == wanted


@pytest.mark.parametrize("refusing", ["no sudo", "sudo", "apt-get update", "apt-get install"])
def test_what_root_must_do_is_said(machine: Machine, refusing: str) -> None:
    (machine.bin / "cmake").unlink()
    name, _, step = refusing.rpartition(" ")
    if refusing == "no sudo":
        (machine.bin / "sudo").unlink()
    elif refusing == "sudo":
        program(machine.bin, "sudo", "exit 1")
    else:
        program(machine.bin, name, f"[ $1 != {step} ]")
    done = machine.setup()
    assert done.returncode == 3
    message = "setup: run as root, then start again: apt-get update && apt-get install -y cmake\n"
    assert done.stderr.endswith(message)
    assert not (machine.checkout / ".venv").exists()


@pytest.mark.parametrize("name", ["demo.sh", "test.sh"])
def test_programs_of_the_environment_are_called_as_modules(name: str) -> None:
    """Their own first lines name the interpreter by a path that a moved checkout no longer has."""
    lines = (TOOLS / name).read_text().splitlines()
    calls = [line for line in lines if ".venv/bin/" in line]
    assert calls
    assert all(".venv/bin/python -m " in line for line in calls)

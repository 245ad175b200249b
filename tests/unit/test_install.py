# SPDX-License-Identifier: Apache-2.0
import pytest

from mcu_ser import install
from mcu_ser.install import Packages, package_manager, package_manager_of
from mcu_ser.programs import ARDUINO_PROGRAMS, FLASH_PROGRAMS, PROGRAMS

MANAGERS = ("apt", "dnf", "pacman", "brew", "winget", None)


@pytest.mark.parametrize(
    ("system", "os_release", "manager"),
    [
        ("linux", {"ID": "debian"}, "apt"),
        ("linux", {"ID": "ubuntu", "ID_LIKE": "debian"}, "apt"),
        ("linux", {"ID": "linuxmint", "ID_LIKE": "ubuntu debian"}, "apt"),
        ("linux", {"ID": "raspbian", "ID_LIKE": "debian"}, "apt"),
        ("linux", {"ID": "fedora"}, "dnf"),
        ("linux", {"ID": "almalinux", "ID_LIKE": "rhel centos fedora"}, "dnf"),
        ("linux", {"ID": "arch"}, "pacman"),
        ("linux", {"ID": "manjaro", "ID_LIKE": "arch"}, "pacman"),
        ("linux", {"ID": "alpine"}, None),
        ("linux", {}, None),
        ("darwin", {}, "brew"),
        ("win32", {}, "winget"),
    ],
)
def test_the_package_manager_of_a_system(system, os_release, manager):
    assert package_manager_of(system, os_release) == manager


def test_a_computer_may_not_say(monkeypatch):
    def no_file():
        raise OSError("no os-release")

    monkeypatch.setattr(install.platform, "freedesktop_os_release", no_file)
    monkeypatch.setattr(install.sys, "platform", "linux")
    assert package_manager.__wrapped__() is None  # past the cache


def test_this_computer_has_one_or_none():
    assert package_manager() in MANAGERS


@pytest.mark.parametrize(
    ("manager", "command"),
    [
        ("apt", "apt-get install a b"),
        ("dnf", "dnf install c"),
        ("pacman", "pacman -S d"),
        ("brew", "brew install e"),
        ("winget", "winget install F.G"),
    ],
)
def test_the_command_of_each_package_manager(manager, command):
    packages = Packages(apt="a b", dnf="c", pacman="d", brew="e", winget="F.G")
    assert packages.install_command(manager) == command


def test_what_no_package_manager_has_is_somewhere_else():
    packages = Packages(apt="tool", elsewhere="pip install tool")
    assert packages.install_command("dnf") == "pip install tool"
    assert packages.install_command(None) == "pip install tool"


def test_an_unknown_system_gets_the_name_of_the_package():
    assert Packages(apt="tool").install_command(None) == (
        "install what Debian packages as tool with this system's package manager"
    )


@pytest.mark.parametrize("manager", MANAGERS)
@pytest.mark.parametrize(
    "program", [*PROGRAMS, *ARDUINO_PROGRAMS, *FLASH_PROGRAMS], ids=lambda program: program.command
)
def test_every_program_can_be_had_on_every_system(program, manager):
    command = program.packages.install_command(manager)
    assert "None" not in command
    # An address where no package exists; else a command that names something.
    assert command.startswith("https://") or len(command.split()) >= 3

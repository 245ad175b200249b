# SPDX-License-Identifier: Apache-2.0
"""How a program is installed on this operating system: package names per package manager, as data."""

from __future__ import annotations

import functools
import platform
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

PackageManager = Literal["apt", "dnf", "pacman", "brew", "winget"]

# In front of the package name.
_INSTALL: Mapping[PackageManager, str] = {
    "apt": "apt-get install",
    "dnf": "dnf install",
    "pacman": "pacman -S",
    "brew": "brew install",
    "winget": "winget install",
}

# os-release(5): ID and ID_LIKE of the distributions that use each package manager.
_DISTRIBUTIONS: Mapping[str, PackageManager] = {
    "debian": "apt",
    "ubuntu": "apt",
    "fedora": "dnf",
    "rhel": "dnf",
    "arch": "pacman",
}


@dataclass(frozen=True)
class Packages:
    """Where a program can be had.

    Attributes:
        apt: Debian and Ubuntu packages, separated by spaces; None where there is none, as below.
        dnf: Fedora packages.
        pacman: Arch Linux packages.
        brew: Homebrew formulas (macOS).
        winget: Windows Package Manager ids.
        elsewhere: A command or an address that serves every system without a package.
    """

    apt: str | None = None
    dnf: str | None = None
    pacman: str | None = None
    brew: str | None = None
    winget: str | None = None
    elsewhere: str | None = None

    def install_command(self, manager: PackageManager | None) -> str:
        """What to run, or where to go, on a system with this package manager (None: an unknown one)."""
        package = None if manager is None else getattr(self, manager)
        if manager is not None and package is not None:
            return f"{_INSTALL[manager]} {package}"
        if self.elsewhere is not None:
            return self.elsewhere
        names = self.apt or self.brew or self.winget
        return f"install what Debian packages as {names} with this system's package manager"


def package_manager_of(system: str, os_release: Mapping[str, str]) -> PackageManager | None:
    """The package manager of a system.

    Args:
        system: `sys.platform`.
        os_release: Fields of os-release(5); empty outside Linux.
    """
    if system == "darwin":
        return "brew"
    if system == "win32":
        return "winget"
    families = [os_release.get("ID", ""), *os_release.get("ID_LIKE", "").split()]
    return next((_DISTRIBUTIONS[family] for family in families if family in _DISTRIBUTIONS), None)


@functools.cache
def package_manager() -> PackageManager | None:
    """The package manager of this computer; None if it is an unknown one."""
    try:
        os_release = platform.freedesktop_os_release()
    except OSError:
        os_release = {}
    return package_manager_of(sys.platform, os_release)

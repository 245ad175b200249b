# SPDX-License-Identifier: Apache-2.0
"""The mounted volumes of this computer by label, and the USB device that each belongs to."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Volume:
    """A mounted volume.

    Attributes:
        label: Its name.
        mount_point: Where its files are.
        usb_serial: Serial number of the USB device that it is on; empty if unknown.
    """

    label: str
    mount_point: Path
    usb_serial: str = ""

    def is_called(self, labels: Sequence[str]) -> bool:
        """Whether its name is one of these, or would be without the number that tells two of a name apart."""
        return self.label in labels or re.sub(r"\d$", "", self.label) in labels


def mounted_volumes(root: Path = Path("/")) -> tuple[Volume, ...]:
    """The volumes that are mounted, by mount point; `root` is where the system's files are."""
    if sys.platform == "darwin":
        return tuple(Volume(path.name, path) for path in sorted(root.joinpath("Volumes").glob("*")))
    try:
        mounts = (root / "proc/self/mounts").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ()
    labels = _labels(root)
    volumes = []
    for device, mount_point in parse_mounts(mounts):
        label = labels.get(Path(device).name) or mount_point.name
        volumes.append(Volume(label, mount_point, _usb_serial(root, Path(device).name)))
    return tuple(sorted(volumes, key=lambda volume: volume.mount_point))


def parse_mounts(text: str) -> Iterator[tuple[str, Path]]:
    """Device and mount point of each block device in the text of /proc/self/mounts (fstab(5) escapes)."""
    for line in text.splitlines():
        fields = line.split(" ")
        if len(fields) >= 2 and fields[0].startswith("/dev/"):
            yield _unescaped(fields[0]), Path(_unescaped(fields[1]))


def _unescaped(field: str) -> str:
    return re.sub(r"\\([0-7]{3})", lambda found: chr(int(found[1], 8)), field)


def _labels(root: Path) -> dict[str, str]:
    """Block device -> label, of the links that udev keeps."""
    directory = root / "dev/disk/by-label"
    try:
        links = sorted(directory.iterdir())
        return {link.readlink().name: _from_udev(link.name) for link in links}
    except OSError:
        return {}


def _from_udev(name: str) -> str:
    return re.sub(r"\\x([0-9a-f]{2})", lambda found: chr(int(found[1], 16)), name)


def _usb_serial(root: Path, block_device: str) -> str:
    try:
        directory = (root / "sys/class/block" / block_device).resolve(strict=True)
    except OSError:
        return ""
    for parent in directory.parents:
        if (parent / "idVendor").is_file():
            try:
                return (parent / "serial").read_text(encoding="ascii", errors="replace").strip()
            except OSError:
                return ""
    return ""

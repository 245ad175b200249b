# SPDX-License-Identifier: Apache-2.0
"""Flashes by a copy to the USB volume that the board's probe shows.

The volume is no file system: the probe writes to the chip what passes by. So the file is copied in one piece
under its own name (a rename would come too late), as Intel hex, whose checksums let the probe notice what a
host sends out of order, and an error comes back as a file FAIL.TXT.
"""

from __future__ import annotations

import os
import shutil
import time
from pathlib import Path

from mcu_ser.board.flash_tools import MassStorageArguments
from mcu_ser.errors import ConfigError, FlashError, ToolMissingError
from mcu_ser.flash.runner import FlashJob, Runner
from mcu_ser.flash.volumes import Volume, mounted_volumes

# The probe shows the outcome only after it has written the chip and shown its volume anew.
_OUTCOME_S = 4.0
_LOOK_AGAIN_S = 0.2
_FAILURE_FILE = "FAIL.TXT"


class MassStorage(Runner[MassStorageArguments]):
    """A copy; the "program" is the directory where the volume is mounted."""

    name = "mass_storage"
    image_kind = "hex"

    def require(self, job: FlashJob) -> str:
        return str(self._volume(job).mount_point)

    def shown(self, job: FlashJob) -> str:
        # Where it would be mounted differs from system to system.
        return f"PATH_OF_{self.arguments(job.board).labels[0]}"

    def argv(self, program: str, job: FlashJob) -> list[str]:
        return ["cp", job.image("hex").name, f"{program.rstrip('/')}/"]

    def execute(self, program: str, job: FlashJob, log: Path, timeout_s: float) -> int:
        mount_point = Path(program)
        _refuse_failure(mount_point, "holds a failure from before", "plugging the board out and in again")
        try:
            _copy(job.image("hex"), mount_point / job.image("hex").name)
        except OSError as error:
            raise FlashError(
                mount_point,
                f"does not take the firmware ({error.strerror or error})",
                hint="plugging the board out and in again",
            ) from error
        end = time.monotonic() + min(_OUTCOME_S, timeout_s)
        while time.monotonic() < end:
            _refuse_failure(mount_point, "refused the firmware", "another runner, which says more")
            time.sleep(_LOOK_AGAIN_S)
        with log.open("a", encoding="utf-8") as stream:
            stream.write(f"copied {job.image('hex').name} to {mount_point}\n")
        return 0

    def _volume(self, job: FlashJob) -> Volume:
        labels = self.arguments(job.board).labels
        found = [volume for volume in mounted_volumes() if volume.is_called(labels)]
        if job.probe is not None:
            # A volume whose probe is unknown is not excluded: only Linux tells.
            found = [volume for volume in found if volume.usb_serial in {job.probe, ""}]
        if not found:
            raise ToolMissingError(
                self.name,
                f"no volume {' or '.join(labels)} is mounted",
                hint="opening the board's drive in the file manager, or mount it",
            )
        if len(found) > 1:
            mounts = ", ".join(str(volume.mount_point) for volume in found)
            raise ConfigError(
                job.board.id, f"{len(found)} volumes may be it: {mounts}", hint="--probe SERIAL"
            )
        return found[0]


def _copy(source: Path, target: Path) -> None:
    with source.open("rb") as firmware, target.open("wb") as volume:
        shutil.copyfileobj(firmware, volume)
        volume.flush()
        os.fsync(volume.fileno())


def _refuse_failure(mount_point: Path, problem: str, hint: str) -> None:
    """Raise FlashError if the volume holds a FAIL.TXT; a volume that is away at the moment holds none."""
    try:
        text = (mount_point / _FAILURE_FILE).read_text(encoding="ascii", errors="replace")
    except OSError:
        return
    raise FlashError(mount_point, f"{problem}: {' '.join(text.split())}", hint=hint)

# SPDX-License-Identifier: Apache-2.0
"""The firmware as a native program of this computer, on a loopback TCP port."""

from __future__ import annotations

import re
from pathlib import Path
from types import TracebackType

from mcu_ser.device.device import DEFAULT_BAUD
from mcu_ser.device.process import SupervisedProcess, how_it_ended
from mcu_ser.errors import ConfigError, DeviceFaultError

_START_S = 10.0
_LISTENING = re.compile(r"listening (127\.0\.0\.1):(\d{1,5})")


class HostProcess:
    """Runs a firmware project of the platform `host`; a context manager.

    Raises (on entering):
        ConfigError: The program is absent.
        DeviceFaultError: It ends before it listens.
    """

    baud = DEFAULT_BAUD

    def __init__(self, executable: Path) -> None:
        self._executable = executable
        self._process: SupervisedProcess | None = None
        self._url = ""

    @property
    def url(self) -> str:
        return self._url

    @property
    def pid(self) -> int:
        """Process id of the running program."""
        return self._running().pid

    def __enter__(self) -> HostProcess:
        if not self._executable.is_file():
            raise ConfigError(self._executable, "is not there", hint="mcu-ser build PROJECT")
        self._process = SupervisedProcess(
            [str(self._executable.resolve())], environment={"MCU_SER_TCP_PORT": "0"}
        )
        try:
            line = self._process.wait_for_output("listening", _START_S)
            found = _LISTENING.fullmatch(line) if line else None
            if found is None:
                self.raise_if_dead()
                raise DeviceFaultError(self._executable.name, f"does not listen after {_START_S:g} s")
        except BaseException:
            self._process.stop()
            raise
        self._url = f"socket://{found[1]}:{found[2]}"
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._running().stop()

    def raise_if_dead(self, wait_s: float = 0.0) -> None:
        process = self._running()
        code = process.returncode(wait_s)
        if code is not None:
            raise DeviceFaultError(self._executable.name, _obituary(code, process.last_words()))

    def _running(self) -> SupervisedProcess:
        if self._process is None:
            raise RuntimeError("HostProcess is used outside its context")
        return self._process


def _obituary(code: int, last_words: str) -> str:
    # A sanitizer's report is long; one line of it says what happened.
    lines = [line.strip() for line in last_words.splitlines() if line.strip()]
    telling = next((line for line in lines if "ERROR:" in line or "runtime error:" in line), None)
    words = telling or (lines[-1] if lines else "")
    return f"the firmware ended ({how_it_ended(code)})" + (f": {words}" if words else "")

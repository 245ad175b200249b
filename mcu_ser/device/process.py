# SPDX-License-Identifier: Apache-2.0
"""A child process that is watched, whose last words are kept, and that never outlives this process."""

from __future__ import annotations

import atexit
import logging
import os
import shlex
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

logger = logging.getLogger(__name__)

_LAUNCHER = Path(__file__).with_name("parent_death.py")
_STOP_WAIT_S = 2.0
_LAST_WORDS_BYTES = 8192
_FIRST_LINE_BYTES = 4096


class SupervisedProcess:
    """Starts a program; ends it in `stop`, at interpreter exit, or when this process is killed (Linux).

    The kernel watches the thread that starts the program: keep that thread alive as long as the program.

    Args:
        argv: Program (absolute path) and arguments.
        pass_fds: File descriptors that the program inherits.
        environment: Variables added to this process's environment.
    """

    def __init__(
        self,
        argv: Sequence[str],
        *,
        pass_fds: Sequence[int] = (),
        environment: Mapping[str, str] | None = None,
    ) -> None:
        logger.debug("starting %s", shlex.join(argv))
        self._stdout = tempfile.TemporaryFile()
        self._stderr = tempfile.TemporaryFile()
        self._process = subprocess.Popen(
            [sys.executable, "-I", "-S", str(_LAUNCHER), str(os.getpid()), *argv],
            stdin=subprocess.DEVNULL,
            stdout=self._stdout,
            stderr=self._stderr,
            pass_fds=pass_fds,
            env={**os.environ, **(environment or {})},
            start_new_session=True,  # Ctrl-C is for us; we stop the program when we are done with it
        )
        atexit.register(self.stop)

    @property
    def pid(self) -> int:
        return self._process.pid

    def returncode(self, wait_s: float = 0.0) -> int | None:
        """Exit status, -N for signal N; None if the program still runs after `wait_s`."""
        try:
            return self._process.wait(timeout=wait_s) if wait_s > 0 else self._process.poll()
        except subprocess.TimeoutExpired:
            return None

    def wait_for_output(self, text: str, timeout_s: float, *, stderr: bool = False) -> str | None:
        """The first line of output that contains `text`; None if the program ends or time runs out."""
        stream = self._stderr if stderr else self._stdout
        deadline = time.monotonic() + timeout_s
        while True:
            ended = self.returncode() is not None
            # pread leaves the file offset alone: the program writes through the same open file.
            seen = os.pread(stream.fileno(), _FIRST_LINE_BYTES, 0).decode(errors="replace")
            for line in seen.splitlines(keepends=True):
                if text in line and line.endswith("\n"):
                    return line.rstrip("\n")
            if ended or time.monotonic() > deadline:
                return None
            time.sleep(0.005)

    def last_words(self) -> str:
        """The end of what the program wrote to stderr."""
        size = os.fstat(self._stderr.fileno()).st_size
        start = max(0, size - _LAST_WORDS_BYTES)
        return os.pread(self._stderr.fileno(), _LAST_WORDS_BYTES, start).decode(errors="replace")

    def stop(self) -> None:
        """End the program and wait for its end; harmless if it has ended or was stopped before."""
        atexit.unregister(self.stop)
        if self._process.poll() is None:
            self._process.terminate()
            try:
                self._process.wait(timeout=_STOP_WAIT_S)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
        self._stdout.close()
        self._stderr.close()


def how_it_ended(returncode: int) -> str:
    """The exit status of a process in words."""
    if returncode >= 0:
        return f"exit status {returncode}"
    try:
        return f"killed by {signal.Signals(-returncode).name}"
    except ValueError:
        return f"killed by signal {-returncode}"

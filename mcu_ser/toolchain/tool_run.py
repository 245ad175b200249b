# SPDX-License-Identifier: Apache-2.0
"""Runs a build tool: its output in a log, its environment plain, no child of it left behind."""

from __future__ import annotations

import logging
import os
import shlex
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import NoReturn

from mcu_ser.errors import BuildError, ToolMissingError

# What compilers, CMake and PlatformIO would take from the user's environment into the firmware, into the
# place where it is left, or into their messages.
_BUILD_VARIABLES = frozenset(
    {
        *("CC", "CXX", "ASM", "CFLAGS", "CXXFLAGS", "ASMFLAGS", "CPPFLAGS", "LDFLAGS"),
        *("CPATH", "C_INCLUDE_PATH", "CPLUS_INCLUDE_PATH", "COMPILER_PATH", "LIBRARY_PATH", "LD_RUN_PATH"),
        *("DEPENDENCIES_OUTPUT", "SUNPRO_DEPENDENCIES", "LDEMULATION", "GNUTARGET", "CLICOLOR_FORCE"),
    }
)
_BUILD_VARIABLE_PREFIXES = (
    *("CMAKE_", "GCC_", "COLLECT_"),
    *("PLATFORMIO_BUILD_", "PLATFORMIO_SRC_", "PLATFORMIO_INCLUDE_", "PLATFORMIO_LIB", "PLATFORMIO_BOARDS_"),
    *("PLATFORMIO_WORKSPACE_", "PLATFORMIO_DEFAULT_", "PLATFORMIO_EXTRA_"),
)

_log = logging.getLogger(__name__)


def build_environment(inherited: Mapping[str, str]) -> dict[str, str]:
    """The environment of the tools: nothing in it changes the firmware, and messages are English."""
    kept = {
        name: value
        for name, value in inherited.items()
        if name not in _BUILD_VARIABLES and not name.startswith(_BUILD_VARIABLE_PREFIXES)
    }
    return {**kept, "LC_ALL": "C"}


def run_tool(argv: Sequence[str], cwd: Path, log: Path, *, timeout_s: float, install_command: str) -> int:
    """Run a tool with its output appended to `log`; returns its exit code, -N for signal N.

    Raises:
        ToolMissingError: It is not a program that this machine runs.
        BuildError: It did not end in time.
    """
    _log.info("%s", shlex.join(argv))
    with log.open("ab") as stream, _process_group(argv, cwd, stream.fileno(), install_command) as process:
        try:
            return process.wait(timeout_s)
        except subprocess.TimeoutExpired as error:
            raise BuildError(
                shlex.join(argv), "did not end in time", limit=f"{timeout_s:.0f} s", hint=f"see {log}"
            ) from error


@contextmanager
def _process_group(
    argv: Sequence[str], cwd: Path, output: int, install_command: str
) -> Iterator[subprocess.Popen[bytes]]:
    """A tool in a process group of its own, so that no compiler outlives an interrupted build."""
    with _termination_unwinds():
        try:
            process = subprocess.Popen(
                argv,
                cwd=cwd,
                env=build_environment(os.environ),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        except OSError as error:
            raise ToolMissingError(
                argv[0], f"cannot be started ({error.strerror})", hint=install_command
            ) from error
        try:
            yield process
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()


@contextmanager
def _termination_unwinds() -> Iterator[None]:
    """Make SIGTERM and SIGHUP end this process by an exception while the block runs.

    By default they end it at once, and the compilers, which are in a session of their own, would go on.
    A handler of the caller's is left alone.
    """
    if threading.current_thread() is not threading.main_thread():
        yield  # Python sets signal handlers in the main thread alone
        return
    ours = [s for s in (signal.SIGTERM, signal.SIGHUP) if signal.getsignal(s) is signal.SIG_DFL]
    for number in ours:
        signal.signal(number, _exit_by_signal)
    try:
        yield
    finally:
        for number in ours:
            signal.signal(number, signal.SIG_DFL)


def _exit_by_signal(number: int, _frame: FrameType | None) -> NoReturn:
    sys.exit(128 + number)  # what a shell reports for a process that the signal ended

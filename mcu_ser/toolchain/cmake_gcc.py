# SPDX-License-Identifier: Apache-2.0
"""Builds a firmware project with CMake, Ninja and gcc, and turns what they say into one clear error."""

from __future__ import annotations

import logging
import os
import re
import shlex
import shutil
import signal
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from mcu_ser.errors import BuildError, ToolMissingError
from mcu_ser.programs import ARM_GCC, CMAKE, HOST_GCC, NINJA, Program
from mcu_ser.toolchain.footprint import Footprint, measure, object_symbols, over_budget

if TYPE_CHECKING:
    from mcu_ser.board import Board
    from mcu_ser.generate.project import Project

PRESET = "firmware"
LOG_NAME = "build.log"
# Far above any build seen (seconds): a hung compiler must not hang mcu-ser.
TIMEOUT_S = 600.0

# What ld says, once per region, when a section does not fit.
_OVERFLOW = re.compile(r"region [`'](\w+)' overflowed by (\d+) bytes?")
_ERROR_LINE = re.compile(r"\berror:|^CMake Error|undefined reference to")
# The cross compiler without its C library.
_NO_NEWLIB = re.compile(r"nano\.specs'?: No such file|fatal error: (string|stdint|stddef)\.h: No such file")

# Flags and directories that CMake and gcc would take from the user's environment into the firmware.
_FLAG_VARIABLES = frozenset(
    {"CFLAGS", "CPPFLAGS", "LDFLAGS", "CPATH", "C_INCLUDE_PATH", "LIBRARY_PATH", "CMAKE_TOOLCHAIN_FILE"}
)

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class BuildResult:
    """A firmware that was built and fits its board; `log` is what the tools said."""

    elf: Path
    footprint: Footprint
    log: Path


def required_programs(board: Board) -> tuple[Program, ...]:
    """The programs that a build for this board calls."""
    return (CMAKE, NINJA, ARM_GCC if board.platform == "stm32" else HOST_GCC)


def configure_argv(options: Mapping[str, str] | None = None) -> list[str]:
    """CMake's configure step, run in the project; `options` are cache variables."""
    return ["cmake", "--preset", PRESET, *(f"-D{name}={value}" for name, value in (options or {}).items())]


def build_argv() -> list[str]:
    """CMake's build step, run in the project."""
    return ["cmake", "--build", "--preset", PRESET]


def build_environment(inherited: Mapping[str, str]) -> dict[str, str]:
    """The environment of the tools: nothing in it changes the firmware, and messages are English."""
    return {**{k: v for k, v in inherited.items() if k not in _FLAG_VARIABLES}, "LC_ALL": "C"}


def build(
    project: Project, options: Mapping[str, str] | None = None, timeout_s: float = TIMEOUT_S
) -> BuildResult:
    """Compile and link a project into PROJECT/build, and measure the result.

    Args:
        project: What to build.
        options: CMake cache variables.
        timeout_s: Longest time for each of the two steps.

    Raises:
        ToolMissingError: CMake, Ninja or the compiler is not installed.
        BuildError: A tool refused; names its first error and the log.
        BudgetError: The firmware does not fit the board.
    """
    for program in required_programs(project.board):
        program.require()
    _discard_moved_build(project)
    log = project.build_dir / LOG_NAME
    try:
        project.build_dir.mkdir(exist_ok=True)
        log.unlink(missing_ok=True)
    except OSError as error:
        raise BuildError(project.build_dir, f"cannot be written ({error.strerror})") from error
    for argv in (configure_argv(options), build_argv()):
        if _run(argv, project.root, log, timeout_s) != 0:
            _refuse(project, log)
    return BuildResult(project.elf_path, measure(project.elf_path, project.board), log)


def _discard_moved_build(project: Project) -> None:
    """Remove a build directory that was made under another path: CMake refuses to go on with it."""
    cache = project.build_dir / "CMakeCache.txt"
    if not cache.is_file():
        return
    home = re.search(r"^CMAKE_HOME_DIRECTORY:INTERNAL=(.*)$", cache.read_text(errors="replace"), re.MULTILINE)
    if home is None or Path(home[1]) != project.root.resolve():
        shutil.rmtree(project.build_dir)


def _run(argv: Sequence[str], cwd: Path, log: Path, timeout_s: float) -> int:
    """Run a tool with its output appended to `log`; returns its exit code.

    Raises:
        BuildError: It did not end in time.
    """
    _log.info("%s", shlex.join(argv))
    with log.open("ab") as stream, _process_group(argv, cwd, stream.fileno()) as process:
        try:
            return process.wait(timeout_s)
        except subprocess.TimeoutExpired as error:
            raise BuildError(
                shlex.join(argv), "did not end in time", limit=f"{timeout_s:.0f} s", hint=f"see {log}"
            ) from error


@contextmanager
def _process_group(argv: Sequence[str], cwd: Path, output: int) -> Iterator[subprocess.Popen[bytes]]:
    """A tool in a process group of its own, so that no compiler outlives an interrupted build."""
    process = subprocess.Popen(
        argv,
        cwd=cwd,
        env=build_environment(os.environ),
        stdin=subprocess.DEVNULL,
        stdout=output,
        stderr=subprocess.STDOUT,
        start_new_session=True,
    )
    try:
        yield process
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def _refuse(project: Project, log: Path) -> NoReturn:
    """Raise the error that the log of a failed build tells of."""
    # An older firmware must not pass for the one that could not be built.
    project.elf_path.unlink(missing_ok=True)
    text = log.read_text(errors="replace")
    regions = {region.name: region for region in project.board.memory}
    overflow = _OVERFLOW.search(text)
    if overflow and overflow[1] in regions:
        region = regions[overflow[1]]
        kind = "flash" if region.kind == "flash" else "RAM"
        raise over_budget(
            project.board, kind, int(overflow[2]), region.bytes, object_symbols(project.build_dir)
        )
    if project.board.platform == "stm32" and _NO_NEWLIB.search(text):
        raise ToolMissingError(
            "newlib", "the C library of arm-none-eabi-gcc is not installed", hint=ARM_GCC.install_command
        )
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    first = next((line for line in lines if _ERROR_LINE.search(line)), lines[-1] if lines else "no output")
    raise BuildError(project.root, first.replace(f"{project.root.resolve()}/", ""), hint=f"see {log}")

# SPDX-License-Identifier: Apache-2.0
"""Builds a firmware project with CMake, Ninja and gcc, and turns what they say into one clear error."""

from __future__ import annotations

import itertools
import json
import logging
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import textwrap
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, NoReturn

from mcu_ser.artifacts import canonical_json, sha256_file, write_text
from mcu_ser.errors import BuildError, ToolMissingError
from mcu_ser.programs import ARM_GCC, CMAKE, HOST_GCC, NINJA, Program
from mcu_ser.toolchain.footprint import Footprint, measure, object_symbols, over_budget

if TYPE_CHECKING:
    from mcu_ser.board import Board
    from mcu_ser.generate.project import Project

PRESET = "firmware"
LOG_NAME = "build.log"
# Of a finished build: path -> SHA-256 of every generated file, as it was compiled.
INPUTS_NAME = "inputs.json"
# What objcopy makes of the ELF for flash tools, beside it.
_IMAGE_SUFFIXES = (".bin", ".hex")
# Far above any build seen (seconds): a hung compiler must not hang mcu-ser.
TIMEOUT_S = 600.0

# Generated files that no build reads.
_FOR_PEOPLE = frozenset({"README.md", ".gitignore"})
# What ld says, once per region, when a section does not fit.
_OVERFLOW = re.compile(r"region [`'](\w+)' overflowed by (\d+) bytes?")
_ERROR_LINE = re.compile(r"\berror:|^CMake Error|undefined reference to")
# Longest error shown; the log has the whole.
_ERROR_CHARACTERS = 400
# The cross compiler without its C library.
_NO_NEWLIB = re.compile(r"nano\.specs'?: No such file|fatal error: (string|stdint|stddef)\.h: No such file")

# What CMake, gcc and ld would take from the user's environment into the firmware, or into their messages.
_BUILD_VARIABLES = frozenset(
    {
        *("CC", "CXX", "ASM", "CFLAGS", "CXXFLAGS", "ASMFLAGS", "CPPFLAGS", "LDFLAGS"),
        *("CPATH", "C_INCLUDE_PATH", "CPLUS_INCLUDE_PATH", "COMPILER_PATH", "LIBRARY_PATH", "LD_RUN_PATH"),
        *("DEPENDENCIES_OUTPUT", "SUNPRO_DEPENDENCIES", "LDEMULATION", "GNUTARGET", "CLICOLOR_FORCE"),
    }
)
_BUILD_VARIABLE_PREFIXES = ("CMAKE_", "GCC_", "COLLECT_")

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
    kept = {
        name: value
        for name, value in inherited.items()
        if name not in _BUILD_VARIABLES and not name.startswith(_BUILD_VARIABLE_PREFIXES)
    }
    return {**kept, "LC_ALL": "C"}


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
    _discard_firmware(project)
    for program in required_programs(project.board):
        program.require()
    _discard_moved_build(project)
    log = project.build_dir / LOG_NAME
    try:
        project.build_dir.mkdir(exist_ok=True)
        log.unlink(missing_ok=True)
    except OSError as error:
        raise _unwritable(project, error) from error
    inputs = _input_hashes(project)  # before the build: an edit while it runs counts as a later one
    try:
        for argv in (configure_argv(options), build_argv()):
            code = _run(argv, project.root, log, timeout_s)
            if code != 0:
                _refuse(project, log, argv[0], code)
        footprint = measure(project.elf_path, project.board)
        write_text(project.build_dir / INPUTS_NAME, canonical_json(inputs))
    except BaseException:
        _discard_firmware(project)
        raise
    return BuildResult(project.elf_path, footprint, log)


def changed_since_build(project: Project) -> tuple[str, ...]:
    """Generated files that the firmware in PROJECT/build was not built from, project-relative, by name.

    Empty for a fresh build; the record's own name when no build was finished.
    """
    record = project.build_dir / INPUTS_NAME
    try:
        built = json.loads(record.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        built = None
    if not isinstance(built, dict):
        return (record.relative_to(project.root).as_posix(),)
    now = _input_hashes(project)
    return tuple(name for name in sorted(built.keys() | now.keys()) if built.get(name) != now.get(name))


def _input_hashes(project: Project) -> dict[str, str]:
    """Path -> SHA-256 of the generated files that are there and that a build reads."""
    paths = {name: project.root / name for name in project.manifest.files if name not in _FOR_PEOPLE}
    return {name: sha256_file(path) for name, path in paths.items() if path.is_file()}


def _discard_firmware(project: Project) -> None:
    """Remove what an earlier build left: it must not pass for the firmware of a build that fails."""
    images = (project.elf_path.with_suffix(suffix) for suffix in _IMAGE_SUFFIXES)
    try:
        for path in (project.build_dir / INPUTS_NAME, project.elf_path, *images):
            path.unlink(missing_ok=True)
    except OSError as error:
        raise _unwritable(project, error) from error


def _unwritable(project: Project, error: OSError) -> BuildError:
    return BuildError(
        project.build_dir,
        f"cannot be written ({error.strerror or error})",
        hint="remove or rename it, or give it write permission",
    )


def _discard_moved_build(project: Project) -> None:
    """Remove a build directory that was made under another path: CMake refuses to go on with it."""
    cache = project.build_dir / "CMakeCache.txt"
    try:
        if not cache.is_file():
            return
        text = cache.read_text(errors="replace")
        home = re.search(r"^CMAKE_HOME_DIRECTORY:INTERNAL=(.*)$", text, re.MULTILINE)
        if home is None or Path(home[1]) != project.root.resolve():
            shutil.rmtree(project.build_dir)
    except OSError as error:  # also a symbolic link, whose target is not ours to empty
        raise BuildError(
            project.build_dir,
            f"was made under another path and cannot be removed ({error.strerror or error})",
            hint="remove it yourself",
        ) from error


def _run(argv: Sequence[str], cwd: Path, log: Path, timeout_s: float) -> int:
    """Run a tool with its output appended to `log`; returns its exit code, -N for signal N.

    Raises:
        ToolMissingError: It is not a program that this machine runs.
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
                argv[0], f"cannot be started ({error.strerror})", hint=CMAKE.install_command
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


def _refuse(project: Project, log: Path, tool: str, code: int) -> NoReturn:
    """Raise the error that the log of a failed build tells of; `code` is how the tool ended."""
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
    problem = _first_error(text.splitlines())
    if problem is None:
        said = [line.strip() for line in text.splitlines() if line.strip()]
        problem = f"{tool} ended with {_ending(code)}: " + (said[-1] if said else "no output")
    raise BuildError(project.root, problem.replace(f"{project.root.resolve()}/", ""), hint=f"see {log}")


def _first_error(lines: Sequence[str]) -> str | None:
    """The first error among the lines of a log, in one line; CMake's with the text indented below it."""
    for number, line in enumerate(lines):
        if _ERROR_LINE.search(line):
            below = itertools.takewhile(lambda text: not text or text[0].isspace(), lines[number + 1 :])
            told = below if line.startswith("CMake Error") else ()
            words = " ".join([line, *told]).split()
            return textwrap.shorten(" ".join(words), _ERROR_CHARACTERS, placeholder=" ...")
    return None


def _ending(code: int) -> str:
    if code >= 0:
        return f"exit status {code}"
    names = {number.value: number.name for number in signal.Signals}
    return f"signal {names.get(-code, -code)}"

# SPDX-License-Identifier: Apache-2.0
"""What compilers and linkers said in a build log, turned into one clear error."""

from __future__ import annotations

import itertools
import re
import signal
import textwrap
from collections.abc import Sequence
from typing import TYPE_CHECKING

from mcu_ser.errors import BuildError
from mcu_ser.toolchain.footprint import object_symbols, over_budget

if TYPE_CHECKING:
    from pathlib import Path

    from mcu_ser.board import MemoryRegion
    from mcu_ser.generate.project import Project

# What ld says, once per region, when a section does not fit.
_OVERFLOW = re.compile(r"region [`'](\w+)' overflowed by (\d+) bytes?")
# What it says instead when the script itself sets the end of what is left, as Arduino's does for the heap.
_BACKWARDS = re.compile(r"cannot move location counter backwards \(from ([0-9a-f]+) to ([0-9a-f]+)\)")
# Compiler, CMake, linker; arduino-cli ("Error during build: ...") and PlatformIO ("UnknownPlatform: ...").
_ERROR_LINE = re.compile(
    r"\berror:|^CMake Error|undefined reference to|multiple definition of|^Error[: ]"
    r"|^(Unknown\w+|\w+(Error|Exception)): "
)
# Longest error shown; the log has the whole.
_ERROR_CHARACTERS = 400


def require_fits(project: Project, text: str) -> None:
    """Check that the linker did not stop for lack of memory.

    Args:
        project: What was built.
        text: The log.

    Raises:
        BudgetError: It did; says which memory, by how much, and names the largest symbols.
    """
    found = _overflow(project.board.memory, text)
    if found is None:
        return
    region, excess_bytes = found
    kind = "flash" if region.kind == "flash" else "RAM"
    symbols = object_symbols(project.build_dir)
    raise over_budget(project.board, kind, excess_bytes, region.bytes, symbols, region)


def build_failure(project: Project, log: Path, tool: str, code: int) -> BuildError:
    """The error for a tool that ended with `code` (-N for signal N): its first error, or its last words."""
    text = log.read_text(errors="replace")
    problem = _first_error(text.splitlines())
    if problem is None:
        said = [line.strip() for line in text.splitlines() if line.strip()]
        problem = f"{tool} ended with {_ending(code)}: " + (said[-1] if said else "no output")
    return BuildError(project.root, problem.replace(f"{project.root.resolve()}/", ""), hint=f"see {log}")


def _overflow(memory: Sequence[MemoryRegion], text: str) -> tuple[MemoryRegion, int] | None:
    """The region that is too small, and by how many bytes."""
    overflow = _OVERFLOW.search(text)
    if overflow:
        named = [region for region in memory if region.name == overflow[1]]
        return (named[0], int(overflow[2])) if named else None
    backwards = _BACKWARDS.search(text)
    if backwards:
        reached, end = int(backwards[1], 16), int(backwards[2], 16)
        around = [region for region in memory if region.origin <= end <= region.end]
        return (around[0], reached - end) if around else None
    return None


def _first_error(lines: Sequence[str]) -> str | None:
    """The first error among the lines of a log, in one line.

    CMake says what it is about indented below it, PlatformIO's bare "HTTPClientError:" in the line before.
    """
    for number, line in enumerate(lines):
        if _ERROR_LINE.search(line):
            before, below = lines[max(0, number - 1) : number], lines[number + 1 :]
            told = [line]
            if line.startswith("CMake Error"):
                told += itertools.takewhile(lambda text: not text or text[0].isspace(), below)
            elif line.rstrip().endswith(":"):
                told = [*before, line.rstrip().rstrip(":")]
            words = " ".join(told).split()
            return textwrap.shorten(" ".join(words), _ERROR_CHARACTERS, placeholder=" ...")
    return None


def _ending(code: int) -> str:
    if code >= 0:
        return f"exit status {code}"
    names = {number.value: number.name for number in signal.Signals}
    return f"signal {names.get(-code, -code)}"

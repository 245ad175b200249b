# SPDX-License-Identifier: Apache-2.0
"""Reads the map file of GNU ld: which input section of which object lies where in the firmware.

The format is not specified anywhere; it is what `ld -Map` prints (binutils, ld/ldlang.c, print_statements).
Only the memory map is read: discarded sections and the list of loaded files stand before it. What is read
is made consistent here, so that callers may rely on it: the input sections of one output section lie inside
of it and never overlap.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from typing import Final

_START: Final = "Linker script and memory map"
_END: Final = "Cross Reference Table"

# What the linker itself puts between input sections.
FILL: Final = "*fill*"

_PLACE = r"0x(?P<address>[0-9a-f]+)\s+0x(?P<bytes>[0-9a-f]+)"
# An output section begins in the first column, an input section in the second. A name of 16 characters or
# more has its numbers on the next line.
_OUTPUT = re.compile(rf"^(?P<name>[^\s(]+)(?:\s+{_PLACE}(?:\s+load address 0x[0-9a-f]+)?)?\s*$")
_INPUT = re.compile(rf"^ (?P<name>[^\s(]+)(?:\s+{_PLACE}(?: (?P<object>.*))?)?\s*$")
_CONTINUED = re.compile(rf"^\s{{2,}}{_PLACE}(?: (?P<object>.*)|\s+load address 0x[0-9a-f]+)?\s*$")
# libc_nano.a(lib_a-memcpy.o)
_MEMBER = re.compile(r"^(?P<archive>.*)\((?P<member>[^()]*)\)$")


@dataclass(frozen=True)
class InputSection:
    """A range of the firmware and where it came from.

    Attributes:
        name: Of the section in the object, e.g. `.text.main`, `COMMON`; `FILL` for padding.
        address: Where it runs (not where it is loaded), bytes.
        bytes: What it takes, after the linker has merged equal strings and constants.
        object: Path of the object file, or of the archive that held it; as the linker was given it.
        member: Name of the object in that archive, "" if it was no archive.
    """

    name: str
    address: int
    bytes: int
    object: str
    member: str = ""

    @property
    def end(self) -> int:
        """First address behind it."""
        return self.address + self.bytes


@dataclass(frozen=True)
class OutputSection:
    """A section of the ELF; `inputs` in the order of their addresses, none empty, none overlapping."""

    name: str
    address: int
    bytes: int
    inputs: tuple[InputSection, ...]

    @property
    def end(self) -> int:
        """First address behind it."""
        return self.address + self.bytes


def parse_link_map(text: str) -> tuple[OutputSection, ...]:
    """The output sections of a map file, in its order; empty if `text` is no map file."""
    return tuple(_finished(section) for section in _read(_memory_map(text)))


@dataclass
class _Reading:
    """An output section whose lines are being read."""

    name: str
    address: int
    bytes: int
    inputs: list[InputSection] = field(default_factory=list)


def _memory_map(text: str) -> Iterator[str]:
    lines = iter(text.splitlines())
    for line in lines:
        if line.strip() == _START:
            break
    for line in lines:
        if line.strip() == _END:
            return
        yield line


def _read(lines: Iterable[str]) -> Iterator[_Reading]:
    """Every output section that has an address; one without is not in the ELF."""
    section: _Reading | None = None
    waiting: _Heading | None = None
    for line in lines:
        heading = _recognised(line, waiting)
        waiting = None
        if heading is None:
            continue
        if heading.is_output and section is not None:
            yield section
            section = None
        if heading.numbers["address"] is None:
            waiting = heading
        elif heading.is_output:
            section = _Reading(heading.name, *_place(heading.numbers))
        elif section is not None:
            section.inputs.append(_input(heading))
    if section is not None:
        yield section


@dataclass(frozen=True)
class _Heading:
    """What a line says of a section; its numbers may stand on the next one."""

    name: str
    is_output: bool
    numbers: re.Match[str]


def _recognised(line: str, waiting: _Heading | None) -> _Heading | None:
    """The section that a line speaks of; None for every other line. `waiting` still needs its numbers."""
    if waiting is not None and (numbers := _CONTINUED.match(line)):
        return replace(waiting, numbers=numbers)
    for pattern, is_output in ((_OUTPUT, True), (_INPUT, False)):
        if found := pattern.match(line):
            return _Heading(found["name"], is_output, found)
    return None


def _place(numbers: re.Match[str]) -> tuple[int, int]:
    return int(numbers["address"], 16), int(numbers["bytes"], 16)


def _input(heading: _Heading) -> InputSection:
    # Behind padding stands its pattern, not a file.
    path = "" if heading.name == FILL else (heading.numbers["object"] or "").strip()
    member = ""
    if found := _MEMBER.match(path):
        path, member = found["archive"], found["member"]
    return InputSection(heading.name, *_place(heading.numbers), path, member)


def _finished(section: _Reading) -> OutputSection:
    """Cut every input section where the next one begins.

    Of sections with equal strings, ld shows the first with all that is left of them, and each other one at
    the address where it would be, with the size that it had: it takes nothing there.
    """
    end = section.address + section.bytes
    inputs = sorted(
        (entry for entry in section.inputs if section.address <= entry.address < end),
        key=lambda entry: entry.address,
    )
    nexts = [*(entry.address for entry in inputs), end][1:]
    cut = (
        replace(entry, bytes=min(entry.bytes, following - entry.address))
        for entry, following in zip(inputs, nexts, strict=True)
    )
    return OutputSection(
        section.name, section.address, section.bytes, tuple(entry for entry in cut if entry.bytes)
    )

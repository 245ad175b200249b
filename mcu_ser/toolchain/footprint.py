# SPDX-License-Identifier: Apache-2.0
"""A linked ELF, turned into the flash and RAM that it takes, and checked against the board.

Flash is what the loader writes: code, constants and the initial values of data. RAM is data, zeroed data
and, on a board, the stack that the linker script reserves; a heap of whatever is left counts for nothing.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mcu_ser.errors import BudgetError, BuildError, ConfigError
from mcu_ser.generate.manifest import MANIFEST_NAME
from mcu_ser.shell_command import shell_command

if TYPE_CHECKING:
    from mcu_ser.board import Board, MemoryRegion

# Symbols named when something does not fit.
LARGEST_SYMBOLS = 3

# CMake's and PlatformIO's names of what a compiler made: engine.cpp.obj, main.c.o.
_OBJECT_NAME = re.compile(r"\.(c|cc|cpp)\.(o|obj)$")

# ELF specification, figure 1-11 (section flags) and 2-2 (segment types).
_SHF_WRITE = 1
_SHF_ALLOC = 2


@dataclass(frozen=True)
class ElfSection:
    """A section that takes memory when the program runs."""

    name: str
    address: int
    bytes: int
    writable: bool

    @property
    def takes_ram(self) -> bool:
        """Whether the firmware needs it. Arduino's linker script stretches the heap over what is left."""
        return self.writable and self.name != ".heap"


@dataclass(frozen=True)
class Symbol:
    """A named object or function."""

    name: str
    bytes: int
    writable: bool


@dataclass(frozen=True)
class RegionUse:
    """What a firmware takes of one memory region of its board."""

    name: str
    kind: str
    bytes: int
    limit_bytes: int


@dataclass(frozen=True)
class Footprint:
    """What a firmware takes. The limits are the board's, None for the host; `regions` are its parts."""

    flash_bytes: int
    ram_bytes: int
    flash_limit_bytes: int | None
    ram_limit_bytes: int | None
    sections: tuple[ElfSection, ...]
    regions: tuple[RegionUse, ...] = ()


def measure(elf: Path, board: Board) -> Footprint:
    """Flash and RAM of a linked firmware.

    Raises:
        ConfigError: The file cannot be read, or is no ELF.
        BuildError: A section lies outside of the board's memory.
        BudgetError: It does not fit the board; says by how much and names the largest symbols.
    """
    facts = _read_elf(elf)
    footprint = Footprint(
        flash_bytes=facts.loaded_bytes,
        ram_bytes=sum(section.bytes for section in facts.sections if section.takes_ram),
        flash_limit_bytes=board.flash_bytes,
        ram_limit_bytes=board.ram_bytes,
        sections=facts.sections,
        regions=tuple(_region_use(region, facts) for region in board.memory),
    )
    _require_inside_memory(facts.sections, board, elf)
    for kind, used, limit in (
        ("flash", footprint.flash_bytes, board.flash_bytes),
        ("RAM", footprint.ram_bytes, board.ram_bytes),
    ):
        if limit is not None and used > limit:
            raise over_budget(board, kind, used - limit, limit, facts.symbols)
    return footprint


def over_budget(
    board: Board,
    kind: str,
    excess_bytes: int,
    limit_bytes: int,
    symbols: Iterable[Symbol],
    region: MemoryRegion | None = None,
) -> BudgetError:
    """The error for a firmware that is `excess_bytes` too big for the board's "flash" or "RAM".

    `region` is the one that is too small, which is named where the board has several of its kind.
    """
    mine = [symbol for symbol in symbols if symbol.writable == (kind == "RAM")]
    largest = sorted(mine, key=lambda symbol: (-symbol.bytes, symbol.name))[:LARGEST_SYMBOLS]
    named = ", ".join(f"{symbol.name} {symbol.bytes} B" for symbol in largest)
    return BudgetError(
        board.id,
        f"the firmware is {excess_bytes} B too big for the {kind}{_which(board, region)}"
        + (f" (largest: {named})" if named else ""),
        limit=f"{limit_bytes} B",
        hint="a smaller model, or a board with more " + kind,
    )


def _which(board: Board, region: MemoryRegion | None) -> str:
    alike = [one for one in board.memory if region is not None and one.kind == region.kind]
    return f" region {region.name}" if region is not None and len(alike) > 1 else ""


def unusable_output(path: Path, problem: str) -> ConfigError:
    """The error for a file of a build that does not serve; the hint builds the project that it lies in."""
    roots = (parent for parent in path.parents if (parent / MANIFEST_NAME).is_file())
    return ConfigError(path, problem, hint=shell_command("mcu-ser", "build", next(roots, "PROJECT")))


def object_symbols(build_dir: Path) -> tuple[Symbol, ...]:
    """Symbols of every object file below `build_dir`: what a failed link was made of."""
    paths = [path for path in sorted(build_dir.rglob("*.o*")) if _OBJECT_NAME.search(path.name)]
    return tuple(symbol for path in paths for symbol in _read_elf(path).symbols)


def _require_inside_memory(sections: Iterable[ElfSection], board: Board, elf: Path) -> None:
    if not board.memory:
        return
    for section in sections:
        end = section.address + section.bytes
        if not any(region.origin <= section.address and end <= region.end for region in board.memory):
            raise BuildError(
                elf,
                f"section {section.name} at {section.address:#010x} ({section.bytes} B) lies outside of "
                f"the memory of {board.id}",
                hint="the linker script",
            )


@dataclass(frozen=True)
class _ElfFacts:
    """`loads` are load address and size of what the loader writes."""

    sections: tuple[ElfSection, ...]
    loads: tuple[tuple[int, int], ...]
    symbols: tuple[Symbol, ...]

    @property
    def loaded_bytes(self) -> int:
        return sum(size for _, size in self.loads)


def _region_use(region: MemoryRegion, facts: _ElfFacts) -> RegionUse:
    """Flash by load addresses, so that the initial values of data count; RAM by where it is used."""
    places = facts.loads
    if region.kind == "ram":
        places = tuple((section.address, section.bytes) for section in facts.sections if section.writable)
    used = sum(size for address, size in places if region.origin <= address < region.end)
    return RegionUse(region.name, region.kind, used, region.bytes)


def _read_elf(path: Path) -> _ElfFacts:
    from elftools.common.exceptions import ELFError
    from elftools.elf.elffile import ELFFile

    try:
        with path.open("rb") as stream:
            elf = ELFFile(stream)
            return _ElfFacts(_sections(elf), _loads(elf), _symbols(elf))
    except OSError as error:
        raise unusable_output(path, f"cannot be read ({error.strerror})") from error
    except (ELFError, AttributeError) as error:  # the latter of a symbol table that has another type
        raise unusable_output(path, f"is not an ELF file ({error})") from error


def _sections(elf: Any) -> tuple[ElfSection, ...]:
    return tuple(
        ElfSection(
            section.name, section["sh_addr"], section["sh_size"], bool(section["sh_flags"] & _SHF_WRITE)
        )
        for section in elf.iter_sections()
        if section["sh_flags"] & _SHF_ALLOC and section["sh_size"]
    )


def _loads(elf: Any) -> tuple[tuple[int, int], ...]:
    return tuple(
        (segment["p_paddr"], segment["p_filesz"])
        for segment in elf.iter_segments()
        if segment["p_type"] == "PT_LOAD"
    )


def _symbols(elf: Any) -> tuple[Symbol, ...]:
    table = elf.get_section_by_name(".symtab")
    found = []
    for symbol in table.iter_symbols() if table is not None else ():
        index = symbol["st_shndx"]
        if symbol["st_info"]["type"] in {"STT_OBJECT", "STT_FUNC"} and isinstance(index, int):
            flags = elf.get_section(index)["sh_flags"]
            found.append(Symbol(symbol.name, symbol["st_size"], bool(flags & _SHF_WRITE)))
    return tuple(found)

# SPDX-License-Identifier: Apache-2.0
"""Divides the flash and RAM of a firmware among what it is made of: model, kernels, runtime, C library ...

The ELF says what is taken, the linker's map by whom. Every byte of the ELF is counted in exactly one part,
so the parts of flash and RAM add up to those of `footprint`.
"""

from __future__ import annotations

import enum
import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from mcu_ser.toolchain.footprint import ElfSection, unusable_output
from mcu_ser.toolchain.link_map import FILL, InputSection, OutputSection, parse_link_map

MAP_SUFFIX = ".map"


class Part(str, enum.Enum):
    """What takes memory, in the order of a table.

    MODEL: Weights and other constants of the layers (aot), or the .tflite (tflm).
    KERNELS: The operators: layers as code (aot), or the kernels of TFLite-Micro and CMSIS-NN (tflm).
    RUNTIME: What stands between server and kernels: interpreter, planner, engine interface.
    LIBC: Libraries of the compiler: newlib, libm, libgcc, libstdc++.
    APPLICATION: Serial server, frames, start-up, drivers; in RAM their buffers and state.
    ARENA: Activations. RAM alone.
    STACK: What the linker script reserves as stack. RAM alone.
    PADDING: What the linker adds: padding between sections, and stubs for far calls.
    OTHER: Objects that are none of the above: not the project's, nor of a library that is known.
    """

    MODEL = "model"
    KERNELS = "kernels"
    RUNTIME = "runtime"
    LIBC = "libc"
    APPLICATION = "application"
    ARENA = "arena"
    STACK = "stack"
    PADDING = "padding"
    OTHER = "other"


@dataclass(frozen=True)
class FirmwareParts:
    """Bytes of flash and RAM by part; a part that takes nothing is not in it."""

    flash: Mapping[Part, int]
    ram: Mapping[Part, int]


_COMPILER_LIBRARY = re.compile(r"^lib(c|g|m|gcc|nosys|rdimon|stdc\+\+|supc\+\+)(_nano)?\.a$")
_COMPILER_OBJECT = re.compile(r"^crt\w*\.o$")
_TFLM_LIBRARY = "libtensorflow-microlite.a"
# The linker script's own, and that of Arduino's.
_STACK_SECTIONS = frozenset({".stack", ".stack_dummy"})
_LINKER_STUBS = "linker stubs"

# Objects of a generated project by the name of their source file; every other one is the application's.
_PROJECT_OBJECTS = {"aot_weights": Part.MODEL, "model_data": Part.MODEL, "aot_model": Part.KERNELS}
_ENGINE_PREFIX = "engine_"

# Sources of TFLite-Micro that are no kernels, without suffix: tensorflow/lite/micro/*.cc, its
# arena_allocator/, memory_planner/ and tflite_bridge/, and tensorflow/lite/{core,schema}. An archive holds no
# paths. Everything else in the library are operators and what they call.
_TFLM_RUNTIME = frozenset(
    {
        *("array", "debug_log", "error_reporter", "fake_micro_context", "flatbuffer_conversions"),
        *("flatbuffer_conversions_bridge", "flatbuffer_utils", "greedy_memory_planner", "hexdump"),
        *("linear_memory_planner", "memory_helpers", "micro_allocation_info", "micro_allocator"),
        *("micro_context", "micro_error_reporter", "micro_interpreter", "micro_interpreter_context"),
        *("micro_interpreter_graph", "micro_log", "micro_op_resolver", "micro_profiler"),
        *("micro_resource_variable", "micro_string", "micro_time", "micro_utils", "mock_micro_graph"),
        *("non_persistent_arena_buffer_allocator", "non_persistent_buffer_planner_shim", "op_resolver"),
        *("persistent_arena_buffer_allocator", "recording_micro_allocator"),
        *("recording_single_arena_buffer_allocator", "schema_utils", "single_arena_buffer_allocator"),
        "system_setup",
    }
)
# Two sources each have these names: core/c/common.cc, which is C (TfLite...), and kernels/internal/common.cc,
# which is in the namespace; core/api/tensor_utils.cc, which is one function, and kernels/internal/.
_TFLM_COMMON, _TFLM_NAMESPACE = "common", "_ZN6tflite"
_TFLM_TENSOR_UTILS, _TFLM_RESET = "tensor_utils", "ResetVariableTensor"


def find_parts(elf: Path) -> FirmwareParts | None:
    """The parts of a linked firmware; None if the build left no map beside it.

    Raises:
        ConfigError: The ELF or the map cannot be read, or the map is that of another ELF.
    """
    map_file = elf.with_suffix(MAP_SUFFIX)
    if not map_file.is_file():
        return None
    loaded, allocated = _read_elf(elf)
    try:
        text = map_file.read_text(encoding="utf-8", errors="replace")
    except OSError as error:
        raise unusable_output(map_file, f"cannot be read ({error.strerror})") from error
    sections = {(s.name, s.address, s.bytes): s for s in parse_link_map(text)}
    wanted = [(s.name, s.address, s.bytes) for s in allocated]
    for key in wanted:
        if key not in sections:
            raise unusable_output(map_file, f"is not the map of {elf.name}: section {key[0]} differs")
    # Only those: debugging sections have addresses from 0, where some boards have their flash.
    return divide(loaded, allocated, [sections[key] for key in wanted])


def divide(
    loaded: Sequence[range], allocated: Sequence[ElfSection], sections: Sequence[OutputSection]
) -> FirmwareParts:
    """Divide the bytes of a firmware among its parts; what no input section covers is padding.

    Args:
        loaded: What is written to flash, by the addresses where it runs.
        allocated: The ELF's sections that take memory.
        sections: The same of the map, without overlap.
    """
    flash: Counter[Part] = Counter()
    ram: Counter[Part] = Counter()
    for addresses in loaded:
        flash.update(_divided(addresses, sections, flash_part))
    for section in allocated:
        if not section.takes_ram:
            continue
        if section.name in _STACK_SECTIONS:
            ram[Part.STACK] += section.bytes
        else:
            addresses = range(section.address, section.address + section.bytes)
            ram.update(_divided(addresses, sections, ram_part))
    return FirmwareParts(_in_order(flash), _in_order(ram))


def flash_part(section: InputSection) -> Part:
    """The part that an input section belongs to when it takes flash."""
    if section.name == FILL or section.object == _LINKER_STUBS:
        return Part.PADDING
    path = PurePosixPath(section.object)
    if section.member:
        return _library_part(path.name, _stem(section.member), section.name)
    if _COMPILER_OBJECT.match(path.name):
        return Part.LIBC
    if path.is_absolute():
        return Part.OTHER  # the project's own are compiled below the build directory
    stem = _stem(path.name)
    if stem.startswith(_ENGINE_PREFIX):
        return Part.RUNTIME
    return _PROJECT_OBJECTS.get(stem, Part.APPLICATION)


def ram_part(section: InputSection) -> Part:
    """The part that an input section belongs to when it takes RAM."""
    # Both engines name their static array so; only objects of the project may claim it.
    own = not section.member and not PurePosixPath(section.object).is_absolute()
    return Part.ARENA if own and "arena" in section.name else flash_part(section)


def _library_part(archive: str, member: str, name: str) -> Part:
    if _COMPILER_LIBRARY.match(archive):
        return Part.LIBC
    if archive != _TFLM_LIBRARY:
        return Part.OTHER
    runtime = (
        member in _TFLM_RUNTIME
        or (member == _TFLM_COMMON and _TFLM_NAMESPACE not in name)
        or (member == _TFLM_TENSOR_UTILS and _TFLM_RESET in name)
    )
    return Part.RUNTIME if runtime else Part.KERNELS


def _stem(name: str) -> str:
    """`engine_aot` of `engine_aot.c.obj`."""
    return name.partition(".")[0]


def _divided(
    addresses: range, sections: Sequence[OutputSection], part_of: Callable[[InputSection], Part]
) -> Counter[Part]:
    counts: Counter[Part] = Counter()
    for entry in (entry for section in sections for entry in section.inputs):
        common = range(max(addresses.start, entry.address), min(addresses.stop, entry.end))
        counts[part_of(entry)] += len(common)
    counts[Part.PADDING] += len(addresses) - counts.total()
    return counts


def _in_order(counts: Counter[Part]) -> dict[Part, int]:
    return {part: counts[part] for part in Part if counts[part]}


def _read_elf(path: Path) -> tuple[tuple[range, ...], tuple[ElfSection, ...]]:
    """Addresses of what is loaded, and the sections that take memory."""
    from elftools.common.exceptions import ELFError
    from elftools.elf.constants import SH_FLAGS
    from elftools.elf.elffile import ELFFile

    try:
        with path.open("rb") as stream:
            elf = ELFFile(stream)
            loaded = tuple(
                range(segment["p_vaddr"], segment["p_vaddr"] + segment["p_filesz"])
                for segment in elf.iter_segments()
                if segment["p_type"] == "PT_LOAD" and segment["p_filesz"]
            )
            allocated = tuple(
                ElfSection(
                    section.name,
                    section["sh_addr"],
                    section["sh_size"],
                    bool(section["sh_flags"] & SH_FLAGS.SHF_WRITE),
                )
                for section in elf.iter_sections()
                if section["sh_flags"] & SH_FLAGS.SHF_ALLOC and section["sh_size"]
            )
    except (OSError, ELFError) as error:
        raise unusable_output(path, f"is not a readable ELF file ({error})") from error
    return loaded, allocated

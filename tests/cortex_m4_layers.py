# SPDX-License-Identifier: Apache-2.0
"""Counts the instructions of every layer of models on an emulated Cortex-M4, for tests and tools.

The models are built as `generate` builds them for that core, but run without a board's firmware around them:
many small ones share a program.
"""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from mcu_ser.aot.compile import CompiledModel
from mcu_ser.resources import firmware_templates_dir
from tests.native_models import RUNTIME, write_model

COUNTS = Path(__file__).parent / "emulator" / "layer_counts.c"
# As boards/netduinoplus2.yaml and the firmware's CMakeLists.txt have it.
CORE = ("-mcpu=cortex-m4", "-mthumb", "-mfpu=fpv4-sp-d16", "-mfloat-abi=hard", "-std=c99")
FAST = ("-O2",)
# With the functions of the C library that a build for size has.
SMALL = (
    *("-Os", "-fno-jump-tables", "-fno-move-loop-invariants"),
    str(firmware_templates_dir() / "cortex_m" / "small_memory.c"),
)
LINK = (
    *("-nostartfiles", "-specs=nano.specs", "-specs=nosys.specs"),
    *("-Wl,-Ttext=0x08001000", "-Wl,-Tdata=0x20000000", "-Wl,--section-start=.vectors=0x08000000"),
    *("-Wl,-e,reset", "-Wl,--no-warn-rwx-segments"),
)
# One instruction is one nanosecond of virtual time, and TIM2 counts those.
MACHINE = ("-M", "netduinoplus2", "-nographic", "-monitor", "none", "-serial", "none")
COUNTING = ("-icount", "shift=0,sleep=off", "-semihosting-config", "enable=on,target=native")

# What a program may hold at once.
_ARENA_LIMIT = 100_000
_CONSTANTS_LIMIT = 700_000


def missing_tools() -> list[str]:
    return [tool for tool in ("arm-none-eabi-gcc", "qemu-system-arm") if shutil.which(tool) is None]


def count_instructions(
    models: Sequence[CompiledModel], directory: Path, flags: Sequence[str] = FAST
) -> list[list[int]]:
    """Instructions of each layer of each model."""
    counts: list[list[int]] = []
    for number, batch in enumerate(_batches(models)):
        place = directory / f"batch{number}"
        place.mkdir(parents=True)
        counts += _count(batch, place, flags)
    return counts


def _batches(models: Sequence[CompiledModel]) -> list[list[CompiledModel]]:
    batches: list[list[CompiledModel]] = [[]]
    arena = constants = 0
    for model in models:
        arena += model.arena_bytes
        constants += model.weight_bytes
        if batches[-1] and (arena > _ARENA_LIMIT or constants > _CONSTANTS_LIMIT):
            batches.append([])
            arena, constants = model.arena_bytes, model.weight_bytes
        batches[-1].append(model)
    return batches


def build_program(models: Sequence[CompiledModel], directory: Path, flags: Sequence[str] = FAST) -> Path:
    """The program as an ELF; the functions of the first model begin with m0_, and so on."""
    source, elf = directory / "main.c", directory / "main.elf"
    source.write_text(_program(models, directory))
    compiler = ["arm-none-eabi-gcc", *flags, *CORE, *LINK, f"-I{RUNTIME}", "-o", elf, source]
    subprocess.run(compiler, check=True, timeout=600)
    return elf


def _count(models: Sequence[CompiledModel], directory: Path, flags: Sequence[str]) -> list[list[int]]:
    elf = build_program(models, directory, flags)
    done = subprocess.run(
        ["qemu-system-arm", *MACHINE, *COUNTING, "-kernel", elf],
        capture_output=True,
        timeout=600,
        check=False,
    )
    assert done.returncode == 0, done.stderr.decode()
    marks = np.frombuffer(done.stdout, "<u4")
    between = int(marks[1] - marks[0])
    counts = []
    start = 2
    for model in models:
        own = marks[start : start + len(model.layers) + 1]
        counts.append([int(count) - between for count in np.diff(own)])
        start += len(own)
    assert start == len(marks)
    return counts


def _program(models: Sequence[CompiledModel], directory: Path) -> str:
    marks = 2 + sum(len(model.layers) + 1 for model in models)
    parts = [f"#define MARKS {marks}\n{COUNTS.read_text()}"]
    calls = []
    for number, model in enumerate(models):
        prefix = f"m{number}"
        write_model(model, prefix, directory)
        parts.append(f'#include "{prefix}.c"')
        calls.append(f"  run({prefix}_aot_model_input(), {model.input.bytes}, {prefix}_aot_model_invoke);\n")
    return "\n".join([*parts, f"static void run_all(void) {{\n{''.join(calls)}}}\n"])

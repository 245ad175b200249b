# SPDX-License-Identifier: Apache-2.0
"""Builds the C front end of a model for a Cortex-M4, weighs it, and runs it in QEMU, for tests and tools."""

from __future__ import annotations

import shutil
import struct
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from mcu_ser.features.front_end import FrontEnd
from tests.native_front_end import FRONT_END_DIR, write_sources

PROBE = Path(__file__).parent / "emulator" / "front_end_probe.c"
PARTS = PROBE.with_name("front_end_parts.c")
STRICT = ("-std=c99", "-Wall", "-Wextra", "-Werror", "-Wconversion", "-Wshadow")
CORE = ("-mcpu=cortex-m4", "-mthumb", "-mfloat-abi=soft", "-ffreestanding")
LINK = (
    "-nostartfiles",
    *("-Wl,-Ttext=0x08001000", "-Wl,-Tdata=0x20000000", "-Wl,--section-start=.vectors=0x08000000"),
    *("-Wl,-e,reset", "-Wl,--no-warn-rwx-segments"),
)
# One instruction is one nanosecond of virtual time, and TIM2 counts those.
MACHINE = ("-M", "netduinoplus2", "-nographic", "-monitor", "none", "-serial", "none")
COUNTING = ("-icount", "shift=0,sleep=off")
PORTABLE = "-DFRONT_END_PORTABLE"
# Products that lie on a tie of 2^32, just below and just above one, and of either sign.
FACTORS = tuple(
    (sign * ((2 * half + 1) << 16) + beside, (2 * other + 1) << 15)
    for sign in (1, -1)
    for half, other in ((0, 0), (1, -2), (300, 7), (8191, -16384), (-5, 20000))
    for beside in (-1, 0, 1)
)


@dataclass(frozen=True, eq=False)
class CortexM4Run:
    """What the probe wrote: maps (frames, mels) of the clip and of the stream, instructions, and products.

    Args:
        products: (len(FACTORS), 3), of each pair a, b: high_mul, and the same added to and taken from a.
    """

    clip_map: npt.NDArray[np.int8]
    stream_map: npt.NDArray[np.int8]
    least_per_hop: int
    most_per_hop: int
    per_map: int
    products: npt.NDArray[np.int32]


@dataclass(frozen=True)
class Footprint:
    """Bytes of the front end; `map_ram` is the ring of rows, which grows with the feature map."""

    code: int
    tables: int
    ram: int
    map_ram: int


def missing_tools() -> list[str]:
    return [tool for tool in ("arm-none-eabi-gcc", "qemu-system-arm") if shutil.which(tool) is None]


def run_on_cortex_m4(
    front_end: FrontEnd, pcm: npt.NDArray[np.int16], directory: Path, flags: Sequence[str] = ("-O2",)
) -> CortexM4Run:
    """The front end's answers to one clip of at least a window on QEMU's STM32F405."""
    values = ", ".join(map(str, pcm.tolist()))
    factors = ", ".join(f"{{{a}, {b}}}" for a, b in FACTORS)
    (directory / "probe_samples.h").write_text(
        f"#define CLIP_SAMPLES {len(pcm)}u\nstatic const int16_t probe_samples[] = {{{values}}};\n"
        f"#define PRODUCTS {len(FACTORS)}u\nstatic const int32_t probe_factors[][2] = {{{factors}}};\n"
    )
    elf = directory / "probe.elf"
    sources = [PROBE, *write_sources(front_end, directory)]
    includes = [f"-I{FRONT_END_DIR}", f"-I{directory}"]
    compiler = ["arm-none-eabi-gcc", *STRICT, *CORE, *flags, *LINK, *includes, "-o", elf, *sources]
    subprocess.run([*map(str, compiler)], check=True, timeout=120)
    semihosting = ("-semihosting-config", "enable=on,target=native")
    emulator = ["qemu-system-arm", *MACHINE, *COUNTING, *semihosting, "-kernel", str(elf)]
    done = subprocess.run(emulator, capture_output=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr.decode()
    shape = (front_end.spec.frames, front_end.spec.mels)
    size = shape[0] * shape[1]
    products = np.frombuffer(done.stdout[2 * size + 12 :], "<i4").reshape(len(FACTORS), 3)
    maps = np.frombuffer(done.stdout[: 2 * size], np.int8).reshape(2, *shape)
    least, most, per_map = struct.unpack_from("<III", done.stdout, 2 * size)
    return CortexM4Run(maps[0], maps[1], least, most, per_map, products)


def build_parts(front_end: FrontEnd, directory: Path, flags: Sequence[str] = ("-O2",)) -> Path:
    """A program of the functions of `front_end_parts.c`, on noise, which costs what any other signal does."""
    spec, noise = front_end.spec, np.random.default_rng(1).normal(0, 3000, 1024)
    values = ", ".join(map(str, noise.astype(np.int16)[: spec.window_samples + spec.hop_samples].tolist()))
    (directory / "probe_samples.h").write_text(f"static const int16_t probe_samples[] = {{{values}}};\n")
    elf = directory / "parts.elf"
    sources = [PARTS, *write_sources(front_end, directory)]
    includes = [f"-I{FRONT_END_DIR}", f"-I{directory}"]
    # The program is executed by function: it needs no table of vectors.
    link = [flag for flag in LINK if ".vectors" not in flag]
    compiler = ["arm-none-eabi-gcc", *STRICT, *CORE, *flags, *link, *includes, "-o", elf, *sources]
    subprocess.run([*map(str, compiler)], check=True, timeout=120)
    return elf


def footprint(front_end: FrontEnd, directory: Path, flags: Sequence[str] = ("-O2",)) -> Footprint:
    """Sizes of the front end's object files, libgcc's 64-bit shifts not counted."""
    objects = []
    for source in write_sources(front_end, directory):
        objects.append(directory / f"{source.stem}.o")
        includes = [f"-I{FRONT_END_DIR}", f"-I{directory}"]
        compiler = ["arm-none-eabi-gcc", *STRICT, *CORE, *flags, *includes, "-c", "-o", objects[-1], source]
        subprocess.run([*map(str, compiler)], check=True, timeout=120)
    text = ram = tables = 0
    for path in objects:
        listing = subprocess.run(
            ["arm-none-eabi-size", str(path)], check=True, capture_output=True, text=True, timeout=60
        ).stdout
        code, data, bss = map(int, listing.splitlines()[1].split()[:3])
        if path.stem == "front_end_tables":
            tables += code + data
        else:
            text += code
        ram += data + bss
    map_ram = 2 * front_end.spec.frames * front_end.spec.mels
    return Footprint(text, tables, ram - map_ram, map_ram)

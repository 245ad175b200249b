# SPDX-License-Identifier: Apache-2.0
"""Builds TensorFlow's micro frontend for a Cortex-M4, weighs it, and runs it in QEMU, for tests and tools.

It is the other public fixed-point front end: Hann window, 16-bit FFT (KISS FFT), mel bands, square root,
reduction of noise, logarithm. Its source is in a tree of TFLite-Micro with what that tree's build downloads.
Built with the flags of this project's own and run on the same samples, its instructions can be set beside
ours.
"""

from __future__ import annotations

import os
import struct
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from mcu_ser.features.clip import SAMPLE_RATE_HZ, frames_of
from mcu_ser.features.mel_filters import FFT_SAMPLES
from mcu_ser.recipe import FeaturesRecipe
from tests.cortex_m4_front_end import CORE, COUNTING, LINK, MACHINE, missing_tools

ROOT_VARIABLE = "TFLM_ROOT"
PROBE = Path(__file__).parent / "emulator" / "microfrontend_probe.cpp"
_LIBRARY = Path("tensorflow/lite/experimental/microfrontend/lib")
_KISS_FFT = Path("tensorflow/lite/micro/tools/make/downloads/kissfft")
# What computes, and what makes its tables when a device starts.
_COMPUTING = (
    *("fft.cc", "filterbank.c", "frontend.c", "kiss_fft_int16.cc", "log_lut.c", "log_scale.c"),
    *("noise_reduction.c", "pcan_gain_control.c", "window.c"),
)
_STARTING = (
    *("fft_util.cc", "filterbank_util.c", "frontend_util.c", "log_scale_util.c", "noise_reduction_util.c"),
    *("pcan_gain_control_util.c", "window_util.c"),
)
# A library for programs with a C library, which it takes its memory and its tables' cosines from.
_HOSTED = tuple(flag for flag in CORE if flag != "-ffreestanding")
_CPP = ("-fno-exceptions", "-fno-rtti")
# By default 64 steps per neper of magnitude.
_STEPS_PER_LOG_POWER = 32


@dataclass(frozen=True, eq=False)
class MicrofrontendRun:
    """What the micro frontend takes.

    Args:
        most_per_frame: Instructions, with its reduction of noise, which it always does.
        most_without_reduction: The same steps without.
        code: Bytes of what computes, libc not counted.
        starting_code: Bytes of what makes the tables at the start, libc and libm not counted.
        ram: Bytes of its state, tables included: they are made in RAM.
        log_power: Every frame without the reduction, (frames, mels): natural logarithm of power, up to a
            constant, in the steps that it comes in.
    """

    most_per_frame: int
    most_without_reduction: int
    code: int
    starting_code: int
    ram: int
    log_power: npt.NDArray[np.float64]


def why_not() -> str | None:
    """What is missing to build it, for a skipped test; None if nothing is."""
    if missing := missing_tools():
        return f"not installed: {', '.join(missing)}"
    root = os.environ.get(ROOT_VARIABLE)
    if not root:
        return f"{ROOT_VARIABLE} is not set"
    absent = [str(part) for part in (_LIBRARY, _KISS_FFT) if not (Path(root) / part).is_dir()]
    return f"no {' and no '.join(absent)} in {root}" if absent else None


def run_microfrontend(
    spec: FeaturesRecipe, pcm: npt.NDArray[np.int16], directory: Path, flags: Sequence[str] = ("-O2",)
) -> MicrofrontendRun:
    """Run it on QEMU's STM32F405.

    Args:
        spec: Window and hop in whole milliseconds, bands and their edges; the rest has no counterpart.
        pcm: A clip of at least two windows.
        directory: Room for the build.
        flags: For the compiler.
    """
    root = Path(os.environ[ROOT_VARIABLE])
    assert spec.window_samples % 16 == spec.hop_samples % 16 == 0
    sizes = {
        **{
            "CLIP_SAMPLES": f"{len(pcm)}u",
            "WINDOW": f"{spec.window_samples}u",
            "HOP": f"{spec.hop_samples}u",
        },
        **{"MELS": f"{spec.mels}u", "MIN_HZ": f"{spec.min_hz:.1f}f", "MAX_HZ": f"{spec.max_hz:.1f}f"},
    }
    defines = "".join(f"#define {name} {value}\n" for name, value in sizes.items())
    values = ", ".join(map(str, pcm.tolist()))
    (directory / "probe_samples.h").write_text(
        f"{defines}static const int16_t probe_samples[] = {{{values}}};\n"
    )
    computing = [_compiled(root, name, directory, flags) for name in _COMPUTING]
    starting = [_compiled(root, name, directory, flags) for name in _STARTING]
    elf = directory / "microfrontend.elf"
    # Of the library's stand-ins for an operating system only the heap's end is called; ours comes first.
    link = ["--specs=nosys.specs", *LINK, f"-I{directory}", "-o", elf, PROBE, *computing, *starting, "-lm"]
    _run("arm-none-eabi-g++", *_HOSTED, *flags, *_CPP, *_includes(root), *link)
    semihosting = ("-semihosting-config", "enable=on,target=native")
    emulator = ["qemu-system-arm", *MACHINE, *COUNTING, *semihosting, "-kernel", str(elf)]
    done = subprocess.run(emulator, capture_output=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr.decode()
    _, most, _, most_without, ram = struct.unpack_from("<5I", done.stdout)
    rows = np.frombuffer(done.stdout[20:], "<u2").reshape(-1, spec.mels)
    return MicrofrontendRun(
        most, most_without, _code(computing), _code(starting), ram, rows / _STEPS_PER_LOG_POWER
    )


def exact_microfrontend(spec: FeaturesRecipe, pcm: npt.NDArray[np.int16]) -> npt.NDArray[np.float64]:
    """What its definition gives in float64: as `log_power` of a run, up to another constant."""
    window = 0.5 - 0.5 * np.cos(2 * np.pi * (np.arange(spec.window_samples) + 0.5) / spec.window_samples)
    spectrum = np.fft.rfft(frames_of(pcm, spec) * window, n=FFT_SAMPLES, axis=1)
    rows: npt.NDArray[np.float64] = np.log(np.square(np.abs(spectrum)) @ _triangles(spec).T)
    return rows


def _triangles(spec: FeaturesRecipe) -> npt.NDArray[np.float64]:
    """(mels, bins): each rises over the band before its own and falls over its own, linearly in mel."""
    hz_per_bin = SAMPLE_RATE_HZ / FFT_SAMPLES
    mel = _mel(np.arange(FFT_SAMPLES // 2 + 1) * hz_per_bin)
    edges = np.linspace(_mel(spec.min_hz), _mel(spec.max_hz), spec.mels + 2)
    # The lowest bins are left out: those that round to the lower edge, and the one at 0 Hz.
    mel[: int(1.5 + spec.min_hz / hz_per_bin)] = np.inf
    rising = (mel - edges[:-2, None]) / (edges[1:-1] - edges[:-2])[:, None]
    falling = (edges[2:, None] - mel) / (edges[2:] - edges[1:-1])[:, None]
    return np.minimum(rising, falling).clip(min=0)


def _mel(hz: npt.NDArray[np.float64] | float) -> npt.NDArray[np.float64]:
    return np.asarray(1127 * np.log1p(np.asarray(hz) / 700))


def _compiled(root: Path, name: str, directory: Path, flags: Sequence[str]) -> Path:
    path = directory / f"{Path(name).stem}.o"
    compiler, dialect = ("arm-none-eabi-g++", _CPP) if name.endswith(".cc") else ("arm-none-eabi-gcc", ())
    _run(compiler, *_HOSTED, *flags, *dialect, *_includes(root), "-c", "-o", path, root / _LIBRARY / name)
    return path


def _includes(root: Path) -> list[str]:
    return [f"-I{root}", f"-I{root / _KISS_FFT}"]


def _code(objects: Sequence[Path]) -> int:
    """Bytes of code and constants."""
    return sum(int(_run("arm-none-eabi-size", path).splitlines()[1].split()[0]) for path in objects)


def _run(*command: object) -> str:
    argv = [str(part) for part in command]
    return subprocess.run(argv, check=True, capture_output=True, text=True, timeout=120).stdout

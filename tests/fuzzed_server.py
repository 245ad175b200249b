# SPDX-License-Identifier: Apache-2.0
"""Builds and runs the fuzzer of the firmware's server (c/fuzz_server.c), under the sanitizers."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

from mcu_ser.generate.front_end import front_end_sources
from mcu_ser.generate.project_files import FRONT_END_FILES
from mcu_ser.recipe import FeaturesRecipe
from mcu_ser.resources import firmware_templates_dir
from tests.hearing_model import front_end_of
from tests.native_firmware import ENGINE, SANITIZED, STRICT, TestModel, require_compiler

DRIVER = Path(__file__).parent / "c" / "fuzz_server.c"
# Short windows: one frame brings several.
SPEC = FeaturesRecipe(frames=9, mels=10, window_samples=128, hop_samples=64)
MODEL = TestModel(input_bytes=90, output_bytes=600, layers=3, front_end=front_end_of(SPEC))
_COUNTS = re.compile(r"(\d+) inputs, (\d+) frames accepted, (\d+) answers, (\d+) restarts, (\d+) probes\n")


def build_fuzzer(directory: Path, runtime: Path | None = None, *, compiler: str = "gcc") -> Path:
    """Compile server and frames (of `runtime`: the real ones), test engine and driver into a program."""
    runtime = runtime or firmware_templates_dir() / "runtime"
    (directory / "model_info.h").write_text(MODEL.header())
    for name, text in front_end_sources(front_end_of(SPEC)).items():
        (directory / name).write_text(text)
    names = ["server", "server_requests", "server_hello", "server_layers", "packed_input", "frame", "crc32"]
    hearing = [runtime / name for name in sorted(FRONT_END_FILES) if name.endswith(".c")]
    hearing += [*sorted((runtime / "front_end").glob("*.c")), directory / "front_end_tables.c"]
    program = directory / "fuzz_server"
    command = [
        require_compiler(compiler),
        *STRICT,
        *SANITIZED,
        *("-DENGINE_ALWAYS_OBEYS", "-DENGINE_NEEDS_ARENA=1600u"),
        *(f"-I{directory}", f"-I{runtime}", f"-I{runtime / 'front_end'}"),
        *(str(runtime / f"{name}.c") for name in names),
        *map(str, hearing),
        *(str(ENGINE), str(DRIVER)),
        *("-o", str(program)),
    ]
    subprocess.run(command, check=True, timeout=600)
    return program


def fuzz(program: Path, inputs: int, seed: int, timeout_s: float) -> dict[str, int]:
    """Run the fuzzer; returns what it counted.

    Raises:
        CalledProcessError: It found something; its stderr says what.
    """
    result = subprocess.run(
        [program, str(inputs), str(seed)], capture_output=True, text=True, check=True, timeout=timeout_s
    )
    found = _COUNTS.fullmatch(result.stdout)
    if found is None:
        raise ValueError(f"the fuzzer printed {result.stdout!r}")
    return dict(
        zip(("inputs", "accepted", "answers", "restarts", "probes"), map(int, found.groups()), strict=True)
    )

# SPDX-License-Identifier: Apache-2.0
"""Builds the real server and host port around the obedient test engine, for tests of the protocol."""

from __future__ import annotations

import shutil
import struct
import subprocess
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from mcu_ser.features.front_end import FrontEnd
from mcu_ser.generate.front_end import front_end_sources
from mcu_ser.resources import firmware_templates_dir

ENGINE = Path(__file__).parent / "c" / "obedient_engine.c"
STRICT = ("-std=c99", "-Wall", "-Wextra", "-Werror", "-Wconversion", "-pedantic")
SANITIZED = ("-O1", "-g", "-fsanitize=address,undefined", "-fno-sanitize-recover=all")


@dataclass(frozen=True)
class TestModel:
    """What model_info.h says. The obedient engine takes any sizes."""

    __test__ = False

    input_bytes: int = 1000
    output_bytes: int = 7
    board: str = "host"
    engine: str = "aot"
    model_sha256: str = "ab" * 32
    build_id: str = "cd" * 16
    scale: float = 0.5
    zero_point: int = -3
    layers: int = 0
    front_end: FrontEnd | None = None

    def header(self) -> str:
        bits = struct.unpack("<I", struct.pack("<f", self.scale))[0]
        values = {
            "MODEL_SHA256": _initialiser(bytes.fromhex(self.model_sha256)),
            "BUILD_ID": _initialiser(bytes.fromhex(self.build_id)),
            "BOARD_ID": f'"{self.board}"',
            "ENGINE_NAME": f'"{self.engine}"',
        }
        if self.layers:
            values["MODEL_LAYERS"] = f"{self.layers}u"
        if self.front_end is not None:
            values["MODEL_FRONT_END"] = "1"
        for side, size in (("INPUT", self.input_bytes), ("OUTPUT", self.output_bytes)):
            values |= {
                f"MODEL_{side}_BYTES": f"{size}u",
                f"MODEL_{side}_RANK": "2",
                f"MODEL_{side}_SHAPE": f"{{1, {size}}}",
                f"MODEL_{side}_SCALE_BITS": f"{bits}u",
                f"MODEL_{side}_ZERO_POINT": str(self.zero_point),
            }
        return "".join(f"#define {name} {value}\n" for name, value in values.items())

    def expected_output(self, data: bytes) -> bytes:
        """What the obedient engine computes."""
        hash_of_seed_0 = 0
        for byte in data:
            hash_of_seed_0 = (hash_of_seed_0 * 31 + byte) & 0xFFFFFFFF
        # The seed enters every hash linearly.
        factor = pow(31, len(data), 1 << 32)
        return bytes(
            ((hash_of_seed_0 + seed * factor) & 0xFFFFFFFF) >> 24 for seed in range(self.output_bytes)
        )

    def expected_tensor(self, data: bytes, layer: int) -> bytes:
        """What the obedient engine says that layer `layer` gives."""
        return bytes((data[i % len(data)] * (layer + 1) + i) & 0xFF for i in range(self.tensor_bytes(layer)))

    def tensor_bytes(self, layer: int) -> int:
        """Length of what layer `layer` gives; more than fits in one frame for layer 0."""
        return 1000 // (layer + 1) + 1

    def samples(self, count: int, seed: int = 0) -> np.ndarray:
        """Random int8 inputs that do not start with the letter of disobedience."""
        x = np.random.default_rng(seed).integers(-128, 128, (count, self.input_bytes)).astype(np.int8)
        x[x[:, 0] == ord("!"), 0] = 0
        return x


def _initialiser(data: bytes) -> str:
    return "{" + ", ".join(str(byte) for byte in data) + "}"


def require_gcc() -> str:
    """The host compiler; the test is skipped without one."""
    return require_compiler("gcc")


def require_compiler(name: str) -> str:
    """A compiler; the test is skipped without it."""
    found = shutil.which(name)
    if found is None:
        pytest.skip(f"{name} is not installed")
    return found


def host_compilers() -> list[str]:
    """Those of gcc and clang that are installed; the test is skipped without any."""
    return [name for name in ("clang", "gcc") if shutil.which(name)] or [require_gcc()]


def build_native_firmware(
    directory: Path, model: TestModel, *, defines: tuple[str, ...] = (), sanitize: bool = True
) -> Path:
    """Compile server, frames, host port and test engine; returns the program."""
    templates = firmware_templates_dir()
    (directory / "model_info.h").write_text(model.header())
    names = ["main", "server", "server_requests", "server_hello", "packed_input", "frame", "crc32"]
    if model.layers:
        names.append("server_layers")
    runtime = [templates / "runtime" / f"{name}.c" for name in names]
    if model.front_end is not None:
        runtime += [
            templates / "runtime" / "server_audio.c",
            templates / "runtime" / "server_listen.c",
            templates / "runtime" / "audio_ring.c",
            *sorted((templates / "runtime" / "front_end").glob("*.c")),
            directory / "front_end_tables.c",
        ]
        for name, text in front_end_sources(model.front_end).items():
            (directory / name).write_text(text)
    program = directory / "firmware"
    command = [
        require_gcc(),
        *STRICT,
        *(SANITIZED if sanitize else ("-O2",)),
        *(f"-D{define}" for define in defines),
        f"-I{directory}",
        f"-I{templates / 'runtime'}",
        f"-I{templates / 'runtime' / 'front_end'}",
        *map(str, runtime),
        str(templates / "host" / "port_host.c"),
        str(ENGINE),
        *("-o", str(program)),
    ]
    subprocess.run(command, check=True, timeout=120)
    return program

# SPDX-License-Identifier: Apache-2.0
"""Compiles models to C, builds them with sanitizers into one native program, and runs them: for tests.

Many small models share one program, because starting the compiler costs more than most of them.
"""

from __future__ import annotations

import re
import struct
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from mcu_ser.aot.compile import CompiledModel, TensorSpec
from mcu_ser.resources import firmware_templates_dir

Int8Array = npt.NDArray[np.int8]

RUNTIME = firmware_templates_dir() / "runtime"
STRICT = ("-std=c99", "-Wall", "-Wextra", "-Werror", "-Wconversion")
SANITIZERS = ("-O1", "-fsanitize=address,undefined", "-fno-sanitize-recover=all")

_MAIN = """
#include <stdio.h>
#include <stdint.h>

static uint32_t read_number(void) {
  uint32_t number = 0;
  return fread(&number, sizeof number, 1, stdin) == 1 ? number : UINT32_MAX;
}

#define RUN(prefix) do { \\
    if (fread(prefix##_aot_model_input(), 1, prefix##_AOT_MODEL_INPUT_BYTES, stdin) \\
        != prefix##_AOT_MODEL_INPUT_BYTES) return 2; \\
    prefix##_aot_model_invoke(); \\
    fwrite(prefix##_aot_model_output(), 1, prefix##_AOT_MODEL_OUTPUT_BYTES, stdout); \\
  } while (0)

int main(void) {
  for (;;) {
    switch (read_number()) {
CASES
      case UINT32_MAX: return 0;
      default: return 3;
    }
  }
}
"""


def any_samples(count: int, spec: TensorSpec, rng: np.random.Generator) -> npt.NDArray[Any]:
    """`count` inputs of a model: any values of its input's type."""
    dtype = {"INT8": np.int8, "INT16": np.int16}[spec.dtype]
    limits = np.iinfo(dtype)
    return rng.integers(limits.min, limits.max, (count, *spec.shape), dtype=dtype, endpoint=True)


class NativeModels:
    """A native program that holds several compiled models.

    Args:
        models: What to build.
        directory: Where to build it.
        layers: Also write every layer's output (index, size, bytes) before the model's own.
        compiler: Of the host.
    """

    def __init__(
        self,
        models: Sequence[CompiledModel],
        directory: Path,
        *,
        layers: bool = False,
        compiler: str = "gcc",
    ) -> None:
        self._models = tuple(models)
        self._program = directory / "models"
        cases = []
        for number, model in enumerate(models):
            write_model(model, f"m{number}", directory, layers=layers)
            cases.append(f"      case {number}: RUN(m{number}); break;")
        includes = "".join(f'#include "m{number}.c"\n' for number in range(len(models)))
        (directory / "main.c").write_text(includes + _MAIN.replace("CASES", "\n".join(cases)))
        subprocess.run(
            [compiler, *STRICT, *SANITIZERS, f"-I{RUNTIME}", "-o", self._program, directory / "main.c"],
            check=True,
            timeout=300,
        )

    def run(self, requests: Sequence[tuple[int, npt.NDArray[Any]]]) -> list[Int8Array]:
        """Bytes of the outputs of (model number, input) requests, in order."""
        outputs = self._execute(requests)
        results = []
        for number, _ in requests:
            size = self._models[number].output.bytes
            results.append(np.frombuffer(outputs[:size], np.int8))
            outputs = outputs[size:]
        assert not outputs
        return results

    def run_layers(self, number: int, sample: Int8Array) -> tuple[dict[int, Int8Array], Int8Array]:
        """Output of every layer, by index, and of the model; for programs built with `layers`."""
        content = self._execute([(number, sample)])
        layers = {}
        size = self._models[number].output.bytes
        while len(content) > size:
            index, count = struct.unpack_from("<II", content)
            layers[index] = np.frombuffer(content[8 : 8 + count], np.int8)
            content = content[8 + count :]
        return layers, np.frombuffer(content, np.int8)

    def _execute(self, requests: Sequence[tuple[int, npt.NDArray[Any]]]) -> bytes:
        stream = b"".join(struct.pack("<I", number) + sample.tobytes() for number, sample in requests)
        done = subprocess.run(
            [self._program],
            input=stream + struct.pack("<I", 0xFFFFFFFF),
            capture_output=True,
            timeout=300,
            check=False,
        )
        assert done.returncode == 0, done.stderr.decode()
        return done.stdout


_DEFINITIONS = r"#define AOT_(?:FOR_SIZE|DIMENSION int16_t|TAP int8_t)\n"

_LAYER_HOOK = """
#include <stdio.h>
#define AOT_AFTER_LAYER(index, data, bytes) do { \\
    const uint32_t header[2] = {index, bytes}; \\
    fwrite(header, sizeof header, 1, stdout); \\
    fwrite(data, 1, bytes, stdout); \\
  } while (0)
"""


def write_model(model: CompiledModel, prefix: str, directory: Path, *, layers: bool = False) -> None:
    """Write the model as one file whose global names start with `prefix`, so that several can be included."""
    order = ("aot_model.h", "aot_weights.h", "aot_weights.c", "aot_model.c")
    text = "\n".join(model.sources[name] for name in order)
    # The longest chain suits all models of a program.
    text = re.sub(r'#include "aot_(model|weights)\.h"\n|#define AOT_(?:PAIR|NARROW)_STEPS \d+\n', "", text)
    text = re.sub(r"\b(aot_model_\w+|AOT_MODEL_\w+|AOT_WEIGHTS_H|layer_\d\w+|arena)\b", rf"{prefix}_\1", text)
    # What the kernels' headers want to know comes before all of them.
    definitions = "".join(re.findall(_DEFINITIONS, text))
    text = definitions + re.sub(_DEFINITIONS, "", text)
    (directory / f"{prefix}.c").write_text((_LAYER_HOOK if layers else "") + text)

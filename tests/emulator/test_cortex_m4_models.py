# SPDX-License-Identifier: Apache-2.0
import os
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from tflite_micro import runtime

from mcu_ser.aot.compile import compile_model
from tests.native_models import RUNTIME, STRICT, any_samples, write_model
from tests.random_elements import ELEMENTS
from tests.random_int16 import INT16
from tests.random_layers import LAYERS
from tests.random_lstm import RECURRENT
from tests.random_moves import MOVES
from tests.random_products import PRODUCTS

# No more models in one example than Hypothesis is ready to draw.
GROUPS = {
    "layers": LAYERS | ELEMENTS,
    "moves and products": MOVES | PRODUCTS,
    "recurrent": RECURRENT,
    "INT16": INT16,
}

pytestmark = pytest.mark.emulator

MODELS_PER_OPERATOR = 6
CORE = ("-mthumb", "-ffreestanding")
# What the build of an STM32 says, what Arduino's core says, and code without DSP instructions, which a
# Cortex-M4 executes like a Cortex-M3.
BUILDS = {
    "stm32": (*STRICT, "-mcpu=cortex-m4", "-mfloat-abi=soft", "-O2"),
    "no DSP": (*STRICT, "-mcpu=cortex-m3", "-mfloat-abi=soft", "-O2"),
    "arduino": (
        *("-std=gnu11", "-Wall", "-Wextra", "-Werror", "-Wpedantic"),
        *("-mcpu=cortex-m4", "-mfloat-abi=softfp", "-mfpu=fpv4-sp-d16", "-Os", "-funsigned-char"),
    ),
}
LINK = ("-nostartfiles", "-Wl,-Ttext=0x400,-Tdata=0x20000000,--section-start=.vectors=0,-e,reset")
MACHINE = ("-M", "mps2-an386", "-nographic", "-monitor", "none", "-serial", "none")
SUPPORT = Path(__file__).with_name("cortex_m4_models.c")


def _program(models, samples, directory):
    """Source of a program that runs every sample of every model."""
    parts = []
    calls = []
    for number, (model, inputs) in enumerate(zip(models, samples, strict=True)):
        prefix = f"m{number}"
        write_model(model, prefix, directory)
        values = ", ".join(map(str, np.ravel(inputs).view(np.int8).tolist()))
        parts.append(f'#include "{prefix}.c"\nstatic const int8_t {prefix}_samples[] = {{{values}}};')
        calls += [
            f"run({prefix}_aot_model_input(), {prefix}_samples + {i * model.input.bytes}, "
            f"{model.input.bytes}, {prefix}_aot_model_invoke, {prefix}_aot_model_output(), "
            f"{model.output.bytes})"
            for i in range(len(inputs))
        ]
    return "\n".join([*parts, f"#define RUN_ALL {'; '.join(calls)}", SUPPORT.read_text()])


def _run_on_cortex_m4(models, samples, directory, flags):
    source, elf = directory / "main.c", directory / "main.elf"
    source.write_text(_program(models, samples, directory))
    compiler = ["arm-none-eabi-gcc", *flags, *CORE, *LINK, f"-I{RUNTIME}", "-o", elf, source]
    subprocess.run(compiler, check=True, timeout=120)
    emulator = ["qemu-system-arm", *MACHINE, "-semihosting-config", "enable=on,target=native", "-kernel", elf]
    done = subprocess.run(emulator, capture_output=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr.decode()
    return done.stdout


# MCU_SER_PROGRAMS=100 asks for more.
whole_programs = settings(
    max_examples=int(os.environ.get("MCU_SER_PROGRAMS", "1")),
    phases=(Phase.explicit, Phase.reuse, Phase.generate),
    suppress_health_check=list(HealthCheck),
)
needs_qemu = pytest.mark.skipif(
    shutil.which("qemu-system-arm") is None, reason="qemu-system-arm is not installed"
)


def check_a_program(files, build, directory, **options):
    """A program of models of one layer, compiled with options, gives the bytes of the oracle."""
    models = [compile_model(file, **options) for file in files]
    rng = np.random.default_rng(0)
    samples = [any_samples(4, model.input, rng) for model in models]
    output = _run_on_cortex_m4(models, samples, directory, BUILDS[build])
    expected = []
    for file, inputs in zip(files, samples, strict=True):
        oracle = runtime.Interpreter.from_bytes(file, arena_size=1 << 20)
        for sample in inputs:
            oracle.set_input(sample, 0)
            oracle.reset()
            oracle.invoke()
            expected.append(oracle.get_output(0).tobytes())
    assert output == b"".join(expected)


@needs_qemu
@whole_programs
@pytest.mark.parametrize("group", GROUPS)
@pytest.mark.parametrize("build", sorted(BUILDS))
@given(data=st.data())
def test_every_operator_gives_the_bytes_of_the_oracle_on_a_cortex_m4(build, group, data, tmp_path_factory):
    kinds = GROUPS[group]
    drawn = [
        data.draw(st.lists(kinds[kind], min_size=MODELS_PER_OPERATOR, max_size=MODELS_PER_OPERATOR))
        for kind in sorted(kinds)
    ]
    files = [model.file for models in drawn for model in models]
    check_a_program(files, build, tmp_path_factory.mktemp("cortex_m4"))

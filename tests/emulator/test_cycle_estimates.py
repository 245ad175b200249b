# SPDX-License-Identifier: Apache-2.0
"""The estimated cycles of loops whose cycles the Cortex-M4's manual tells."""

import subprocess
from pathlib import Path

import pytest

from mcu_ser.aot.compile import compile_model
from tests.cortex_m4_cycles import disassemble, estimate, execute
from tests.cortex_m4_layers import build_program, count_instructions, missing_tools

pytestmark = [
    pytest.mark.emulator,
    pytest.mark.skipif(bool(missing_tools()), reason=f"not installed: {', '.join(missing_tools())}"),
]

MODELS = Path(__file__).resolve().parents[3] / "shared" / "models"
# A turn ends with subs and bne: 2 cycles and a refill.
LOOP_END = (3, 4, 5)
TURNS = 100

# Code, and its cycles: those of the manual's examples, and of its table.
BODIES = {
    "nop; nop": 2,
    "smlad r1, r2, r3, r1; sxtb16 r2, r3; smmla r1, r2, r3, r1; ssat r1, #8, r1, asr #4": 4,
    "mla r1, r2, r3, r1; smlal r1, r2, r3, r7": 2,
    "ldr r1, [r0]; nop": 3,
    "ldr r1, [r0]; ldr r2, [r3]": 3,
    "ldr r1, [r0]; ldrsb r2, [r3]; ldrh r7, [r0, #4]": 4,
    "mov r1, #0; ldr r2, [r0, r1]; str r2, [r3, #20]": 5,
    "movs r1, #4; nop; ldr r2, [r0, r1]; str r2, [r3, r1]": 5,
    "str r0, [r3]; str r0, [r3, #4]": 2,
    "movs r1, #4; nop; str r2, [r3, r1]": 4,
    # The second load's address is the result of the first.
    "ldr r1, [sp, #-8]; ldr r2, [r1]": 4,
    "add r3, r3, #0; ldr r1, [r3]": 4,
    "ldrd r1, r2, [r0]; ldr r7, [r0]": 5,
    "ldm r0, {r1, r2, r3, r7}; mov r3, r0": 6,
    "push {r1-r3, r7}; pop {r1-r3, r7}": 10,
    "strd r1, r2, [r3]": 3,
}


def run_loop(directory, body, turns):
    source, elf = directory / "loop.s", directory / "loop.elf"
    lines = "\n".join(body.split("; "))
    source.write_text(
        ".syntax unified\n.thumb\n.global loop\n.type loop, %function\n.thumb_func\nloop:\n"
        "push {r4, r7}\nmov r0, sp\nsub r0, r0, #64\nmov r3, r0\nmov r1, r0\nstr r0, [sp, #-8]\n"
        f"movw r4, #{turns}\n1:\n{lines}\nsubs r4, #1\nbne 1b\npop {{r4, r7}}\nbx lr\n"
    )
    flags = ["-mcpu=cortex-m4", "-mthumb", "-nostdlib", "-Wl,-Ttext=0x08000000,-e,loop"]
    subprocess.run(["arm-none-eabi-gcc", *flags, "-o", elf, source], check=True, timeout=60)
    return estimate(execute(elf, "loop", lambda _name: None), disassemble(elf))[""]


@pytest.mark.parametrize("body", BODIES)
def test_a_loop_takes_what_the_manual_says(body, tmp_path):
    short, long = (run_loop(tmp_path, body, turns) for turns in (TURNS, 2 * TURNS))
    taken = [
        (getattr(long.cycles, bound) - getattr(short.cycles, bound)) / TURNS
        for bound in ("least", "likely", "most")
    ]
    assert taken == [BODIES[body] + end for end in LOOP_END]
    assert long.instructions - short.instructions == TURNS * (len(body.split("; ")) + 2)


def test_what_the_manual_leaves_open_is_a_range(tmp_path):
    division = run_loop(tmp_path, "mov r2, #3; sdiv r1, r0, r2", 1).cycles
    plain = run_loop(tmp_path, "mov r2, #3; nop", 1).cycles
    assert (division.least - plain.least, division.most - plain.most) == (1, 11)


@pytest.mark.skipif(not MODELS.is_dir(), reason="the models of MLPerf Tiny are not here")
def test_keyword_spotting_takes_at_most_1_4_cycles_per_multiplication(tmp_path):
    model = compile_model((MODELS / "kws_ref_model.tflite").read_bytes())
    elf = build_program([model], tmp_path)
    run = estimate(execute(elf, "m0_aot_model_invoke", lambda _name: None), disassemble(elf))[""]
    assert run.cycles.likely / model.macs <= 1.4
    assert 0.99 * run.cycles.likely < run.cycles.least < run.cycles.most < 1.01 * run.cycles.likely
    # Both emulators count the same; the values, on which SOFTMAX depends, are others.
    counted = sum(count_instructions([model], tmp_path)[0])
    assert run.instructions == pytest.approx(counted, rel=5e-4)

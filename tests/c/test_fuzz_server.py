# SPDX-License-Identifier: Apache-2.0
"""The firmware's server under fuzzing: a share of what tools/fuzz_frames.py does, and what it finds."""

import shutil
import subprocess

import pytest

from mcu_ser.resources import firmware_templates_dir
from tests.fuzzed_server import build_fuzzer, fuzz


@pytest.mark.parametrize("compiler", ["gcc", "clang"])
def test_nothing_that_can_arrive_breaks_the_server(compiler, tmp_path):
    counted = fuzz(build_fuzzer(tmp_path, compiler=compiler), inputs=20_000, seed=1, timeout_s=300)
    assert counted["inputs"] == 20_000
    # The inputs must be worth the name: most good frames are found, and answered.
    assert counted["accepted"] > 20_000
    assert counted["answers"] > 20_000
    assert counted["probes"] == 400


DEFECTS = {
    "a CRC that is not compared": (
        "frame.c",
        "if (crc32_update(0, bytes, covered) != le_get_u32(bytes + covered)) {",
        "if (crc32_update(0, bytes, covered) == 0x12345678u) {",
        "a frame was found that nobody sent",
    ),
    "a frame that may be too long": (
        "frame.c",
        "if (decoder->length < sizeof decoder->bytes) {",
        "if (decoder->length < 4096u) {",
        "runtime error|AddressSanitizer",
    ),
    "an input that may be too long": (
        "server_requests.c",
        "if (offset > MODEL_INPUT_BYTES || length > MODEL_INPUT_BYTES - offset) {",
        "if (offset > MODEL_INPUT_BYTES) {",
        "AddressSanitizer",
    ),
    "a packed input that may be too long": (
        "server_requests.c",
        "count > MODEL_INPUT_BYTES - offset || neighbours.above == 0 ||",
        "neighbours.above == 0 ||",
        "AddressSanitizer",
    ),
    "a prediction from before the input": (
        "packed_input.c",
        "return at < distance ? 0 : input[at - distance];",
        "return input[at - distance];",
        "AddressSanitizer|runtime error",
    ),
    "a packed input that is unpacked wrong": (
        "packed_input.c",
        "return corner <= low ? high : left + above - corner;",
        "return corner < low ? high : left + above - corner + 1;",
        "no answer to INFER",
    ),
    "an output that may be too long": (
        "server_requests.c",
        "offset > MODEL_OUTPUT_BYTES || length > MODEL_OUTPUT_BYTES - offset ||",
        "offset > MODEL_OUTPUT_BYTES ||",
        "AddressSanitizer",
    ),
    "a map that may be too long": (
        "server_audio.c",
        "if (offset > MODEL_INPUT_BYTES || count > MODEL_INPUT_BYTES - offset ||",
        "if (offset > MODEL_INPUT_BYTES ||",
        "AddressSanitizer",
    ),
    "audio that begins with what was before": (
        "server_audio.c",
        "  audio_forget();\n  audio.open = 1;\n",
        "  audio.open = 1;\n",
        "no answer to HEAR",
    ),
    "sound of what was listened to before": (
        "server_listen.c",
        "  audio_ring_clear();\n",
        "",
        "other decisions",
    ),
    "a line that is not held while it listens": (
        "server_listen.c",
        "  return live.source == LISTEN_LINE && (",
        "  return live.source == 77 && (",
        "a block was lost|other decisions",
    ),
    "samples of what was before": (
        "front_end/front_end.c",
        "  state.filled = 0;\n",
        "",
        "other features|AddressSanitizer",
    ),
    "an old input that is believed": (
        "server_requests.c",
        "  state.received = received;\n",
        "  state.received = MODEL_INPUT_BYTES - 1u;\n",
        "no answer to INFER",
    ),
}


@pytest.mark.parametrize("name", DEFECTS)
def test_a_defect_is_found(tmp_path, name):
    file, right, wrong, message = DEFECTS[name]
    runtime = tmp_path / "runtime"
    shutil.copytree(firmware_templates_dir() / "runtime", runtime)
    text = (runtime / file).read_text()
    assert text.count(right) == 1
    (runtime / file).write_text(text.replace(right, wrong))
    with pytest.raises(subprocess.CalledProcessError) as caught:
        fuzz(build_fuzzer(tmp_path, runtime), inputs=40_000, seed=1, timeout_s=300)
    assert any(part in caught.value.stderr for part in message.split("|"))

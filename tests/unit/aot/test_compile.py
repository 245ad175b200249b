# SPDX-License-Identifier: Apache-2.0
import re
import subprocess

import numpy as np
import pytest

from mcu_ser.aot import arena
from mcu_ser.aot.c_emitter import comment_text
from mcu_ser.aot.compile import TensorSpec, compile_model
from mcu_ser.artifacts import sha256_hex
from mcu_ser.errors import ModelError
from tests.native_firmware import require_compiler
from tests.native_models import RUNTIME, STRICT
from tests.tflite_builder import TfliteBuilder

HOSTILE = '*/ #include "x" \\\n??/ // /* ";int main(void){}'


def _two_layers(name="relu;fused"):
    model = TfliteBuilder()
    x = model.tensor((1, 4), scale=1.0, name="in")
    w = model.tensor((2, 4), scale=1.0, data=[[0, 0, 3, 4], [5, 0, 7, 0]])
    a = model.tensor((1, 2), scale=1.0, name=name)
    y = model.tensor((2,), scale=1.0, zero_point=-5, name="out")
    model.operator("FULLY_CONNECTED", [x, w], [a])
    model.operator("RESHAPE", [a], [y])
    return model.build([x], [y])


def _large():
    """About a MobileNet v1 of width 0.25: 26 layers, 470 000 weights."""
    rng = np.random.default_rng(0)
    model = TfliteBuilder()
    channels = 16
    previous = source = model.tensor((1, 24, 24, channels), scale=0.05)
    for block in range(13):
        next_channels = min(256, channels * 2) if block % 2 else channels
        w = rng.integers(-127, 128, (1, 3, 3, channels))
        weights = model.tensor(w.shape, scale=[0.01] * channels, axis=3, data=w)
        middle = model.tensor((1, 24, 24, channels), scale=0.05)
        strides = {"StrideH": 1, "StrideW": 1}
        model.operator("DEPTHWISE_CONV_2D", [previous, weights], [middle], DepthMultiplier=1, **strides)
        w = rng.integers(-127, 128, (next_channels, 1, 1, channels))
        weights = model.tensor(w.shape, scale=[0.01] * next_channels, data=w)
        previous = model.tensor((1, 24, 24, next_channels), scale=0.05)
        model.operator("CONV_2D", [middle, weights], [previous], **strides)
        channels = next_channels
    return model.build([source], [previous])


def test_the_compiled_model_says_what_it_costs():
    file = _two_layers()
    model = compile_model(file, "m")
    assert model.sha256 == sha256_hex(file)
    assert model.input == TensorSpec("in", (1, 4), 1.0, 0, 4)
    assert model.output == TensorSpec("out", (2,), 1.0, -5, 2)
    assert model.kernels == ("fully_connected.h", "kernel.h")
    assert (model.macs, model.arena_bytes) == (8, 8)
    connected, reshape = model.layers
    assert (connected.operator, connected.macs, connected.sparsity) == ("FULLY_CONNECTED", 8, 0.5)
    assert (connected.input_shapes, connected.output_shape) == (((1, 4),), (1, 2))
    # 8 weights, 2 biases, and one multiplier and shift for the layer.
    assert connected.weight_bytes == model.weight_bytes == 8 + 2 * 4 + 4 + 1
    assert (connected.live_bytes, reshape.live_bytes) == (8, 4)
    assert (connected.kernel, reshape.kernel) == ("aot_fully_connected", None)
    assert (connected.scratch_bytes, reshape.scratch_bytes) == (0, 0)
    assert (reshape.macs, reshape.weight_bytes, reshape.sparsity) == (0, 0, None)
    assert reshape.arena_offset == connected.arena_offset
    assert model.peak_layer == connected


def test_scratch_of_a_kernel_is_a_part_of_the_arena():
    model = TfliteBuilder()
    x = model.tensor((1, 4), scale=1.0)
    w = model.tensor((2, 4), scale=1.0, data=[[0, 0, 3, 4], [5, 0, 7, 0]])
    y = model.tensor((1, 2), scale=64.0)
    model.operator("FULLY_CONNECTED", [x, w], [y])
    compiled = compile_model(model.build([x], [y]))
    assert compiled.kernels == ("dsp.h", "fully_connected_matmul.h", "kernel.h", "matmul.h", "matmul_dsp.h")
    # One block of 4 channels: for each a bias, 8 weights and 3 parameters.
    assert compiled.weight_bytes == 4 * (4 + 8 + 12)
    (layer,) = compiled.layers
    assert (layer.kernel, layer.scratch_bytes, layer.sparsity) == ("aot_fully_connected_matmul", 16, 0.5)
    # 8 widened inputs; the output lies over the input, which is widened before anything is written.
    assert compiled.arena_bytes == layer.live_bytes == 4 + 16


def test_equal_multipliers_of_all_channels_are_stored_once():
    def weight_bytes(scales):
        model = TfliteBuilder()
        x = model.tensor((1, 4), scale=1.0)
        # No stream for these: the second channel's least weights have nothing left to borrow from.
        w = model.tensor((2, 4), scale=scales, data=np.repeat([[-1], [-128]], 4, axis=1))
        y = model.tensor((1, 2), scale=1.0)
        model.operator("FULLY_CONNECTED", [x, w], [y])
        return compile_model(model.build([x], [y])).weight_bytes

    assert weight_bytes([0.5, 0.5]) == weight_bytes(0.5) == 8 + 2 * 4 + 5
    assert weight_bytes([0.5, 0.25]) == 8 + 2 * 4 + 2 * 5


def test_every_plan_is_verified(monkeypatch):
    def all_at_the_bottom(buffers, overlaps):
        return arena.Plan({buffer.tensor: 0 for buffer in buffers}, 8, 8)

    monkeypatch.setattr(arena, "plan_arena", all_at_the_bottom)
    with pytest.raises(ModelError, match="arena plan: tensors 0 and 2 overlap at layer 0"):
        compile_model(_two_layers())


def test_the_same_model_gives_the_same_text():
    assert compile_model(_two_layers()).sources == compile_model(_two_layers(), "elsewhere/m").sources


def test_files_name_tool_and_model_and_nothing_of_the_machine():
    model = compile_model(_two_layers(), "/home/somebody/m.tflite")
    for text in model.sources.values():
        lines = text.splitlines()
        assert lines[0] == "/* SPDX-License-Identifier: Apache-2.0 */"
        assert re.match(r" \* Generated by mcu-ser \d+\.\d+\.\d+; do not edit\.", lines[2])
        assert lines[3] == f" * Model SHA-256: {model.sha256} */"
        assert "somebody" not in text


def test_each_layer_is_one_named_call_with_its_costs():
    source = compile_model(_two_layers()).sources["aot_model.c"]
    assert "/* Layer 0: FULLY_CONNECTED relu: 1x4 to 1x2, 8 MACs */" in source
    invoke = source[source.index("void aot_model_invoke") :]
    assert invoke.count("layer_00_fully_connected();") == 1
    assert "/* Layer 1: RESHAPE out: 1x2 to 2: the same bytes */" in invoke
    assert re.findall(r"AOT_AFTER_LAYER\((\d+), arena \+ \d+, (\d+)\);", invoke) == [("0", "2"), ("1", "2")]


def test_the_header_has_the_sizes():
    header = compile_model(_two_layers()).sources["aot_model.h"]
    for line in (
        "#define AOT_MODEL_LAYERS 2",
        "#define AOT_MODEL_ARENA_BYTES 8",
        "#define AOT_MODEL_INPUT_BYTES 4",
        "#define AOT_MODEL_OUTPUT_BYTES 2",
        "int8_t *aot_model_input(void);",
        "const int8_t *aot_model_output(void);",
        "void aot_model_invoke(void);",
    ):
        assert line in header.splitlines()


@pytest.mark.parametrize("text", [HOSTILE, "a*/b/*c", "\u2028\u202e", "x" * 500])
def test_a_comment_cannot_be_ended_by_a_name(text):
    safe = comment_text(text)
    assert len(safe) <= 60
    assert not set(safe) & set("*\\?\"'\n#;")
    assert safe.isascii()


@pytest.mark.parametrize("compiler", ["gcc", "clang", "arm-none-eabi-gcc"])
@pytest.mark.parametrize("level", ["-O2", "-Os"])
def test_hostile_names_still_give_code_without_warnings(tmp_path, compiler, level):
    for name, text in compile_model(_two_layers(HOSTILE)).sources.items():
        (tmp_path / name).write_text(text)
    core = ["-mcpu=cortex-m4", "-mthumb"] if compiler.startswith("arm") else []
    engine = RUNTIME / "engine_aot.c"
    for source in (tmp_path / "aot_model.c", tmp_path / "aot_weights.c", engine):
        command = [require_compiler(compiler), *STRICT, *core, level, f"-I{RUNTIME}", f"-I{tmp_path}"]
        subprocess.run([*command, "-c", source, "-o", tmp_path / "object.o"], check=True, timeout=60)


def test_a_model_whose_output_is_its_input_compiles():
    model = TfliteBuilder()
    x = model.tensor((1, 4), scale=1.0)
    compiled = compile_model(model.build([x], [x]))
    assert (compiled.arena_bytes, compiled.layers, compiled.peak_layer) == (4, (), None)


def test_a_deep_model_lays_each_output_over_its_dying_input():
    model = compile_model(_large())
    assert len(model.layers) == 26
    scratch = max(layer.scratch_bytes for layer in model.layers)
    assert model.arena_bytes == model.plan.lower_bound == 24 * 24 * 256 + scratch

# SPDX-License-Identifier: Apache-2.0
import re
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mcu_ser.aot.kernels import KERNELS
from mcu_ser.aot.passes import ALIASING
from mcu_ser.aot.tflite_reader import read_model
from mcu_ser.board import load_board
from mcu_ser.errors import ModelError
from mcu_ser.generate.byte_arrays import (
    LSTM_BYTES,
    RESOLVER_METHODS,
    byte_lines,
    estimate_arena,
    resolver_registrations,
    tflm_values,
)
from mcu_ser.generate.project import generate
from tests.plain_lstm import lstm
from tests.tflite_builder import TfliteBuilder
from tests.tiny_model import tiny_classifier

SHARED_MODELS = Path(__file__).parents[4] / "shared" / "models"

# Smallest arena with which the interpreter starts on a Cortex-M4, reference and CMSIS-NN kernels, found by
# bisection on the device (TFLite-Micro 90b983c2b).
MEASURED_ARENAS = {
    "kws_ref_model": (22784, 22832),
    "ic_resnet_int8": (54352, 55008),
    "ad01_int8": (2704, 3024),
}


@given(st.binary(max_size=100))
def test_byte_lines_are_the_bytes(data: bytes) -> None:
    text = "\n".join(byte_lines(data))
    assert bytes(int(byte, 16) for byte in re.findall(r"0x([0-9a-f]{2}),", text)) == data
    assert all(len(line) <= 16 * 6 for line in text.splitlines())


def test_resolver_registers_each_operator_once() -> None:
    graph = read_model(tiny_classifier())
    assert resolver_registrations(graph) == (
        "AddConv2D(Register_CONV_2D_INT8())",
        "AddFullyConnected(Register_FULLY_CONNECTED_INT8())",
        "AddReshape()",
        "AddSoftmax(Register_SOFTMAX_INT8())",
    )
    doubled = replace(graph, operators=graph.operators * 2)
    assert resolver_registrations(doubled) == resolver_registrations(graph)


def _softmaxes(*dtypes: str) -> bytes:
    """A SOFTMAX of each type, side by side."""
    model = TfliteBuilder()
    ends = [
        (model.tensor((1, 4), dtype, scale=0.5), model.tensor((1, 4), dtype, scale=0.5)) for dtype in dtypes
    ]
    for x, y in ends:
        model.operator("SOFTMAX", [x], [y], Beta=1.0)
    return model.build([x for x, _ in ends], [y for _, y in ends])


@pytest.mark.parametrize(
    ("dtypes", "argument"),
    [
        (("INT8", "INT8"), "Register_SOFTMAX_INT8()"),
        (("INT16",), ""),
        # The resolver has one registration for all layers of an operator.
        (("INT8", "INT16"), ""),
        (("INT16", "INT8"), ""),
    ],
)
def test_an_operator_with_an_int16_layer_is_registered_for_all_types(
    dtypes: tuple[str, ...], argument: str
) -> None:
    assert resolver_registrations(read_model(_softmaxes(*dtypes))) == (f"AddSoftmax({argument})",)


def test_int16_layers_of_one_operator_leave_the_others_in_their_int8_form() -> None:
    model = TfliteBuilder()
    x = model.tensor((1, 4), scale=0.5)
    wide = model.tensor((1, 4), "INT16", scale=0.5)
    total = model.tensor((1, 4), "INT16", scale=0.5)
    y = model.tensor((1, 4), scale=0.5)
    model.operator("QUANTIZE", [x], [wide])
    model.operator("ADD", [wide, wide], [total])
    model.operator("SOFTMAX", [x], [y], Beta=1.0)
    assert resolver_registrations(read_model(model.build([x], [total, y]))) == (
        "AddAdd()",
        "AddQuantize()",
        "AddSoftmax(Register_SOFTMAX_INT8())",
    )


def test_every_operator_of_the_engine_has_a_resolver_method() -> None:
    assert KERNELS.keys() | ALIASING <= RESOLVER_METHODS.keys()


def test_unknown_operator_is_named() -> None:
    graph = read_model(tiny_classifier())
    odd = replace(graph, operators=(replace(graph.operators[0], opcode="LSTM"), *graph.operators[1:]))
    with pytest.raises(ModelError, match="no TFLite-Micro resolver method is known for LSTM"):
        resolver_registrations(odd)


def test_arena_estimate_by_part() -> None:
    arena = estimate_arena(read_model(tiny_classifier()))
    # CONV_2D: 60 bytes in and 120 out, each rounded up to 16, and two columns of 20 int16 for its 18 taps.
    # RESHAPE copies in the interpreter, so 120 bytes in and out would be 256.
    assert arena.activation_bytes == 64 + 128 + 80
    assert arena.peak_layer == 0
    assert arena.channel_bytes == 4 * 8
    assert arena.operator_bytes == 4 * 176
    assert arena.arena_bytes == 272 + 32 + 704 + 1024
    assert arena.arena_bytes % 16 == 0


@pytest.mark.parametrize(
    ("depth", "scratch"),
    [
        # Sums of the widest row of windows: 3 steps of 2 and a window of 3, 3 rows, 2 channels of int32.
        (4, 4 * (3 * 2 + 3) * 3 * 2),
        # Two columns of int16, and the weights reversed.
        (20, 2 * 2 * 180 + 368),
    ],
)
def test_arena_estimate_of_a_transposed_convolution(depth: int, scratch: int) -> None:
    model = TfliteBuilder()
    shape = model.tensor((4,), "INT32", data=[1, 8, 8, 2])
    x = model.tensor((1, 4, 4, depth), scale=1.0)
    w = model.tensor((2, 3, 3, depth), scale=1.0, data=np.ones((2, 3, 3, depth)))
    y = model.tensor((1, 8, 8, 2), scale=1.0)
    model.operator("TRANSPOSE_CONV", [shape, w, x], [y], StrideH=2, StrideW=2)
    arena = estimate_arena(read_model(model.build([x], [y])))
    assert arena.activation_bytes == 16 * depth + 128 + -(-scratch // 16) * 16


@pytest.mark.parametrize(
    ("rows", "depth", "scales", "scratch"),
    [
        ((1, 1), 16, [1.0], 8 * 300),
        ((1, 1), 16, [1.0] * 300, 0),
        ((1, 1), 18, [1.0], 0),
        ((1,), 16, [1.0], 0),
    ],
)
def test_arena_estimate_of_a_dense_layer(rows, depth, scales, scratch) -> None:
    """CMSIS-NN takes those of rank 3 for convolutions of 1 x 1, with 2 numbers of int32 per channel.

    The interpreter with the first of these models ran in 3,152 bytes on a Cortex-M4, and in none less.
    """
    model = TfliteBuilder()
    x = model.tensor((*rows, depth), scale=1.0)
    w = model.tensor((300, depth), scale=scales, axis=0, data=np.ones((300, depth)))
    y = model.tensor((*rows, 300), scale=1.0)
    model.operator("FULLY_CONNECTED", [x, w], [y], KeepNumDims=True)
    arena = estimate_arena(read_model(model.build([x], [y])))
    assert arena.activation_bytes == 16 * -(-depth // 16) + 304 + scratch
    if scratch:
        assert arena.arena_bytes >= 3152


def test_arena_estimate_of_a_matrix_product() -> None:
    """The interpreter keeps a copy of each operand that it swaps: the second, unless that is swapped."""
    model = TfliteBuilder()
    x = model.tensor((1, 3, 5), scale=1.0)
    y = model.tensor((1, 3, 3), scale=1.0)
    model.operator("BATCH_MATMUL", [x, x], [y], AdjY=True)
    kept = model.tensor((1, 3, 3), scale=1.0)
    model.operator("BATCH_MATMUL", [y, y], [kept], AdjX=True)
    assert estimate_arena(read_model(model.build([x], [kept]))).operator_bytes == 2 * 176 + 16 + 16


def test_arena_estimate_of_an_lstm() -> None:
    """Its states, and what the kernels keep: 4 bytes per cell for each of 8 products, with CMSIS-NN."""
    arena = estimate_arena(read_model(lstm()))
    assert arena.activation_bytes == 16 + 16 + 4 * 16
    assert arena.operator_bytes == 176 + LSTM_BYTES + 16 + 16 + 8 * 16


def test_only_a_model_with_states_has_them_reset() -> None:
    assert tflm_values(lstm(), read_model(lstm())).has_states
    assert not tflm_values(tiny_classifier(), read_model(tiny_classifier())).has_states


@pytest.mark.parametrize("name", sorted(MEASURED_ARENAS))
def test_arena_estimate_holds_what_was_measured_on_a_cortex_m4(name: str) -> None:
    path = SHARED_MODELS / f"{name}.tflite"
    if not path.is_file():
        pytest.skip(f"{path} is absent")
    estimate = estimate_arena(read_model(path.read_bytes())).arena_bytes
    assert max(MEASURED_ARENAS[name]) <= estimate <= max(MEASURED_ARENAS[name]) + 1536


def test_array_is_the_model_16_byte_aligned(tmp_path: Path) -> None:
    """Compiled, not read: what the C++ compiler makes of the file is what the interpreter gets."""
    compiler = shutil.which("g++")
    if compiler is None:
        pytest.skip("g++ is not installed")
    model = tiny_classifier()
    (tmp_path / "model.tflite").write_bytes(model)
    generate(tmp_path / "model.tflite", load_board("host"), "aot", tmp_path / "project")
    (tmp_path / "dump.cc").write_text(
        """
        #include <cstdint>
        #include <cstdio>
        #include "model_data.h"
        #include "op_resolver.h"
        #include "tensor_arena.h"
        static_assert(kTensorArenaSize % 16 == 0, "whole alignment units");
        int main() {
          using namespace mcu_ser;
          ModelOpResolver resolver;
          if (RegisterModelOps(resolver) != kTfLiteOk) return 1;
          if (resolver.registered != ModelOpResolver::kOps) return 4;
          if (reinterpret_cast<std::uintptr_t>(g_model_data) % 16 != 0) return 2;
          return std::fwrite(g_model_data, 1, g_model_data_len, stdout) == g_model_data_len ? 0 : 3;
        }
        """
    )
    header = tmp_path / "tensorflow" / "lite" / "micro" / "micro_mutable_op_resolver.h"
    header.parent.mkdir(parents=True)
    header.write_text(
        """
        enum TfLiteStatus { kTfLiteOk, kTfLiteError };
        namespace tflite {
        namespace micro {}
        struct TFLMRegistration {};
        inline TFLMRegistration Register_CONV_2D_INT8() { return {}; }
        inline TFLMRegistration Register_FULLY_CONNECTED_INT8() { return {}; }
        inline TFLMRegistration Register_SOFTMAX_INT8() { return {}; }
        template <unsigned int N> class MicroMutableOpResolver {
         public:
          static constexpr unsigned int kOps = N;
          unsigned int registered = 0;
          TfLiteStatus Add() { return registered++ < N ? kTfLiteOk : kTfLiteError; }
          TfLiteStatus AddConv2D(const TFLMRegistration&) { return Add(); }
          TfLiteStatus AddFullyConnected(const TFLMRegistration&) { return Add(); }
          TfLiteStatus AddReshape() { return Add(); }
          TfLiteStatus AddSoftmax(const TFLMRegistration&) { return Add(); }
        };
        }
        """
    )
    tflm = tmp_path / "project" / "src" / "tflm"
    program = tmp_path / "dump"
    subprocess.run(
        [
            *(compiler, "-std=c++14", "-Wall", "-Wextra", "-Werror", f"-I{tmp_path}", f"-I{tflm}"),
            *(tmp_path / "dump.cc", tflm / "model_data.cpp", "-o", program),
        ],
        check=True,
        timeout=60,
    )
    assert subprocess.run([program], check=True, capture_output=True, timeout=10).stdout == model

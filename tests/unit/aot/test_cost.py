# SPDX-License-Identifier: Apache-2.0
import dataclasses
import re

import numpy as np
import pytest

from mcu_ser.aot import kernel_work, softmax_work, sparse_kernel_work
from mcu_ser.aot.cost import (
    ASSEMBLY,
    COSTS,
    SHARED,
    SIZE_ASSEMBLY,
    predict,
    predicted_instructions,
)
from mcu_ser.aot.kernel_build import Build
from mcu_ser.aot.kernel_work import counted_kernels, work_of
from mcu_ser.aot.kernels import kernel_call, sparse, unstructured
from mcu_ser.aot.kernels.conv_2d import call_narrow, call_winograd
from mcu_ser.aot.kernels.fully_connected import call_direct
from mcu_ser.aot.kernels.kernel_call import KernelCall, struct
from mcu_ser.aot.kernels.matmul import MOST_PAIR_STEPS
from mcu_ser.aot.narrow_choice import STRIP_BYTES
from mcu_ser.aot.optimization import Optimization
from mcu_ser.aot.sparse_storage import _FORMS
from mcu_ser.aot.tflite_reader import read_model
from mcu_ser.resources import firmware_templates_dir
from tests.layer_shapes import depthwise_shapes, winograd_shapes
from tests.measured_shapes import depthwise_in_plain_c, shapes, zero_shapes
from tests.random_narrow import narrow_shapes

KERNEL_DIR = firmware_templates_dir() / "runtime" / "kernels"
HEADERS = "".join(path.read_text() for path in sorted(KERNEL_DIR.glob("*.h")))
SMALL_BUILDS = (Build.SIZE, Build.SIZE_ALONE)


def single_layers(files):
    graphs = (read_model(file) for file in files)
    return [(graph, graph.operators[0]) for graph in graphs]


@pytest.fixture(scope="module")
def calls():
    """Of builds for speed."""
    found = []
    for graph, operator in single_layers(shapes()):
        found.append(kernel_call(graph, operator))
        if operator.opcode == "FULLY_CONNECTED" and not graph.is_int16(operator):
            found.append(call_direct(graph, operator))
    with depthwise_in_plain_c():
        found += [kernel_call(*layer) for layer in single_layers(depthwise_shapes())]
    found += [call_winograd(*layer) for layer in single_layers(winograd_shapes())]
    found += [call_narrow(*layer, STRIP_BYTES[0]) for layer in single_layers(narrow_shapes())]
    return [call for call in found if call is not None]


@pytest.fixture(scope="module")
def small_calls():
    """Of builds for size."""
    found = [kernel_call(*layer, Optimization.SIZE) for layer in single_layers(shapes())]
    for graph, operator in single_layers(zero_shapes()):
        forms = _FORMS[operator.opcode](graph, operator, 1 << 20)
        found += [dataclasses.replace(call, for_size=True) for call in forms if call is not None]
    return found


@pytest.fixture(params=list(Build), ids=lambda build: build.name)
def built(request, calls, small_calls):
    """A build, its prices, and calls of all of its kernels."""
    build = request.param
    return build, COSTS[build], calls if build is Build.SPEED else small_calls


def kernels_of_the_headers():
    """Functions that no other one calls and that have the description of a layer as their first argument."""
    functions = set(re.findall(r"void (aot_\w+)\(\s*const struct aot_\w+\s+\*layer,", HEADERS))
    code = re.sub(r"/\*.*?\*/", "", HEADERS, flags=re.DOTALL)
    once = {name for name in functions if len(re.findall(rf"\b{name}\(", code)) == 1}
    # The kernel without scratch calls the one with it.
    return once | {"aot_compact_gathered"}


def test_every_kernel_has_prices():
    kernels = kernels_of_the_headers()
    assert {"aot_rows_matmul", "aot_copy", "aot_int16_add", "aot_compact"} <= kernels
    assert kernels == counted_kernels(Build.SPEED) | counted_kernels(Build.SIZE)
    assert not {"aot_softmax_row", "aot_copy_run"} & kernels


def test_every_kernel_whose_parts_are_known_has_prices():
    for build in (Build.SPEED, Build.SIZE):
        assert counted_kernels(build) == set(COSTS[build])
    assert set(ASSEMBLY) <= set(COSTS[Build.SPEED])
    assert set(SIZE_ASSEMBLY) <= set(COSTS[Build.SIZE])
    # Functions of their own in every build have no prices but those.
    alone = set(COSTS[Build.SIZE_ALONE])
    own = {name for name in COSTS[Build.SIZE] if re.search(rf"AOT_NOINLINE[^;{{]*\b{name}\(", HEADERS)}
    assert set(COSTS[Build.SIZE]) - alone == own | {"aot_compact"}


def test_every_kernel_is_among_the_shapes_that_are_measured(built):
    _, costs, calls = built
    assert {call.kernel for call in calls} >= set(costs)


def test_every_price_is_of_a_part_that_occurs(built):
    build, costs, calls = built
    parts = {kernel: set() for kernel in costs}
    for call in calls:
        if call.kernel in parts:
            parts[call.kernel] |= set(work_of(call, build))
    for kernel, other in SHARED.items():
        if other in parts:
            together = set.union(*(parts[name] for name in (other, *SHARED) if name in parts))
            parts |= {kernel: together, other: together}
    for kernel, cost in costs.items():
        assert set(cost.prices) <= parts[kernel], kernel
        assert min(cost.prices.values()) > 0


def test_a_layer_costs_more_than_its_multiplications(calls, small_calls):
    # No kernel does more than two at once.
    for call in (*calls, *small_calls):
        assert predicted_instructions(call) > 0
        if call.macs and call.kernel != "aot_transpose_conv":
            assert predicted_instructions(call) > (1 - (call.sparsity or 0)) * call.macs / 4


def test_an_error_stands_beside_every_prediction(calls):
    for call in calls:
        prediction = predict(call)
        assert prediction.instructions == predicted_instructions(call)
        steps = [COSTS[Build.SPEED][step.kernel].error for step in call.steps()]
        assert min(steps) - 1e-9 <= prediction.error <= max(steps) + 1e-9
    assert {call.kernel for call in calls if predict(call).depends_on_inputs} == {
        "aot_softmax",
        "aot_l2_normalization",
    }


def test_a_kernel_that_is_alone_in_a_build_for_size_has_prices_of_its_own(small_calls):
    differing = set()
    for call in small_calls:
        prediction = predict(call, alone=True)
        assert prediction.instructions > 0
        if prediction != predict(call):
            differing.add(call.kernel)
    assert differing == set(COSTS[Build.SIZE_ALONE])


def test_a_build_for_speed_has_no_kernel_that_is_alone(calls):
    for call in calls:
        assert predict(call, alone=True) == predict(call)


def macro(text, name):
    return re.search(rf"#define {name}\b(\([^)]*\))?((?:[^\n]*\\\n)*[^\n]*)", text)[2]


def instructions(text):
    return len(re.findall(r"\\n\\t", text))


@pytest.mark.parametrize(
    ("kind", "kernel"), [("PAIR", "aot_rows_matmul"), ("SINGLE", "aot_fully_connected_matmul")]
)
def test_the_parts_in_assembly_have_the_instructions_of_their_source(kind, kernel):
    text = (KERNEL_DIR / "matmul_dsp.h").read_text()

    def count(part):
        content = macro(text, f"AOT_{kind}_{part}")
        # Macros within a macro: AOT_TWICE_... has one instruction.
        return instructions(content) + content.count("twice(")

    # The block's beginning and end, and the jump at the end of the chain; its return is not of the block.
    around = count("START") + count("FINISH_BEGIN") + count("FINISH_END") - 2 + 1
    for way in ("SHIFTED", "SIGNED"):
        assert ASSEMBLY[kernel][f"{way.lower()} block"] == around + 4 * count(way)
    halves = 2 * instructions(macro(text, "AOT_SINGLE_HALF_STEP")) if kind == "SINGLE" else 0
    assert ASSEMBLY[kernel]["step"] == count("STEP") + halves


@pytest.mark.parametrize(
    ("kind", "kernel", "positions"),
    [("QUAD", "aot_rows_sparse", 4), ("SINGLE", "aot_fully_connected_sparse", 1)],
)
def test_the_parts_of_the_sparse_kernels_have_the_instructions_of_their_source(kind, kernel, positions):
    text = (KERNEL_DIR / "sparse_matmul_dsp.h").read_text()

    def count(part):
        return instructions(macro(text, f"AOT_SPARSE_{part}"))

    # Without the instruction that is jumped over, but with the jump at the end of the chain.
    start = count(f"{kind}_START") + count("ENTER") - 1 + 1
    finish = 1 + count(f"{kind}_STORE") + count("FINISH_END")
    assert macro(text, "AOT_SPARSE_FINISH_BEGIN").count("ldm") == 1
    prices = ASSEMBLY[kernel]
    for way in ("DIRECT", "SIGNED"):
        assert prices[f"{way.lower()} channel"] == start + finish + positions * count(way)
    assert prices["step"] == count(f"{kind}_STEP")
    # Each of them has four bytes, or the chain would be entered at the wrong place.
    assert 4 * prices["step"] == sparse.STEP_BYTES[kind]
    assert prices["channel of passes"] == count("PASSES")
    assert prices["pass"] == count("REPEATED_END")
    assert re.findall(r"\.rept (\d+)", text) == [str(sparse_kernel_work.STEPS)]


def test_the_parts_of_the_unstructured_kernels_have_the_instructions_of_their_source():
    text = (KERNEL_DIR / "unstructured_matmul_dsp.h").read_text()
    blocks = (KERNEL_DIR / "sparse_matmul_dsp.h").read_text()

    def count(part, source=text):
        return instructions(macro(source, part))

    # As for blocks; a step has the products of both of its weights from a macro of their own.
    start = count("AOT_UNSTRUCTURED_START") + count("AOT_SPARSE_ENTER", blocks) - 1 + 1
    assert macro(text, "AOT_UNSTRUCTURED_FINISH_BEGIN").count("AOT_UNSTRUCTURED_SEPARATE(") == 4
    separate = 4 * count("AOT_UNSTRUCTURED_SEPARATE")
    finish = 1 + separate + count("AOT_UNSTRUCTURED_STORE") + count("AOT_SPARSE_FINISH_END", blocks)
    prices = ASSEMBLY["aot_rows_unstructured"]
    for way in ("DIRECT", "SIGNED"):
        assert prices[f"{way.lower()} channel"] == start + finish + 8 * count(f"AOT_SPARSE_{way}", blocks)
    assert macro(text, "AOT_UNSTRUCTURED_STEP").count("AOT_UNSTRUCTURED_EIGHT") == 2
    assert prices["step"] == count("AOT_UNSTRUCTURED_STEP") + 2 * count("AOT_UNSTRUCTURED_EIGHT")
    # Each of them has four bytes, or the chain would be entered at the wrong place.
    assert 4 * prices["step"] == unstructured.STEP_BYTES
    # What goes on around the steps is that of blocks.
    for part in ("channel of passes", "pass"):
        assert prices[part] == ASSEMBLY["aot_rows_sparse"][part]
    # Four pairs of rows, one after the other.
    loop = re.search(r'"2: (.*?bgt 2b)', text, re.DOTALL)[1]
    assert prices["four wide"] == 4 * (instructions(loop) + 1)


def test_the_groups_of_depthwise_pairs_have_the_instructions_of_their_source():
    text = (KERNEL_DIR / "depthwise_pairs_dsp.h").read_text()

    def count(part):
        return instructions(macro(text, f"AOT_{part}"))

    loop = instructions(re.search(r'"2: (.*?bne 2b)', text, re.DOTALL)[1]) + 1
    prices = ASSEMBLY["aot_depthwise_pairs"]
    assert prices["pair"] == loop
    pixel = macro(text, "AOT_PIXEL")
    assert (pixel.count("scaled("), pixel.count("AOT_GROUP_STORE(")) == (4, 4)
    # Three instructions begin a pixel, and two end it.
    around = count("GROUP_SUMS") - loop + count("PIXEL") - 3 - 2 + 4 * count("GROUP_STORE")
    for way in ("SHIFTED", "SIGNED"):
        assert prices[f"{way.lower()} group"] == around + 4 * count(f"GROUP_{way}")


def test_the_loop_that_widens_four_rows_has_the_instructions_of_its_source():
    text = (KERNEL_DIR / "sparse_matmul_dsp.h").read_text()
    loop = re.search(r'"1: (.*?bgt 1b)', text, re.DOTALL)[1]
    assert ASSEMBLY["aot_rows_sparse"]["four wide"] == instructions(loop) + 1


def test_the_chains_are_as_long_as_their_source_says():
    text = (KERNEL_DIR / "matmul_dsp.h").read_text()
    assert re.findall(r"#define AOT_(?:PAIR|SINGLE)_STEPS (\d+)", text) == [
        str(MOST_PAIR_STEPS),
        str(kernel_work.SINGLE_STEPS),
    ]


def test_the_loops_of_a_build_for_size_have_the_instructions_of_their_source():
    def loop(name):
        return re.search(r'"1: (.*?bne 1b)', (KERNEL_DIR / name).read_text(), re.DOTALL)[1]

    step = macro((KERNEL_DIR / "compact_products.h").read_text(), "AOT_COMPACT_STEP")
    products = loop("compact_products.h")
    assert products.count("AOT_COMPACT_STEP(") == 2
    whole = instructions(products) + 1 + 2 * instructions(step)
    assert SIZE_ASSEMBLY["aot_compact"]["product step"] == whole
    assert SIZE_ASSEMBLY["aot_compact"]["tap"] == instructions(loop("compact_depthwise.h")) + 1


def test_the_differences_of_two_inputs_are_those_of_all_pairs():
    values = np.arange(-128, 128)
    pairs = np.stack(np.meshgrid(values, values), axis=-1).reshape(-1, 2)
    below = pairs.max(axis=1, keepdims=True) - pairs
    # Fractions of 2^16, which binary64 holds.
    assert np.array_equal(softmax_work.differences(2), np.bincount(below.ravel(), minlength=256) / 256**2)
    assert np.array_equal(softmax_work.differences(1), np.eye(256)[0])


@pytest.mark.parametrize("depth", [5, 12, 511])
def test_the_differences_of_many_inputs_are_those_of_random_rows(depth):
    rows = np.random.default_rng(0).integers(-128, 128, (4000, depth))
    below = rows.max(axis=1, keepdims=True) - rows
    seen = np.bincount(below.ravel(), minlength=256) / len(rows)
    expected = softmax_work.differences(depth)
    # Powers of fractions round in binary64.
    assert expected.sum() == pytest.approx(depth, rel=1e-12)
    # 4000 rows are a sample: their counts scatter by about a hundredth.
    assert np.cumsum(seen) == pytest.approx(np.cumsum(expected), rel=0.03, abs=0.02)


def test_softmax_counts_the_inputs_that_have_an_exponential():
    like = {"rows": 3, "depth": 2, "multiplier": 1 << 30, "left_shift": 20}
    # One input is the greatest, the other one of 0 .. 255 below it.
    parts = softmax_work.softmax({**like, "least_difference": 0})
    assert parts["exponential"] == 2 * 3 * (1 + 1 / 256)
    assert softmax_work.softmax({**like, "least_difference": -255})["exponential"] == 2 * 3 * 2
    # What is equal to the greatest is multiplied by all factors, and replaced.
    assert parts["factor"] == 7 * parts["exponential"]


def test_further_calls_of_a_layer_count_too(calls):
    call = calls[0]
    twice = dataclasses.replace(call, more=(call,))
    assert predicted_instructions(twice) == pytest.approx(2 * predicted_instructions(call), abs=1)


def test_a_kernel_that_was_not_measured_has_no_prediction(calls):
    unknown = KernelCall("new.h", "aot_new", "aot_new", struct(size=1), (0,), 1)
    assert work_of(unknown) is None
    assert predicted_instructions(unknown) is None
    assert predicted_instructions(dataclasses.replace(calls[0], more=(unknown,))) is None
    assert work_of(dataclasses.replace(unknown, for_size=True), Build.SIZE) is None


def test_kernels_for_speed_are_not_known_in_a_build_for_size(calls):
    (rows,) = {call.kernel: call for call in calls if call.kernel == "aot_rows_matmul"}.values()
    assert predict(rows).instructions > 0
    assert predict(dataclasses.replace(rows, for_size=True)).instructions is None

# SPDX-License-Identifier: Apache-2.0
import dataclasses
import re

import pytest

from mcu_ser.aot import kernel_work, sparse_kernel_work
from mcu_ser.aot.cost import ASSEMBLY, KERNEL_COSTS, predicted_instructions
from mcu_ser.aot.kernel_work import counted_kernels, work_of
from mcu_ser.aot.kernels import KERNELS, sparse, unstructured
from mcu_ser.aot.kernels.conv_2d import call_narrow, call_winograd
from mcu_ser.aot.kernels.fully_connected import call_direct
from mcu_ser.aot.kernels.kernel_call import KernelCall, struct
from mcu_ser.aot.kernels.matmul import MOST_PAIR_STEPS
from mcu_ser.aot.narrow_choice import STRIP_BYTES
from mcu_ser.aot.tflite_reader import read_model
from mcu_ser.resources import firmware_templates_dir
from tests.layer_shapes import shapes, winograd_shapes
from tests.random_narrow import narrow_shapes

KERNEL_DIR = firmware_templates_dir() / "runtime" / "kernels"


@pytest.fixture(scope="module")
def calls():
    found = []
    for file in shapes():
        graph = read_model(file)
        operator = graph.operators[0]
        found.append(KERNELS[operator.opcode](graph, operator))
        if operator.opcode == "FULLY_CONNECTED":
            found.append(call_direct(graph, operator))
    for file in winograd_shapes():
        graph = read_model(file)
        found.append(call_winograd(graph, graph.operators[0]))
    for file in narrow_shapes():
        graph = read_model(file)
        found.append(call_narrow(graph, graph.operators[0], STRIP_BYTES[0]))
    return [call for call in found if call is not None]


def test_every_kernel_whose_parts_are_known_has_prices():
    assert counted_kernels() == set(KERNEL_COSTS)
    assert set(ASSEMBLY) <= set(KERNEL_COSTS)


def test_the_kernels_are_those_of_the_engine():
    text = "".join(path.read_text() for path in KERNEL_DIR.glob("*.h"))
    assert set(KERNEL_COSTS) <= set(re.findall(r"\b(aot_\w+)\(", text))


def test_every_kernel_is_among_the_shapes_that_are_measured(calls):
    assert {call.kernel for call in calls} >= set(KERNEL_COSTS)


def test_every_price_is_of_a_part_that_occurs(calls):
    parts = {kernel: set() for kernel in KERNEL_COSTS}
    for call in calls:
        parts[call.kernel] |= set(work_of(call))
    for sharing in (
        ("aot_average_pool_2d", "aot_max_pool_2d"),
        ("aot_conv_2d_bytes", "aot_conv_2d_copied", "aot_conv_2d_matmul"),
    ):
        together = set.union(*(parts[kernel] for kernel in sharing))
        parts.update(dict.fromkeys(sharing, together))
    for kernel, cost in KERNEL_COSTS.items():
        assert set(cost.prices) <= parts[kernel], kernel
        assert min(cost.prices.values()) > 0


def test_a_layer_costs_more_than_its_multiplications(calls):
    # No kernel does more than two at once.
    for call in calls:
        assert predicted_instructions(call) > 0
        if call.macs and "plain" not in call.kernel:
            assert predicted_instructions(call) > call.macs / 4


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


def test_further_calls_of_a_layer_count_too(calls):
    call = calls[0]
    twice = dataclasses.replace(call, more=(call,))
    assert predicted_instructions(twice) == pytest.approx(2 * predicted_instructions(call), abs=1)


def test_a_kernel_that_was_not_measured_has_no_prediction(calls):
    unknown = KernelCall("new.h", "aot_new", "aot_new", struct(size=1), (0,), 1)
    assert work_of(unknown) is None
    assert predicted_instructions(unknown) is None
    assert predicted_instructions(dataclasses.replace(calls[0], more=(unknown,))) is None

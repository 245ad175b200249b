# SPDX-License-Identifier: Apache-2.0
"""Predicts how many instructions a layer executes on a Cortex-M4 with DSP instructions.

A kernel's parts (`kernel_work`) have a price each. Those written in assembly cost the instructions that
their source has; the others were measured: tools/fit_layer_cost.py counts the layers of
tests/measured_shapes.py under QEMU's -icount (netduinoplus2, gcc 12.2), fits the prices of a build for speed
(-O2) and of one for size (-Os), and writes `speed_prices` and `size_prices`. Beside each kernel stands the
greatest relative error over those shapes. Choices among kernels ask `predicted_instructions`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from mcu_ser.aot.kernel_build import Build
from mcu_ser.aot.kernel_cost import KernelCost
from mcu_ser.aot.kernel_work import Parts, work_of
from mcu_ser.aot.kernels.kernel_call import KernelCall
from mcu_ser.aot.size_alone_prices import SIZE_ALONE_PRICES
from mcu_ser.aot.size_prices import SIZE_PRICES
from mcu_ser.aot.speed_prices import SPEED_PRICES

# Sixteen outputs beside a bound.
_CLAMP = {"limited 16": 12}

_PAIR_CHAIN = {**_CLAMP, "step": 12, "shifted block": 50, "signed block": 66, "repeated pass": 4}
_SINGLE_CHAIN = {**_CLAMP, "step": 27, "shifted block": 31, "signed block": 39, "repeated pass": 4}
_SPARSE_CHAIN = {
    **_CLAMP,
    "step": 15,
    "four wide": 16,
    "direct channel": 23,
    "signed channel": 35,
    "channel of passes": 4,
    "pass": 4,
}
_SPARSE_SINGLE_CHAIN = {
    **_CLAMP,
    "step": 8,
    "direct channel": 11,
    "signed channel": 14,
    "channel of passes": 4,
    "pass": 4,
}
_UNSTRUCTURED_CHAIN = {
    **_CLAMP,
    "step": 17,
    "four wide": 64,
    "direct channel": 56,
    "signed channel": 80,
    "channel of passes": 4,
    "pass": 4,
}

_NARROW_CHAIN = {**_CLAMP, "step": 11, "shifted block": 31, "signed block": 49}

# newlib's memcpy() and memset() for ARMv7-M, in assembly and compiled.
_LIBRARY = {"copied 64": 34, "copied 16": 10, "copied 4": 4, "filled 16": 7, "filled 4": 3}
_LIBRARY_COPY = {part: price for part, price in _LIBRARY.items() if part.startswith("copied")}
# The loops of small_memory.c.
_BYTE_LOOPS = {"copied byte": 5, "filled byte": 4}

ASSEMBLY: Mapping[str, Mapping[str, int]] = {
    "aot_conv_2d_matmul": _PAIR_CHAIN,
    "aot_conv_2d_narrow": _NARROW_CHAIN,
    "aot_conv_2d_walk": _PAIR_CHAIN,
    "aot_conv_2d_winograd": {**_CLAMP, "step": 10, "line": 2},
    "aot_conv_2d_sparse": _SPARSE_CHAIN,
    "aot_conv_2d_unstructured": _UNSTRUCTURED_CHAIN,
    "aot_copy": _LIBRARY_COPY,
    "aot_depthwise_3x3": _CLAMP,
    "aot_depthwise_pairs": {**_CLAMP, "pair": 19, "shifted group": 28, "signed group": 32},
    "aot_fully_connected_direct": {**_SINGLE_CHAIN, "step": 31},
    "aot_fully_connected_matmul": _SINGLE_CHAIN,
    "aot_fully_connected_sparse": _SPARSE_SINGLE_CHAIN,
    "aot_int16_conv_2d": _LIBRARY,
    "aot_pad": _LIBRARY,
    "aot_resize_nearest": _LIBRARY_COPY,
    "aot_rows_matmul": _PAIR_CHAIN,
    "aot_rows_sparse": _SPARSE_CHAIN,
    "aot_rows_unstructured": _UNSTRUCTURED_CHAIN,
}
"""Instructions of the parts that the headers *_dsp.h have in assembly, by kernel, in a build for speed."""

SIZE_ASSEMBLY: Mapping[str, Mapping[str, int]] = {
    "aot_compact": {"product step": 19, "tap": 13},
    "aot_compact_gathered": {"product step": 19, **_BYTE_LOOPS},
    "aot_conv_2d_sparse": _SPARSE_CHAIN,
    "aot_conv_2d_unstructured": _UNSTRUCTURED_CHAIN,
    "aot_copy": {"copied byte": 5},
    "aot_fully_connected_sparse": _SPARSE_SINGLE_CHAIN,
    "aot_int16_conv_2d": _BYTE_LOOPS,
    "aot_pad": _BYTE_LOOPS,
    "aot_resize_nearest": {"copied byte": 5},
    "aot_rows_sparse": _SPARSE_CHAIN,
    "aot_rows_unstructured": _UNSTRUCTURED_CHAIN,
}
"""The same in a build for size."""

# Kernels of one header whose prices are those of another of it.
SHARED = {
    "aot_conv_2d_bytes": "aot_conv_2d_matmul",
    "aot_conv_2d_copied": "aot_conv_2d_matmul",
}

# Some inputs of SOFTMAX are too small to have an exponential; lengths that are small need other shifts.
_DEPENDING = frozenset({"aot_l2_normalization", "aot_softmax"})


def _with_known(
    fitted: Mapping[str, KernelCost], known: Mapping[str, Mapping[str, int]]
) -> dict[str, KernelCost]:
    costs = {
        kernel: KernelCost({**known.get(kernel, {}), **cost.prices}, cost.error)
        for kernel, cost in fitted.items()
    }
    shared = {kernel: costs[other] for kernel, other in SHARED.items() if other in costs}
    return {**costs, **shared}


COSTS: Mapping[Build, Mapping[str, KernelCost]] = {
    Build.SPEED: _with_known(SPEED_PRICES, ASSEMBLY),
    Build.SIZE: _with_known(SIZE_PRICES, SIZE_ASSEMBLY),
    Build.SIZE_ALONE: _with_known(SIZE_ALONE_PRICES, SIZE_ASSEMBLY),
}
"""By C function; a kernel that is not there was not measured."""


@dataclass(frozen=True)
class Prediction:
    """What a layer takes; None of it where one of its kernels was not measured.

    `error` is the fraction by which the instructions may be wrong, the greatest over the layers that were
    measured. Those that depend on the inputs by more than that are the mean over random ones.
    """

    instructions: int | None
    error: float | None
    depends_on_inputs: bool


NOTHING = Prediction(0, 0.0, False)
"""Of a layer that has nothing to do."""


def predicted_instructions(call: KernelCall) -> int | None:
    """Instructions of all calls of a layer; None if one of its kernels was not measured."""
    return predict(call).instructions


def predict(call: KernelCall, *, alone: bool = False) -> Prediction:
    """What all calls of a layer take.

    Args:
        call: The layer's call.
        alone: No other call of the model, nor another one of the layer, has a kernel of this header.
    """
    build = _build(call, alone)
    depends = call.kernel in _DEPENDING
    total = uncertain = 0.0
    for step in call.steps():
        work, cost = work_of(step, build), COSTS[build].get(step.kernel)
        if work is None or cost is None:
            return Prediction(None, None, depends)
        instructions = instructions_of(cost.prices, work)
        total += instructions
        uncertain += instructions * cost.error
    return Prediction(round(total), uncertain / total if total else 0.0, depends)


def _build(call: KernelCall, alone: bool) -> Build:
    if not call.for_size:
        return Build.SPEED
    # Other kernels are never put in the place of their call.
    return Build.SIZE_ALONE if alone and call.kernel in COSTS[Build.SIZE_ALONE] else Build.SIZE


def instructions_of(prices: Mapping[str, float], work: Parts) -> float:
    """Sum of the prices of all runs; parts without a price cost nothing."""
    return sum(prices.get(part, 0.0) * runs for part, runs in work.items())

# SPDX-License-Identifier: Apache-2.0
"""CONV_2D: as a matrix product of widened windows, or pixel by pixel in plain C."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from mcu_ser.aot.finish import Output
from mcu_ser.aot.ir import Graph, Operator, WindowOptions
from mcu_ser.aot.kernels import compact, sparse, unstructured
from mcu_ser.aot.kernels.conv_2d_narrow import narrow_call
from mcu_ser.aot.kernels.conv_2d_winograd import winograd_call
from mcu_ser.aot.kernels.images import copied_size, image, size_struct, window_struct
from mcu_ser.aot.kernels.kernel_call import KernelCall, Table, bias_and_offset, rescale, struct
from mcu_ser.aot.kernels.matmul import HEADERS, PAIR_MULTIPLE, Matmul, matmul, rows_call, scratch_is_worth
from mcu_ser.aot.overlap import after_copy, of_window_pairs
from mcu_ser.aot.requantize import activation_range
from mcu_ser.aot.weighted import Weighted, weighted
from mcu_ser.aot.window import Window, needs_border, window_of

# Widened rows of windows that a walk holds beyond those of one window: the more, the less often the rows that
# its next window still needs are moved.
_MORE_SLOTS = 4

# An input is copied with its border, which spares the kernel all borders, if the copy is at most this
# fraction of input and output.
_COPY_FRACTION = 1 / 4

# With fewer columns, computing one of an odd number twice costs more than a walk saves.
_LEAST_ODD_WIDTH = 33

# Bytes by which the kernel may overrun a gathered window.
_GATHER_SLACK = 4

# That of conv_2d_matmul.h which copies the input.
COPYING_KERNEL = "aot_conv_2d_copied"


@dataclass(frozen=True)
class _Convolution:
    layer: Weighted
    window: Window
    output: Output
    has_border: bool

    @property
    def pixels(self) -> int:
        """Pixels of the output."""
        _, height, width, _ = self.layer.output.shape
        return height * width

    @property
    def macs(self) -> int:
        return self.pixels * self.layer.weights_by_channel.size


def call(graph: Graph, operator: Operator, room: int = 0) -> KernelCall:
    """The kernel call of a supported CONV_2D.

    Args:
        graph: The model.
        operator: The layer.
        room: Bytes of scratch that a sparse kernel may have even if they are many for the layer.
    """
    convolution = _convolution(graph, operator)
    return sparse.better(_fast(convolution) or _plain(convolution), *_sparse(convolution, room))


def call_compact(graph: Graph, operator: Operator) -> KernelCall:
    """The kernel call of a supported CONV_2D in a build for size."""
    convolution = _convolution(graph, operator)
    found = compact.convolution(convolution.layer, convolution.window, convolution.output)
    return found or _plain(convolution)


def sparse_calls(graph: Graph, operator: Operator, room: int = 0) -> Iterator[KernelCall | None]:
    """The calls of a supported CONV_2D that leave zeros out; None for a form that it does not have."""
    return _sparse(_convolution(graph, operator), room)


def call_narrow(graph: Graph, operator: Operator, strip_bytes: int) -> KernelCall | None:
    """Another call of a supported CONV_2D, of few channels and with scratch; None where there is none."""
    convolution = _convolution(graph, operator)
    return narrow_call(convolution.layer, convolution.window, convolution.output, strip_bytes)


def call_winograd(graph: Graph, operator: Operator) -> KernelCall | None:
    """Another call of a supported CONV_2D, faster for more flash; None where there is none."""
    convolution = _convolution(graph, operator)
    return winograd_call(convolution.layer, convolution.window, convolution.output)


def _convolution(graph: Graph, operator: Operator) -> _Convolution:
    assert isinstance(operator.options, WindowOptions)
    layer = weighted(graph, operator)
    low, high = activation_range(operator.options.activation, layer.output.scale, layer.output.zero_point)
    return _Convolution(
        layer,
        window_of(graph, operator),
        Output(layer.output.zero_point, low, high),
        needs_border(graph, operator),
    )


def _fast(convolution: _Convolution) -> KernelCall | None:
    layer, window = convolution.layer, convolution.window
    if window.dilation != (1, 1):
        return None
    if window.size == window.stride == (1, 1):
        return rows_call(layer, convolution.output, convolution.pixels)
    fast = matmul(layer, convolution.output, PAIR_MULTIPLE)
    if fast is None or not scratch_is_worth(_window_scratch(fast), layer):
        return None
    return _as_walk(convolution, fast) or _as_matmul(convolution, fast)


def _sparse(convolution: _Convolution, room: int = 0) -> Iterator[KernelCall | None]:
    layer, output, window = convolution.layer, convolution.output, convolution.window
    for group in (sparse.GROUP, unstructured.GROUP):
        if window.size == window.stride == (1, 1):
            yield group.rows_call(layer, output, convolution.pixels, room)
        else:
            yield group.windows_call(layer, output, window, room)


def _as_walk(convolution: _Convolution, fast: Matmul) -> KernelCall | None:
    """The kernel that widens rows which windows share once; None where they share none, or no whole words."""
    layer, window = convolution.layer, convolution.window
    _, height, width, _ = layer.output.shape
    channels = layer.input.shape[3]
    shared = window.size[0] - window.stride[0]
    if channels % PAIR_MULTIPLE or shared <= 0 or height == 1 or width < 2:
        return None
    if width % 2 and width < _LEAST_ODD_WIDTH:
        return None
    slots = _walk_slots(convolution)
    if slots is None:
        return None
    return KernelCall(
        header="conv_2d_walk.h",
        kernel="aot_conv_2d_walk",
        struct_name="aot_conv_2d_walk",
        description=struct(
            input=image(layer.input),
            output=image(layer.output),
            window=window_struct(window),
            zero_point=layer.input.zero_point,
            slots=slots,
            matmul=fast.description("PAIR"),
            min=convolution.output.min,
            max=convolution.output.max,
        ),
        inputs=(layer.input.index,),
        output=layer.output.index,
        macs=convolution.macs,
        included=HEADERS,
        scratch_bytes=_walk_scratch(convolution, slots),
        sparsity=layer.sparsity,
        chain_steps=fast.pair_steps,
    )


def _walk_slots(convolution: _Convolution) -> int | None:
    """The most widened rows of windows whose scratch is worth it; None if not even one window is."""
    height, step = convolution.window.size[0], convolution.window.stride[0]
    most = height + min(_MORE_SLOTS, convolution.layer.output.shape[1] - 1) * step
    fitting = [
        slots
        for slots in range(height, most + 1, step)
        if scratch_is_worth(_walk_scratch(convolution, slots), convolution.layer)
    ]
    return fitting[-1] if fitting else None


def _walk_scratch(convolution: _Convolution, slots: int) -> int:
    """The slots widened, and one pixel of the border."""
    channels = convolution.layer.input.shape[3]
    return 4 * slots * convolution.window.size[1] * channels + channels


def _window_scratch(fast: Matmul) -> int:
    """Two windows widened, and two gathered."""
    return 4 * fast.depth + 2 * (fast.depth + _GATHER_SLACK)


def _as_matmul(convolution: _Convolution, fast: Matmul) -> KernelCall:
    layer = convolution.layer
    copied = copied_size(layer.input, convolution.window)
    copy_bytes = int(np.prod(copied))
    limit = _COPY_FRACTION * (layer.input.elements + layer.output.elements)
    copies = convolution.has_border and copy_bytes <= limit
    return KernelCall(
        header="conv_2d_matmul.h",
        kernel=_matmul_kernel(layer, copies=copies),
        struct_name="aot_conv_2d_matmul",
        description=struct(
            input=image(layer.input),
            output=image(layer.output),
            window=window_struct(convolution.window),
            zero_point=layer.input.zero_point,
            copied_size=size_struct(copied),
            matmul=fast.description("PAIR"),
            min=convolution.output.min,
            max=convolution.output.max,
        ),
        inputs=(layer.input.index,),
        output=layer.output.index,
        macs=convolution.macs,
        included=("conv_2d_border.h", *HEADERS),
        scratch_bytes=_window_scratch(fast) + copies * (copy_bytes + _GATHER_SLACK),
        sparsity=layer.sparsity,
        chain_steps=fast.pair_steps,
        overlap=after_copy(layer.input)
        if copies
        else of_window_pairs(layer.input, layer.output, convolution.window),
    )


def _matmul_kernel(layer: Weighted, *, copies: bool) -> str:
    if copies:
        return COPYING_KERNEL
    return "aot_conv_2d_bytes" if layer.input.shape[3] % 4 else "aot_conv_2d_matmul"


def _plain(convolution: _Convolution) -> KernelCall:
    layer = convolution.layer
    bias, input_offset = bias_and_offset(layer, foldable=not convolution.has_border)
    return KernelCall(
        header="conv_2d.h",
        kernel="aot_conv_2d",
        struct_name="aot_conv_2d",
        description=struct(
            input=image(layer.input),
            output=image(layer.output),
            window=window_struct(convolution.window),
            input_offset=input_offset,
            weights=Table("weights", np.ascontiguousarray(layer.weights_by_channel)),
            bias=bias,
            rescale=rescale(layer, convolution.output.min, convolution.output.max),
        ),
        inputs=(layer.input.index,),
        output=layer.output.index,
        macs=convolution.macs,
        sparsity=layer.sparsity,
    )

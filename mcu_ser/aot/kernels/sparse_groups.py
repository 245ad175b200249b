# SPDX-License-Identifier: Apache-2.0
"""The calls of the sparse kernels that compute several rows or windows at once."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from mcu_ser.aot.finish import Output
from mcu_ser.aot.group_overlap import of_row_groups, of_window_groups
from mcu_ser.aot.kernels.images import image, window_struct
from mcu_ser.aot.kernels.kernel_call import KernelCall, struct
from mcu_ser.aot.kernels.matmul import scratch_is_worth
from mcu_ser.aot.kernels.sparse_stream import SparseForm
from mcu_ser.aot.weighted import Weighted
from mcu_ser.aot.window import Window

# Inputs are widened in fours.
_MULTIPLE = 4


@dataclass(frozen=True)
class Group:
    """Kernels aot_rows_`name` and aot_conv_2d_`name`: so many positions at once, from weights in a `form`.

    `scratch_bytes` are those for an input of all of the positions.
    """

    name: str
    positions: int
    scratch_bytes: int
    headers: tuple[str, ...]
    form: Callable[[Weighted, Output], SparseForm | None]

    def rows_call(self, layer: Weighted, output: Output, rows: int, room: int) -> KernelCall | None:
        """The call of a product of rows that follow each other; None where it cannot be.

        Args:
            layer: The layer; its weights by channel are in the order of its inputs.
            output: What it does with its scaled sums.
            rows: Of the input and the output.
            room: Bytes of scratch that it may have even if they are many for the layer.
        """
        depth = layer.weights_by_channel.shape[1]
        scratch = self.scratch_bytes * depth
        if rows < self.positions or not scratch_suits(scratch, layer, room):
            return None
        form = self.form(layer, output)
        if form is None:
            return None
        return KernelCall(
            header=f"rows_{self.name}.h",
            kernel=f"aot_rows_{self.name}",
            struct_name=f"aot_rows_{self.name}",
            description=struct(
                rows=rows, depth=depth, matmul=form.description(), min=output.min, max=output.max
            ),
            inputs=(layer.input.index,),
            output=layer.output.index,
            macs=rows * layer.weights_by_channel.size,
            included=self.headers,
            scratch_bytes=scratch,
            sparsity=layer.sparsity,
            overlap=of_row_groups(self.positions, rows, depth, layer.channels),
        )

    def windows_call(self, layer: Weighted, output: Output, window: Window, room: int) -> KernelCall | None:
        """The call of a CONV_2D; None where it cannot be. See `rows_call`."""
        _, height, width, _ = layer.output.shape
        channels = layer.input.shape[3]
        # What is widened, and a pixel of the border.
        scratch = self.scratch_bytes * layer.weights_by_channel.shape[1] + channels
        possible = (
            channels % _MULTIPLE == 0 and window.dilation == (1, 1) and height * width >= self.positions
        )
        form = self.form(layer, output) if possible and scratch_suits(scratch, layer, room) else None
        if form is None:
            return None
        return KernelCall(
            header=f"conv_2d_{self.name}.h",
            kernel=f"aot_conv_2d_{self.name}",
            struct_name=f"aot_conv_2d_{self.name}",
            description=struct(
                images=struct(
                    input=image(layer.input), output=image(layer.output), window=window_struct(window)
                ),
                zero_point=layer.input.zero_point,
                matmul=form.description(),
                min=output.min,
                max=output.max,
            ),
            inputs=(layer.input.index,),
            output=layer.output.index,
            # Those of zeros and those in the padding too.
            macs=height * width * layer.weights_by_channel.size,
            included=(*self.headers, "sparse_windows.h"),
            scratch_bytes=scratch,
            sparsity=layer.sparsity,
            overlap=of_window_groups(self.positions, layer.input, layer.output, window),
        )


def scratch_suits(scratch_bytes: int, layer: Weighted, room: int) -> bool:
    """Whether a kernel may have so much scratch: there is `room` for it, or it is little for the layer."""
    return scratch_bytes <= room or scratch_is_worth(scratch_bytes, layer)

# SPDX-License-Identifier: Apache-2.0
"""What `inspect` prints of the layers: what they compute, what they take of the chip, what zeros save."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.table import Table

    from mcu_ser.aot.compile import CompiledModel, Layer
    from mcu_ser.cli.console import Output

_MAX_NAME = 36
# Columns of a terminal that the tables take without names, and the least that names are worth showing in.
_TABLE_COLUMNS, _LEAST_NAME = 80, 20


def shape_text(shape: tuple[int, ...] | None) -> str:
    """Such as 1x49x10; nothing for no shape."""
    return "" if shape is None else "x".join(map(str, shape))


def shortened(name: str, most: int = _MAX_NAME) -> str:
    """A layer's name with its beginning left out where it is longer than `most` characters."""
    return name if len(name) <= most else "..." + name[3 - most :]


def _image_text(shape: tuple[int, ...]) -> str:
    """A shape without its first dimension, which is always 1."""
    return shape_text(shape[1:] or shape)


def show_layer_costs(output: Output, compiled: CompiledModel) -> None:
    """Print the tables; names only where the terminal is wide, zeros only where some may be left out."""
    output.table(_work(compiled, min(_MAX_NAME, output.console.width - _TABLE_COLUMNS - 2)))
    output.table(_storage(compiled))
    if any(layer.sparse_choice is not None for layer in compiled.layers):
        output.table(_zeros(compiled))


def predicted_total(compiled: CompiledModel) -> int | None:
    """Predicted instructions of all layers; None if one is not known."""
    known = [layer.predicted_instructions for layer in compiled.layers]
    counts = [count for count in known if count is not None]
    return sum(counts) if len(counts) == len(known) else None


def _table(title: str, left: tuple[str, ...], right: tuple[str, ...]) -> Table:
    from rich import box
    from rich.table import Table

    table = Table(
        box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0), title=title, title_justify="left"
    )
    for heading in left:
        table.add_column(heading, no_wrap=heading == "#", overflow="fold")
    for heading in right:
        table.add_column(heading, justify="right", no_wrap=True)
    return table


def _work(compiled: CompiledModel, name_columns: int) -> Table:
    from rich.text import Text

    from mcu_ser.aot.ir import short_name

    named = name_columns >= _LEAST_NAME
    names = ("name",) if named else ()
    columns = ("input", "weights", "output", "MACs", "predicted*")
    table = _table("what the layers compute", ("#", "operator", *names), columns)
    for layer in compiled.layers:
        # Names come from the file; Text keeps rich from reading markup in them.
        name = (Text(shortened(short_name(layer.name), name_columns)),) if named else ()
        table.add_row(
            str(layer.index),
            layer.operator,
            *name,
            _image_text(layer.input_shapes[0]),
            shape_text(layer.weight_shape),
            _image_text(layer.output_shape),
            f"{layer.macs:,}" if layer.macs else "",
            _instructions(layer),
        )
    return table


def _instructions(layer: Layer) -> str:
    if layer.kernel is None:
        return ""
    return _predicted(layer.predicted_instructions)


def _error(layer: Layer) -> str:
    """By how much a layer's predicted instructions may be wrong; ~ where they are those of random inputs."""
    if layer.kernel is None or layer.prediction_error is None:
        return ""
    return "~" if layer.depends_on_inputs else f"{math.ceil(100 * layer.prediction_error):.0f}%"


def predictions_text(compiled: CompiledModel) -> str:
    """What the predictions of a model come to; nothing where one is missing."""
    total = predicted_total(compiled)
    if total is None:
        return ""
    each = f", {total / compiled.macs:.2f} per MAC" if compiled.macs else ""
    return f"; *predicted for a Cortex-M4 with DSP instructions: {total:,} instructions{each}"


def error_text(compiled: CompiledModel) -> str | None:
    """What the column of errors says; None where nothing is predicted."""
    if predicted_total(compiled) is None:
        return None
    depending = any(layer.depends_on_inputs for layer in compiled.layers)
    marks = "; of ~ the mean over random inputs, of which others may be far" if depending else ""
    return f"±       the greatest error of a kernel over the layers that were measured{marks}"


def _index(compiled: CompiledModel, moment: int) -> int:
    """Index of the layer that runs at a moment; before the first and behind the last the moment itself."""
    return compiled.layers[moment].index if 0 <= moment < len(compiled.layers) else moment


def _storage(compiled: CompiledModel) -> Table:
    columns = ("±", "weights", "zeros", "at", "bytes", "alive", "live B")
    table = _table("bytes that they take of flash and arena", ("#", "kernel"), columns)
    for layer in compiled.layers:
        table.add_row(
            str(layer.index),
            "(the same bytes)" if layer.kernel is None else layer.kernel.removeprefix("aot_"),
            _error(layer),
            f"{layer.weight_bytes:,}" if layer.weight_bytes else "",
            "" if layer.sparsity is None else f"{layer.sparsity:.1%}",
            f"{layer.arena_offset:,}",
            f"{layer.output_bytes:,}",
            f"{_index(compiled, layer.first)} - {_index(compiled, layer.last)}",
            f"{layer.live_bytes:,}",
        )
    return table


def _zeros(compiled: CompiledModel) -> Table:
    columns = ("weights", "zeros", "dense B", "sparse B", "dense*", "sparse*")
    table = _table("layers that may leave out zeros: bytes, and instructions*", ("#", "chosen"), columns)
    for layer in compiled.layers:
        choice = layer.sparse_choice
        if choice is None:
            continue
        table.add_row(
            str(layer.index),
            "sparse" if choice.taken else "dense",
            f"{layer.weights:,}",
            f"{layer.zeros:,}",
            f"{choice.dense.bytes:,}",
            f"{choice.sparse.bytes:,}",
            _predicted(choice.dense.predicted_instructions),
            _predicted(choice.sparse.predicted_instructions),
        )
    return table


def _predicted(instructions: int | None) -> str:
    return "unknown" if instructions is None else f"{instructions:,}"

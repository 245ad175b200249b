# SPDX-License-Identifier: Apache-2.0
"""Draws the arena of a compiled model: what lies where, and during which layers.

Time runs to the right, a column per layer in the order in which they run; addresses run upwards. Each buffer
is a rectangle whose tooltip names it. The picture needs no file and no script beside it, and the same model
gives the same bytes.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import PurePath
from xml.sax.saxutils import escape, quoteattr

from mcu_ser.aot.arena import live_bytes
from mcu_ser.aot.compile import CompiledModel
from mcu_ser.aot.ir import short_name
from mcu_ser.aot.lifetimes import Buffer

_LEFT, _RIGHT, _TOP, _HEIGHT = 76, 16, 64, 420
# Widths of a column in which a model with few, and one with many layers can be read.
_WIDEST, _NARROWEST, _COMFORTABLE = 72, 22, 1100
# Pixels per character of a label, and of its line.
_CHARACTER, _LINE = 6.2, 12
_ADDRESS_STEPS = 5
# Pixels in which a buffer of a few bytes can still be seen.
_LEAST_HEIGHT = 2

_STYLE = """
  text { font: 11px sans-serif; fill: #222 }
  .title { font-size: 14px; font-weight: bold }
  .small { font-size: 10px; fill: #555 }
  .buffer { stroke: #fff; stroke-width: 1 }
  .input { fill: #7aa6d8 }
  .output { fill: #e3a857 }
  .tensor { fill: #9cc69b }
  .scratch { fill: #c9a7d4 }
  .grid { stroke: #ddd; stroke-width: 1 }
  .bound { stroke: #b03030; stroke-width: 1; stroke-dasharray: 5 3 }
  .peak { fill: #fdeeee }
"""
_KINDS = {
    "input": "the model's input",
    "tensor": "output of a layer",
    "output": "the model's output",
    "scratch": "a kernel's own",
}


@dataclass(frozen=True)
class _Sheet:
    """Where layers and addresses are in the picture."""

    model: CompiledModel
    column: int

    @property
    def columns(self) -> int:
        """Layers, the moment before them, and the one after them."""
        return len(self.model.layers) + 2

    @property
    def width(self) -> int:
        return max(_LEFT + self.columns * self.column + _RIGHT, 560)

    def x(self, moment: int) -> int:
        return _LEFT + (moment + 1) * self.column

    def name(self, moment: int) -> str:
        """Of the layer that runs then."""
        layers = self.model.layers
        return str(layers[moment].index if 0 <= moment < len(layers) else moment)

    def y(self, address: int) -> float:
        return round(_TOP + _HEIGHT * (1 - address / max(1, self.model.arena_bytes)), 1)


def memory_plan_svg(model: CompiledModel) -> str:
    """The picture as an SVG document."""
    columns = len(model.layers) + 2
    sheet = _Sheet(model, max(_NARROWEST, min(_WIDEST, _COMFORTABLE // columns)))
    names = max((len(layer.operator) for layer in model.layers), default=0)
    height = _TOP + _HEIGHT + 30 + round(names * _CHARACTER)
    body = [*_frame(sheet), *_buffers(sheet), *_bound(sheet), *_layers(sheet)]
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {sheet.width} {height}" '
        f'width="{sheet.width}" height="{height}" role="img">\n'
        f"<title>Arena of {escape(_file_name(model))}</title>\n<style>{_STYLE}</style>\n"
        f'<rect width="{sheet.width}" height="{height}" fill="#fff"/>\n' + "\n".join(body) + "\n</svg>\n"
    )


def _file_name(model: CompiledModel) -> str:
    """Of the model, without the directory in which it happens to lie."""
    return PurePath(model.name).name


def _text(x: float, y: float, text: str, attributes: str = "") -> str:
    return f'<text x="{x:g}" y="{y:g}"{attributes and " " + attributes}>{escape(text)}</text>'


def _frame(sheet: _Sheet) -> Iterator[str]:
    """Title, legend, the layer that needs most, and lines at some addresses."""
    model = sheet.model
    yield _text(8, 20, f"{_file_name(model)}: arena of {model.arena_bytes:,} B", 'class="title"')
    x = 8.0
    for kind, text in _KINDS.items():
        yield f'<rect class="{kind}" x="{x:g}" y="32" width="12" height="12"/>'
        yield _text(x + 16, 42, text)
        x += 32 + _CHARACTER * len(text)
    yield f'<line class="bound" x1="{x:g}" x2="{x + 20:g}" y1="38" y2="38"/>'
    yield _text(x + 24, 42, f"lower bound, {model.plan.lower_bound:,} B")
    peak = model.peak_layer
    if peak is not None:
        yield (
            f'<rect class="peak" x="{sheet.x(model.layers.index(peak))}" y="{_TOP}" width="{sheet.column}" '
            f'height="{_HEIGHT}">'
            f"<title>Layer {peak.index} needs the most: {peak.live_bytes:,} B</title></rect>"
        )
    right = sheet.x(len(model.layers)) + sheet.column
    for step in range(_ADDRESS_STEPS + 1):
        address = model.arena_bytes * step // _ADDRESS_STEPS
        y = sheet.y(address)
        yield f'<line class="grid" x1="{_LEFT}" x2="{right}" y1="{y:g}" y2="{y:g}"/>'
        yield _text(_LEFT - 6, y + 4, f"{address:,}", 'text-anchor="end" class="small"')


def _buffers(sheet: _Sheet) -> Iterator[str]:
    for buffer in sheet.model.buffers:
        offset = sheet.model.plan.offsets[buffer.tensor]
        kind, what = _describe(sheet.model, buffer)
        x, bottom = sheet.x(buffer.first), sheet.y(offset)
        top = min(sheet.y(offset + buffer.bytes), bottom - _LEAST_HEIGHT)
        width = (buffer.last - buffer.first + 1) * sheet.column
        until = (
            f"layer {sheet.name(buffer.first)}"
            if buffer.first == buffer.last
            else f"layers {sheet.name(buffer.first)} to {sheet.name(buffer.last)}"
        )
        where = f"{buffer.bytes:,} B at {offset:,} to {offset + buffer.bytes - 1:,}, {until}"
        yield f"<g><title>{escape(what)}: {where}</title>"
        yield (
            f'<rect class={quoteattr(f"buffer {kind}")} x="{x}" y="{top:g}" width="{width}" '
            f'height="{bottom - top:.1f}"/>'
        )
        label = f"{buffer.bytes:,} B"
        if bottom - top >= _LINE and width >= len(label) * _CHARACTER:
            yield _text(x + width / 2, (top + bottom) / 2 + 4, label, 'text-anchor="middle"')
        yield "</g>"


def _describe(model: CompiledModel, buffer: Buffer) -> tuple[str, str]:
    """Kind of a buffer and what it is."""
    if buffer.is_scratch:
        layer = model.layers[buffer.first]
        return "scratch", f"what {layer.kernel} of layer {layer.index} needs"
    name = short_name(model.graph.tensors[buffer.tensor].name)
    if buffer.tensor in model.graph.inputs:
        return "input", f"input {name}"
    return "output" if buffer.last == len(model.layers) else "tensor", name


def _bound(sheet: _Sheet) -> Iterator[str]:
    """What no plan can be smaller than, and what each layer needs."""
    model = sheet.model
    bound = model.plan.lower_bound
    y, right = sheet.y(bound), sheet.x(len(model.layers)) + sheet.column
    yield (
        f'<line class="bound" x1="{_LEFT}" x2="{right}" y1="{y:g}" y2="{y:g}">'
        f"<title>Lower bound: the most bytes that one layer needs, {bound:,} B</title></line>"
    )


def _layers(sheet: _Sheet) -> Iterator[str]:
    """Index and operator below each column."""
    bottom = _TOP + _HEIGHT
    for moment, layer in enumerate(sheet.model.layers):
        x = sheet.x(moment) + sheet.column / 2
        live = live_bytes(sheet.model.buffers, moment, sheet.model.overlaps)
        yield f"<g><title>Layer {layer.index}, {escape(layer.operator)}: {live:,} B are alive</title>"
        yield _text(x, bottom + 15, str(layer.index), 'text-anchor="middle"')
        turned = f'transform="rotate(90 {x - 4:g} {bottom + 22})" class="small"'
        yield _text(x - 4, bottom + 22, layer.operator, turned)
        yield "</g>"
    for place, text in ((-1, "in"), (len(sheet.model.layers), "out")):
        yield _text(
            sheet.x(place) + sheet.column / 2, bottom + 15, text, 'text-anchor="middle" class="small"'
        )

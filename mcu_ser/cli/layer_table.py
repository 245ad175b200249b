# SPDX-License-Identifier: Apache-2.0
"""What `verify --bisect` and `--profile` print of the layers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.table import Table

    from mcu_ser.cli.console import Output


def show_layers(output: Output, document: dict[str, Any]) -> None:
    """The layers of a report: their times if they were measured, and the first that is wrong."""
    layers = document["layers"]
    if layers["ticks"] is not None:
        output.table(_profile(document))
    output.say(_verdict(document))


def _verdict(document: dict[str, Any]) -> str:
    layers = document["layers"]
    where = f"sample {layers['sample']} ({layers['sample_id']})"
    if layers["problem"] is not None:
        return f"{where}: {layers['problem']}\nlikely: {layers['first_wrong']['cause_text']}"
    if any(entry["sample"] == layers["sample"] for entry in document["mismatches"]):
        return (
            f"{where}: no layer differs when the model is run layer by layer, though the output of the plain "
            "run did: the fault does not repeat"
        )
    return f"{where}: no layer differs from the oracle's"


def _profile(document: dict[str, Any]) -> Table:
    from rich.table import Table

    layers = document["layers"]
    counted = document["instructions"]["median"] is not None
    unit = "instructions" if counted else f"{layers['ticks']['source']} ticks"
    predicted = any(layer["predicted_ticks"] is not None for layer in layers["layers"])
    table = Table(title=f"layers of sample {layers['sample']}, in {unit}", title_justify="left")
    table.add_column("#", justify="right")
    table.add_column("operator")
    table.add_column("output")
    names = ["MACs", unit, "share", "per MAC", *(["predicted"] if predicted else [])]
    for name in names:
        table.add_column(name, justify="right")
    table.add_column("bytes")
    for layer in layers["layers"]:
        table.add_row(*_row(layer, predicted=predicted))
    total = layers["ticks"]["total"]
    table.add_section()
    table.add_row("", "all", "", f"{sum(layer['macs'] for layer in layers['layers']):,}", _number(total))
    return table


def _row(layer: dict[str, Any], *, predicted: bool) -> list[str]:
    return [
        str(layer["index"]),
        layer["operator"],
        "x".join(map(str, layer["shape"])) + _of_all(layer),
        _number(layer["macs"] or None),
        _number(layer["ticks"]),
        "" if layer["share"] is None else f"{100 * layer['share']:.1f} %",
        "" if layer["ticks_per_mac"] is None else f"{layer['ticks_per_mac']:.2f}",
        *([_number(layer["predicted_ticks"])] if predicted else []),
        "equal" if layer["identical"] else "differ",
    ]


def _of_all(layer: dict[str, Any]) -> str:
    """How many channels the file has, where the board does not compute all of them."""
    left_out = layer.get("left_out", 0)
    return f" of {layer['shape'][-1] + left_out}" if left_out else ""


def _number(value: int | None) -> str:
    return "" if value is None else f"{value:,}"

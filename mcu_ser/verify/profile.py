# SPDX-License-Identifier: Apache-2.0
"""Time per layer of a trace: ticks, their share of the whole, and ticks per multiply-accumulate.

What a cost model predicts may stand beside it: ticks by layer index.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mcu_ser.verify.bisect import WrongLayer
    from mcu_ser.verify.layers import LayerTrace, ModelLayer

# What is known of a layer whose time was not asked for.
_UNTIMED_KEYS = ("index", "operator", "name", "shape", "bytes", "left_out", "macs", "identical")


@dataclass(frozen=True)
class LayerTime:
    """Time of one layer.

    Attributes:
        layer: What it is.
        identical: Whether it gave the oracle's bytes.
        ticks: Of the board's counter; None if they were not measured.
        share: Fraction of the ticks of all layers; None if those of any layer were not measured.
        predicted_ticks: Of a cost model; None without one.
    """

    layer: ModelLayer
    identical: bool
    ticks: int | None
    share: float | None
    predicted_ticks: int | None

    @property
    def ticks_per_mac(self) -> float | None:
        """None for a layer that multiplies nothing, or was not measured."""
        return self.ticks / self.layer.macs if self.ticks is not None and self.layer.macs else None

    def document(self) -> dict[str, Any]:
        """As `report.json` has it."""
        layer = self.layer
        return {
            "index": layer.index,
            "operator": layer.operator,
            "name": layer.name,
            "shape": list(layer.shape),
            "bytes": layer.bytes,
            "left_out": len(layer.left_out),
            "macs": layer.macs,
            "identical": self.identical,
            "ticks": self.ticks,
            "share": self.share,
            "ticks_per_mac": self.ticks_per_mac,
            "predicted_ticks": self.predicted_ticks,
        }


def layer_times(trace: LayerTrace, predicted: Mapping[int, int] | None = None) -> tuple[LayerTime, ...]:
    """Time of each layer of a trace; `predicted` are ticks of a cost model, by index of the layer."""
    total = total_ticks(trace)
    return tuple(
        LayerTime(
            layer=entry.layer,
            identical=entry.identical,
            ticks=entry.ticks,
            share=entry.ticks / total if entry.ticks is not None and total else None,
            predicted_ticks=(predicted or {}).get(entry.layer.index),
        )
        for entry in trace.layers
    )


def total_ticks(trace: LayerTrace) -> int | None:
    """Ticks of all layers; None if those of any were not measured."""
    ticks = [entry.ticks for entry in trace.layers if entry.ticks is not None]
    return sum(ticks) if len(ticks) == len(trace.layers) else None


def layer_section(
    trace: LayerTrace,
    wrong: WrongLayer | None,
    *,
    profile: bool,
    predicted: Mapping[int, int] | None = None,
) -> dict[str, Any]:
    """What `report.json` says of the layers; times only if they were asked for."""
    times = [time.document() for time in layer_times(trace, predicted)]
    if not profile:
        times = [{key: time[key] for key in _UNTIMED_KEYS} for time in times]
    return {
        "sample": trace.sample,
        "sample_id": trace.sample_id,
        "first_wrong": None if wrong is None else wrong.document(),
        "ticks": {"source": trace.tick_source, "total": total_ticks(trace)} if profile else None,
        "layers": times,
    }

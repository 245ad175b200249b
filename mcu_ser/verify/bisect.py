# SPDX-License-Identifier: Apache-2.0
"""The first layer of a trace that is wrong: which, how many of its values, by how much, and the likely cause.

The layers before it give the oracle's bytes, so it is this layer that is wrong and not its input.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from mcu_ser.verify.causes import evidence_of, likely_cause

if TYPE_CHECKING:
    from mcu_ser.verify.layers import LayerTrace

# The report names this many wrong channels; the count is always whole.
_NAMED_CHANNELS = 16


@dataclass(frozen=True)
class WrongLayer:
    """A layer whose tensor is not the oracle's.

    Attributes:
        index: Of the operator in the .tflite.
        operator: Its name in the schema, e.g. CONV_2D.
        name: Of its tensor.
        shape: Of its tensor, as far as the board computes it.
        differing: How many of the `values` differ.
        largest_difference: The largest, as a positive number.
        first: Coordinates of the first value that differs, in the tensor of the file.
        expected: That value as the oracle has it; `device` as the board has it.
        wrong_channels: How many of the `channels` have a value that differs; `channel_indices` are the first,
            counted as in the file.
        cause: Short name of what is likely; `cause_text` says it in words.
    """

    index: int
    operator: str
    name: str
    shape: tuple[int, ...]
    differing: int
    values: int
    largest_difference: int
    first: tuple[int, ...]
    expected: int
    device: int
    wrong_channels: int
    channels: int
    channel_indices: tuple[int, ...]
    cause: str
    cause_text: str

    def document(self) -> dict[str, Any]:
        """As `report.json` has it."""
        return {key: list(v) if isinstance(v, tuple) else v for key, v in asdict(self).items()}

    def __str__(self) -> str:
        where = ", ".join(map(str, self.first))
        return (
            f"layer {self.index}, {self.operator} ({self.name}), is the first that differs: "
            f"{self.differing} of {self.values} values in {self.wrong_channels} of {self.channels} channels, "
            f"by {self.largest_difference} at most; first [{where}]: {self.device}, expected {self.expected}"
        )


def first_wrong_layer(trace: LayerTrace) -> WrongLayer | None:
    """The first layer of a trace that is wrong; None if none is."""
    device = trace.first_wrong
    if device is None:
        return None
    traced = next(entry for entry in trace.layers if not entry.identical)
    layer, expected = traced.layer, traced.expected
    evidence = evidence_of(trace.graph, trace.graph.operators[layer.index], expected, device)
    cause = likely_cause(evidence)
    flat = int(np.flatnonzero(evidence.wrong)[0])
    channels = evidence.wrong_channels
    in_file = trace.graph.tensors[layer.tensor].kept
    place = [int(i) for i in np.unravel_index(flat, layer.shape)]
    return WrongLayer(
        index=layer.index,
        operator=layer.operator,
        name=layer.name,
        shape=layer.shape,
        differing=int(np.count_nonzero(evidence.wrong)),
        values=expected.size,
        largest_difference=int(np.abs(evidence.difference).max()),
        first=(*place[:-1], *(in_file[i] for i in place[-1:])),
        expected=int(expected.reshape(-1)[flat]),
        device=int(device.reshape(-1)[flat]),
        wrong_channels=len(channels),
        channels=evidence.wrong.shape[1],
        channel_indices=tuple(in_file[i] for i in channels[:_NAMED_CHANNELS]),
        cause=cause.name,
        cause_text=cause.text,
    )

# SPDX-License-Identifier: Apache-2.0
"""Counts for `kernel_work` the parts of the kernel of an LSTM."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

_BLOCK, _GATES = 4, 4


def lstm(layer: Mapping[str, Any]) -> Counter[str]:
    """lstm.h: a "quad" are four inputs of a block of cells in one gate."""
    steps, cells = layer["steps"], layer["cells"]
    inputs, blocks = -(-layer["inputs"] // _BLOCK), -(-cells // _BLOCK)
    gates = steps * blocks * _GATES
    kind = "paired quad" if layer["paired"] else "quad"
    return Counter(
        {
            "layer": 1,
            "step": steps,
            "widened": steps * (layer["inputs"] + cells),
            "gate": gates,
            kind: gates * (inputs + blocks),
            "output": steps * cells,
        }
    )

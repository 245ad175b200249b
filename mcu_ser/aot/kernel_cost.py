# SPDX-License-Identifier: Apache-2.0
"""What a kernel costs, as tools/fit_layer_cost.py finds it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class KernelCost:
    """Instructions of each part of a kernel, and the greatest relative error of their sum.

    The error is that over the layers which were measured, of shapes unlike each other.
    """

    prices: Mapping[str, float]
    error: float

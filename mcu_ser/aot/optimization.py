# SPDX-License-Identifier: Apache-2.0
"""What a build is good at: what kernels are chosen for, and how they are compiled."""

from __future__ import annotations

import enum


class Optimization(str, enum.Enum):
    """What a build gives way to where it cannot have both; outputs are the same bytes.

    SPEED: Fewest instructions; a kernel may have code of its own for each layer, and some scratch.
    SIZE: Least code, and an arena that the tensors alone decide.
    """

    SPEED = "speed"
    SIZE = "size"

# SPDX-License-Identifier: Apache-2.0
"""How a kernel is compiled, which decides what its parts cost."""

from __future__ import annotations

import enum


class Build(enum.Enum):
    """What the compiler makes of a kernel.

    SPEED: A function, or several, for each layer; the compiler knows all sizes.
    SIZE: One function, which knows no sizes, for the layers of a build for size.
    SIZE_ALONE: The same with a single layer of its kind: the compiler puts the kernel in its place, and knows
        the sizes.
    """

    SPEED = enum.auto()
    SIZE = enum.auto()
    SIZE_ALONE = enum.auto()

    @property
    def knows_sizes(self) -> bool:
        return self is not Build.SIZE

    @property
    def moves_bytes(self) -> bool:
        """The functions of the C library for memory are loops over bytes."""
        return self is not Build.SPEED

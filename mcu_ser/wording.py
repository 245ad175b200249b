# SPDX-License-Identifier: Apache-2.0
"""How numbers of things are said."""

from __future__ import annotations


def counted(count: int, noun: str) -> str:
    """A number and its noun, whose plural ends in s: "1 sample", "2 samples"."""
    return f"{count} {noun}{'' if count == 1 else 's'}"

# SPDX-License-Identifier: Apache-2.0
"""Rewrites that keep every byte: which tensors need no buffer of their own."""

from __future__ import annotations

from mcu_ser.aot.ir import Graph

# Operators that change how bytes are numbered, not the bytes.
ALIASING = frozenset({"EXPAND_DIMS", "RESHAPE", "SQUEEZE"})


def find_aliases(graph: Graph) -> dict[int, int]:
    """Tensors that hold the same bytes as another one: tensor index -> index of the one that is computed.

    That of an `ALIASING` operator holds those of its input, and no layer writes to its input.
    """
    aliases: dict[int, int] = {}
    for operator in graph.operators:
        if operator.opcode in ALIASING:
            source = operator.inputs[0]
            aliases[operator.outputs[0]] = aliases.get(source, source)
    return aliases

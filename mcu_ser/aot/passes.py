# SPDX-License-Identifier: Apache-2.0
"""Rewrites that keep every byte: which tensors need no buffer of their own."""

from __future__ import annotations

from mcu_ser.aot.ir import Graph


def find_aliases(graph: Graph) -> dict[int, int]:
    """Tensors that hold the same bytes as another one: tensor index -> index of the one that is computed.

    RESHAPE changes how bytes are numbered, not the bytes, and no layer writes to its input.
    """
    aliases: dict[int, int] = {}
    for operator in graph.operators:
        if operator.opcode == "RESHAPE":
            source = operator.inputs[0]
            aliases[operator.outputs[0]] = aliases.get(source, source)
    return aliases

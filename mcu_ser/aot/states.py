# SPDX-License-Identifier: Apache-2.0
"""The states of recurrent layers: variable tensors, of which each belongs to one layer.

Every inference starts from zero: one sample is one sequence, as for the Keras layer that is not stateful. So
a state lives no longer than its layer runs, and the engine keeps it in the layer's scratch.
"""

from __future__ import annotations

from collections import Counter

from mcu_ser.aot.ir import Graph
from mcu_ser.errors import ModelError

# Places of the states among a layer's operands: what it has put out last, and its cells.
STATE_PLACES = {"UNIDIRECTIONAL_SEQUENCE_LSTM": (18, 19)}


def has_states(graph: Graph) -> bool:
    """Whether an interpreter has to be reset before each inference."""
    return any(tensor.is_variable for tensor in graph.tensors)


def verify_states(graph: Graph) -> None:
    """Check that each variable is the state of at most one layer, and nothing else.

    Raises:
        ModelError: An inference could depend on the one before it, or one layer on the state of another.
    """
    states: Counter[int] = Counter()
    others = {*graph.inputs, *graph.outputs}
    for operator in graph.operators:
        places = STATE_PLACES.get(operator.opcode, ())
        states.update(index for place, index in enumerate(operator.inputs) if place in places)
        others.update(index for place, index in enumerate(operator.inputs) if place not in places)
        others.update(operator.outputs)
    for tensor in graph.tensors:
        shared = tensor.index in others or states[tensor.index] > 1
        if tensor.is_variable and (shared or tensor.data is not None):
            raise ModelError(
                graph.name,
                f"tensor {tensor.index} ({tensor.name}) is a variable that lives from one inference to the "
                f"next, and not the state of one layer",
                limit=f"states of {', '.join(STATE_PLACES)}, without value",
                hint="a recurrent layer with unroll=True, which converts to plain operators",
            )

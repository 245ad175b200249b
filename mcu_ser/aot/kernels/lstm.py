# SPDX-License-Identifier: Apache-2.0
"""UNIDIRECTIONAL_SEQUENCE_LSTM: the weights of all gates in the order of their use, states in the scratch."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from mcu_ser.aot.ir import Graph, Operator
from mcu_ser.aot.kernels.int16_products import pack_weights
from mcu_ser.aot.kernels.kernel_call import KernelCall, Struct, Table, struct
from mcu_ser.aot.kernels.matmul import padded_weights, paired
from mcu_ser.aot.lstm import GateProduct, Lstm, gate_rescale, lstm

# Cells side by side, and inputs per word of weights.
_BLOCK = 4

# The kernel finds the sum of the second cell of a pair in the upper 24 bits of the sum of both.
_PAIRED_LIMIT = 1 << 23


def call(graph: Graph, operator: Operator) -> KernelCall:
    """The kernel call of a supported LSTM."""
    layer = lstm(graph, operator)
    assert layer.cell_fraction_bits is not None
    low, high = layer.cell_limits
    return KernelCall(
        header="lstm.h",
        kernel="aot_lstm",
        struct_name="aot_lstm",
        description=struct(
            steps=layer.steps,
            inputs=layer.inputs,
            cells=layer.cells,
            input_offset=-layer.input.zero_point,
            weights=Table("weights", _weights(layer)),
            paired=int(_is_paired(layer)),
            bias=Table("bias", _biases(layer)),
            from_input=_rescale(layer.input_products),
            from_hidden=_rescale(layer.recurrent_products),
            cell_bits=layer.cell_fraction_bits,
            cell_min=low,
            cell_max=high,
            multiplier=layer.output_multiplier.mantissa,
            right=-layer.output_multiplier.shift,
            zero_point=layer.output_state.zero_point,
        ),
        inputs=operator.inputs[:1],
        output=layer.output.index,
        macs=layer.macs,
        included=("dsp.h", "int16.h", "int16_curves.h", "int16_matmul.h"),
        scratch_bytes=2 * (_padded(layer.inputs) + 2 * _padded(layer.cells)),
    )


def _padded(count: int) -> int:
    return -(-count // _BLOCK) * _BLOCK


def _weights(layer: Lstm) -> npt.NDArray[np.uint32]:
    """For each block of cells and each gate, the words of the inputs and those of the hidden state."""
    blocks = _padded(layer.cells) // _BLOCK
    words = _paired_words if _is_paired(layer) else _words
    packed = [
        np.concatenate([words(pair[0], blocks), words(pair[1], blocks)], axis=1)
        for pair in zip(layer.input_products, layer.recurrent_products, strict=True)
    ]
    return np.stack(packed, axis=1).reshape(-1)


def _words(product: GateProduct, blocks: int) -> npt.NDArray[np.uint32]:
    assert product.weights.data is not None
    return pack_weights(product.weights.data).reshape(blocks, -1)


def _is_paired(layer: Lstm) -> bool:
    """Whether two weights of every pair of cells fit an int16, and their products 24 bits."""
    return all(
        _pairs(product) is not None and -_PAIRED_LIMIT <= low and high < _PAIRED_LIMIT
        for product in layer.products
        for low, high in [product.product_range]
    )


def _pairs(product: GateProduct) -> npt.NDArray[np.int64] | None:
    assert product.weights.data is not None
    return paired(padded_weights(product.weights.data, _BLOCK))


def _paired_words(product: GateProduct, blocks: int) -> npt.NDArray[np.uint32]:
    """By block; for each two inputs the word of its first pair of cells, and that of its second."""
    pairs = _pairs(product)
    assert pairs is not None
    words = (pairs[:, ::2] & 0xFFFF) | ((pairs[:, 1::2] & 0xFFFF) << 16)
    ordered = words.reshape(blocks, 2, -1).transpose(0, 2, 1)
    result: npt.NDArray[np.uint32] = ordered.reshape(blocks, -1).astype(np.uint32)
    return result


def _biases(layer: Lstm) -> npt.NDArray[np.int32]:
    """By block, gate and cell of the block."""
    biases = np.zeros((len(layer.input_products), _padded(layer.cells)), np.int32)
    for gate, product in enumerate(layer.input_products):
        biases[gate, : layer.cells] = product.biases
    return np.ascontiguousarray(biases.reshape(len(biases), -1, _BLOCK).transpose(1, 0, 2)).reshape(-1)


def _rescale(products: Sequence[GateProduct]) -> Struct:
    """`struct aot_lstm_rescale`."""
    gates = [gate_rescale(product.multiplier) for product in products]
    return struct(
        left=tuple(gate.left for gate in gates),
        multiplier=tuple(gate.multiplier for gate in gates),
        constant=tuple(gate.constant for gate in gates),
        tie=tuple(gate.tie for gate in gates),
        right=tuple(gate.right for gate in gates),
    )

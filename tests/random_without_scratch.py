# SPDX-License-Identifier: Apache-2.0
"""Random models of one FULLY_CONNECTED whose input is whole steps of the chain of matmul_dsp.h: for tests."""

from __future__ import annotations

from hypothesis import strategies as st

from tests.random_layers import Drawer, layer_strategy


def _wide(d: Drawer) -> bytes:
    # One pass of the chain, several, and a last one that is not whole.
    inputs, outputs = d.draw(st.sampled_from([8, 16, 56, 64, 72, 128, 136, 640])), d.integer(1, 20)
    shapes = (1, 1, inputs), (outputs, inputs), (1, 1, outputs)
    return d.weighted("FULLY_CONNECTED", shapes, 0, KeepNumDims=True)


WIDE_LAYERS = layer_strategy(_wide)

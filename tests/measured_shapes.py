# SPDX-License-Identifier: Apache-2.0
"""Models of one layer each, whose shapes together tell what every part of every kernel costs."""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import pytest

from mcu_ser.aot import sparse_storage
from mcu_ser.aot.compile import CompiledModel
from mcu_ser.aot.kernels import depthwise_conv_2d
from tests.element_shapes import element_shapes
from tests.int16_shapes import int16_shapes
from tests.layer_shapes import sparse_shapes, unstructured_shapes, weighted_shapes
from tests.lstm_model import lstm_shapes
from tests.move_shapes import move_shapes

# A header whose kernels share functions with another one, and are in the same models.
_TOGETHER = {"int16_conv_2d.h": "int16_matmul.h"}


def shapes() -> tuple[bytes, ...]:
    """All models, but those of kernels which are chosen only where the tool or test says so."""
    return (*weighted_shapes(), *element_shapes(), *move_shapes(), *int16_shapes(), *lstm_shapes())


def zero_shapes() -> tuple[bytes, ...]:
    """Those of them that have zeros among their weights."""
    return (*sparse_shapes(), *unstructured_shapes())


@contextmanager
def depthwise_in_plain_c() -> Iterator[None]:
    """Depthwise convolutions for speed as those are built for which no fast kernel is exact."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(depthwise_conv_2d, "fast_kernel", lambda layer, window, output: None)
        yield


def by_header(models: Sequence[CompiledModel]) -> list[list[CompiledModel]]:
    """Models of one layer in groups whose kernels share functions: alone, each is compiled in another way."""
    groups: defaultdict[str, list[CompiledModel]] = defaultdict(list)
    for model in models:
        header = model.calls[0].header
        groups[_TOGETHER.get(header, header)].append(model)
    return list(groups.values())


@contextmanager
def zeros_never_stored() -> Iterator[None]:
    """In builds for size all layers without their zeros that may be; in others those are that win by it."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sparse_storage, "FORM_BYTES", 0)
        patch.setattr(sparse_storage, "_SIZE_ARENA", 1e6)
        yield

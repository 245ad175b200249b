# SPDX-License-Identifier: Apache-2.0
"""Turns a pruned model into a quantisation-aware one whose zeros stay zero, and trains it.

The scheme is TFMOT's 8-bit default (int8, weights symmetric and per channel for convolutions) with pruning
preserved. Its wrappers cannot be saved, so its weights are; `quantization_aware` rebuilds the wrappers.
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

from mcu_ser.artifacts import write_bytes
from mcu_ser.errors import ConfigError
from mcu_ser.train.nsl_import import keras, tfmot


class _PrunePreserving:
    """TFMOT's scheme, without its gap: a dense layer before a ReLU has its weights quantised as well.

    Where a ReLU follows, TFMOT 0.8.1 turns off all quantisation of the layer (`LayerReLUQuantize`), meaning
    its output alone. The weights would train as floats and lose their zeros, and the converter would choose
    their scales afterwards. Convolutions do not come to that: a norm stands between them and the ReLU.
    """

    def __init__(self) -> None:
        self._scheme = tfmot.experimental.combine.Default8BitPrunePreserveQuantizeScheme()

    def get_quantize_registry(self) -> Any:
        return self._scheme.get_quantize_registry()

    def get_layout_transformer(self) -> _PrunePreserving:
        return self

    def apply(self, model: Any, configs: Any) -> tuple[Any, Any]:
        """TFMOT's changes to the model, and the quantisation of each layer by name."""
        model, configs = self._scheme.get_layout_transformer().apply(model, configs)
        for layer in model.layers:
            if isinstance(layer, keras.layers.Dense) and configs[layer.name]["quantize_config"] is not None:
                config = self.get_quantize_registry().get_quantize_config(layer)
                config.activation_attrs = []
                configs[layer.name] = {**configs[layer.name], "quantize_config": config}
        return model, configs


def quantization_aware(pruned: Any) -> Any:
    """An untrained quantisation-aware copy of a pruned model; zeros are where the pruned model has them."""
    annotated = tfmot.quantization.keras.quantize_annotate_model(pruned)
    return tfmot.quantization.keras.quantize_apply(annotated, _PrunePreserving())


def save_weights(model: Any, path: Path) -> None:
    """Write the weights of a quantisation-aware model as Keras's .weights.h5."""
    with tempfile.TemporaryDirectory() as scratch:
        # Keras chooses the format by the double suffix, which a temporary name beside `path` would not keep.
        weights = Path(scratch) / "qat.weights.h5"
        model.save_weights(weights)
        write_bytes(path, weights.read_bytes())


def load_weights(model: Any, path: Path) -> None:
    """Read what `save_weights` wrote into a model of the same pruned model.

    Raises:
        ConfigError: The file does not fit the model.
    """
    try:
        model.load_weights(path)
    except (OSError, ValueError, KeyError) as error:
        raise ConfigError(
            path, f"does not fit the pruned model ({error})", hint="mcu-ser compress again"
        ) from error

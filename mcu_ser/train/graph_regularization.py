# SPDX-License-Identifier: Apache-2.0
"""Turns the embeddings of a batch and of its graph neighbours into the loss that pulls neighbours together.

The method of Chang et al., "Knowledge Transfer for On-Device Speech Emotion Recognition with Neural
Structured Learning" (ICASSP 2023, arXiv 2210.14977): to the classification loss is added, times a multiplier,
the weighted cosine distance between each clip and its neighbours at a chosen intermediate layer.
`nsl.keras.GraphRegularization` compares model outputs only and runs the model once per neighbour; here NSL's
distance is used with one forward pass over the batch and all its neighbours.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from mcu_ser.errors import ConfigError
from mcu_ser.train.nsl_import import keras, nsl, tf

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from mcu_ser.train.neighbours import Neighbours

_COSINE = nsl.configs.DistanceConfig(distance_type=nsl.configs.DistanceType.COSINE, sum_over_axis=-1)


@dataclass(frozen=True)
class GraphRegularization:
    """What the graph adds to a training.

    Args:
        neighbours: Of each training utterance.
        multiplier: Weight of the graph loss.
        layer: Name of the layer whose outputs are compared.
        schedule: How the weight changes over a training.
    """

    neighbours: Neighbours
    multiplier: float
    layer: str
    schedule: Literal["constant", "linear_up", "cosine_down"] = "constant"

    @property
    def acts(self) -> bool:
        """Whether it changes a training at all; else the neighbours need not be computed."""
        return self.multiplier > 0 and self.neighbours.edges > 0

    def multipliers(self, steps: int) -> NDArray[np.float32]:
        """Weight of the graph loss in each step of a training, float32 (steps,)."""
        done = np.linspace(0, 1, steps)
        factors = {
            "constant": np.ones(steps),
            "linear_up": done,
            "cosine_down": 0.5 * (1 + np.cos(np.pi * done)),
        }
        return (self.multiplier * factors[self.schedule]).astype(np.float32)


def graph_loss(embeddings: Any, neighbour_embeddings: Any, weights: Any) -> Any:
    """Mean weighted cosine distance over the edges; 0 when there is none.

    Args:
        embeddings: float32 (edges, ...) of the clips that edges start from.
        neighbour_embeddings: float32 (edges, ...) of the clips that they lead to.
        weights: float32 (edges,); an edge of weight 0 is none.
    """
    size = math.prod(embeddings.shape[1:])  # not -1, which no edges at all would leave open
    return nsl.lib.pairwise_distance_wrapper(
        tf.reshape(embeddings, (-1, size)),
        tf.reshape(neighbour_embeddings, (-1, size)),
        weights=weights[:, None],
        distance_config=_COSINE,
    )


def with_embedding(model: Any, layer: str) -> Any:
    """`model` with two outputs: the named layer's and its own.

    The wrappers of pruning and quantisation prefix the names of the layers they wrap; the layer is found
    under those too.

    Raises:
        ConfigError: The model has no such layer.
    """
    names = [one.name for one in model.layers]
    matches = [name for name in names if name == layer or name.endswith(f"_{layer}")]
    wrapped = [name for name in matches if name in {layer, f"quant_{layer}", f"prune_low_magnitude_{layer}"}]
    if not wrapped:
        raise ConfigError(
            "recipe graph.layer", f"{model.name} has no layer {layer}", hint=f"one of {', '.join(names)}"
        )
    return keras.Model(model.inputs, [model.get_layer(wrapped[0]).output, model.output])

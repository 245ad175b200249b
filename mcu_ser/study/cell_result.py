# SPDX-License-Identifier: Apache-2.0
"""What one cell of a study came to: one model, trained one way, on one fold, with one seed, in all stages."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy as np
    from numpy.typing import NDArray

Stage = Literal["float", "pruned", "int8", "post_training"]

# In the order of the table. `int8` is quantisation-aware training, `post_training` its control: the pruned
# model quantised without training. Both are what the oracle answers for the .tflite.
STAGES: tuple[Stage, ...] = ("float", "pruned", "int8", "post_training")


@dataclass(frozen=True, eq=False)
class CellResult:
    """Decisions of one cell on the test speakers of its fold.

    Args:
        model: Name and size, such as "ds_cnn 16".
        approach: One of `mcu_ser.recipe.study.APPROACHES`.
        fold: Position in the protocol's folds, from 0.
        seed: Of everything in the cell.
        key: Hash of the cell's inputs, hex; the name of its files.
        chosen: The hyper-parameters that validation chose for this fold; empty where there was no choice.
        processor_seconds: Time the cell took of a core.
        parameters: Trainable and other weights of the float model.
        tflite_bytes: Size of the int8 file.
        weight_bytes: Constants of the int8 model, bytes.
        activation_bytes: Largest sum of simultaneously live tensors of the int8 model.
        sparsity: Share of zeros among the weights that pruning may touch, 0..1.
        ids: Utterance ids of the test speakers, str (n,).
        speakers: Their speakers, str (n,).
        y: True classes, int64 (n,).
        decisions: Per stage the decided class, int64 (n,).
        graph: Figures of the graph that trained this cell, as `mcu_ser.train.graph_figures` names them; empty
            without one.
    """

    model: str
    approach: str
    fold: int
    seed: int
    key: str
    chosen: Mapping[str, Any]
    processor_seconds: float
    parameters: int
    tflite_bytes: int
    weight_bytes: int
    activation_bytes: int
    sparsity: float
    ids: NDArray[np.str_]
    speakers: NDArray[np.str_]
    y: NDArray[np.int64]
    decisions: Mapping[Stage, NDArray[np.int64]]
    graph: Mapping[str, float] = field(default_factory=dict)

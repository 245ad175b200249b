# SPDX-License-Identifier: Apache-2.0
"""What the AOT engine knows of the layers of a project before they run: instructions, and what zeros save."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from mcu_ser.aot.compile import CompiledModel, compile_model
from mcu_ser.aot.optimization import Optimization

if TYPE_CHECKING:
    from mcu_ser.aot.kernels.kernel_call import Form
    from mcu_ser.generate.project import Project

_TRACE_INSTRUCTIONS = 35
"""What a board counts around each layer: the trace of it."""


def predicted_instructions(project: Project) -> dict[int, int]:
    """Instructions by index of the layer, its trace included; layers that were not measured are left out.

    Empty for another engine, and for a core without DSP instructions, whose kernels are others.
    """
    if project.engine != "aot" or not _is_predicted(project):
        return {}
    return {
        layer.index: layer.predicted_instructions + _TRACE_INSTRUCTIONS
        for layer in _compiled(project).layers
        if layer.predicted_instructions is not None
    }


def sparse_layers(project: Project) -> list[dict[str, Any]]:
    """The layers that may leave out zeros, as `report.json` has them; none for another engine.

    For a core without DSP instructions nothing is predicted.
    """
    if project.engine != "aot":
        return []
    predicted = _is_predicted(project)
    return [
        {
            "index": layer.index,
            "operator": layer.operator,
            "name": layer.name,
            "weights": layer.weights,
            "zeros": layer.zeros,
            "dense": _form(layer.sparse_choice.dense, predicted=predicted),
            "sparse": _form(layer.sparse_choice.sparse, predicted=predicted),
            "chosen": "sparse" if layer.sparse_choice.taken else "dense",
        }
        for layer in _compiled(project).layers
        if layer.sparse_choice is not None
    ]


def _form(form: Form, *, predicted: bool) -> dict[str, Any]:
    return asdict(form) | ({} if predicted else {"predicted_instructions": None})


def _is_predicted(project: Project) -> bool:
    return "dsp" in project.board.mcu.features


def _compiled(project: Project) -> CompiledModel:
    return compile_model(
        project.model_path.read_bytes(),
        project.model_path.name,
        traced=project.manifest.layers,
        winograd_bytes=project.manifest.winograd_bytes,
        optimization=Optimization(project.manifest.optimization),
    )

# SPDX-License-Identifier: Apache-2.0
"""What the cost model of the AOT engine predicts for each layer of a project, for `verify --profile`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mcu_ser.aot.compile import compile_model

if TYPE_CHECKING:
    from mcu_ser.generate.project import Project

_TRACE_INSTRUCTIONS = 35
"""What a board counts around each layer: the trace of it."""


def predicted_instructions(project: Project) -> dict[int, int]:
    """Instructions by index of the layer, its trace included; layers that were not measured are left out.

    Empty for another engine, and for a core without DSP instructions, whose kernels are others.
    """
    if project.engine != "aot" or "dsp" not in project.board.mcu.features:
        return {}
    compiled = compile_model(
        project.model_path.read_bytes(),
        project.model_path.name,
        winograd_bytes=project.manifest.winograd_bytes,
    )
    return {
        layer.index: layer.predicted_instructions + _TRACE_INSTRUCTIONS
        for layer in compiled.layers
        if layer.predicted_instructions is not None
    }

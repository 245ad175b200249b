# SPDX-License-Identifier: Apache-2.0
"""What a job leaves in its directory, and how it is read again: by cells that wait for it, by the report."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np

from mcu_ser.errors import ConfigError
from mcu_ser.npz_arrays import NOT_AN_NPZ
from mcu_ser.study.cell_result import STAGES, CellResult

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from mcu_ser.study.directory import StudyDir
    from mcu_ser.study.grid import Job

# Files of a finished job.
CELL = "cell.json"
RECIPE = "recipe.toml"
METRICS = "metrics.json"
MODEL = "model.tflite"
PREDICTIONS = "predictions.npz"
PICTURE = "picture.json"


def choice_document(trained: Mapping[str, Any]) -> dict[str, Any]:
    """What is kept of a choice.

    Args:
        trained: The document of the train stage; the speakers who validate stand where a test would.
    """
    return {"validation_uar": trained["target"]["test"]["uar"]}


def cell_document(
    trained: Mapping[str, Any], converted: Mapping[str, Any], chosen: Mapping[str, Any]
) -> dict[str, Any]:
    """What is kept of a cell beside its decisions.

    Args:
        trained: The document of the train stage.
        converted: The document of the convert stage.
        chosen: The hyper-parameters that validation chose.
    """
    file = converted["file"]
    return {
        "chosen": dict(chosen),
        "parameters": trained["target"]["parameters"],
        "tflite_bytes": file["file_bytes"],
        "weight_bytes": file["constant_bytes"],
        "activation_bytes": file["peak_activation_bytes"],
        "sparsity": file["sparsity_fraction"],
        "graph": dict(trained.get("graph") or {}),
    }


def best_candidate(study: StudyDir, job: Job) -> Mapping[str, Any]:
    """The hyper-parameters of the highest UAR on the validation speakers, the first of equal ones.

    Args:
        study: In which all candidates of the job are done.
        job: A cell; one without candidates has nothing chosen for it.
    """
    scores = [read_figure(study, one.key, "validation_uar") for one in job.candidates]
    return job.candidates[scores.index(max(scores))].chosen if scores else {}


def read_cell(study: StudyDir, job: Job) -> CellResult:
    """What a finished cell came to.

    Raises:
        ConfigError: Its files are damaged.
    """
    directory = study.cell(job.key)
    document = read_json(directory / CELL)
    path = directory / PREDICTIONS
    try:
        with path.open("rb") as stream, np.load(stream, allow_pickle=False) as arrays:
            decisions = {stage: arrays[stage].astype(np.int64) for stage in STAGES if stage in arrays}
            utterances = {name: arrays[name] for name in ("ids", "speakers", "y")}
        return CellResult(
            **vars(job.place), key=job.key, decisions=decisions, **utterances, **_fields(document)
        )
    except (*NOT_AN_NPZ, KeyError) as error:
        raise ConfigError(path, f"cannot be read ({error})", hint=f"remove {directory}") from error


def _fields(document: Mapping[str, Any]) -> dict[str, Any]:
    names = ("chosen", "processor_seconds", "parameters", "tflite_bytes", "weight_bytes", "activation_bytes")
    return {name: document[name] for name in (*names, "sparsity", "graph")}


def read_figure(study: StudyDir, key: str, name: str) -> float:
    """A number of a finished job.

    Raises:
        ConfigError: Its file is damaged.
    """
    path = study.cell(key) / CELL
    figure = read_json(path).get(name)
    if not isinstance(figure, float):
        raise ConfigError(path, f"{name} is {figure!r}, which is not a number", hint=f"remove {path.parent}")
    return figure


def read_json(path: Path) -> dict[str, Any]:
    """A JSON object that a worker wrote.

    Raises:
        ConfigError: It is absent or damaged.
    """
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ConfigError(path, f"cannot be read ({error})", hint=f"remove {path.parent}") from error
    if not isinstance(document, dict):
        raise ConfigError(path, "is not a JSON object", hint=f"remove {path.parent}")
    return document

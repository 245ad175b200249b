# SPDX-License-Identifier: Apache-2.0
"""The convert stage: turns the compressed model of a run into model.tflite and the samples that test it.

Reads recipe.toml, train/ and compress/ of the run directory; writes convert/ for the firmware and its check.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from mcu_ser.artifacts import canonical_json, replaced_file, sha256_hex, write_bytes, write_text
from mcu_ser.compress.qat import load_weights, quantization_aware
from mcu_ser.convert.litert import litert_outputs
from mcu_ser.convert.model_file import check_model_file, read_model_file
from mcu_ser.convert.oracle import Oracle
from mcu_ser.convert.quantization import dequantize, quantize
from mcu_ser.convert.to_tflite import to_tflite
from mcu_ser.errors import ConfigError
from mcu_ser.progress import silent
from mcu_ser.train.evaluate import score
from mcu_ser.train.fit import make_reproducible, predict
from mcu_ser.train.keras_file import load_model
from mcu_ser.train.nsl_import import versions
from mcu_ser.train.target import load_target

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from mcu_ser.artifacts import RunDir
    from mcu_ser.progress import Track
    from mcu_ser.recipe import Recipe
    from mcu_ser.train.target import Part

STAGE = "convert"


def run(run_dir: RunDir, recipe: Recipe, track: Track = silent) -> dict[str, Any]:
    """Convert, check and measure; returns the document of convert/metrics.json.

    Args:
        run_dir: After the compress stage.
        recipe: What the train stage left in recipe.toml.
        track: Progress.

    Raises:
        ConfigError: The train or compress stage has not been here.
        ModelError: The converter wrote something no engine here runs.
        CheckFailedError: The file is not as sparse, or not as small, as the recipe asks.
    """
    target = load_target(run_dir, refit=recipe.training.refit)
    if target.test is None:
        raise ConfigError(run_dir.target_features, "holds no test utterances", hint="mcu-ser train again")
    make_reproducible(recipe.seed)
    trained = load_model(run_dir.require(run_dir.float_model, "train"))
    pruned = load_model(run_dir.require(run_dir.pruned_model, "compress"))
    aware = quantization_aware(pruned)
    load_weights(aware, run_dir.require(run_dir.qat_weights, "compress"))
    model = to_tflite(aware)
    file = read_model_file(model, "model.tflite")
    check_model_file(file, sparsity_fraction=recipe.pruning.sparsity_fraction, budget=recipe.budget)

    oracle = Oracle(model, "model.tflite")
    x = quantize(
        target.test.clips.x[..., None], oracle.input_quantization.scale, oracle.input_quantization.zero_point
    )
    answers = oracle.run(x, track)
    floats = {"float": trained, "pruned": pruned, "qat": aware}
    document = {
        "model_sha256": sha256_hex(model),
        "samples": len(x),
        **{
            name: score(predict(one, target.test.clips.x), target.test.clips.y).as_document()
            for name, one in floats.items()
        },
        "int8": _int8_scores(oracle, answers, target.test.clips.y),
        "litert": _litert(oracle, model, x, answers, target.test.clips.y),
        "file": file.as_document(),
    }
    write_bytes(run_dir.tflite, model)
    _save_samples(run_dir, x, target.test, target.labels)
    write_text(run_dir.metrics(STAGE), canonical_json(document))
    run_dir.record_stage(
        STAGE,
        seed=recipe.seed,
        read=[
            run_dir.recipe,
            run_dir.target_features,
            run_dir.normalization,
            run_dir.float_model,
            run_dir.pruned_model,
            run_dir.qat_weights,
        ],
        wrote=[run_dir.tflite, run_dir.samples, run_dir.metrics(STAGE)],
        versions=versions(),
    )
    return document


def _int8_scores(oracle: Oracle, answers: NDArray[np.int8], y: NDArray[np.int64]) -> dict[str, Any]:
    output = oracle.output_quantization
    return score(dequantize(answers, output.scale, output.zero_point), y).as_document()


def _litert(
    oracle: Oracle, model: bytes, x: NDArray[np.int8], answers: NDArray[np.int8], y: NDArray[np.int64]
) -> dict[str, Any] | None:
    others = litert_outputs(model, x)
    if others is None:
        return None
    return {
        **_int8_scores(oracle, others, y),
        "samples_that_differ": int(np.count_nonzero((others != answers).any(axis=1))),
        "largest_difference": int(np.abs(others.astype(int) - answers.astype(int)).max()),
    }


def _save_samples(run_dir: RunDir, x: NDArray[np.int8], test: Part, labels: tuple[str, ...]) -> None:
    with replaced_file(run_dir.samples) as temporary:
        np.savez(temporary, x=x, y=test.clips.y, labels=np.array(labels), ids=test.ids)

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
from mcu_ser.convert.quantization import Quantization, dequantize, quantize
from mcu_ser.convert.to_tflite import to_tflite
from mcu_ser.errors import ConfigError
from mcu_ser.features.feature_set import FeatureSet
from mcu_ser.features.front_end import FrontEnd
from mcu_ser.features.integer_log_mel import level_values
from mcu_ser.features.normalization import Normalization
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
    target = load_target(run_dir)
    if target.test is None:
        raise ConfigError(run_dir.target_features, "holds no test utterances", hint="mcu-ser train again")
    make_reproducible(recipe.seed)
    models = _load_models(run_dir)
    model = to_tflite(models["qat"])
    file = read_model_file(model, "model.tflite")
    check_model_file(file, sparsity_fraction=recipe.pruning.sparsity_fraction, budget=recipe.budget)

    oracle = Oracle(model, "model.tflite")
    entrance = oracle.input_quantization
    front_end = _front_end(run_dir, recipe, entrance)
    x = _int8_input(run_dir, front_end, target.test, entrance)
    document = {
        "model_sha256": sha256_hex(model),
        "samples": len(x),
        **{name: _scores(predict(one, target.test.clips.x), target.test) for name, one in models.items()},
        **_int8(oracle, model, x, target.test, track),
        "file": file.as_document(),
    }
    write_bytes(run_dir.tflite, model)
    with replaced_file(run_dir.samples) as temporary:
        np.savez(temporary, x=x, y=target.test.clips.y, labels=np.array(target.labels), ids=target.test.ids)
    if front_end:
        front_end.save(run_dir.front_end)
    else:
        run_dir.front_end.unlink(missing_ok=True)  # one of another recipe would be taken for this model's
    write_text(run_dir.metrics(STAGE), canonical_json(document))
    _record(run_dir, recipe, has_front_end=front_end is not None)
    return document


def _load_models(run_dir: RunDir) -> dict[str, Any]:
    """The float model, the pruned one and the quantisation-aware one."""
    trained = load_model(run_dir.require(run_dir.float_model, "train"))
    pruned = load_model(run_dir.require(run_dir.pruned_model, "compress"))
    aware = quantization_aware(pruned)
    load_weights(aware, run_dir.require(run_dir.qat_weights, "compress"))
    return {"float": trained, "pruned": pruned, "qat": aware}


def _front_end(run_dir: RunDir, recipe: Recipe, entrance: Quantization) -> FrontEnd | None:
    """The model's front end; None if its features are of float64, which no device computes."""
    if recipe.features.arithmetic == "float64":
        return None
    normalization = Normalization.load(run_dir.normalization)
    return FrontEnd.folded(recipe.features, normalization, entrance.scale, entrance.zero_point)


def _int8_input(
    run_dir: RunDir, front_end: FrontEnd | None, test: Part, entrance: Quantization
) -> NDArray[np.int8]:
    """The test set as the model's input, int8 (n, frames, mels, 1): what a device's front end gives."""
    if front_end is None:
        return quantize(test.clips.x[..., None], entrance.scale, entrance.zero_point)
    features = FeatureSet.load(run_dir.target_features).part("test")
    return front_end.quantized(level_values(features.x, front_end.spec))[..., None]


def _scores(probabilities: NDArray[np.float32], test: Part) -> dict[str, Any]:
    return score(probabilities, test.clips.y).as_document()


def _int8(oracle: Oracle, model: bytes, x: NDArray[np.int8], test: Part, track: Track) -> dict[str, Any]:
    """Scores of the oracle, and beside them LiteRT's, with the samples on which the two differ."""
    output = oracle.output_quantization
    answers = oracle.run(x, track)
    document: dict[str, Any] = {
        "int8": _scores(dequantize(answers, output.scale, output.zero_point), test),
        "litert": None,
    }
    others = litert_outputs(model, x)
    if others is not None:
        difference = np.abs(others.astype(int) - answers.astype(int))
        document["litert"] = {
            **_scores(dequantize(others, output.scale, output.zero_point), test),
            "samples_that_differ": int(np.count_nonzero(difference.any(axis=1))),
            "largest_difference": int(difference.max()),
        }
    return document


def _record(run_dir: RunDir, recipe: Recipe, *, has_front_end: bool) -> None:
    front_end = [run_dir.front_end] if has_front_end else []
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
        wrote=[run_dir.tflite, run_dir.samples, *front_end, run_dir.metrics(STAGE)],
        versions=versions(),
    )

# SPDX-License-Identifier: Apache-2.0
"""The convert stage: turns the compressed model of a run into model.tflite and the samples that test it.

Reads recipe.toml, train/ and compress/ of the run directory; writes convert/ for the firmware and its check.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from mcu_ser.artifacts import canonical_json, replaced_file, sha256_hex, write_bytes, write_text
from mcu_ser.compress.qat import load_weights, quantization_aware
from mcu_ser.convert.litert import litert_outputs
from mcu_ser.convert.model_file import check_model_file, read_model_file
from mcu_ser.convert.oracle import Oracle
from mcu_ser.convert.post_training import quantized_post_training
from mcu_ser.convert.quantization import Quantization, dequantize, quantize
from mcu_ser.convert.to_tflite import to_tflite
from mcu_ser.errors import ConfigError
from mcu_ser.features.feature_set import FeatureSet
from mcu_ser.features.front_end import FrontEnd
from mcu_ser.features.integer_log_mel import level_values
from mcu_ser.features.normalization import Normalization
from mcu_ser.progress import silent
from mcu_ser.provenance import require_made_of_one_another
from mcu_ser.train.evaluate import score
from mcu_ser.train.fit import make_reproducible, predict
from mcu_ser.train.keras_file import load_model
from mcu_ser.train.nsl_import import versions
from mcu_ser.train.target import load_target

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from mcu_ser.artifacts import RunDir
    from mcu_ser.progress import Track
    from mcu_ser.recipe import Recipe
    from mcu_ser.train.target import Part, Target

STAGE = "convert"


def run(
    run_dir: RunDir, recipe: Recipe, track: Track = silent, *, post_training: bool = False
) -> dict[str, Any]:
    """Convert, check and measure; returns the document of convert/metrics.json.

    Args:
        run_dir: After the compress stage.
        recipe: What the train stage left in recipe.toml.
        track: Progress.
        post_training: Measure the control of quantisation-aware training too: the pruned model, quantised
            without training on. Its decisions and scores are kept, its file is not.

    Raises:
        ConfigError: The train or compress stage has not finished, or files or recipe are not of one run.
        ModelError: The converter wrote something no engine here runs.
        CheckFailedError: The file is not as sparse, or not as small, as the recipe asks.
    """
    require_made_of_one_another(run_dir, recipe, ["train", "compress"])
    target = load_target(run_dir)
    if target.test is None:
        raise ConfigError(run_dir.target_features, "holds no test utterances", hint="mcu-ser train again")
    make_reproducible(recipe.seed)
    models = _load_models(run_dir)
    model = to_tflite(models["qat"])
    file = read_model_file(model, "model.tflite")
    check_model_file(file, pruning=recipe.pruning, budget=recipe.budget)

    probabilities = {name: predict(one, target.test.clips.x) for name, one in models.items()}
    deployed = _deployed(run_dir, recipe, model, target.test, track)
    probabilities["int8"] = deployed.probabilities
    if post_training:
        control = quantized_post_training(models["pruned"], target.training.clips.x)
        probabilities["post_training"] = _deployed(run_dir, recipe, control, target.test, track).probabilities
    document = {
        "model_sha256": sha256_hex(model),
        "samples": len(target.test.ids),
        **{name: _scores(one, target.test) for name, one in probabilities.items()},
        "litert": _litert(model, deployed, target.test),
        "file": file.as_document(),
    }
    write_bytes(run_dir.tflite, model)
    _write_samples(run_dir, target, deployed, probabilities)
    write_text(run_dir.metrics(STAGE), canonical_json(document))
    _record(run_dir, recipe, has_front_end=deployed.front_end is not None)
    return document


@dataclass(frozen=True, eq=False)
class _Deployed:
    """An int8 model on the test set as a device computes it, from the front end on.

    Args:
        front_end: Of this model; None if its features are of float64, which no device computes.
        x: The test set, int8 (n, frames, mels, 1).
        answers: The oracle's, int8 (n, classes).
        output: What the answers stand for.
    """

    front_end: FrontEnd | None
    x: NDArray[np.int8]
    answers: NDArray[np.int8]
    output: Quantization

    @property
    def probabilities(self) -> NDArray[np.float32]:
        """Of the oracle's answers, float32 (n, classes)."""
        return dequantize(self.answers, self.output.scale, self.output.zero_point)


def _deployed(run_dir: RunDir, recipe: Recipe, model: bytes, test: Part, track: Track) -> _Deployed:
    oracle = Oracle(model, "model.tflite")
    entrance = oracle.input_quantization
    front_end = _front_end(run_dir, recipe, entrance)
    x = _int8_input(run_dir, front_end, test, entrance)
    return _Deployed(front_end, x, oracle.run(x, track), oracle.output_quantization)


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


def _litert(model: bytes, deployed: _Deployed, test: Part) -> dict[str, Any] | None:
    """LiteRT's scores, and on how many samples it differs from the oracle; None where it is not installed."""
    others = litert_outputs(model, deployed.x)
    if others is None:
        return None
    difference = np.abs(others.astype(int) - deployed.answers.astype(int))
    return {
        **_scores(dequantize(others, deployed.output.scale, deployed.output.zero_point), test),
        "samples_that_differ": int(np.count_nonzero(difference.any(axis=1))),
        "largest_difference": int(difference.max()),
    }


def _write_samples(
    run_dir: RunDir, target: Target, deployed: _Deployed, probabilities: Mapping[str, NDArray[np.float32]]
) -> None:
    """Write samples.npz, predictions.npz and front_end.json."""
    test = target.test
    assert test is not None
    with replaced_file(run_dir.samples) as temporary:
        np.savez(temporary, x=deployed.x, y=test.clips.y, labels=np.array(target.labels), ids=test.ids)
    decisions = {name: one.argmax(axis=1).astype(np.int64) for name, one in probabilities.items()}
    with replaced_file(run_dir.predictions) as temporary:
        np.savez(temporary, ids=test.ids, speakers=test.speakers, y=test.clips.y, **decisions)
    if deployed.front_end:
        deployed.front_end.save(run_dir.front_end)
    else:
        run_dir.front_end.unlink(missing_ok=True)  # one of another recipe would be taken for this model's


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
        wrote=[run_dir.tflite, run_dir.samples, run_dir.predictions, *front_end, run_dir.metrics(STAGE)],
        versions=versions(),
    )

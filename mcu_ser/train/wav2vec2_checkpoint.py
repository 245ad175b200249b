# SPDX-License-Identifier: Apache-2.0
"""Turns the directory of a wav2vec 2.0 checkpoint, as `transformers` saves it, into a TensorFlow classifier.

The user's directory holds config.json, one file of weights and, if it came with the model,
preprocessor_config.json. Nothing is downloaded.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mcu_ser.artifacts import sha256_file
from mcu_ser.errors import ConfigError
from mcu_ser.features.clip import SAMPLE_RATE_HZ
from mcu_ser.programs import package_versions, require_packages
from mcu_ser.recipe import Wav2Vec2Recipe
from mcu_ser.train.wav2vec2_torch_file import read_torch_file

if TYPE_CHECKING:
    from mcu_ser.recipe import SourceModelRecipe

CONFIG = "config.json"
PREPROCESSOR = "preprocessor_config.json"
# The first that is there is read.
WEIGHTS = ("model.safetensors", "pytorch_model.bin", "tf_model.h5")

# What a checkpoint that was not made for classification lacks, and an embedding that nothing here uses.
_MAY_LACK = ("projector", "classifier", "masked_spec_embed")


@dataclass(frozen=True)
class Checkpoint:
    """A complete directory; its weights are still unread.

    Attributes:
        root: The directory.
        config: Content of config.json.
        weights: The file of weights.
        normalizes: Whether the model wants each clip at zero mean and unit variance.
    """

    root: Path
    config: dict[str, Any]
    weights: Path
    normalizes: bool

    @property
    def files(self) -> list[Path]:
        """What decides the result."""
        files = [self.root / CONFIG, self.root / PREPROCESSOR, self.weights]
        return [path for path in files if path.exists()]

    def digests(self) -> dict[str, str]:
        """SHA-256 of each file, by its name."""
        return {path.name: sha256_file(path) for path in self.files}


def find_checkpoint(directory: str) -> Checkpoint:
    """The checkpoint in a directory, checked to be complete.

    Raises:
        ConfigError: No such directory, a file of it is missing, or it is of another kind of model.
    """
    root = Path(directory).expanduser()
    if not root.is_dir():
        raise ConfigError(
            "recipe source_model.checkpoint",
            f"{directory} is not a directory",
            hint="a downloaded checkpoint; mcu-ser downloads none",
        )
    config = _read_json(root / CONFIG)
    kind = config.get("model_type")
    if kind != "wav2vec2":
        raise ConfigError(root / CONFIG, f"is of model_type {kind}", limit="wav2vec2")
    if config.get("add_adapter"):
        raise ConfigError(root / CONFIG, "has an adapter behind its encoder (add_adapter)", limit="none")
    weights = next((root / name for name in WEIGHTS if (root / name).is_file()), None)
    if weights is None:
        raise ConfigError(root, f"has no weights: none of {', '.join(WEIGHTS)}", hint="the whole checkpoint")
    # Absent from many checkpoints; these are the values of all published models.
    preprocessor = _read_json(root / PREPROCESSOR) if (root / PREPROCESSOR).exists() else {}
    rate_hz = preprocessor.get("sampling_rate", SAMPLE_RATE_HZ)
    if rate_hz != SAMPLE_RATE_HZ:
        raise ConfigError(root / PREPROCESSOR, f"wants audio at {rate_hz} Hz", limit=f"{SAMPLE_RATE_HZ} Hz")
    return Checkpoint(root, config, weights, bool(preprocessor.get("do_normalize", True)))


def require_source_model(recipe: SourceModelRecipe) -> dict[str, str]:
    """Versions of the packages that a recipe's source model needs beside those of training.

    Raises:
        ConfigError: Its checkpoint is incomplete or of another kind.
        ToolMissingError: The [wav2vec2] extra is not installed.
    """
    if not isinstance(recipe, Wav2Vec2Recipe):
        return {}
    find_checkpoint(recipe.checkpoint)
    require_packages("wav2vec2")
    return {name: version for name, version in package_versions("wav2vec2").items() if version}


def load_classifier(checkpoint: Checkpoint, classes: int) -> Any:
    """A `TFWav2Vec2ForSequenceClassification` of the checkpoint's weights and a new last layer.

    The projector is new too if the checkpoint has none. The feature encoder is frozen.

    Raises:
        ConfigError: The files do not hold such a model.
        ToolMissingError: The [wav2vec2] extra is not installed.
    """
    from mcu_ser.train.wav2vec2_import import SafetensorError, Wav2Vec2Config, tf

    names = [f"emotion{index}" for index in range(classes)]
    changes = {
        "id2label": dict(enumerate(names)),
        "label2id": {name: index for index, name in enumerate(names)},
        # Which layers to drop would be drawn once per compilation, and by numpy.
        "layerdrop": 0.0,
        "use_weighted_layer_sum": False,
    }
    refused = (OSError, ValueError, TypeError, KeyError, AttributeError, RuntimeError, ArithmeticError)
    try:
        config = Wav2Vec2Config.from_dict(checkpoint.config | changes)
        model, lacking = _load(checkpoint, config)
    except (*refused, tf.errors.OpError, SafetensorError) as error:
        raise ConfigError(
            checkpoint.weights, f"does not hold the model of {CONFIG} ({error})", hint="the whole checkpoint"
        ) from error
    missing = [name for name in lacking if not any(part in name for part in _MAY_LACK)]
    if missing:
        raise ConfigError(
            checkpoint.weights,
            f"lacks {len(missing)} weights of the model in {CONFIG}, e.g. {missing[0]}",
            hint="the whole checkpoint",
        )
    model.freeze_feature_encoder()
    return model


def _load(checkpoint: Checkpoint, config: Any) -> tuple[Any, list[str]]:
    """The model, and the sorted names of its weights that the file does not hold in the model's shape."""
    from mcu_ser.train.wav2vec2_import import (
        TFWav2Vec2ForSequenceClassification,
        load_pytorch_state_dict_in_tf2_model,
    )

    tensors = _torch_tensors(checkpoint.weights)
    if tensors is None:
        model, found = TFWav2Vec2ForSequenceClassification.from_pretrained(
            checkpoint.root,
            config=config,
            use_safetensors=checkpoint.weights.suffix == ".safetensors",
            ignore_mismatched_sizes=True,
            output_loading_info=True,
            local_files_only=True,
        )
    else:
        # The last layer is of other classes.
        tensors = {name: tensor for name, tensor in tensors.items() if not name.startswith("classifier.")}
        model = TFWav2Vec2ForSequenceClassification(config)
        model.build_in_name_scope()
        _, found = load_pytorch_state_dict_in_tf2_model(
            model, tensors, tf_inputs=False, allow_missing_keys=True, output_loading_info=True
        )
    misshapen = [name for name, *_ in found["mismatched_keys"]]
    return model, sorted({*found["missing_keys"], *misshapen})


def _torch_tensors(path: Path) -> dict[str, Any] | None:
    """The tensors of a file that torch's classes wrote, by their names there; None for TensorFlow's files."""
    from mcu_ser.train.wav2vec2_import import load_safetensors, safe_open

    if path.name == "pytorch_model.bin":
        return dict(read_torch_file(path))
    if path.suffix == ".safetensors":
        with safe_open(path, framework="tf") as archive:
            written_by = (archive.metadata() or {}).get("format")
        # transformers' own way of reading them does not go with safetensors 0.8.
        return None if written_by == "tf" else dict(load_safetensors(path))
    return None


def _read_json(path: Path) -> dict[str, Any]:
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise ConfigError(path.parent, f"has no {path.name}", hint="the whole checkpoint") from error
    except (OSError, ValueError) as error:
        raise ConfigError(path, f"is not JSON ({error})", hint="the whole checkpoint") from error
    if not isinstance(document, dict):
        raise ConfigError(path, "is not a JSON object", hint="the whole checkpoint")
    return document

# SPDX-License-Identifier: Apache-2.0
"""Turns Keras models into .keras files whose bytes depend on the model alone, for the run's manifest."""

from __future__ import annotations

import json
import tempfile
import zipfile
from pathlib import Path
from typing import Any

from mcu_ser.artifacts import replaced_file
from mcu_ser.errors import ConfigError
from mcu_ser.train.nsl_import import keras


def save_model(model: Any, path: Path) -> None:
    """Write a model as .keras without the date of saving."""
    with tempfile.TemporaryDirectory() as scratch, replaced_file(path) as temporary:
        dated = Path(scratch) / "model.keras"
        model.save(dated, save_format="keras")
        with zipfile.ZipFile(dated) as source, zipfile.ZipFile(temporary, "w") as target:
            for name in sorted(source.namelist()):
                content = source.read(name)
                if name == "metadata.json":
                    content = json.dumps({**json.loads(content), "date_saved": ""}, sort_keys=True).encode()
                target.writestr(zipfile.ZipInfo(name), content)


def load_model(path: Path) -> Any:
    """Read what `save_model` wrote.

    Raises:
        ConfigError: The file is not such a model.
    """
    try:
        return keras.models.load_model(path, compile=False)
    except (OSError, ValueError, TypeError, KeyError, zipfile.BadZipFile) as error:
        raise ConfigError(
            path, f"is not a Keras model ({error})", hint="the stage that made it again"
        ) from error

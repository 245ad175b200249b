# SPDX-License-Identifier: Apache-2.0
"""Turns a recipe (TOML) into one frozen model per training stage, and back into the resolved TOML of a run.

Defaults live in this package and nowhere else; a recipe file overrides them; the train stage writes the
result to the run directory, which every later stage reads. An unknown key or a value out of range is an
error.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import tomli_w
from pydantic import Field, ValidationError

from mcu_ser.artifacts import write_text
from mcu_ser.errors import ConfigError
from mcu_ser.recipe.compression import BudgetRecipe, PruningRecipe, QatRecipe
from mcu_ser.recipe.corpora import CorporaRecipe
from mcu_ser.recipe.features import FeaturesRecipe
from mcu_ser.recipe.graph import GraphRecipe
from mcu_ser.recipe.small_model import DsCnnRecipe, ModelRecipe, TrainingRecipe, TransferRecipe
from mcu_ser.recipe.source_model import SourceCnnRecipe, SourceModelRecipe
from mcu_ser.recipe.study import StudyRecipe
from mcu_ser.recipe.table import Stage
from mcu_ser.resources import recipes_dir

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

DEFAULT_RECIPE = "synthetic"


class Recipe(Stage):
    """Everything that decides the result of train, compress and convert."""

    name: str
    seed: int = Field(default=1, ge=0, lt=2**31)
    corpora: CorporaRecipe
    features: FeaturesRecipe = FeaturesRecipe()
    source_model: SourceModelRecipe = SourceCnnRecipe()
    graph: GraphRecipe = GraphRecipe()
    model: ModelRecipe = DsCnnRecipe()
    transfer: TransferRecipe = TransferRecipe()
    training: TrainingRecipe = TrainingRecipe()
    pruning: PruningRecipe = PruningRecipe()
    qat: QatRecipe = QatRecipe()
    budget: BudgetRecipe = BudgetRecipe()
    study: StudyRecipe = StudyRecipe()


def list_recipes() -> list[str]:
    """Names of the recipes that come with mcu-ser."""
    return sorted(path.stem for path in recipes_dir().glob("*.toml"))


def load_recipe(name_or_path: str | Path = DEFAULT_RECIPE) -> Recipe:
    """The recipe of a shipped name or of a TOML file.

    Raises:
        ConfigError: No such recipe, or one with an unknown key or an invalid value.
    """
    path = Path(name_or_path)
    if path.suffix != ".toml" and str(name_or_path) in list_recipes():
        path = recipes_dir() / f"{name_or_path}.toml"
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(
            f"recipe {name_or_path}", "cannot be read", hint=f"a .toml file, or {', '.join(list_recipes())}"
        ) from error
    return parse_recipe(text, path.name)


def parse_recipe(text: str, file: str) -> Recipe:
    """The recipe of TOML text; `file` names it in errors.

    Raises:
        ConfigError: Not TOML, an unknown key, or an invalid value.
    """
    try:
        return Recipe.model_validate(tomllib.loads(text))
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(file, f"is not TOML ({error})") from error
    except ValidationError as error:
        raise ConfigError(file, _first_problem(error)) from error


def save_recipe(recipe: Recipe, path: Path) -> None:
    """Write the resolved recipe: every value spelled out, defaults included; TOML leaves out what is None."""
    write_text(path, tomli_w.dumps(recipe.model_dump(mode="json", exclude_none=True)))


def _first_problem(error: ValidationError) -> str:
    first = error.errors(include_url=False)[0]
    tags = {
        *("ravdess", "emodb", "csv", "synthetic"),
        *("source_cnn", "wav2vec2"),
        *("ds_cnn", "residual_cnn", "vgg15", "resnet9", "mobilenet15", "cnn6"),
        *("fixed_split", "speaker_groups", "leave_one_speaker_out"),
    }
    # A tagged union puts its tag into the location; the file has no such table.
    key = ".".join(str(part) for part in first["loc"] if part not in tags) or "recipe"
    if first["type"] == "extra_forbidden":
        return f"unknown key {key} (value {first['input']!r})"
    if first["type"] == "missing":
        return f"key {key} is missing"
    return f"{key} = {_shown(first['input'])}: {first['msg']}"


def _shown(value: Any) -> str:
    return "{...}" if isinstance(value, dict) else repr(value)

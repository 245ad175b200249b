# SPDX-License-Identifier: Apache-2.0
"""Turns a recipe (TOML) into one frozen model per training stage, and back into the resolved TOML of a run.

Defaults live in this package and nowhere else; a recipe file overrides them, or those of the recipe that it
names as its `base`; the train stage writes the result to the run directory, which every later stage reads. An
unknown key or a value out of range is an error.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import tomli_w
from pydantic import Field, ValidationError

from mcu_ser.artifacts import write_text
from mcu_ser.errors import ConfigError
from mcu_ser.recipe.base import laid_over
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
# Recipes under a recipe, each the base of the one before.
MOST_BASES = 8


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
    return _load(_recipe_file(name_or_path), f"recipe {name_or_path}", 0)


def parse_recipe(text: str, file: str, directory: Path = Path()) -> Recipe:
    """The recipe of TOML text.

    Args:
        text: The TOML.
        file: Names it in errors.
        directory: Where the file of its `base` is looked for.

    Raises:
        ConfigError: Not TOML, an unknown key, or an invalid value, in it or in its base.
    """
    return _parse(text, file, directory, 0)


def _load(path: Path, subject: str, depth: int) -> Recipe:
    """The recipe of a file that is the base of the base ... of `depth` others."""
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, ValueError) as error:  # a name with a zero byte is a ValueError
        raise ConfigError(
            subject, "cannot be read", hint=f"a .toml file, or {', '.join(list_recipes())}"
        ) from error
    return _parse(text, path.name, path.parent, depth)


def _parse(text: str, file: str, directory: Path, depth: int) -> Recipe:
    try:
        tables = tomllib.loads(text)
        if "base" in tables:
            tables = laid_over(_base(tables.pop("base"), file, directory, depth), tables)
        return Recipe.model_validate(tables)
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(file, f"is not TOML ({error})") from error
    except ValidationError as error:
        raise ConfigError(file, _first_problem(error)) from error


def _base(named: Any, file: str, directory: Path, depth: int) -> dict[str, Any]:
    """The resolved tables of the recipe that a file names as its base; a recipe has its own name."""
    if not isinstance(named, str):
        raise ConfigError(file, f"base = {_shown(named)}: Input should be the name or file of a recipe")
    path = _recipe_file(named, directory)
    if depth == MOST_BASES:
        problem = f"base = {named!r}: more than {MOST_BASES} recipes under one another"
        raise ConfigError(file, problem, hint="a base that is not, in the end, its own")
    tables = _tables(_load(path, f"{file}: base {named}", depth + 1))
    del tables["name"]
    return tables


def _recipe_file(name_or_path: str | Path, directory: Path = Path()) -> Path:
    shipped = Path(name_or_path).suffix != ".toml" and str(name_or_path) in list_recipes()
    return recipes_dir() / f"{name_or_path}.toml" if shipped else directory / name_or_path


def save_recipe(recipe: Recipe, path: Path) -> None:
    """Write the resolved recipe."""
    write_text(path, resolved_toml(recipe))


def resolved_toml(recipe: Recipe) -> str:
    """TOML with every value spelled out, defaults included; it leaves out what is None."""
    return tomli_w.dumps(_tables(recipe))


def _tables(recipe: Recipe) -> dict[str, Any]:
    return recipe.model_dump(mode="json", exclude_none=True)


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

# SPDX-License-Identifier: Apache-2.0
"""Turns a recipe and its folds into the jobs of a study: what validation chooses from, then the cells.

A job is a recipe of its own, derived from the study's: what the study measures is what `mcu-ser run` does
with that recipe. Its key is a hash of everything that decides its result.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product
from typing import TYPE_CHECKING, Any, Literal

from pydantic import ValidationError

from mcu_ser.artifacts import canonical_json, sha256_hex
from mcu_ser.errors import ConfigError
from mcu_ser.recipe import GraphRecipe, Recipe
from mcu_ser.recipe.base import laid_over
from mcu_ser.recipe.study import StudyRecipe
from mcu_ser.study.study import GridCell, StudyFold

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from mcu_ser.recipe import ModelRecipe
    from mcu_ser.recipe.study import Approach, ChoicesRecipe

_TRANSFER: Mapping[Approach, Literal["none", "fine_tuning", "frozen_features"]] = {
    "speech_only": "none",
    "fine_tuning": "fine_tuning",
    "frozen_features": "frozen_features",
    "nsl": "none",
    "nsl_fine_tuning": "fine_tuning",
}
WITH_GRAPH = frozenset({"nsl", "nsl_fine_tuning"})


@dataclass(frozen=True)
class Candidate:
    """Hyper-parameters that validation may choose, and the job that tries them."""

    chosen: Mapping[str, Any]
    key: str


@dataclass(frozen=True)
class Job:
    """One training of the study.

    Args:
        key: Hash of its inputs, hex; the name of its files.
        kind: A `choice` trains on a fold's training speakers and is scored on its validation speakers; a
            `cell` trains on both, goes through every stage, and is scored on the test speakers.
        place: Where in the grid; of a choice, that of the first cell it serves.
        recipe: What it trains.
        candidates: Of a cell, what was tried for it: the best one's hyper-parameters go into [graph].
    """

    key: str
    kind: Literal["choice", "cell"]
    place: GridCell
    recipe: Recipe
    candidates: tuple[Candidate, ...] = ()

    def __str__(self) -> str:
        return f"{self.place} (choosing)" if self.kind == "choice" else str(self.place)


def model_name(model: ModelRecipe) -> str:
    """Family and width, and what else is not the family's default: "ds_cnn 16", "ds_cnn 16 blocks=3"."""
    defaults = {name: field.default for name, field in type(model).model_fields.items()}
    others = [
        f"{name}={value}"
        for name, value in model.model_dump().items()
        if name not in {"family", "width"} and value != defaults[name]
    ]
    return " ".join([model.family, *([f"{model.width:g}"] if hasattr(model, "width") else []), *others])


def make_jobs(
    recipe: Recipe, folds: Sequence[StudyFold], inputs: Mapping[str, Any]
) -> tuple[tuple[GridCell, ...], tuple[Job, ...]]:
    """The grid in the order of the recipe, and its jobs in the order of work, each after what it waits for.

    Args:
        recipe: The study's recipe.
        folds: From `folds.make_folds`.
        inputs: What else decides results, as JSON values: hashes of the corpora, versions. What only
            graphs depend on is under `graph`.

    Raises:
        ConfigError: An approach or a candidate that cannot be trained.
    """
    jobs: dict[str, Job] = {}
    rows = _rows(recipe)
    for row in rows:
        bases = {approach: _approached(recipe, row.model, approach) for approach in row.approaches}
        # Seed by seed: what all folds of a seed share is computed once, and a first answer is there early.
        for seed, (index, fold), approach in product(row.seeds, enumerate(folds), row.approaches):
            place = GridCell(model_name(row.model), approach, index, seed)
            recipes = _combined(bases[approach], recipe.study.choices if approach in WITH_GRAPH else None)
            # One choice serves all seeds of a fold: the first seed makes it.
            choices = _choices(place, recipes, row.seeds[0], fold, inputs) if len(recipes) > 1 else []
            jobs |= {job.key: job for _, job in choices if job.key not in jobs}
            cell = _divided(recipes[0][1], seed, test=fold.test)
            candidates = tuple(Candidate(chosen, job.key) for chosen, job in choices)
            key = _key("cell", cell, candidates, inputs)
            jobs[key] = Job(key, "cell", place, cell, candidates)
    grid = tuple(
        GridCell(model_name(row.model), approach, fold, seed)
        for row in rows
        for approach, seed, fold in product(row.approaches, row.seeds, range(len(folds)))
    )
    return grid, tuple(jobs.values())


@dataclass(frozen=True)
class _Row:
    """A row of the grid, whose model is known."""

    model: ModelRecipe
    approaches: tuple[Approach, ...]
    seeds: tuple[int, ...]


def _rows(recipe: Recipe) -> tuple[_Row, ...]:
    rows = tuple(_Row(row.model or recipe.model, row.approaches, row.seeds) for row in recipe.study.rows)
    models = [row.model for row in rows]
    repeated = [model for index, model in enumerate(models) if model in models[:index]]
    if repeated:
        raise ConfigError(
            "recipe study.rows",
            f"two rows have the model {model_name(repeated[0])}; a row that names none has that of [model]",
            hint="one row with all approaches and seeds",
        )
    return rows


def with_choice(recipe: Recipe, chosen: Mapping[str, Any]) -> Recipe:
    """The recipe with these keys of its graph.

    Raises:
        ConfigError: A value that [graph] does not take.
    """
    try:
        graph = GraphRecipe.model_validate(laid_over(recipe.graph.model_dump(), chosen))
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        key = ".".join(str(part) for part in first["loc"])
        raise ConfigError(f"recipe study.choices.{key}", f"{first['input']!r}: {first['msg']}") from error
    return recipe.model_copy(update={"graph": graph})


def _approached(recipe: Recipe, model: ModelRecipe, approach: Approach) -> Recipe:
    # Without a graph its table decides nothing, so it must not decide the key either.
    graph = recipe.graph if approach in WITH_GRAPH else GraphRecipe(multiplier=0)
    transfer = recipe.transfer.model_copy(update={"method": _TRANSFER[approach]})
    return recipe.model_copy(
        update={"model": model, "graph": graph, "transfer": transfer, "study": StudyRecipe()}
    )


def _combined(base: Recipe, choices: ChoicesRecipe | None) -> list[tuple[dict[str, Any], Recipe]]:
    """Every combination of candidates with the recipe it makes; `choices` is None where no graph is."""
    if choices is None:
        return [({}, base)]
    lists = {name: values for name, values in choices if values}
    combinations = [dict(zip(lists, values, strict=True)) for values in product(*lists.values())]
    recipes = [(chosen, with_choice(base, chosen)) for chosen in combinations]
    if any(one.graph.multiplier == 0 for _, one in recipes):
        raise ConfigError(
            "recipe study",
            "compares an approach whose graph has the multiplier 0",
            hint="graph.multiplier above 0, or rows without nsl",
        )
    return recipes


def _choices(
    place: GridCell,
    recipes: list[tuple[dict[str, Any], Recipe]],
    seed: int,
    fold: StudyFold,
    inputs: Mapping[str, Any],
) -> list[tuple[dict[str, Any], Job]]:
    if not fold.validation:
        raise ConfigError(
            "recipe study.choices",
            "has candidates, but no speakers validate them",
            hint="corpora.target.validation_speakers",
        )
    return [(chosen, choice_job(recipe, place, seed, fold, inputs)) for chosen, recipe in recipes]


def choice_job(recipe: Recipe, place: GridCell, seed: int, fold: StudyFold, inputs: Mapping[str, Any]) -> Job:
    """The job that tries a recipe on a fold's validation speakers.

    Args:
        recipe: As a cell would train it, but for seed and speakers.
        place: The first cell it serves.
        seed: Of the training.
        fold: With validation speakers. They take the place of the test; those of the test are left out of
            the corpus altogether.
        inputs: As of `make_jobs`.
    """
    tried = _divided(recipe, seed, test=fold.validation, left_out=fold.test)
    return Job(_key("choice", tried, (), inputs), "choice", place, tried)


def _divided(recipe: Recipe, seed: int, *, test: tuple[str, ...], left_out: tuple[str, ...] = ()) -> Recipe:
    """The recipe with one seed, trained on all speakers that are neither tested nor left out."""
    target = recipe.corpora.target
    speakers = {
        "validation_speakers": (),
        "test_speakers": test,
        "left_out_speakers": tuple(sorted({*target.left_out_speakers, *left_out})),
    }
    corpora = recipe.corpora.model_copy(update={"target": target.model_copy(update=speakers)})
    return recipe.model_copy(update={"seed": seed, "corpora": corpora})


def _key(kind: str, recipe: Recipe, candidates: tuple[Candidate, ...], inputs: Mapping[str, Any]) -> str:
    document = {
        "kind": kind,
        # The name is for people, and the grid decides which jobs there are, not what they come to.
        "recipe": recipe.model_dump(mode="json", exclude={"name", "study"}),
        "candidates": [[dict(one.chosen), one.key] for one in candidates],
        "inputs": {
            name: value for name, value in inputs.items() if name != "graph" or recipe.graph.multiplier
        },
    }
    return sha256_hex(canonical_json(document).encode())

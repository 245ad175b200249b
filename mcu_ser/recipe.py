# SPDX-License-Identifier: Apache-2.0
"""Turns a recipe (TOML) into one frozen model per training stage, and back into the resolved TOML of a run.

Defaults live here and nowhere else; a recipe file overrides them; the train stage writes the result to the
run directory, which every later stage reads. An unknown key or a value out of range is an error.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Any, Literal

import tomli_w
from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    PositiveFloat,
    PositiveInt,
    ValidationError,
    model_validator,
)

from mcu_ser.artifacts import write_text
from mcu_ser.errors import ConfigError
from mcu_ser.resources import recipes_dir

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

DEFAULT_RECIPE = "synthetic"

Fraction = Annotated[float, Field(ge=0, lt=1)]
# TOML arrays arrive as lists; strictness would refuse them for a tuple.
Speakers = Annotated[tuple[str, ...], Field(strict=False)]


class _Stage(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class _Corpus(_Stage):
    """Speakers that neither list names train the model."""

    validation_speakers: Speakers = ()
    test_speakers: Speakers = ()


class RavdessCorpus(_Corpus):
    """RAVDESS speech, audio-only: `<corpus root>/ravdess`."""

    reader: Literal["ravdess"] = "ravdess"


class EmodbCorpus(_Corpus):
    """Berlin Database of Emotional Speech: `<corpus root>/emodb`."""

    reader: Literal["emodb"] = "emodb"


class CsvCorpus(_Corpus):
    """Any recordings, listed in a CSV of file, speaker, emotion: `<corpus root>/<manifest>`."""

    reader: Literal["csv"] = "csv"
    manifest: str


class SyntheticCorpus(_Corpus):
    """The built-in synthetic corpus: made-up voices, in seconds, for tests and demonstrations.

    Speakers are named s01, s02, ... in the source language and t01, t02, ... in the target language.
    """

    reader: Literal["synthetic"] = "synthetic"
    language: Literal["source", "target"]
    speakers: int = Field(default=8, ge=3, le=99)
    takes: int = Field(default=4, ge=1, le=99, description="utterances per speaker and emotion")


CorpusRecipe = Annotated[
    RavdessCorpus | EmodbCorpus | CsvCorpus | SyntheticCorpus, Field(discriminator="reader")
]


class CorporaRecipe(_Stage):
    """The corpus whose knowledge is transferred, and the corpus the small model learns."""

    source: CorpusRecipe
    target: CorpusRecipe


class FeaturesRecipe(_Stage):
    """Log-mel spectrogram at 16 kHz."""

    arithmetic: Literal["integer", "float64"] = Field(
        default="integer", description="integer is what devices compute; float64 is for comparison alone"
    )
    window_samples: int = Field(default=512, ge=128, le=512)
    hop_samples: int = Field(default=256, ge=64, le=512)
    mels: int = Field(default=40, ge=4, le=128)
    frames: int = Field(default=128, ge=8, le=1024)
    min_hz: float = Field(default=60.0, ge=0)
    max_hz: float = Field(default=7600.0, le=8000)
    trim_below_peak_db: PositiveFloat = Field(
        default=40.0, description="leading and trailing frames this far below the loudest one are dropped"
    )
    clip_mean: Literal["keep", "level", "band"] = Field(
        default="level", description="what is subtracted per clip: nothing, its mean, or its mean per band"
    )

    @model_validator(mode="after")
    def _band_is_not_empty(self) -> FeaturesRecipe:
        if self.min_hz >= self.max_hz:
            raise ValueError(f"min_hz {self.min_hz} is not below max_hz {self.max_hz}")
        return self

    @model_validator(mode="after")
    def _every_sample_is_in_a_frame(self) -> FeaturesRecipe:
        if self.hop_samples > self.window_samples:
            raise ValueError(f"hop_samples {self.hop_samples} is above window_samples {self.window_samples}")
        return self


class AugmentationRecipe(_Stage):
    """Random changes to a training clip; all sizes are upper bounds of uniform draws."""

    time_shift_frames: int = Field(default=64, ge=0, description="circular")
    time_mask_frames: int = Field(default=16, ge=0)
    mel_mask_bands: int = Field(default=6, ge=0)
    masks: int = Field(default=1, ge=0, description="of each kind")


class FitRecipe(_Stage):
    """One gradient descent: Adam with decoupled weight decay, linear warm-up, then a cosine down to zero."""

    epochs: PositiveInt
    batch_size: PositiveInt = 32
    learning_rate: PositiveFloat
    warmup_fraction: Fraction = 0.1
    weight_decay: float = Field(default=1e-4, ge=0)
    label_smoothing: Fraction = 0.1
    class_balance: bool = True
    augmentation: AugmentationRecipe = AugmentationRecipe()


class SourceModelRecipe(_Stage):
    """The model trained on the source corpus, whose embeddings make the graph."""

    model: Literal["source_cnn"] = "source_cnn"
    width: int = Field(default=32, ge=8, multiple_of=8)
    fit: FitRecipe = FitRecipe(epochs=40, learning_rate=2e-3)


class GraphRecipe(_Stage):
    """The similarity graph of the target's training utterances (`nsl.tools.build_graph`) and its loss."""

    similarity_threshold: float = Field(default=0.7, ge=-1, le=1)
    lsh_splits: int = Field(default=0, ge=0)
    lsh_rounds: PositiveInt = 1
    neighbours: int = Field(default=2, ge=1, le=16)
    multiplier: float = Field(default=0.1, ge=0, description="weight of the graph loss; 0 turns it off")
    layer: str = Field(default="embedding", description="whose outputs the neighbours pull together")


class TrainingRecipe(_Stage):
    """The small model and its first training."""

    model: Literal["ds_cnn"] = "ds_cnn"
    width: int = Field(default=16, ge=8, multiple_of=8)
    blocks: int = Field(default=5, ge=1, le=5, description="separable blocks between stem and bands")
    dropout: Fraction = 0.2
    fit: FitRecipe = FitRecipe(epochs=60, learning_rate=2e-3)


class PruningRecipe(_Stage):
    """Magnitude pruning on a polynomial schedule, from the trained weights."""

    sparsity_fraction: Fraction = 0.5
    begin_fraction: Fraction = Field(default=0.0, description="of the steps; no pruning before")
    end_fraction: float = Field(default=0.6, gt=0, le=1, description="of the steps; full sparsity from here")
    fit: FitRecipe = FitRecipe(epochs=15, learning_rate=1e-3)

    @model_validator(mode="after")
    def _begins_before_it_ends(self) -> PruningRecipe:
        if self.begin_fraction >= self.end_fraction:
            raise ValueError(
                f"begin_fraction {self.begin_fraction} is not below end_fraction {self.end_fraction}"
            )
        return self


class QatRecipe(_Stage):
    """Quantisation-aware training that keeps the zeros of pruning."""

    fit: FitRecipe = FitRecipe(epochs=8, learning_rate=3e-4)


class BudgetRecipe(_Stage):
    """What the converted model may take."""

    weight_bytes: PositiveInt = 64 << 10
    activation_bytes: PositiveInt = 64 << 10


class Recipe(_Stage):
    """Everything that decides the result of train, compress and convert."""

    name: str
    seed: int = Field(default=1, ge=0, lt=2**31)
    corpora: CorporaRecipe
    features: FeaturesRecipe = FeaturesRecipe()
    source_model: SourceModelRecipe = SourceModelRecipe()
    graph: GraphRecipe = GraphRecipe()
    training: TrainingRecipe = TrainingRecipe()
    pruning: PruningRecipe = PruningRecipe()
    qat: QatRecipe = QatRecipe()
    budget: BudgetRecipe = BudgetRecipe()


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
    """Write the resolved recipe: every value spelled out, defaults included."""
    write_text(path, tomli_w.dumps(recipe.model_dump(mode="json")))


def _first_problem(error: ValidationError) -> str:
    first = error.errors(include_url=False)[0]
    readers = {"ravdess", "emodb", "csv", "synthetic"}
    # A tagged union puts its tag into the location; the file has no such table.
    key = ".".join(str(part) for part in first["loc"] if part not in readers) or "recipe"
    if first["type"] == "extra_forbidden":
        return f"unknown key {key} (value {first['input']!r})"
    if first["type"] == "missing":
        return f"key {key} is missing"
    return f"{key} = {_shown(first['input'])}: {first['msg']}"


def _shown(value: Any) -> str:
    return "{...}" if isinstance(value, dict) else repr(value)

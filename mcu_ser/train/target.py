# SPDX-License-Identifier: Apache-2.0
"""Turns what the train stage left into normalised, divided clips for the stages after it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from mcu_ser.features.feature_set import FeatureSet
from mcu_ser.features.normalization import Normalization
from mcu_ser.train.evaluate import score
from mcu_ser.train.fit import Clips, predict
from mcu_ser.train.graph_regularization import GraphRegularization
from mcu_ser.train.neighbours import load_neighbours

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from mcu_ser.artifacts import RunDir
    from mcu_ser.recipe import CorpusRecipe, GraphRecipe


@dataclass(frozen=True, eq=False)
class Part:
    """Clips with their utterance ids and speakers."""

    clips: Clips
    ids: NDArray[np.str_]
    speakers: NDArray[np.str_]


@dataclass(frozen=True, eq=False)
class Target:
    """A corpus that a model learns, in its parts.

    `validation` is None when the recipe names no validation speakers.
    """

    training: Part
    validation: Part | None
    test: Part | None
    labels: tuple[str, ...]

    def choosing(self, recipe: CorpusRecipe) -> Clips | None:
        """The validation clips if the recipe of the corpus lets them choose the epoch."""
        chooses = recipe.validation_use == "chooses_epoch"
        return self.validation.clips if self.validation and chooses else None

    @property
    def shape(self) -> tuple[int, int]:
        """Frames and mel bands."""
        _, frames, mels = self.training.clips.x.shape
        return frames, mels


def load_target(run_dir: RunDir) -> Target:
    """The target corpus as the train stage left it.

    Raises:
        ConfigError: The train stage has not been here.
    """
    features = FeatureSet.load(run_dir.require(run_dir.target_features, "train"))
    return divided(features, Normalization.load(run_dir.require(run_dir.normalization, "train")))


def divided(features: FeatureSet, normalization: Normalization | None = None) -> Target:
    """A feature set in its parts, normalised.

    Args:
        features: Of a split corpus.
        normalization: The figures to use; those of its own training part if absent.
    """
    used = normalization or Normalization.measured(features.part("train").x)

    def part(name: str) -> Part | None:
        chosen = features.part(name)
        clips = Clips(used.apply(chosen.x), chosen.y, chosen.recordings, used)
        return Part(clips, chosen.ids, chosen.speakers) if len(chosen) else None

    training = part("train")
    assert training is not None  # SpeakerSplit refuses a split without training speakers
    return Target(training, part("validation"), part("test"), tuple(str(label) for label in features.labels))


def scores(model: Any, corpus: Target) -> dict[str, Any]:
    """What a model comes to on the validation and the test part, as far as they exist: for metrics.json."""
    parts = {"validation": corpus.validation, "test": corpus.test}
    return {
        name: score(predict(model, part.clips.x), part.clips.y).as_document()
        for name, part in parts.items()
        if part
    }


def load_graph(run_dir: RunDir, recipe: GraphRecipe, training: Part) -> GraphRegularization | None:
    """The graph loss of a run, or None when the recipe turns it off.

    Raises:
        ConfigError: The train stage has not been here.
    """
    if recipe.multiplier == 0:
        return None
    path = run_dir.require(run_dir.graph, "train")
    ids = [str(id) for id in training.ids]
    neighbours = load_neighbours(path, ids, recipe, y=training.clips.y, speakers=training.speakers)
    return GraphRegularization(neighbours, recipe.multiplier, recipe.layer, recipe.multiplier_schedule)

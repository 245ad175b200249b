# SPDX-License-Identifier: Apache-2.0
"""Recipes: everything that decides the result of training, one module per group of tables."""

from mcu_ser.recipe.compression import BudgetRecipe, PruningRecipe, QatRecipe
from mcu_ser.recipe.corpora import (
    CorporaRecipe,
    CorpusRecipe,
    CsvCorpus,
    EmodbCorpus,
    RavdessCorpus,
    SyntheticCorpus,
)
from mcu_ser.recipe.features import FeaturesRecipe
from mcu_ser.recipe.fit import AugmentationRecipe, FitRecipe
from mcu_ser.recipe.graph import GraphRecipe
from mcu_ser.recipe.recipe import (
    DEFAULT_RECIPE,
    Recipe,
    list_recipes,
    load_recipe,
    parse_recipe,
    resolved_toml,
    save_recipe,
)
from mcu_ser.recipe.small_model import (
    DsCnnRecipe,
    ModelRecipe,
    PaperModelRecipe,
    ResidualCnnRecipe,
    TrainingRecipe,
    TransferRecipe,
)
from mcu_ser.recipe.source_model import SourceCnnRecipe, SourceModelRecipe, Wav2Vec2Recipe

__all__ = [
    "DEFAULT_RECIPE",
    "AugmentationRecipe",
    "BudgetRecipe",
    "CorporaRecipe",
    "CorpusRecipe",
    "CsvCorpus",
    "DsCnnRecipe",
    "EmodbCorpus",
    "FeaturesRecipe",
    "FitRecipe",
    "GraphRecipe",
    "ModelRecipe",
    "PaperModelRecipe",
    "PruningRecipe",
    "QatRecipe",
    "RavdessCorpus",
    "Recipe",
    "ResidualCnnRecipe",
    "SourceCnnRecipe",
    "SourceModelRecipe",
    "SyntheticCorpus",
    "TrainingRecipe",
    "TransferRecipe",
    "Wav2Vec2Recipe",
    "list_recipes",
    "load_recipe",
    "parse_recipe",
    "resolved_toml",
    "save_recipe",
]

# SPDX-License-Identifier: Apache-2.0
import re

import pytest

from mcu_ser.errors import ConfigError
from mcu_ser.recipe import (
    CsvCorpus,
    EmodbCorpus,
    RavdessCorpus,
    SourceCnnRecipe,
    SyntheticCorpus,
    Wav2Vec2Recipe,
    list_recipes,
    load_recipe,
    parse_recipe,
    save_recipe,
)

MINIMAL = """
name = "mine"
[corpora.source]
reader = "synthetic"
language = "source"
[corpora.target]
reader = "csv"
manifest = "emotions.csv"
test_speakers = ["anna"]
"""


def test_shipped_recipes_load() -> None:
    assert list_recipes() == ["ravdess-emodb", "synthetic"]
    for name in list_recipes():
        assert load_recipe(name).name == name


def test_default_recipe_needs_no_recordings() -> None:
    recipe = load_recipe()
    assert recipe.name == "synthetic"
    assert isinstance(recipe.corpora.source, SyntheticCorpus)
    assert isinstance(recipe.corpora.target, SyntheticCorpus)


def test_real_recipe_has_the_published_test_speakers() -> None:
    corpora = load_recipe("ravdess-emodb").corpora
    assert isinstance(corpora.source, RavdessCorpus)
    assert (corpora.source.validation_speakers, corpora.source.test_speakers) == ((), ())  # all 24 train
    assert isinstance(corpora.target, EmodbCorpus)
    assert corpora.target.test_speakers == ("12", "14", "15", "16")


def test_defaults_fill_what_the_file_leaves_out() -> None:
    recipe = parse_recipe(MINIMAL, "mine.toml")
    assert isinstance(recipe.corpora.target, CsvCorpus)
    assert recipe.corpora.target.test_speakers == ("anna",)
    assert recipe.corpora.source.test_speakers == ()
    assert recipe.features.mels == 40


@pytest.mark.parametrize("name", ["ravdess-emodb", "synthetic"])
def test_resolved_recipe_reads_back_equal(name, tmp_path) -> None:
    recipe = load_recipe(name)
    save_recipe(recipe, tmp_path / "recipe.toml")
    assert load_recipe(tmp_path / "recipe.toml") == recipe
    assert "sparsity_fraction" in (tmp_path / "recipe.toml").read_text()


@pytest.mark.parametrize(
    ("addition", "problem"),
    [
        ("[features]\nmelz = 40", "mine.toml: unknown key features.melz (value 40)"),
        ("[features]\nmels = 2", "mine.toml: features.mels = 2: Input should be greater than or equal to 4"),
        ('[features]\nmels = "40"', "mine.toml: features.mels = '40': Input should be a valid integer"),
        ("[features]\nmin_hz = 8000.0\nmax_hz = 100.0", "min_hz 8000.0 is not below max_hz 100.0"),
        (
            "[features]\nwindow_samples = 1024",
            "mine.toml: features.window_samples = 1024: Input should be less",
        ),
        (
            "[features]\nwindow_samples = 200\nhop_samples = 201",
            "hop_samples 201 is above window_samples 200",
        ),
        ('[features]\narithmetic = "float32"', "mine.toml: features.arithmetic = 'float32': Input should be"),
        (
            "[pruning]\nsparsity_fraction = 50",
            "mine.toml: pruning.sparsity_fraction = 50: Input should be less",
        ),
        (
            "[pruning.fit]\nepochs = 1\nlearning_rate = 0.1\nweight_averaging = 0.9",
            "weight_averaging would bring pruned weights back; leave it at 0 here",
        ),
        ("[pruning]\nbegin_fraction = 0.9", "begin_fraction 0.9 is not below end_fraction 0.6"),
        ("[training.fit]\nepochs = 3", "mine.toml: key training.fit.learning_rate is missing"),
        ('[model]\nfamily = "ds_cnn"\nwidth = 10', "model.width = 10: Input should be a multiple of 8"),
        ('[graph]\nbuilder = "hnsw"\nlsh_splits = 2', "lsh_splits is of builder nsl, not of hnsw"),
        (
            "[graph]\nsimilarity_quantile = 1.0",
            "graph.similarity_quantile = 1.0: Input should be less than 1",
        ),
        (
            '[graph]\nmultiplier_schedule = "up"',
            "graph.multiplier_schedule = 'up': Input should be 'constant',",
        ),
        ("seed = -1", "is not TOML"),
    ],
)
def test_names_file_key_and_value_of_what_is_wrong(addition, problem) -> None:
    # A key at the end belongs to the last table: the seed case makes the file invalid in another way.
    text = MINIMAL + addition if "seed" not in addition else "seed = = 1" + MINIMAL
    with pytest.raises(ConfigError, match=re.escape(problem)):
        parse_recipe(text, "mine.toml")


def test_location_names_no_union_tag() -> None:
    text = MINIMAL.replace('manifest = "emotions.csv"', 'manifest = "emotions.csv"\nlanguage = "de"')
    with pytest.raises(
        ConfigError, match=r"^mine\.toml: unknown key corpora\.target\.language \(value 'de'\)$"
    ):
        parse_recipe(text, "mine.toml")


def test_unknown_reader_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"corpora\.source = \{\.\.\.\}: Input tag 'tape'"):
        parse_recipe(MINIMAL.replace('"synthetic"', '"tape"'), "mine.toml")


@pytest.mark.parametrize("name", ["no-such-recipe", "no-such-recipe.toml"])
def test_absent_recipe_names_the_shipped_ones(name) -> None:
    with pytest.raises(ConfigError, match=f"recipe {name}: cannot be read; try: .*ravdess-emodb, synthetic"):
        load_recipe(name)


def test_the_source_model_is_the_cnn_unless_it_says_otherwise() -> None:
    assert parse_recipe(MINIMAL + "[source_model]\nwidth = 8\n", "r").source_model == SourceCnnRecipe(width=8)
    chosen = parse_recipe(
        MINIMAL + '[source_model]\nmodel = "wav2vec2"\ncheckpoint = "here"\n', "r"
    ).source_model
    assert chosen == Wav2Vec2Recipe(model="wav2vec2", checkpoint="here")


@pytest.mark.parametrize(
    ("table", "problem"),
    [
        ('model = "wav2vec2"', "key source_model.checkpoint is missing"),
        ('model = "wav2vec2"\ncheckpoint = ""', "source_model.checkpoint = ''"),
        ('model = "wav2vec2"\ncheckpoint = "d"\nwidth = 8', "unknown key source_model.width (value 8)"),
        ('model = "hubert"', "source_model = {...}: model has to be source_cnn or wav2vec2"),
        ("model = 3", "source_model = {...}: model has to be source_cnn or wav2vec2"),
        ("width = 9", "source_model.width = 9"),
    ],
)
def test_a_wrong_source_model_is_named(table, problem) -> None:
    with pytest.raises(ConfigError, match=re.escape(f"r: {problem}")):
        parse_recipe(f"{MINIMAL}[source_model]\n{table}\n", "r")

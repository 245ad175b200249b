# SPDX-License-Identifier: Apache-2.0
import re

import pytest

from mcu_ser.errors import ConfigError
from mcu_ser.recipe import (
    AugmentationRecipe,
    CsvCorpus,
    EmodbCorpus,
    FitRecipe,
    GraphRecipe,
    PaperModelRecipe,
    RavdessCorpus,
    ResidualCnnRecipe,
    SourceCnnRecipe,
    SyntheticCorpus,
    Wav2Vec2Recipe,
    list_recipes,
    load_recipe,
    parse_recipe,
    save_recipe,
)
from mcu_ser.recipe.study import LeaveOneSpeakerOut

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
    assert list_recipes() == ["paper", "ravdess-emodb", "synthetic"]
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


def test_the_recipe_of_the_paper_is_what_was_published() -> None:
    recipe = load_recipe("paper")
    plain = FitRecipe(
        epochs=50,
        batch_size=16,
        learning_rate=1e-3,
        warmup_fraction=0,
        schedule="steps",
        step_factor=0.9,
        step_epochs=5,
        weight_decay=0,
        label_smoothing=0,
        class_balance=False,
        augmentation=AugmentationRecipe(time_shift_frames=0, masks=0),
    )
    assert recipe.training.fit == recipe.transfer.fit == recipe.source_model.fit == plain
    assert recipe.graph == GraphRecipe(
        similarity_threshold=0.99, lsh_splits=2, lsh_rounds=4, neighbours=3, multiplier=0.1, layer="fc1"
    )
    assert (recipe.features.frames, recipe.features.mels, recipe.features.clip_mean) == (373, 64, "keep")
    assert recipe.source_model == SourceCnnRecipe(centred=False, fit=plain)
    assert recipe.transfer.method == "none"
    assert {row.model for row in recipe.study.rows} == {
        PaperModelRecipe(family=family) for family in ("vgg15", "resnet9", "mobilenet15", "cnn6")
    }
    assert recipe.study.choices.neighbours == (3, 6, 9)
    assert recipe.study.folds == load_recipe("ravdess-emodb").study.folds


def test_defaults_fill_what_the_file_leaves_out() -> None:
    recipe = parse_recipe(MINIMAL, "mine.toml")
    assert isinstance(recipe.corpora.target, CsvCorpus)
    assert recipe.corpora.target.test_speakers == ("anna",)
    assert recipe.corpora.source.test_speakers == ()
    assert recipe.features.mels == 40


@pytest.mark.parametrize("name", ["paper", "ravdess-emodb", "synthetic"])
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
        (
            "[training.fit]\nepochs = 3\nlearning_rate = inf",
            "training.fit.learning_rate = inf: Input should be",
        ),
        ("[training.fit]\nepochs = 3\nlearning_rate = 1e300", "learning_rate = 1e+300: Input should be less"),
        (
            "[training.fit]\nepochs = 100001\nlearning_rate = 0.1",
            "training.fit.epochs = 100001: Input should",
        ),
        ("[graph]\nmultiplier = nan", "graph.multiplier = nan: Input should be a finite number"),
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
    with pytest.raises(
        ConfigError, match=f"recipe {name}: cannot be read; try: .*paper, ravdess-emodb, synthetic"
    ):
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


MINE = """
name = "mine"
base = "ravdess-emodb"
"""


def test_a_recipe_is_its_base_with_what_it_says_itself() -> None:
    recipe, base = (
        parse_recipe(MINE + "[training.fit]\nepochs = 3\n", "mine.toml"),
        load_recipe("ravdess-emodb"),
    )
    assert (recipe.name, recipe.training.fit.epochs) == ("mine", 3)
    assert recipe.training.fit.model_copy(update={"epochs": base.training.fit.epochs}) == base.training.fit
    assert recipe.model_dump(exclude={"name", "training"}) == base.model_dump(exclude={"name", "training"})


@pytest.mark.parametrize(
    ("table", "expected"),
    [
        ('[corpora.target]\nreader = "csv"\nmanifest = "m.csv"', CsvCorpus(manifest="m.csv")),
        (
            '[corpora.target]\nvalidation_speakers = ["03"]',
            EmodbCorpus(validation_speakers=("03",), test_speakers=("12", "14", "15", "16")),
        ),
        (
            '[source_model]\nmodel = "wav2vec2"\ncheckpoint = "here"',
            Wav2Vec2Recipe(model="wav2vec2", checkpoint="here"),
        ),
        ('[model]\nfamily = "cnn6"', PaperModelRecipe(family="cnn6")),
        (
            '[model]\nfamily = "residual_cnn"\nwidth = 0.5',
            ResidualCnnRecipe(family="residual_cnn", width=0.5),
        ),
        ("[model]\nwidth = 0.5", ResidualCnnRecipe(family="residual_cnn", width=0.5)),
        ('[study]\nfolds = { protocol = "leave_one_speaker_out" }', LeaveOneSpeakerOut()),
    ],
)
def test_a_table_of_another_kind_replaces_that_of_the_base(table, expected) -> None:
    recipe = parse_recipe(f"{MINE}{table}\n", "mine.toml")
    assert expected in {
        *(recipe.corpora.target, recipe.source_model, recipe.model, recipe.study.folds),
    }


def test_a_base_may_be_a_file_beside_the_recipe_and_have_a_base_itself(tmp_path) -> None:
    (tmp_path / "first.toml").write_text(MINE + "seed = 7\n")
    (tmp_path / "second.toml").write_text('name = "second"\nbase = "first.toml"\n[features]\nmels = 32\n')
    recipe = load_recipe(tmp_path / "second.toml")
    assert (recipe.name, recipe.seed, recipe.features.mels, recipe.features.frames) == ("second", 7, 32, 160)


@pytest.mark.parametrize(
    ("base", "own", "kept"),
    [
        ("similarity_quantile = 0.98", "similarity_threshold = 0.9", None),
        ("similarity_quantile = 0.98", "similarity_quantile = 0.5", 0.5),
        ("similarity_quantile = 0.98", "neighbours = 4", 0.98),
    ],
)
def test_a_threshold_takes_the_place_of_the_quantile_of_the_base(tmp_path, base, own, kept) -> None:
    (tmp_path / "base.toml").write_text(f"{MINE}[graph]\n{base}\n")
    (tmp_path / "own.toml").write_text(f'name = "own"\nbase = "base.toml"\n[graph]\n{own}\n')
    assert load_recipe(tmp_path / "own.toml").graph.similarity_quantile == kept


def test_a_stretch_takes_the_place_of_the_speeds_of_the_base() -> None:
    text = MINE + "[training.fit.augmentation]\ntime_stretch_fraction = 0.1\n"
    assert parse_recipe(text, "mine.toml").training.fit.augmentation.speeds == ()


def test_another_manifest_is_another_corpus(tmp_path) -> None:
    target = '[corpora.target]\nreader = "csv"\nmanifest = "{}"\n'
    (tmp_path / "base.toml").write_text(MINE + target.format("a.csv") + 'test_speakers = ["anna"]\n')
    own = 'name = "own"\nbase = "base.toml"\n'
    (tmp_path / "same.toml").write_text(own + target.format("a.csv"))
    (tmp_path / "other.toml").write_text(own + target.format("b.csv").replace('reader = "csv"', ""))
    assert load_recipe(tmp_path / "same.toml").corpora.target.test_speakers == ("anna",)
    assert load_recipe(tmp_path / "other.toml").corpora.target == CsvCorpus(manifest="b.csv")


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ('name = "r"\nbase = "none"', "r.toml: base none: cannot be read; try: a .toml file, or paper, rav"),
        ('name = "r"\nbase = "none.toml"', "r.toml: base none.toml: cannot be read; try: a .toml file, or"),
        ('name = "r"\nbase = 3', "r.toml: base = 3: Input should be the name or file of a recipe"),
        ('name = "r"\nbase = "a\\u0000b.toml"', "r.toml: base a\0b.toml: cannot be read"),
        ('name = "r"\nbase = "loop.toml"', "r.toml: base loop.toml: cannot be read"),
        (
            'name = "r"\nbase = "r.toml"',
            "r.toml: base = 'r.toml': more than 8 recipes under one another; try: a base that is not",
        ),
        ('name = "r"\nbase = "other.toml"', "r.toml: base = 'other.toml': more than 8 recipes under one"),
        ('name = "r"\nbase = "bad.toml"', "bad.toml: unknown key features.melz (value 4)"),
        ('base = "synthetic"', "r.toml: key name is missing"),
        ('name = "r"\nbase = "ravdess-emodb"\n[model]\nwidth = 9', "r.toml: model.width = 9: Input should"),
        (
            'name = "r"\nbase = "ravdess-emodb"\n[corpora.target]\nmanifest = "m.csv"',
            "r.toml: unknown key corpora.target.manifest (value 'm.csv')",
        ),
    ],
)
def test_what_is_wrong_with_a_base_is_named(text, problem, tmp_path) -> None:
    (tmp_path / "r.toml").write_text(text)
    (tmp_path / "other.toml").write_text('name = "other"\nbase = "r.toml"\n')
    (tmp_path / "loop.toml").symlink_to("loop.toml")
    (tmp_path / "bad.toml").write_text('name = "bad"\nbase = "synthetic"\n[features]\nmelz = 4\n')
    with pytest.raises(ConfigError, match=f"^{re.escape(problem)}"):
        load_recipe(tmp_path / "r.toml")

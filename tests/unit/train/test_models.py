# SPDX-License-Identifier: Apache-2.0
import re
from importlib.util import find_spec
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

if find_spec("tensorflow") is None:
    pytest.skip("needs the [train] extra", allow_module_level=True)

from mcu_ser.errors import ConfigError
from mcu_ser.recipe import DsCnnRecipe, PaperModelRecipe, ResidualCnnRecipe
from mcu_ser.train.graph_regularization import with_embedding
from mcu_ser.train.models import build_small
from mcu_ser.train.models.layers import scaled
from mcu_ser.train.nsl_import import keras, tf

pytestmark = pytest.mark.train

# Chang et al., arXiv 2210.14977: models for 373 x 64 features and 7 classes.
PUBLISHED = {"vgg15": 14_859_335, "resnet9": 4_960_583, "mobilenet15": 674_695, "cnn6": 4_439_367}
NARROW = [PaperModelRecipe(family=family, width=0.0625) for family in PUBLISHED] + [
    DsCnnRecipe(width=8),
    ResidualCnnRecipe(family="residual_cnn", width=0.5),
]
EVERY_FAMILY = pytest.mark.parametrize("recipe", NARROW, ids=lambda recipe: recipe.family)
COMMON = ["embedding", "logits", "emotion"]


@pytest.mark.parametrize("family", PUBLISHED)
def test_models_of_the_paper_have_its_parameters(family) -> None:
    model = build_small((373, 64), 7, PaperModelRecipe(family=family))
    assert model.count_params() == PUBLISHED[family]


@EVERY_FAMILY
@pytest.mark.parametrize("shape", [(96, 40), (128, 40), (187, 64), (33, 47)])
def test_every_family_takes_other_features(recipe, shape) -> None:
    model = build_small(shape, 5, recipe)
    assert (model.input_shape, model.output_shape) == ((None, *shape, 1), (None, 5))


@EVERY_FAMILY
def test_channels_of_narrow_models_come_in_eights(recipe) -> None:
    model = build_small((64, 40), 7, recipe)
    convolutions = [layer for layer in model.layers if type(layer) is keras.layers.Conv2D]
    channels = [layer.filters for layer in convolutions] + [model.get_layer("embedding").output.shape[-1]]
    assert len(channels) > 4
    assert not [count for count in channels if count % 8]


@pytest.mark.parametrize(
    ("channels", "width", "expected"),
    [(64, 1.0, 64), (64, 0.01, 8), (64, 0.2, 16), (64, 0.1875, 16), (512, 0.11, 56), (256, 0.48, 120)],
)
def test_the_nearest_multiple_of_eight(channels, width, expected) -> None:
    # Of 12, which is as near to 8 as to 16, the greater.
    assert scaled(channels, width) == expected


@given(channels=st.sampled_from([8, 64, 128, 256, 512]), widths=st.lists(st.floats(0.001, 1), min_size=2))
def test_a_wider_model_is_nowhere_narrower(channels, widths) -> None:
    counts = [scaled(channels, width) for width in sorted(widths)]
    assert all(8 <= one <= other <= channels for one, other in pairwise(counts))
    for width, count in zip(sorted(widths), counts, strict=True):
        assert count % 8 == 0
        assert abs(count - channels * width) <= 4 or count == 8


@pytest.mark.parametrize(
    ("family", "shape", "error"),
    [
        (
            "vgg15",
            (31, 40),
            "recipe features.frames: 31 is too few for model.family vgg15, which halves them 5 times, "
            "limit at least 32",
        ),
        (
            "cnn6",
            (96, 15),
            "recipe features.mels: 15 is too few for model.family cnn6, which halves them 4 times, "
            "limit at least 16",
        ),
    ],
)
def test_features_that_poolings_would_use_up(family, shape, error) -> None:
    with pytest.raises(ConfigError, match=re.escape(error)):
        build_small(shape, 7, PaperModelRecipe(family=family, width=0.0625))


@pytest.mark.parametrize(("family", "least"), [("vgg15", 32), ("cnn6", 16)])
def test_the_named_minimum_is_enough(family, least) -> None:
    model = build_small((least, least), 7, PaperModelRecipe(family=family, width=0.0625))
    assert model.get_layer("mean").input.shape[1:3] == (1, 1)


def test_parameters_of_the_light_family() -> None:
    model = build_small((160, 40), 7, ResidualCnnRecipe(family="residual_cnn"))
    # Kernels, two figures for each of their norms' channels, and the dense layer.
    kernels = 25 * 16 + 9 * (16 * 24 + 24 * 24 + 24 * 32 + 32 * 32 + 32 * 48)
    assert sum(weights.shape.num_elements() for weights in model.trainable_weights) == (
        kernels + 2 * (16 + 24 + 24 + 32 + 32 + 48) + 48 * 7 + 7
    )
    assert model.get_layer("embedding_dropout").rate == 0.3


@EVERY_FAMILY
def test_every_family_ends_alike(recipe) -> None:
    model = build_small((33, 40), 7, recipe)
    clip = tf.constant(np.random.default_rng(1).normal(0, 1, (1, 33, 40, 1)), tf.float32)
    embedding, logits, emotion = (with_embedding(model, layer)(clip)[0].numpy()[0] for layer in COMMON)
    if recipe.family != "residual_cnn":
        sums = with_embedding(model, "fc1")(clip)[0].numpy()[0]
        assert sums.min() < 0
        assert embedding.tolist() == sums.clip(min=0).tolist()
    assert embedding.min() >= 0
    kernel, bias = model.get_layer("logits").get_weights()
    np.testing.assert_allclose(logits, embedding @ kernel + bias, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(emotion, np.exp(logits) / np.exp(logits).sum(), rtol=1e-5)


@EVERY_FAMILY
def test_only_the_logits_depend_on_the_classes(recipe) -> None:
    shapes = [
        {weights.name: weights.shape for weights in build_small((33, 40), classes, recipe).weights}
        for classes in (5, 7)
    ]
    assert {name for name in shapes[0] if shapes[0][name] != shapes[1][name]} == {
        "logits/kernel:0",
        "logits/bias:0",
    }

# SPDX-License-Identifier: Apache-2.0
"""The wav2vec 2.0 source model, on a checkpoint that is tiny, random, and made here."""

import json
from importlib.util import find_spec

import numpy as np
import pytest

if find_spec("tensorflow") is None or find_spec("transformers") is None:
    pytest.skip("needs the [wav2vec2] extra", allow_module_level=True)

from mcu_ser.recipe import Wav2Vec2Recipe
from mcu_ser.train.fit import make_reproducible
from mcu_ser.train.wav2vec2 import Wav2Vec2, padded
from mcu_ser.train.wav2vec2_checkpoint import find_checkpoint
from mcu_ser.train.wav2vec2_fit import FineTuning, Latents, classify, embed
from mcu_ser.train.wav2vec2_import import TFWav2Vec2ForSequenceClassification, Wav2Vec2Config, tf

pytestmark = pytest.mark.train

PROJECTION = 24
SIZES = {
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 64,
    "conv_dim": [16] * 7,
    "num_conv_pos_embeddings": 16,
    "classifier_proj_size": PROJECTION,
}


@pytest.fixture(autouse=True)
def eagerly():
    """Compiling takes seconds per function; `compiled` does so once."""
    tf.config.run_functions_eagerly(True)
    yield
    tf.config.run_functions_eagerly(False)


@pytest.fixture
def compiled(eagerly):
    tf.config.run_functions_eagerly(False)


@pytest.fixture(scope="module")
def grouped_directory(tmp_path_factory):
    return checkpoint_in(tmp_path_factory.mktemp("checkpoint"), groups=4)


@pytest.fixture(scope="module")
def directory(tmp_path_factory):
    """Without groups of channels: TensorFlow compiles such convolutions for each shape, eagerly or not."""
    return checkpoint_in(tmp_path_factory.mktemp("checkpoint"), groups=1)


def checkpoint_in(path, groups):
    make_reproducible(5)
    config = Wav2Vec2Config(**SIZES, num_conv_pos_embedding_groups=groups)
    model = TFWav2Vec2ForSequenceClassification(config)
    model.build_in_name_scope()
    model.save_pretrained(path, safe_serialization=True)
    (path / "preprocessor_config.json").write_text(json.dumps({"sampling_rate": 16000, "do_normalize": True}))
    return path


RECIPE = Wav2Vec2Recipe(model="wav2vec2", checkpoint="-", epochs=1, batch_size=4, learning_rate=1e-3)


def recordings(count=6):
    """Tones of three pitches in noise, 0.2 to 0.6 s."""
    draws = np.random.default_rng(2)
    y = np.arange(count, dtype=np.int64) % 3
    samples = []
    for emotion in y:
        time = np.arange(draws.integers(3200, 9600)) / 16000
        tone = np.sin(2 * np.pi * (200 + 300 * emotion) * time) + draws.normal(0, 0.1, len(time))
        samples.append((0.1 * tone).astype(np.float32))
    return samples, y


def loaded(directory, seed=1):
    make_reproducible(seed)
    return Wav2Vec2(find_checkpoint(str(directory)), 3, max_seconds=6.0)


def latents(model, count=6):
    samples, y = recordings(count)
    return Latents([model.latents(one) for one in samples], y)


def fine_tuned(directory, seed=1, recipe=RECIPE, validation=False):
    model = loaded(directory, seed)
    clips = latents(model)
    document = FineTuning(model, clips, clips if validation else None, recipe, seed).run()
    return model, clips, document


def weights(model, part):
    return {one.name: one.numpy() for one in model.model.weights if part in one.name}


def test_fine_tuning_moves_everything_but_the_feature_encoder(grouped_directory, compiled) -> None:
    before = loaded(grouped_directory)
    frozen, projector = weights(before, "feature_extractor"), weights(before, "/projector/")
    context = weights(before, "/encoder/layers.0/attention")
    model, _, document = fine_tuned(grouped_directory)
    assert len(frozen) == 9
    for name, value in weights(model, "feature_extractor").items():
        assert value.tobytes() == frozen[name].tobytes(), name
    moved = weights(model, "/projector/") | weights(model, "/encoder/layers.0/attention/q_proj")
    assert len(moved) == 4
    for name, value in moved.items():
        assert (value != (projector | context)[name]).any(), name
    assert document["chosen_epoch"] == 1
    assert len(document["loss"]) == 1
    assert document["validation_uar"] == []


def test_the_same_seed_gives_the_same_weights(directory) -> None:
    def bytes_of(seed):
        model, clips, _ = fine_tuned(directory, seed)
        return embed(model, clips.x, 4).tobytes()

    assert bytes_of(1) == bytes_of(1)
    assert bytes_of(1) != bytes_of(2)


def test_it_learns_what_can_be_learnt(directory) -> None:
    recipe = RECIPE.model_copy(update={"epochs": 6, "learning_rate": 5e-3})
    model, clips, document = fine_tuned(directory, recipe=recipe, validation=True)
    assert document["loss"][-1] < 0.6 * document["loss"][0]
    uars = document["validation_uar"]
    assert max(uars) > 0.8
    # The weights of the best epoch are the model's.
    decisions = classify(model, clips.x, 4).argmax(axis=1)
    assert (decisions == clips.y).mean() == pytest.approx(max(uars))
    assert uars[document["chosen_epoch"] - 1] == max(uars)


def test_an_embedding_is_the_mean_over_time_of_the_projector(directory) -> None:
    model = loaded(directory)
    samples, _ = recordings(3)
    embeddings = embed(model, [model.latents(one) for one in samples], 3)
    assert embeddings.shape == (3, PROJECTION)
    for one, embedding in zip(samples, embeddings, strict=True):
        # The whole model of transformers, on this clip alone, with its own way of normalising.
        values = (one - one.mean()) / np.sqrt(one.var() + 1e-7)
        context = model.model.wav2vec2(values[None], training=False).last_hidden_state.numpy()[0]
        kernel, bias = (part.numpy() for part in model.model.projector.weights)
        expected = (context.astype(np.float64) @ kernel + bias).mean(axis=0)
        assert np.abs(embedding - expected).max() < BATCHING * np.abs(expected).max()


# A sum of n float32 terms in another order differs by at most about n * 2^-24 of the sum of magnitudes. The
# longest sums here have some 100 terms (units, products of a kernel), 20 of them follow each other:
# 2^-24 * 100 * 20 = 1.2e-4. Measured: below 1e-6.
BATCHING = 1.2e-4


@pytest.mark.parametrize("batch", [4])
def test_batches_and_their_padding_do_not_change_an_embedding(directory, batch) -> None:
    model = loaded(directory)
    clips = latents(model)
    alone = np.concatenate([embed(model, [one], 1) for one in clips.x])
    together = embed(model, clips.x, batch)
    assert together.shape == alone.shape
    assert np.abs(together - alone).max() < BATCHING * np.abs(alone).max()
    # It is not the bound that makes them equal: one more frame of another clip would change far more.
    assert np.abs(embed(model, [one[:-1] for one in clips.x], 4) - alone).max() > 10 * BATCHING


def test_what_is_behind_a_mask_is_without_effect(directory) -> None:
    model = loaded(directory)
    clips = latents(model, 2)
    batch = padded(clips.x, max(map(len, clips.x)) + 5)
    clean, _ = model.forward(batch.latents, batch.mask, training=False)
    dirty = np.where(batch.mask[..., None] > 0, batch.latents, 1e3).astype(np.float32)
    assert (model.forward(dirty, batch.mask, training=False)[0].numpy() == clean.numpy()).all()


def test_of_a_long_clip_the_middle_is_heard(directory) -> None:
    checkpoint = find_checkpoint(str(directory))
    model = Wav2Vec2(checkpoint, 3, max_seconds=0.2)
    samples, _ = recordings(1)
    first = (len(samples[0]) - 3200) // 2
    assert (model.latents(samples[0]) == model.latents(samples[0][first : first + 3200])).all()
    assert len(model.latents(samples[0])) == 9


def test_the_shortest_clip_has_a_latent(directory) -> None:
    model = loaded(directory)
    assert model.latents(np.ones(1, np.float32)).shape == (1, 16)
    assert model.latents(recordings(1)[0][0][:400]).shape == (1, 16)
    assert model.latents(recordings(1)[0][0][:720]).shape == (2, 16)


def test_a_model_that_wants_no_normalisation_gets_none(directory, tmp_path) -> None:
    for name in ("config.json", "model.safetensors"):
        (tmp_path / name).write_bytes((directory / name).read_bytes())
    (tmp_path / "preprocessor_config.json").write_text('{"do_normalize": false}')
    samples = recordings(1)[0][0]
    plain = loaded(tmp_path).latents(samples)
    assert (plain != loaded(directory).latents(samples)).any()
    assert (plain == loaded(directory).model.wav2vec2.feature_extractor(samples[None])[0].numpy()).all()

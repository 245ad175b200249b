# SPDX-License-Identifier: Apache-2.0
"""The directory of a wav2vec 2.0 checkpoint: what is accepted, and the words for what is not."""

import io
import json
import os
import pickle
import re
import subprocess
import sys
import zipfile
from collections import OrderedDict
from importlib.util import find_spec
from types import ModuleType

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mcu_ser.errors import ConfigError
from mcu_ser.train.wav2vec2_checkpoint import find_checkpoint, load_classifier
from mcu_ser.train.wav2vec2_torch_file import read_torch_file

installed = pytest.mark.skipif(
    find_spec("tensorflow") is None or find_spec("transformers") is None, reason="needs the [wav2vec2] extra"
)

SMALL = {
    "model_type": "wav2vec2",
    "hidden_size": 8,
    "num_hidden_layers": 1,
    "num_attention_heads": 2,
    "intermediate_size": 8,
    "conv_dim": [8],
    "conv_kernel": [10],
    "conv_stride": [5],
    "num_feat_extract_layers": 1,
    "num_conv_pos_embeddings": 4,
    "num_conv_pos_embedding_groups": 2,
    "classifier_proj_size": 6,
}


@pytest.fixture
def directory(tmp_path):
    (tmp_path / "config.json").write_text(json.dumps(SMALL))
    (tmp_path / "preprocessor_config.json").write_text('{"sampling_rate": 16000}')
    (tmp_path / "model.safetensors").write_bytes(b"")
    return tmp_path


def refused(directory, problem):
    with pytest.raises(ConfigError, match=re.escape(problem)):
        load_classifier(find_checkpoint(str(directory)), 3)


# --- what lacks is named, without any package


def test_a_whole_directory_is_accepted(directory) -> None:
    checkpoint = find_checkpoint(str(directory))
    assert checkpoint.normalizes
    assert sorted(checkpoint.digests()) == ["config.json", "model.safetensors", "preprocessor_config.json"]


def test_no_directory(tmp_path) -> None:
    problem = (
        f"recipe source_model.checkpoint: {tmp_path}/no is not a directory; try: a downloaded checkpoint"
    )
    refused(tmp_path / "no", problem)


@pytest.mark.parametrize("name", ["facebook/wav2vec2-base", "/etc/hostname"])
def test_a_name_of_a_model_hub_is_not_a_directory(name) -> None:
    refused(name, f"{name} is not a directory; try: a downloaded checkpoint; mcu-ser downloads none")


def test_no_config(directory) -> None:
    (directory / "config.json").unlink()
    refused(directory, f"{directory}: has no config.json; try: the whole checkpoint")


def test_no_weights(directory) -> None:
    (directory / "model.safetensors").unlink()
    refused(
        directory, f"{directory}: has no weights: none of model.safetensors, pytorch_model.bin, tf_model.h5"
    )


@pytest.mark.parametrize(
    ("file", "content", "problem"),
    [
        ("config.json", "{", "config.json: is not JSON"),
        ("config.json", "\xff", "config.json: is not JSON"),
        ("config.json", "[]", "config.json: is not a JSON object"),
        ("config.json", '{"model_type": "hubert"}', "config.json: is of model_type hubert, limit wav2vec2"),
        ("config.json", "{}", "config.json: is of model_type None, limit wav2vec2"),
        (
            "config.json",
            '{"model_type": "wav2vec2", "add_adapter": true}',
            "config.json: has an adapter behind its encoder (add_adapter), limit none",
        ),
        ("preprocessor_config.json", '{"sampling_rate": 8000}', "wants audio at 8000 Hz, limit 16000 Hz"),
        ("preprocessor_config.json", "1", "preprocessor_config.json: is not a JSON object"),
    ],
)
def test_what_does_not_fit_is_named(file, content, problem, directory) -> None:
    (directory / file).write_bytes(content.encode("latin-1"))
    refused(directory, problem)


def test_the_digests_follow_every_file(directory) -> None:
    digests = [find_checkpoint(str(directory)).digests()]
    for name in ("config.json", "preprocessor_config.json", "model.safetensors"):
        with (directory / name).open("ab") as stream:
            stream.write(b" ")
        digests.append(find_checkpoint(str(directory)).digests())
        assert [file for file in digests[-1] if digests[-1][file] != digests[-2][file]] == [name]
    assert find_checkpoint(str(directory)).digests() == digests[-1]


# --- weights


@pytest.fixture(scope="module")
def tensors():
    """A small model and its weights as torch's class names and shapes them."""
    from mcu_ser.train.fit import make_reproducible
    from mcu_ser.train.wav2vec2_import import TFWav2Vec2ForSequenceClassification, Wav2Vec2Config

    make_reproducible(1)
    model = TFWav2Vec2ForSequenceClassification(Wav2Vec2Config(**SMALL))
    model.build_in_name_scope()
    from transformers.modeling_tf_pytorch_utils import convert_tf_weight_name_to_pt_weight_name

    named = {}
    for weight in model.weights:
        name, kind = convert_tf_weight_name_to_pt_weight_name(weight.name, tf_weight_shape=weight.shape)
        value = weight.numpy()
        axes = {"no": None, "simple": (1, 0), "conv1d": (2, 1, 0)}[kind.value]
        named[name] = np.ascontiguousarray(value if axes is None else value.transpose(axes))
    return model, named


def same_but_the_head(model, other) -> None:
    def by_name(one):
        return {weight.name.partition("/")[2]: weight.numpy() for weight in one.weights}

    found, expected = by_name(model), by_name(other)
    assert found.keys() == expected.keys()
    same = {name for name in found if found[name].shape == expected[name].shape}
    assert found.keys() - same == {"classifier/kernel:0", "classifier/bias:0"}
    assert all((found[name] == expected[name]).all() for name in same)


@installed
@pytest.mark.train
@pytest.mark.parametrize("kind", ["torch", "torch-safetensors", "tf-safetensors", "h5"])
def test_every_format_gives_the_same_weights(kind, tensors, directory) -> None:
    from safetensors.numpy import save_file

    model, named = tensors
    (directory / "model.safetensors").unlink()
    if kind == "torch":
        (directory / "pytorch_model.bin").write_bytes(torch_file(named))
    elif kind == "torch-safetensors":
        save_file(named, directory / "model.safetensors", {"format": "pt"})
    else:
        model.save_pretrained(directory, safe_serialization=kind == "tf-safetensors")
        (directory / "config.json").write_text(json.dumps(SMALL))
    loaded = load_classifier(find_checkpoint(str(directory)), 3)
    same_but_the_head(loaded, model)
    assert loaded.config.num_labels == 3
    assert loaded.classifier.weights[0].shape == (6, 3)


@installed
@pytest.mark.train
def test_a_checkpoint_without_a_head_gets_a_new_one(tensors, directory) -> None:
    from safetensors.numpy import save_file

    headless = {name: value for name, value in tensors[1].items() if name.startswith("wav2vec2.")}
    save_file(headless, directory / "model.safetensors", {"format": "pt"})
    assert load_classifier(find_checkpoint(str(directory)), 5).classifier.weights[0].shape == (6, 5)


@installed
@pytest.mark.train
def test_a_weight_that_lacks_is_named(tensors, directory) -> None:
    from safetensors.numpy import save_file

    name = "wav2vec2.encoder.layers.0.attention.q_proj.weight"
    save_file(
        {k: v for k, v in tensors[1].items() if k != name}, directory / "model.safetensors", {"format": "pt"}
    )
    refused(directory, f"model.safetensors: lacks 1 weights of the model in config.json, e.g. {name}")


@installed
@pytest.mark.train
@pytest.mark.parametrize("name", ["model.safetensors", "pytorch_model.bin", "tf_model.h5"])
@pytest.mark.parametrize("content", [b"", b"version https://git-lfs.github.com/spec/v1\n", b"PK\x03\x04junk"])
def test_damaged_weights_are_named(name, content, directory) -> None:
    (directory / "model.safetensors").unlink()
    (directory / name).write_bytes(content)
    refused(directory, f"{directory}/{name}: ")


@installed
@pytest.mark.train
def test_weights_of_another_size_are_refused(tensors, directory) -> None:
    from safetensors.numpy import save_file

    save_file(tensors[1], directory / "model.safetensors", {"format": "pt"})
    (directory / "config.json").write_text(json.dumps(SMALL | {"hidden_size": 16}))
    refused(directory, "model.safetensors: does not hold the model of config.json")


@installed
@pytest.mark.train
def test_transformers_is_offline_whatever_the_environment_says() -> None:
    code = (
        "from mcu_ser.train import wav2vec2_import; import huggingface_hub, sys;"
        "import transformers.utils.hub as hub;"
        "print(huggingface_hub.constants.HF_HUB_OFFLINE, hub.is_offline_mode(), 'torch' in sys.modules)"
    )
    environment = os.environ | {"HF_HUB_OFFLINE": "0", "TRANSFORMERS_OFFLINE": "0"}
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, timeout=200, check=True
    )
    assert done.stdout.split() == ["True", "True", "False"]
    assert not done.stderr


# --- pytorch_model.bin


class _Storage:
    def __init__(self, key, array, kind):
        self.pid = ("storage", kind, key, "cpu", array.size)


def torch_file(tensors, extra=None):
    """What torch.save writes: without torch, whose names stand in for the time of pickling."""
    torch, utils = ModuleType("torch"), ModuleType("torch._utils")

    def _rebuild_tensor_v2(*_):
        raise AssertionError

    class FloatStorage:
        pass

    _rebuild_tensor_v2.__module__, FloatStorage.__module__ = "torch._utils", "torch"
    _rebuild_tensor_v2.__qualname__, FloatStorage.__qualname__ = "_rebuild_tensor_v2", "FloatStorage"
    utils._rebuild_tensor_v2, torch.FloatStorage, torch._utils = _rebuild_tensor_v2, FloatStorage, utils
    stored = {}

    class _Tensor:
        def __init__(self, array):
            self.array, self.key = array, str(len(stored))
            stored[self.key] = array.tobytes()

        def __reduce__(self):
            strides = tuple(one // 4 for one in self.array.strides)
            storage = _Storage(self.key, self.array, FloatStorage)
            return _rebuild_tensor_v2, (storage, 0, self.array.shape, strides, False, OrderedDict())

    class _Pickler(pickle.Pickler):
        def persistent_id(self, obj):
            return obj.pid if isinstance(obj, _Storage) else None

    pickled = io.BytesIO()
    sys.modules |= {"torch": torch, "torch._utils": utils}
    try:
        content = OrderedDict((name, _Tensor(array)) for name, array in tensors.items())
        _Pickler(pickled, 2).dump(content | (extra or {}))
    finally:
        del sys.modules["torch"], sys.modules["torch._utils"]
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("pytorch_model/data.pkl", pickled.getvalue())
        for key, data in stored.items():
            archive.writestr(f"pytorch_model/data/{key}", data)
    return file.getvalue()


def test_tensors_come_back(tmp_path) -> None:
    tensors = {
        "a": np.arange(6, dtype=np.float32).reshape(2, 3),
        "b": np.float32([7]),
        "c": np.float32(8).reshape(()),
    }
    (tmp_path / "m.bin").write_bytes(torch_file(tensors))
    read = read_torch_file(tmp_path / "m.bin")
    assert list(read) == ["a", "b", "c"]
    for name, expected in tensors.items():
        assert read[name].dtype == np.float32
        assert read[name].tolist() == expected.tolist()


class _Evil:
    def __reduce__(self):
        return print, ("this is a function of the reader's machine",)


def test_a_pickle_that_calls_a_function_is_refused(tmp_path, capsys) -> None:
    (tmp_path / "m.bin").write_bytes(torch_file({}, {"a": _Evil()}))
    with pytest.raises(ConfigError, match=r"m\.bin: is not .* \(it names __builtin__\.print\)"):
        read_torch_file(tmp_path / "m.bin")
    assert not capsys.readouterr().out


def test_anything_but_tensors_is_refused(tmp_path) -> None:
    (tmp_path / "m.bin").write_bytes(torch_file({"a": np.zeros(2, np.float32)}, {"epoch": 3}))
    with pytest.raises(
        ConfigError, match=r"it holds more than tensors\); try: the same model as model\.safetensors"
    ):
        read_torch_file(tmp_path / "m.bin")


@given(st.data())
def test_a_damaged_file_is_an_error_or_reads_as_arrays(tmp_path_factory, data) -> None:
    whole = torch_file({"a": np.arange(6, dtype=np.float32).reshape(2, 3)})
    place = data.draw(st.integers(0, len(whole) - 1))
    damaged = bytearray(whole)
    damaged[place] ^= data.draw(st.integers(1, 255))
    path = tmp_path_factory.mktemp("torch") / "m.bin"
    path.write_bytes(damaged)
    try:
        assert all(isinstance(one, np.ndarray) for one in read_torch_file(path).values())
    except ConfigError as error:
        assert "m.bin: is not a dictionary of tensors" in str(error)


def test_an_encrypted_file_is_an_error(tmp_path) -> None:
    content = bytearray(torch_file({"a": np.zeros(2, np.float32)}))
    for header, flags in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        start = content.find(header)
        while start >= 0:
            content[start + flags] |= 1
            start = content.find(header, start + 4)
    (tmp_path / "m.bin").write_bytes(content)
    with pytest.raises(ConfigError, match=r"m\.bin: is not a dictionary of tensors.*encrypted"):
        read_torch_file(tmp_path / "m.bin")

# SPDX-License-Identifier: Apache-2.0
import subprocess
import sys
from importlib.util import find_spec

import pytest

from mcu_ser.errors import ConfigError


def test_without_the_extra_the_error_says_how_to_install_it() -> None:
    program = (
        "import sys\n"
        "sys.modules['tensorflow'] = None\n"
        "from mcu_ser.errors import ToolMissingError\n"
        "try:\n"
        "    import mcu_ser.train.nsl_import\n"
        "except ToolMissingError as error:\n"
        "    print(error)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], check=True, timeout=60, capture_output=True, text=True
    )
    assert done.stdout.endswith("is not installed; try: pip install '.[train]' in the mcu-ser checkout\n")


if find_spec("tensorflow") is None:
    pytest.skip("needs the [train] extra", allow_module_level=True)

from mcu_ser.train.nsl_import import keras, nsl, read_tsv_graph, tf, versions  # noqa: E402

pytestmark = pytest.mark.train


def test_keras_is_the_one_tensorflow_uses() -> None:
    assert keras.__version__.startswith("2.")
    assert isinstance(keras.layers.Dense(1), tf.keras.layers.Dense)


def test_nsl_has_what_training_needs() -> None:
    assert callable(nsl.tools.build_graph_from_config)
    assert callable(nsl.lib.pairwise_distance_wrapper)


def test_reads_the_graph_that_nsl_writes(tmp_path) -> None:
    graph = {"a": {"b": 0.5, 'with "quotes"': 0.25}, "b": {"a": 0.5}}
    nsl.tools.write_tsv_graph(str(tmp_path / "graph.tsv"), graph)
    assert read_tsv_graph(tmp_path / "graph.tsv") == graph


def test_keeps_the_heaviest_of_repeated_edges(tmp_path) -> None:
    (tmp_path / "graph.tsv").write_text("a\tb\t0.5\na\tb\t0.75\na\tb\t0.25\n")
    assert read_tsv_graph(tmp_path / "graph.tsv") == {"a": {"b": 0.75}}


@pytest.mark.parametrize("content", ["a\tb\n", "a\tb\tnear\n", "a b 0.5\n"])
def test_refuses_what_is_no_graph(content, tmp_path) -> None:
    (tmp_path / "graph.tsv").write_text(content)
    with pytest.raises(ConfigError, match=r"graph\.tsv: is not a graph"):
        read_tsv_graph(tmp_path / "graph.tsv")


def test_versions_name_what_decides_the_result() -> None:
    assert versions()["neural-structured-learning"] == "1.4.0"
    assert sorted(versions()) == list(versions())

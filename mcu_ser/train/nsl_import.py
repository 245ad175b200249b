# SPDX-License-Identifier: Apache-2.0
"""The one place that imports TensorFlow, Keras, TFMOT and Neural Structured Learning, and bridges their gaps.

    from mcu_ser.train.nsl_import import keras, nsl, tf, tfmot

TFMOT and NSL need Keras 2, which TensorFlow 2.16 and later give only with TF_USE_LEGACY_KERAS=1 in the
environment before their first import.

NSL 1.4.0 has two faults with today's TensorFlow and Python:
- it imports `tensorflow.estimator`, which TensorFlow 2.16 removed. Only its estimator part needs it, which
  nothing here uses, so an empty module stands in for it during the import.
- `nsl.tools.read_tsv_graph` (hence `pack_nbrs`) opens files with mode "rU", which Python 3.11 removed.
  `read_tsv_graph` of this module reads the same file with the csv module.
"""

from __future__ import annotations

import csv
import logging
import os
import sys
import warnings
from contextlib import contextmanager
from types import ModuleType
from typing import TYPE_CHECKING

from mcu_ser.errors import ConfigError, ToolMissingError
from mcu_ser.programs import extra_hint, package_versions

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

# Chatter of the native libraries (CPU features, missing GPUs) hides what a user must see.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
if "tensorflow" not in sys.modules:
    os.environ["TF_USE_LEGACY_KERAS"] = "1"
    # Convolutions by oneDNN, which TensorFlow leaves off on x86 processors without AVX-512: a training step
    # takes half the time.
    os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")


@contextmanager
def native_stderr_closed() -> Iterator[None]:
    """Discard what native code writes to stderr: TensorFlow logs before its log level takes effect."""
    kept = os.dup(2)
    try:
        with open(os.devnull, "wb") as sink:  # noqa: PTH123 - a device, not a file
            os.dup2(sink.fileno(), 2)
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)


try:
    with native_stderr_closed(), warnings.catch_warnings():
        # These packages warn about each other's age; a user can do nothing about it.
        warnings.simplefilter("ignore")
        import tensorflow as tf
        import tensorflow_model_optimization as tfmot
        import tf_keras as keras

        if not hasattr(tf, "estimator"):
            tf.estimator = sys.modules["tensorflow.estimator"] = ModuleType("tensorflow.estimator")
        import neural_structured_learning as nsl
        from tensorflow.python.framework.convert_to_constants import convert_variables_to_constants_v2
except ImportError as error:
    raise ToolMissingError(
        error.name or "tensorflow", "is not installed", hint=extra_hint("train")
    ) from error

if os.environ.get("TF_USE_LEGACY_KERAS") != "1":
    raise ConfigError("tensorflow", "was imported with Keras 3", hint="TF_USE_LEGACY_KERAS=1 before it")

tf.get_logger().setLevel(logging.ERROR)

__all__ = [
    "convert_variables_to_constants_v2",
    "keras",
    "native_stderr_closed",
    "nsl",
    "read_tsv_graph",
    "tf",
    "tfmot",
    "versions",
]


def read_tsv_graph(path: Path) -> dict[str, dict[str, float]]:
    """The graph that `nsl.tools` wrote: source id -> target id -> weight; of repeated edges the heaviest.

    Raises:
        ConfigError: The file is not such a graph.
    """
    graph: dict[str, dict[str, float]] = {}
    try:
        with path.open(encoding="utf-8", newline="") as stream:
            for source, target, weight in csv.reader(stream, delimiter="\t", quoting=csv.QUOTE_NONE):
                nsl.tools.add_edge(graph, [source, target, float(weight)])
    except (OSError, ValueError) as error:
        raise ConfigError(path, f"is not a graph ({error})", hint="mcu-ser train again") from error
    return graph


def versions() -> dict[str, str]:
    """Versions of what decides the result of training, for the run's manifest."""
    found = {"numpy": package_versions("")["numpy"], **package_versions("train")}
    return {name: version for name, version in sorted(found.items()) if version}

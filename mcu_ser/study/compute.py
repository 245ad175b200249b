# SPDX-License-Identifier: Apache-2.0
"""Does one job of a study: the stages of a run in a private directory, of which the results are kept."""

from __future__ import annotations

import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from mcu_ser.artifacts import RunDir, canonical_json, copy_file, write_text
from mcu_ser.compress import stage as compress
from mcu_ser.convert import stage as convert
from mcu_ser.errors import ConfigError
from mcu_ser.recipe import save_recipe
from mcu_ser.study import results
from mcu_ser.study.grid import with_choice
from mcu_ser.train import stage as train
from mcu_ser.train.cache import Cache
from mcu_ser.train.graph_figures import embedding_picture
from mcu_ser.train.nsl_import import tf
from mcu_ser.train.target import load_graph, load_target

if TYPE_CHECKING:
    from mcu_ser.recipe import Recipe
    from mcu_ser.study.directory import StudyDir
    from mcu_ser.study.grid import Job


def use_one_thread() -> None:
    """Give TensorFlow one thread: several workers share the cores better than several threads do."""
    tf.config.threading.set_intra_op_parallelism_threads(1)
    tf.config.threading.set_inter_op_parallelism_threads(1)


def compute(job: Job, study: StudyDir, corpus_root: Path | None, scratch: Path) -> None:
    """Do a job and publish what it came to.

    Args:
        job: Ready to be done.
        study: Where its result goes.
        corpus_root: Where recordings are; the synthetic corpus needs none.
        scratch: Room for the run directory, which is removed.

    Raises:
        McuSerError: As the stages do.
    """
    started, worked = time.monotonic(), time.process_time()
    chosen = results.best_candidate(study, job)
    recipe = with_choice(job.recipe, chosen)
    with tempfile.TemporaryDirectory(dir=scratch) as directory:
        run_dir = RunDir(Path(directory))
        cache = Cache(study.cache)
        metrics = {"train": train.run(run_dir, recipe, corpus_root, cache=cache)}
        if job.kind == "choice":
            document = results.choice_document(metrics["train"])
        else:
            metrics["compress"] = compress.run(run_dir, recipe, cache=cache)
            metrics["convert"] = convert.run(run_dir, recipe, post_training=True)
            document = results.cell_document(metrics["train"], metrics["convert"], chosen)
        with study.publish(job.key) as place:
            if job.kind == "cell":
                _keep(run_dir, recipe, place)
            save_recipe(recipe, place / results.RECIPE)
            write_text(place / results.METRICS, canonical_json(metrics))
            document |= {
                "place": str(job),
                "seconds": round(time.monotonic() - started, 3),
                # What it would take on a core of its own.
                "processor_seconds": round(time.process_time() - worked, 3),
            }
            write_text(place / results.CELL, canonical_json(document))


def _keep(run_dir: RunDir, recipe: Recipe, place: Path) -> None:
    copy_file(run_dir.tflite, place / results.MODEL)
    copy_file(run_dir.predictions, place / results.PREDICTIONS)
    if recipe.graph.multiplier > 0:
        write_text(place / results.PICTURE, canonical_json(_picture(run_dir, recipe)))


def _picture(run_dir: RunDir, recipe: Recipe) -> dict[str, Any]:
    training = load_target(run_dir).training
    graph = load_graph(run_dir, recipe.graph, training)
    with np.load(run_dir.embeddings, allow_pickle=False) as arrays:
        if graph is None or not np.array_equal(arrays["ids"], training.ids):
            raise ConfigError(run_dir.embeddings, "are not of the training utterances")
        return embedding_picture(arrays["embeddings"], training.clips.y, graph.neighbours)

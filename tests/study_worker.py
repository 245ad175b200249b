# SPDX-License-Identifier: Apache-2.0
"""A study's worker that makes its results up, so that what goes on around them is tested in seconds.

`python study_worker.py PLAN`. Each computation leaves a file in the study's log/. Environment variables that
hold words of a job's description make it misbehave: MCU_SER_TEST_FAIL raises, MCU_SER_TEST_DIE kills the
process (MCU_SER_TEST_DIE_ONCE the first time alone), MCU_SER_TEST_HANG never ends.
"""

import json
import os
import secrets
import signal
import sys
import time

import numpy as np

from mcu_ser.artifacts import sha256_hex
from mcu_ser.recipe import save_recipe
from mcu_ser.study.grid import with_choice
from mcu_ser.study.results import CELL, METRICS, PICTURE, PREDICTIONS, RECIPE, best_candidate
from mcu_ser.study.worker import main


def is_meant(variable, job) -> bool:
    words = os.environ.get(variable)
    return words is not None and words in str(job)


def compute(job, study, corpus_root, scratch) -> None:
    assert scratch.is_dir()
    log = study.root / "log" / job.key
    log.mkdir(parents=True, exist_ok=True)
    (log / secrets.token_hex(4)).write_text(str(os.getpid()))
    time.sleep(float(os.environ.get("MCU_SER_TEST_SECONDS", "0.05")))
    if is_meant("MCU_SER_TEST_FAIL", job):
        raise RuntimeError("out of luck")
    first = len(list(log.iterdir())) == 1
    if is_meant("MCU_SER_TEST_DIE", job) or (first and is_meant("MCU_SER_TEST_DIE_ONCE", job)):
        os.kill(os.getpid(), signal.SIGKILL)
    while is_meant("MCU_SER_TEST_HANG", job):
        time.sleep(0.1)
    recipe = with_choice(job.recipe, best_candidate(study, job))
    with study.publish(job.key) as place:
        save_recipe(recipe, place / RECIPE)
        document = {"place": str(job), "seconds": 0.05, "processor_seconds": 0.04}
        if job.kind == "choice":
            document["validation_uar"] = made_up_uar(recipe.graph.neighbours)
            test = {"confusion": made_up_confusion(job.key)}
            (place / METRICS).write_text(json.dumps({"train": {"target": {"test": test}}}))
        else:
            document |= cell_of(recipe, best_candidate(study, job))
            np.savez(place / PREDICTIONS, **decisions_of(recipe))
            picture = {"x": [0.0, 1.0], "y": [0.0, 1.0], "label": [0, 1], "edges": [[0, 1]], "explained": 1.0}
            (place / PICTURE).write_text(json.dumps(picture))
        (place / CELL).write_text(json.dumps(document))


def made_up_uar(neighbours) -> float:
    """Highest for 5."""
    return 1 - abs(neighbours - 5) / 10


def made_up_confusion(key) -> list[list[int]]:
    """Of 1, 5, 9, ... utterances of the six synthetic emotions; who is missed is taken for the next class."""
    rows = np.zeros((6, 6), int)
    for label, byte in enumerate(sha256_hex(key.encode())[:6]):
        said = 1 + 4 * label
        rows[label, label] = min(said, int(byte, 16))
        rows[label, (label + 1) % 6] += said - rows[label, label]
    return rows.tolist()


def cell_of(recipe, chosen) -> dict:
    figures = {"parameters": 100, "tflite_bytes": 90, "weight_bytes": 80, "activation_bytes": 70}
    graph = {"edges": 3, "homophily": 0.5, "homophily_by_chance": 0.25} if recipe.graph.multiplier else {}
    return {**figures, "sparsity": 0.5, "chosen": dict(chosen), "graph": graph}


def decisions_of(recipe) -> dict:
    test = recipe.corpora.target.test_speakers
    speakers = np.repeat(np.array(test), 4)
    y = np.tile(np.arange(4), len(test))
    rng = np.random.default_rng([recipe.seed, len(recipe.transfer.method), int(10 * recipe.graph.multiplier)])
    stages = {
        stage: np.where(rng.random(len(y)) < 0.7, y, rng.integers(0, 4, len(y)))
        for stage in ("float", "pruned", "qat", "int8", "post_training")
    }
    return {
        "ids": np.array([f"{s}-{c}" for s, c in zip(speakers, y, strict=True)]),
        "speakers": speakers,
        "y": y,
        **stages,
    }


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:], compute))

# SPDX-License-Identifier: Apache-2.0
"""Training shared by processes of this machine that TF_CONFIG makes workers."""

import json
import os
import re
import socket
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest

if find_spec("tensorflow") is None:
    pytest.skip("needs the [train] extra", allow_module_level=True)

from mcu_ser.artifacts import RunDir
from mcu_ser.cli.main import main
from mcu_ser.errors import ConfigError
from mcu_ser.train.distributed import Place, check_batch, place_of
from tests import tiny_recipe as tiny
from tests.worker_training import CASES, trained

ROOT = Path(__file__).parents[3]

pytestmark = pytest.mark.train

TINY = "".join(
    [
        tiny.NAME,
        tiny.SOURCE,
        tiny.TARGET,
        tiny.FEATURES,
        tiny.SOURCE_MODEL,
        tiny.GRAPH,
        tiny.MODEL,
        tiny.TRAINING,
    ]
)


def tf_config(ports, index) -> str:
    addresses = [f"localhost:{port}" for port in ports]
    return json.dumps({"cluster": {"worker": addresses}, "task": {"type": "worker", "index": index}})


def free_ports(count) -> list[int]:
    sockets = [socket.create_server(("localhost", 0)) for _ in range(count)]
    ports = [one.getsockname()[1] for one in sockets]
    for one in sockets:
        one.close()
    return ports


def together(commands):
    """Run processes at once, each command with its TF_CONFIG; all of them have to succeed."""
    started = [
        subprocess.Popen(
            [sys.executable, *command],
            env={**os.environ, "PYTHONPATH": str(ROOT), "TF_CONFIG": config},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for command, config in commands
    ]
    try:
        outputs = [process.communicate(timeout=500) for process in started]
    finally:
        for process in started:
            process.kill()
    for process, (_, errors) in zip(started, outputs, strict=True):
        assert process.returncode == 0, errors
    return [output for output, _ in outputs]


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    """Of each case: by two workers, by one worker, and without workers."""
    place, script = tmp_path_factory.mktemp("workers"), str(ROOT / "tests" / "worker_training.py")
    ports = free_ports(3)
    commands = [([script, str(place / f"two{i}.npz")], tf_config(ports[:2], i)) for i in range(2)]
    together([*commands, ([script, str(place / "one.npz")], tf_config(ports[2:], 0))])
    found = {name: dict(np.load(place / f"{name}.npz")) for name in ("two0", "two1", "one")}
    return found | {"alone": {case: trained(case) for case in CASES}}


# Two workers add two halves of a sum that one process adds in one go: means and gradients differ by a few
# units of 2^-24 of their largest terms. Adam's step is the learning rate (0.01) times a ratio of gradients;
# where terms cancel to a hundredth, the ratio is off by some 100 * 2^-24 * 16 clips = 1e-4 of it. Over 18
# steps: 18 * 0.01 * 1e-4 = 2e-5. Measured: 6e-8.
REORDERING = 2e-5


@pytest.mark.parametrize("case", CASES)
def test_two_workers_reach_the_same_weights_as_one(case, weights) -> None:
    assert weights["two0"][case].tobytes() == weights["two1"][case].tobytes()
    assert np.abs(weights["two0"][case] - weights["one"][case]).max() < REORDERING


@pytest.mark.parametrize("case", ["plain", "graph"])
def test_workers_reach_the_weights_of_a_plain_process(case, weights) -> None:
    """Dropout aside: a plain process draws its masks otherwise."""
    assert np.abs(weights["two0"][case] - weights["alone"][case]).max() < REORDERING


def test_the_cases_differ_by_more_than_reordering(weights) -> None:
    for one, other in (("plain", "graph"), ("plain", "dropout")):
        assert np.abs(weights["two0"][one] - weights["two0"][other]).max() > 100 * REORDERING


def test_the_command_writes_in_the_first_worker_alone(tmp_path) -> None:
    (tmp_path / "tiny.toml").write_text(TINY)
    ports = free_ports(2)
    commands = []
    for index in range(2):
        run = [str(tmp_path / f"run{index}"), "--recipe", str(tmp_path / "tiny.toml"), "--workers"]
        commands.append((["-m", "mcu_ser.cli.main", "train", *run], tf_config(ports, index)))
    outputs = together(commands)
    assert RunDir(tmp_path / "run0").float_model.exists()
    assert json.loads(RunDir(tmp_path / "run0").metrics("train").read_text())["graph"]["utterances"] == 12
    assert not (tmp_path / "run1").exists()
    assert f"worker 1 of 2 is done; worker 0 wrote {tmp_path / 'run1'}" in outputs[1]


# --- errors


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (None, "TF_CONFIG: is not set; --workers needs it"),
        ("", "TF_CONFIG: describes no cluster of workers"),
        ("[]", "TF_CONFIG: describes no cluster of workers"),
        ("{}", "TF_CONFIG: describes no cluster of workers (KeyError('cluster'))"),
        ('{"cluster": {"worker": ["a:1"]}}', "TF_CONFIG: describes no cluster of workers (KeyError('task'))"),
        (
            '{"cluster": {"worker": ["a:1"]}, "task": {"type": "ps", "index": 0}}',
            "TF_CONFIG: gives this process the task ps in a cluster of worker, limit workers alone",
        ),
        (
            '{"cluster": {"worker": ["a:1"], "ps": ["b:1"]}, "task": {"type": "worker", "index": 0}}',
            "TF_CONFIG: gives this process the task worker in a cluster of worker, ps, limit workers alone",
        ),
        (
            '{"cluster": {"worker": ["a:1"]}, "task": {"type": "worker", "index": 1}}',
            "TF_CONFIG: has no worker 1 in ['a:1']",
        ),
        (
            '{"cluster": {"worker": ["a:1"]}, "task": {"type": "worker", "index": "0"}}',
            "TF_CONFIG: has no worker '0' in ['a:1']",
        ),
        (
            '{"cluster": {"worker": "a:1"}, "task": {"type": "worker", "index": 0}}',
            "TF_CONFIG: has no worker 0 in 'a:1'",
        ),
    ],
)
def test_a_wrong_tf_config_is_named(text, problem) -> None:
    with pytest.raises(ConfigError, match="^" + re.escape(problem)):
        place_of({} if text is None else {"TF_CONFIG": text})


def test_the_place_of_a_worker() -> None:
    place = place_of({"TF_CONFIG": tf_config([1, 2, 3], 1)})
    assert place == Place(1, 3)
    assert not place.is_chief
    assert Place(0, 3).is_chief


def test_a_batch_that_cannot_be_shared_is_named(tmp_path, capsys, monkeypatch) -> None:
    check_batch("x", 6, Place(0, 3))
    monkeypatch.setenv("TF_CONFIG", tf_config([1, 2, 3], 0))
    (tmp_path / "tiny.toml").write_text(TINY)
    arguments = ["train", str(tmp_path / "run"), "--recipe", str(tmp_path / "tiny.toml"), "--workers"]
    assert main(arguments) == 2
    problem = (
        "recipe training.fit.batch_size: 8 clips cannot be shared equally by 3 workers; try: a multiple of 3"
    )
    assert problem in capsys.readouterr().err
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("extra", "problem"),
    [([], "TF_CONFIG: is not set; --workers needs it"), (["--cache", "c"], "--cache: cannot be used with")],
)
def test_workers_that_cannot_start_write_nothing(extra, problem, tmp_path, capsys, monkeypatch) -> None:
    monkeypatch.delenv("TF_CONFIG", raising=False)
    assert main(["train", str(tmp_path / "run"), "--workers", *extra]) == 2
    assert problem in capsys.readouterr().err
    assert not (tmp_path / "run").exists()

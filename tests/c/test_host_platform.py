# SPDX-License-Identifier: Apache-2.0
"""A project of the platform `host`, built with sanitizers as its preset says, against the oracle."""

import subprocess

import numpy as np
import pytest

from mcu_ser.board import load_board
from mcu_ser.convert.oracle import Oracle
from mcu_ser.device.host_process import HostProcess
from mcu_ser.device.link import Link
from mcu_ser.verify.client import Client
from mcu_ser.verify.harness import Expectation, run_samples
from tests.stm32_firmware import generate_tiny, require_tools


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    board = load_board("host")
    require_tools(board)
    return generate_tiny(tmp_path_factory.mktemp("host"), board)


@pytest.fixture(scope="module")
def program(project):
    for step in (["cmake", "--preset", "sanitized"], ["cmake", "--build", "--preset", "sanitized"]):
        subprocess.run(step, cwd=project.root, check=True, timeout=120, stdout=subprocess.DEVNULL)
    return project.root / "build-sanitized" / "firmware"


def test_the_sanitized_program_computes_what_the_oracle_computes(project, program):
    x = np.random.default_rng(3).integers(-128, 128, (20, project.input.bytes)).astype(np.int8)
    with HostProcess(program) as device, Link(device) as link:
        result = run_samples(Client(link), Expectation.of(project), x)
    np.testing.assert_array_equal(result.outputs, Oracle(project.model_path.read_bytes()).run(x))


@pytest.mark.parametrize("port", ["notanumber", "65536", "-1"])
def test_a_port_that_is_none_is_refused(program, port):
    ended = subprocess.run(
        [program], env={"MCU_SER_TCP_PORT": port}, capture_output=True, text=True, timeout=20, check=False
    )
    assert ended.returncode == 1
    assert port in ended.stderr

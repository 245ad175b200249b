# SPDX-License-Identifier: Apache-2.0
"""The pytest plugin: a fixture that is a verified board, for tests of a user's own model.

    import numpy as np

    def test_silence_is_neutral(mcu_ser_device):
        outputs = mcu_ser_device.run(np.zeros((1, 160, 40, 1), np.float32))
        assert outputs.argmax(axis=1) == [0]

The model is named by `mcu_ser_model` in pytest's configuration or by `--mcu-ser-model`. The firmware is
generated, built and started once per session. Every output is compared with the oracle's; one that differs
fails the test that asked for it.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mcu_ser.generate.project import Project
    from mcu_ser.verify.verified_device import VerifiedDevice

# Name, default, help. Each is an option `--mcu-ser-NAME` and a key `mcu_ser_NAME`.
_OPTIONS = (
    ("model", "", "int8 .tflite that mcu_ser_device runs"),
    ("board", "netduinoplus2", "board it runs on (default netduinoplus2, emulated)"),
    ("engine", "aot", "engine: aot or tflm (default aot)"),
    ("port", "", "port URL of a board that runs the firmware of --mcu-ser-project"),
    ("project", "", "firmware project that is built already, in place of model, board and engine"),
)


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the options of `mcu_ser_device`."""
    group = parser.getgroup("mcu-ser")
    for name, default, text in _OPTIONS:
        group.addoption(f"--mcu-ser-{name}", dest=f"mcu_ser_{name}", metavar=name.upper(), help=text)
        parser.addini(f"mcu_ser_{name}", text, default=default)


@pytest.fixture(scope="session")
def mcu_ser_device(
    pytestconfig: pytest.Config, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[VerifiedDevice]:
    """A board that runs the configured model; `run(x)` gives its outputs, which are the oracle's.

    A board that cannot be had is an error and never a skip: a missing proof must not look like a proof.
    """
    from mcu_ser.errors import McuSerError
    from mcu_ser.generate.project import Project
    from mcu_ser.verify.verified_device import VerifiedDevice

    try:
        settled = _path(pytestconfig, "project")
        if settled is None:
            project = _built(pytestconfig, tmp_path_factory.mktemp("mcu_ser") / "project")
        else:
            project = Project.load(settled)
        device = VerifiedDevice(project, _option(pytestconfig, "port") or None).__enter__()
    except McuSerError as error:
        error.hint = _hint_for_pytest(error.hint, _option(pytestconfig, "project"))
        pytest.fail(f"mcu_ser_device: {error}", pytrace=False)
    try:
        yield device
    finally:
        device.__exit__(None, None, None)


def _hint_for_pytest(hint: str | None, project: str) -> str | None:
    """A hint that names `--port`, which is pytest's `--mcu-ser-port` and wants a firmware that is flashed."""
    if hint is None or "--port" not in hint or "mcu-ser " in hint:
        return hint
    if not project:
        return "mcu-ser flash PROJECT, then --mcu-ser-project PROJECT --mcu-ser-port PORT"
    return hint.replace("--port", "--mcu-ser-port")


def _built(config: pytest.Config, out: Path) -> Project:
    from mcu_ser.board import load_board
    from mcu_ser.errors import ConfigError
    from mcu_ser.generate.project import generate
    from mcu_ser.toolchain.build import build

    model = _path(config, "model")
    if model is None:
        problem = "no model is configured"
        raise ConfigError(
            "pytest", problem, hint="mcu_ser_model in pytest.ini, or --mcu-ser-model MODEL.tflite"
        )
    if _option(config, "port"):
        problem = "is of a board whose firmware nobody has flashed yet"
        raise ConfigError("--mcu-ser-port", problem, hint="mcu-ser flash PROJECT, then --mcu-ser-project")
    project = generate(model, load_board(_option(config, "board")), _option(config, "engine"), out)
    build(project)
    return project


def _option(config: pytest.Config, name: str) -> str:
    """The option if it is given, else the configuration's key."""
    given = config.getoption(f"mcu_ser_{name}")
    return str(config.getini(f"mcu_ser_{name}") if given is None else given)


def _path(config: pytest.Config, name: str) -> Path | None:
    """A path: of the configuration from the root directory, of an option from where pytest was called."""
    text = _option(config, name)
    if not text:
        return None
    given = config.getoption(f"mcu_ser_{name}") is not None
    return (config.invocation_params.dir if given else config.rootpath) / text

# SPDX-License-Identifier: Apache-2.0
"""The search for the least arena, against the real server around the obedient engine."""

from contextlib import contextmanager
from types import SimpleNamespace

import pytest

from mcu_ser.board import load_board
from mcu_ser.device.host_process import HostProcess
from mcu_ser.device.link import Link
from mcu_ser.errors import CheckFailedError, ConfigError, DeviceError, DeviceFaultError
from mcu_ser.generate.project import generate
from mcu_ser.verify import certify as certifying
from mcu_ser.verify.certify import Trial, certify_arena, find_least_arena
from mcu_ser.verify.client import Client
from mcu_ser.verify.harness import Expectation, require_match
from mcu_ser.verify.protocol import EngineStatus, engine_status_text
from tests.native_firmware import TestModel, build_native_firmware
from tests.tiny_model import tiny_classifier

MODEL = TestModel(input_bytes=50, output_bytes=7, engine="tflm")
SAMPLE = bytes(range(50))
EXPECTED = MODEL.expected_output(SAMPLE)
WHOLE = 4096


@contextmanager
def client_of(directory, *defines):
    program = build_native_firmware(directory, MODEL, defines=defines, sanitize=False)
    with HostProcess(program) as device, Link(device) as link:
        client = Client(link)
        client.hello()
        yield client


def least(client, expected=EXPECTED):
    steps = []
    return find_least_arena(client, WHOLE, SAMPLE, expected, steps.append)


@pytest.mark.parametrize("needed", [16, 1600, 1601, 4081])
def test_the_least_multiple_of_16_is_found_and_proven(tmp_path, needed):
    with client_of(tmp_path, f"ENGINE_NEEDS_ARENA={needed}u") as client:
        certificate = least(client)
    found = -(-needed // 16) * 16
    assert certificate.arena_bytes == found
    too_small = f"NOT_ALLOCATED: {EngineStatus.NOT_ALLOCATED.meaning}"
    assert certificate.trials[-2:] == (Trial(found, None), Trial(found - 16, too_small))
    # Halving: one trial for the whole, eight or nine between, two for the proof.
    assert len(certificate.trials) <= 12
    assert all(trial.arena_bytes % 16 == 0 for trial in certificate.trials)


def test_a_size_in_which_the_board_restarts_does_not_run(tmp_path):
    with client_of(tmp_path, "ENGINE_NEEDS_ARENA=1600u", "ENGINE_RESETS_BELOW=1600u") as client:
        certificate = least(client)
    assert certificate.arena_bytes == 1600
    assert "restarted" in certificate.trials[-1].failure


def test_an_arena_in_which_the_output_is_wrong_does_not_count(tmp_path):
    with client_of(tmp_path, "ENGINE_NEEDS_ARENA=1600u") as client, pytest.raises(CheckFailedError) as caught:
        least(client, expected=bytes(7))
    assert caught.value.problem == (
        "does not run in the 4096 B of arena that the firmware has: the output is not the oracle's"
    )
    assert caught.value.hint == "mcu-ser generate with a larger --arena-bytes"


def test_a_planned_arena_is_an_error_not_a_result(tmp_path):
    with client_of(tmp_path) as client, pytest.raises(CheckFailedError, match="ARENA_IS_FIXED"):
        least(client)


def test_a_project_of_the_other_engine_has_nothing_to_certify(tmp_path):
    (tmp_path / "m.tflite").write_bytes(tiny_classifier())
    project = generate(tmp_path / "m.tflite", load_board("host"), "aot", tmp_path / "project")
    with pytest.raises(ConfigError, match="has engine aot, whose arena is planned exactly"):
        certify_arena(project, None, None, None)


def test_a_firmware_whose_arena_is_too_small_says_what_to_do(tmp_path):
    defines = (f"ENGINE_INIT_STATUS={EngineStatus.NOT_ALLOCATED.value}",)
    with client_of(tmp_path, *defines) as client:
        hello = client.hello()
        fields = {name: getattr(hello, name) for name in Expectation.__dataclass_fields__}
        with pytest.raises(DeviceFaultError) as caught:
            require_match(client.url, Expectation(**fields), hello)
    assert "engine did not start: NOT_ALLOCATED: the arena is too small, or" in caught.value.problem
    assert caught.value.hint == "mcu-ser generate with --arena-bytes above 4096"


def test_every_engine_status_has_a_meaning():
    texts = {engine_status_text(status.value) for status in EngineStatus}
    assert len(texts) == len(EngineStatus)
    assert engine_status_text(-7) == "code -7"


@pytest.mark.parametrize(("refused", "left"), [(True, ["report.json"]), (False, [])])
def test_the_report_of_the_arena_before_stays_until_a_board_is_asked(tmp_path, monkeypatch, refused, left):
    def no_board(*arguments):
        raise DeviceError("port", "is silent")

    def refuse(*arguments):
        raise ConfigError("project", "is not built")

    (tmp_path / "report.json").write_text("{}")
    monkeypatch.setattr(certifying, "require_replaceable", lambda root: None)
    monkeypatch.setattr(certifying, "_require_certifiable", refuse if refused else lambda project: None)
    for name in ("open_device", "certify_arena"):
        monkeypatch.setattr(certifying, name, no_board)
    with pytest.raises(ConfigError if refused else DeviceError):
        certifying.certify(SimpleNamespace(root=tmp_path), None, tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == left

# SPDX-License-Identifier: Apache-2.0
"""generate, build, emulate and verify as a user calls them, on real firmware."""

import json
import re
import shutil
import socket
import subprocess
import sys
import threading
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest

from mcu_ser.cli.main import main
from mcu_ser.programs import ARM_GCC, CMAKE, NINJA, QEMU_ARM
from tests.tiny_model import CLASSES, INPUT_SHAPE, tiny_classifier

SHARED_MODELS = Path(__file__).parents[3] / "shared" / "models"
ABSENT = [program.command for program in (ARM_GCC, CMAKE, NINJA, QEMU_ARM) if program.find() is None]

pytestmark = [
    pytest.mark.emulator,
    pytest.mark.skipif(bool(ABSENT), reason=f"not installed: {', '.join(ABSENT)}"),
]


def build_project(directory, board, model=None):
    path = directory / "tiny.tflite"
    path.write_bytes(model or tiny_classifier())
    project = directory / "project"
    assert main(["generate", str(path), "--board", board, "--out", str(project)]) == 0
    assert main(["build", str(project)]) == 0
    return project


@pytest.fixture(scope="module")
def stm32_project(tmp_path_factory):
    return build_project(tmp_path_factory.mktemp("stm32"), "netduinoplus2")


@pytest.fixture(scope="module")
def host_project(tmp_path_factory):
    return build_project(tmp_path_factory.mktemp("host"), "host")


def verify(project, out, *options):
    return main(["verify", str(project), "--out", str(out), "--no-litert", *map(str, options)])


def report_of(directory):
    return json.loads((directory / "report.json").read_text())


def test_the_stm32_computes_what_the_host_computes(stm32_project, tmp_path, capsys):
    samples = tmp_path / "samples.npz"
    x = np.random.default_rng(5).integers(-128, 128, (8, *INPUT_SHAPE[1:]), np.int8)
    np.savez(samples, x=x, y=np.arange(8) % CLASSES, labels=["calm", "anger", "fear"])
    assert verify(stm32_project, tmp_path / "report", "--samples", samples) == 0
    report = report_of(tmp_path / "report")
    assert (report["verdict"], report["identical"], report["samples"]) == ("pass", 8, 8)
    assert report["host"] == report["device"]
    assert 0 < report["instructions"]["min"] <= report["instructions"]["median"]
    assert 0 < report["flash_bytes"] < report["flash_limit_bytes"]
    assert 0 < report["ram_bytes"] < report["ram_limit_bytes"]
    assert report["link"]["frames"] > 8
    assert ElementTree.parse(tmp_path / "report" / "junit.xml").getroot()[0].get("failures") == "0"
    assert "verdict: pass" in capsys.readouterr().out


def test_instruction_counts_are_the_same_in_every_run(stm32_project, tmp_path):
    counts = []
    for run in range(2):
        assert verify(stm32_project, tmp_path / str(run), "--random", 4) == 0
        counts.append(report_of(tmp_path / str(run))["instructions"])
    assert counts[0] == counts[1]


def test_one_wrong_weight_is_a_failed_check(host_project, tmp_path, capsys):
    project = tmp_path / "project"
    shutil.copytree(host_project, project, ignore=shutil.ignore_patterns("build"))
    weights = project / "src" / "model" / "aot_weights.c"
    text = weights.read_text()
    # A bit of the first word of the last layer, a bias: as a stray bit in flash would.
    number = re.compile(r"0x[0-9a-f]{8}").search(text, text.rindex("= {"))
    flipped = f"{int(number.group(), 16) ^ 1 << 20:#x}"
    weights.write_text(text[: number.start()] + flipped + text[number.end() :])
    assert main(["build", str(project)]) == 0
    assert verify(project, tmp_path / "report", "--random", 16) == 1
    report = report_of(tmp_path / "report")
    assert report["verdict"] == "fail"
    assert report["identical"] < 16
    assert report["mismatches"][0]["differing_bytes"] > 0
    assert "verdict: fail" in capsys.readouterr().out


def test_firmware_of_another_model_is_refused(host_project, tmp_path, capsys):
    other = build_project(tmp_path, "host", tiny_classifier(seed=2))
    shutil.copy(host_project / "build" / "firmware", other / "build" / "firmware")
    assert verify(other, tmp_path / "report", "--random", 4) == 4
    report = report_of(tmp_path / "report")
    assert report["verdict"] == "fail"
    assert "model SHA-256" in report["reason"]
    assert "mcu-ser: error: " in capsys.readouterr().err


def test_a_port_that_answers_garbage_ends_the_run(stm32_project, tmp_path, capsys):
    with socket.create_server(("127.0.0.1", 0)) as server:

        def chatter():
            connection, _ = server.accept()
            with connection:
                try:
                    while True:
                        connection.sendall(b"AT+GMM\r\n\x00\xff" * 50)
                except OSError:
                    return

        threading.Thread(target=chatter, daemon=True).start()
        url = f"socket://127.0.0.1:{server.getsockname()[1]}"
        assert verify(stm32_project, tmp_path / "report", "--random", 4, "--port", url) == 4
    assert report_of(tmp_path / "report")["verdict"] == "fail"
    assert url in capsys.readouterr().err


def test_an_absent_port_ends_the_run(stm32_project, tmp_path, capsys):
    assert verify(stm32_project, tmp_path / "report", "--random", 4, "--port", "/dev/ttyNONE7") == 4
    assert "/dev/ttyNONE7" in capsys.readouterr().err


def test_firmware_that_is_not_built(host_project, tmp_path, capsys):
    project = tmp_path / "project"
    shutil.copytree(host_project, project, ignore=shutil.ignore_patterns("build"))
    assert verify(project, tmp_path / "report", "--random", 4) == 2
    assert f"try: mcu-ser build {project}" in capsys.readouterr().err
    assert not (tmp_path / "report").exists()


def test_samples_that_do_not_fit_the_model(host_project, tmp_path, capsys):
    samples = tmp_path / "samples.npz"
    np.savez(samples, x=np.zeros((3, 7), np.int8))
    assert verify(host_project, tmp_path / "report", "--samples", samples) == 2
    assert "x has shape (3, 7), the model takes (n, 6, 5, 2)" in capsys.readouterr().err
    assert not (tmp_path / "report").exists()


def test_emulate_prints_a_port_that_verify_takes(stm32_project, tmp_path):
    command = [sys.executable, "-m", "mcu_ser.cli.main", "emulate", str(stm32_project), "--json"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as emulator:
        try:
            document = ""
            while "}" not in document:
                document += emulator.stdout.readline()
            url = json.loads(document)["url"]
            assert verify(stm32_project, tmp_path / "report", "--random", 4, "--port", url) == 0
            assert report_of(tmp_path / "report")["instructions"]["median"] > 0
        finally:
            emulator.terminate()


@pytest.mark.skipif(not SHARED_MODELS.is_dir(), reason="the development models are not beside the checkout")
def test_a_model_that_was_not_trained_here(tmp_path):
    model = SHARED_MODELS / "kws_ref_model.tflite"
    assert main(["inspect", str(model), "--board", "netduinoplus2"]) == 0
    project = build_project(tmp_path, "netduinoplus2", model.read_bytes())
    assert verify(project, tmp_path / "report", "--random", 50) == 0
    assert report_of(tmp_path / "report")["identical"] == 50

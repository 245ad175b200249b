# SPDX-License-Identifier: Apache-2.0
"""Projects for whose convolutions flash was spent: what they say, and that others say nothing of it."""

import json
from pathlib import Path
from typing import Any

import pytest

from mcu_ser.board import load_board
from mcu_ser.cli.main import main
from mcu_ser.errors import ConfigError
from mcu_ser.generate.manifest import generate_beside
from mcu_ser.generate.project import Project, generate
from mcu_ser.verify.layers import generate_with_layers
from mcu_ser.verify.predicted_cost import predicted_instructions
from tests.layer_shapes import winograd_shapes

MUCH = 100_000


@pytest.fixture
def model(tmp_path: Path) -> Path:
    path = tmp_path / "convolution.tflite"
    path.write_bytes(winograd_shapes()[0])
    return path


def test_a_project_says_what_was_spent_and_where(tmp_path: Path, model: Path) -> None:
    plain = generate(model, load_board("netduinoplus2"), "aot", tmp_path / "plain")
    fast = generate(model, load_board("netduinoplus2"), "aot", tmp_path / "fast", winograd_bytes=MUCH)
    manifest = Project.load(fast.root).manifest
    assert (manifest.winograd_bytes, manifest.winograd_layers) == (MUCH, (0,))
    assert plain.manifest.weight_bytes < manifest.weight_bytes <= plain.manifest.weight_bytes + MUCH
    assert "winograd" not in (plain.root / "project.json").read_text()
    assert {Path(name).name for name in manifest.files} >= {
        "conv_2d_winograd.h",
        "conv_2d_winograd_dsp.h",
    }


def test_a_profile_predicts_the_kernels_that_were_chosen(tmp_path: Path, model: Path) -> None:
    board = load_board("netduinoplus2")
    plain = predicted_instructions(generate(model, board, "aot", tmp_path / "plain"))
    fast = predicted_instructions(generate(model, board, "aot", tmp_path / "fast", winograd_bytes=MUCH))
    assert fast[0] < 0.8 * plain[0]


def test_commands_that_generate_it_anew_have_the_option(tmp_path: Path, model: Path) -> None:
    board = load_board("netduinoplus2")
    fast = generate(model, board, "aot", tmp_path / "fast", winograd_bytes=MUCH)
    assert f"--winograd-bytes {MUCH}" in generate_beside(fast.root, fast.manifest)
    assert f"--winograd-bytes {MUCH}" in generate_with_layers(fast)
    plain = generate(model, board, "aot", tmp_path / "plain")
    assert "winograd" not in generate_beside(plain.root, plain.manifest) + generate_with_layers(plain)


def _generate(model: Path, *options: str) -> int:
    out = str(model.with_name("project"))
    return main(["generate", str(model), "--board", "netduinoplus2", "--out", out, *options])


def test_the_command_names_the_layers(model: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert _generate(model, "--winograd-bytes", str(MUCH)) == 0
    assert f"Winograd's algorithm: layer 0, within {MUCH} B of flash" in capsys.readouterr().out


def test_the_command_says_when_the_flash_was_too_little(
    model: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert _generate(model, "--winograd-bytes", "100") == 0
    said = capsys.readouterr().out
    assert "Winograd's algorithm: no layer that it makes faster within 100 B of flash and the arena" in said
    assert _generate(model) == 0
    assert "Winograd" not in capsys.readouterr().out


def test_the_document_has_it(model: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert _generate(model, "--winograd-bytes", str(MUCH), "--json") == 0
    document: dict[str, Any] = json.loads(capsys.readouterr().out)
    assert document["winograd_layers"] == [0]


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--winograd-bytes", "-1"), "-1 bytes for Winograd's algorithm: are none, limit at least 0"),
        (
            ("--winograd-bytes", "1", "--engine", "tflm"),
            "engine 'tflm': chooses its kernels itself; flash for Winograd's algorithm cannot be given; "
            "try: --engine aot",
        ),
    ],
)
def test_what_is_no_flash_to_spend_is_refused(
    model: Path, options: tuple[str, ...], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert _generate(model, *options) == 2
    assert said in capsys.readouterr().err
    assert not model.with_name("project").exists()


def test_the_same_is_refused_without_the_command(tmp_path: Path, model: Path) -> None:
    with pytest.raises(ConfigError, match="at least 0"):
        generate(model, load_board("host"), "aot", tmp_path / "project", winograd_bytes=-1)

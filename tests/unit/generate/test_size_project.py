# SPDX-License-Identifier: Apache-2.0
"""`--optimize size`, from the command line to the files of a project."""

import json

import pytest

from mcu_ser.aot.optimization import Optimization
from mcu_ser.board import load_board
from mcu_ser.cli.main import main
from mcu_ser.errors import ConfigError
from mcu_ser.generate.manifest import generate_beside
from mcu_ser.generate.project import generate
from mcu_ser.verify.layers import generate_with_layers
from mcu_ser.verify.predicted_cost import predicted_instructions
from mcu_ser.verify.report_sections import background_of
from tests.layer_shapes import winograd_shapes

SIZE = Optimization.SIZE


@pytest.fixture
def model(tmp_path):
    path = tmp_path / "model.tflite"
    path.write_bytes(winograd_shapes()[0])
    return path


@pytest.fixture
def both(model, tmp_path):
    board = load_board("netduinoplus2")
    return [
        generate(model, board, "aot", tmp_path / kind.value, optimization=kind)
        for kind in (Optimization.SPEED, SIZE)
    ]


def _generate(model, *options):
    out = model.with_name("project")
    return main(["generate", str(model), "--board", "netduinoplus2", "--out", str(out), *options])


def test_project_for_size_has_its_own_kernels_flags_and_memory_functions(both):
    fast, small = both
    assert set(small.manifest.files) - set(fast.manifest.files) == {
        "src/runtime/kernels/compact.h",
        "src/runtime/kernels/compact_products.h",
        "src/port/small_memory.c",
    }
    flags = [(project.root / "CMakeLists.txt").read_text() for project in both]
    assert ['FIRMWARE_OPTIMIZATION "-Os"' in text for text in flags] == [False, True]
    assert ["-fno-jump-tables" in text for text in flags] == [False, True]
    assert small.build_id != fast.build_id
    assert small.arena_bytes < fast.arena_bytes


def test_manifest_says_what_a_project_was_built_for(both):
    fast, small = both
    assert small.manifest.optimization == "size"
    assert "optimization" not in (fast.root / "project.json").read_text()
    assert small.load(small.root).manifest.optimization == "size"


def test_hints_and_provenance_name_the_optimisation(both):
    fast, small = both
    for project, told in ((fast, False), (small, True)):
        assert ("--optimize size" in generate_beside(project.root, project.manifest)) is told
        assert ("--optimize size" in generate_with_layers(project)) is told
    assert background_of(small, None).provenance["optimization"] == "size"


def test_a_build_for_size_has_predictions_of_its_own(both):
    fast, small = (predicted_instructions(project) for project in both)
    assert set(fast) == set(small)
    assert all(fast[index] < small[index] for index in fast)


def test_generate_takes_the_option(model, capsys):
    assert _generate(model, "--optimize", "size", "--json") == 0
    assert json.loads(capsys.readouterr().out)["optimization"] == "size"


def test_inspect_shows_what_a_build_for_size_takes(model, capsys):
    documents = []
    for kind in ("speed", "size"):
        assert main(["inspect", str(model), "--engine", "aot", "--optimize", kind, "--json"]) == 0
        documents.append(json.loads(capsys.readouterr().out))
    fast, small = documents
    assert small["layers"][0]["kernel"] == "aot_compact"
    assert small["arena_bytes"] < fast["arena_bytes"]
    assert small["predicted_instructions"] > fast["predicted_instructions"]
    assert small["layers"][0]["prediction_error"] > 0
    assert main(["inspect", str(model), "--optimize", "size"]) == 0
    text = capsys.readouterr().out
    assert "--optimize size --out PROJECT" in text
    assert f"{small['predicted_instructions']:,} instructions" in text
    assert "±       the greatest error" in text


@pytest.mark.parametrize(
    ("options", "error"),
    [
        (
            ("--winograd-bytes", "100"),
            "a build for size: cannot spend 100 B of flash on Winograd's algorithm",
        ),
        (
            ("--engine", "tflm"),
            "engine 'tflm': is a library that was built before; its firmware cannot be optimised for size",
        ),
    ],
)
def test_what_a_build_for_size_cannot_have_is_refused(model, options, error, capsys):
    assert _generate(model, "--optimize", "size", *options) == 2
    assert error in capsys.readouterr().err
    assert not model.with_name("project").exists()


def test_inspect_refuses_what_generate_would(model, capsys):
    assert main(["inspect", str(model), "--engine", "tflm", "--optimize", "size"]) == 2
    assert "its firmware cannot be optimised for size" in capsys.readouterr().err


def test_run_refuses_it_before_anything_is_trained(tmp_path, capsys):
    arguments = (
        "--recipe",
        "synthetic",
        "--board",
        "netduinoplus2",
        "--engine",
        "tflm",
        "--optimize",
        "size",
    )
    assert main(["run", *arguments, "--out", str(tmp_path / "run")]) == 2
    error = capsys.readouterr().err
    assert "cannot be optimised for size" in error
    assert not (tmp_path / "run").exists()


def test_an_unknown_optimisation_is_a_wrong_use(model, capsys):
    with pytest.raises(SystemExit, match="2"):
        _generate(model, "--optimize", "fun")
    assert "--optimize" in capsys.readouterr().err


def test_refusal_names_the_way_out(model, tmp_path):
    with pytest.raises(ConfigError, match="--optimize speed, or no --winograd-bytes"):
        generate(
            model,
            load_board("host"),
            "aot",
            tmp_path / "project",
            winograd_bytes=1,
            optimization=SIZE,
        )

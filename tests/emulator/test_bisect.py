# SPDX-License-Identifier: Apache-2.0
"""verify --bisect and --profile: firmware with one constant that is wrong, and firmware that is right."""

import json

import pytest

from mcu_ser.cli.main import main
from mcu_ser.programs import ARM_GCC, CMAKE, NINJA, QEMU_ARM
from tests.layered_model import DEPTHWISE, FIRST, MIDDLE, OPERATORS, changed_words, layered_model

ABSENT = [program.command for program in (ARM_GCC, CMAKE, NINJA, QEMU_ARM) if program.find() is None]

pytestmark = [
    pytest.mark.emulator,
    pytest.mark.skipif(bool(ABSENT), reason=f"not installed: {', '.join(ABSENT)}"),
]

# Words of a stream before the weights, and of a block of MIDDLE before its multipliers (8 inputs per output).
SUMS, MIDDLE_WEIGHTS = 4, 8


@pytest.fixture(scope="module", params=["host", "netduinoplus2"])
def project(request, tmp_path_factory):
    """A project that traces layers; tests change its constants for a while and build it again."""
    directory = tmp_path_factory.mktemp(request.param)
    model = directory / "model.tflite"
    model.write_bytes(layered_model())
    project = directory / "project"
    arguments = ["generate", model, "--board", request.param, "--layers", "--out", project]
    assert main(list(map(str, arguments))) == 0
    return project


def weights_of(project):
    return project / "src" / "model" / "aot_weights.c"


def build(project):
    assert main(["build", str(project)]) == 0


def verify(project, out, *options):
    return main(["verify", str(project), "--random", "3", "--no-litert", "--out", str(out), *options])


def report_of(directory):
    return json.loads((directory / "report.json").read_text())


def bisect(project, tmp_path, layer, changes):
    """What is said of firmware in which words of a layer's constants are wrong."""
    with changed_words(weights_of(project), layer, changes):
        build(project)
        assert verify(project, tmp_path / "report", "--bisect") == 1
    report = report_of(tmp_path / "report")
    assert report["verdict"] == "fail"
    assert report["changed_files"] == ["src/model/aot_weights.c"]
    return report["layers"]


def test_a_wrong_requantisation_constant_in_a_middle_layer_is_found(project, tmp_path, capsys):
    # A quarter off the multiplier of channel 4, the first of the second block.
    block = SUMS + MIDDLE_WEIGHTS + 12
    layers = bisect(project, tmp_path, MIDDLE, {block + SUMS + MIDDLE_WEIGHTS: -0x18000000})
    wrong = layers["first_wrong"]
    assert (wrong["index"], wrong["operator"], wrong["name"]) == (MIDDLE, "CONV_2D", "middle")
    assert (wrong["shape"], wrong["values"], wrong["channels"]) == ([1, 8, 8, 8], 512, 8)
    assert (wrong["channel_indices"], wrong["cause"]) == ([4], "multiplier")
    assert 10 < wrong["differing"] <= 64
    assert wrong["first"][3] == 4
    equal = [layer["identical"] for layer in layers["layers"]]
    assert equal[: MIDDLE + 1] == [True] * MIDDLE + [False]
    said = capsys.readouterr().out
    assert f"layer {MIDDLE}, CONV_2D (middle), is the first that differs" in said
    assert "likely: whole channels are scaled" in said


def test_a_wrong_bias_is_found(project, tmp_path):
    layers = bisect(project, tmp_path, MIDDLE, {1: 2000 << 8})
    wrong = layers["first_wrong"]
    assert (wrong["index"], wrong["channel_indices"], wrong["cause"]) == (MIDDLE, [1], "bias")
    # 2000 * 0.1 * 0.0123 / 0.15 = 16.4
    assert wrong["largest_difference"] in {16, 17}


def test_a_wrong_weight_in_the_first_layer_is_found(project, tmp_path):
    # A word holds weights of two channels.
    wrong = bisect(project, tmp_path, FIRST, {SUMS: 64})["first_wrong"]
    assert (wrong["index"], wrong["channel_indices"], wrong["cause"]) == (FIRST, [0, 1], "channels")


def test_a_wrong_weight_of_a_depthwise_layer_is_found(project, tmp_path):
    wrong = bisect(project, tmp_path, DEPTHWISE, {4: 1 << 20})["first_wrong"]
    assert (wrong["index"], wrong["operator"]) == (DEPTHWISE, "DEPTHWISE_CONV_2D")
    assert wrong["channel_indices"] == [0]


def test_in_right_firmware_no_layer_differs_and_each_has_its_time(project, tmp_path, capsys):
    build(project)
    assert verify(project, tmp_path / "report", "--bisect", "--profile", "--sample", "2") == 0
    report = report_of(tmp_path / "report")
    layers = report["layers"]
    assert (layers["sample"], layers["sample_id"]) == (2, "random-2")
    assert (layers["first_wrong"], layers["problem"]) == (None, None)
    assert tuple(layer["operator"] for layer in layers["layers"]) == OPERATORS
    assert [layer["macs"] for layer in layers["layers"]] == [18_432, 4_608, 4_096, 0, 0, 32, 0]
    assert all(layer["identical"] and layer["ticks"] > 0 for layer in layers["layers"])
    assert sum(layer["ticks"] for layer in layers["layers"]) == layers["ticks"]["total"]
    assert sum(layer["share"] for layer in layers["layers"]) == pytest.approx(1)
    if report["instructions"]["median"] is not None:
        # What is between the layers: the check of whether one is wanted.
        between = report["instructions"]["median"] - layers["ticks"]["total"]
        assert abs(between) < 60 * len(OPERATORS)
        for layer in layers["layers"]:
            assert 0.3 < layer["ticks"] / layer["predicted_ticks"] < 3
    said = capsys.readouterr().out
    assert "sample 2 (random-2): no layer differs from the oracle's" in said
    assert "layers of sample 2, in " in said


def test_a_layer_that_is_wrong_fails_the_check_though_the_outputs_are_right(project, tmp_path, capsys):
    # The difference of one step drowns in the pool and the softmax behind it.
    with changed_words(weights_of(project), MIDDLE, {2: 10}):
        build(project)
        assert verify(project, tmp_path / "plain") == 0
        assert verify(project, tmp_path / "report", "--bisect") == 1
    report = report_of(tmp_path / "report")
    assert report["identical"] == 3
    assert (report["verdict"], report["layers"]["first_wrong"]["index"]) == ("fail", MIDDLE)
    assert report["reason"].startswith("all outputs are right, but layer 2, CONV_2D (middle), is the first")
    assert 'failures="1"' in (tmp_path / "report" / "junit.xml").read_text()

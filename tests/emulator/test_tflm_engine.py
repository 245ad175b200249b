# SPDX-License-Identifier: Apache-2.0
"""Engine tflm with a real library: TFLM_ROOT names a source tree of TFLite-Micro whose Makefile has made
one for cortex-m4+fp, or several; each of them is tested.

The trained model of this project is tested when MCU_SER_RUN names the run directory that holds it.
"""

import json
import os
from pathlib import Path

import numpy as np
import pytest

from mcu_ser.aot.tflite_reader import read_model
from mcu_ser.board import load_board
from mcu_ser.cli.main import main
from mcu_ser.device.link import Link
from mcu_ser.device.start import open_device
from mcu_ser.errors import DeviceFaultError
from mcu_ser.generate.byte_arrays import estimate_arena
from mcu_ser.generate.fit import interpreter_bytes
from mcu_ser.generate.project import Project
from mcu_ser.tflm.runtime_support import CURRENT_TFLM
from mcu_ser.toolchain.footprint import measure
from mcu_ser.verify.client import Client
from mcu_ser.verify.protocol import EngineStatus
from tests.hearing_model import hearing_model
from tests.lstm_model import two_lstms
from tests.random_elements import ELEMENTS
from tests.random_layers import LAYERS
from tests.random_moves import MOVES
from tests.random_products import PRODUCTS
from tests.stm32_firmware import require_tools
from tests.tflite_builder import TfliteBuilder
from tests.tiny_model import tiny_classifier

BOARD = "netduinoplus2"
LIBRARIES = "gen/cortex_m_generic_cortex-m4+fp_*/lib/libtensorflow-microlite.a"
SHARED_MODELS = Path(__file__).parents[3] / "shared" / "models"

ROOT = os.environ.get("TFLM_ROOT")
FOUND = sorted(Path(ROOT).glob(LIBRARIES)) if ROOT else []

pytestmark = [
    pytest.mark.emulator,
    pytest.mark.skipif(
        not FOUND, reason="TFLM_ROOT names no tree with a TFLite-Micro library for cortex-m4+fp"
    ),
]


@pytest.fixture(params=FOUND, ids=lambda path: path.parents[1].name.removeprefix("cortex_m_generic_"))
def library(request):
    require_tools(load_board(BOARD), emulator=True)
    return request.param


def new_operators():
    """Every operator that the other engine has not, and a dense layer with a scale per output."""
    model = TfliteBuilder()
    rng = np.random.default_rng(3)

    def activation(*shape, scale=0.05, zero_point=3):
        return model.tensor(shape, scale=scale, zero_point=zero_point)

    def weights(*shape, scale):
        return model.tensor(shape, scale=scale, data=rng.integers(-127, 128, shape, np.int8))

    x = activation(1, 4, 6, 4)
    turned = activation(1, 6, 4, 4)
    order = model.tensor((4,), "INT32", data=[0, 2, 1, 3])
    model.operator("TRANSPOSE", [x, order], [turned], version=2)
    curved, gate = (activation(1, 6, 4, 4, scale=scale, zero_point=z) for scale, z in _FIXED_RANGES)
    model.operator("TANH", [turned], [curved], version=2)
    model.operator("LOGISTIC", [turned], [gate], version=2)
    product, difference = activation(1, 6, 4, 4), activation(1, 6, 4, 4)
    padded = activation(1, 6, 5, 8)
    model.operator("MUL", [curved, gate], [product], version=2)
    model.operator("SUB", [product, turned], [difference], version=2)
    joined = activation(1, 6, 4, 8)
    model.operator("CONCATENATION", [product, difference], [joined], Axis=3, version=2)
    border = model.tensor((4, 2), "INT32", data=[[0, 0], [0, 0], [0, 1], [0, 0]])
    value = model.tensor((1,), scale=0.05, zero_point=3, data=[7])
    model.operator("PADV2", [joined, border, value], [padded], version=2)
    flat = activation(1, 240)
    shape = model.tensor((2,), "INT32", data=[1, 240])
    model.operator("RESHAPE", [padded, shape], [flat])
    dense = activation(1, 5, scale=0.1)
    matrix = weights(5, 240, scale=[0.001, 0.002, 0.003, 0.004, 0.005])
    model.operator("FULLY_CONNECTED", [flat, matrix, -1], [dense], version=4)
    return model.build([x], [dense])


# What TFLite's TANH and LOGISTIC demand of their outputs: scale and zero point.
_FIXED_RANGES = ((1 / 128, 0), (1 / 256, -128))


def shared(name):
    path = SHARED_MODELS / f"{name}.tflite"
    if not path.is_file():
        pytest.skip(f"{path.name} is not beside the checkout")
    return path.read_bytes()


def trained():
    run = os.environ.get("MCU_SER_RUN")
    if not run:
        pytest.skip("MCU_SER_RUN names no run directory")
    return (Path(run) / "convert" / "model.tflite").read_bytes()


MODELS = {
    "tiny": tiny_classifier,
    "new_operators": new_operators,
    "recurrent": two_lstms,
    "trained": trained,
    "kws": lambda: shared("kws_ref_model"),
    "ad": lambda: shared("ad01_int8"),
    "resnet": lambda: shared("ic_resnet_int8"),
}
SAMPLES = {"resnet": 4}  # 107 million instructions each with reference kernels


def build_project(directory, model, library, *options):
    directory.mkdir(exist_ok=True)
    path = directory / "m.tflite"
    path.write_bytes(model)
    project = directory / "project"
    generate = ["generate", path, "--board", BOARD, "--engine", "tflm", "--out", project, *options]
    assert main(list(map(str, generate))) == 0
    assert main(["build", str(project), "--tflm-root", ROOT, "--tflm-library", str(library)]) == 0
    return project


def verify(project, out, *options):
    return main(["verify", str(project), "--out", str(out), "--no-litert", *map(str, options)])


def read_json(path):
    return json.loads(path.read_text())


def assert_inspect_counts_enough_flash(path):
    """What is said to fit must link: model, interpreter and the board's reserve hold the whole firmware."""
    project = Project.load(path)
    model = project.model_path.read_bytes()
    counted = len(model) + interpreter_bytes(read_model(model))
    built = measure(project.elf_path, project.board).flash_bytes
    assert built <= counted + project.board.budget.flash_reserve_bytes


@pytest.mark.parametrize("name", sorted(MODELS))
def test_the_interpreter_gives_the_bytes_of_the_oracle_in_a_certified_arena(tmp_path, library, name, capsys):
    model, report = MODELS[name](), tmp_path / "report"
    project = build_project(tmp_path, model, library)
    estimate = Project.load(project).arena_bytes
    assert estimate == estimate_arena(read_model(model)).arena_bytes
    assert_inspect_counts_enough_flash(project)

    samples = SAMPLES.get(name, 50)
    assert verify(project, report, "--random", samples, "--certify-arena") == 0
    assert read_json(report / "report.json")["identical"] == samples
    certificate = read_json(report / "arena.json")
    least = certificate["arena_bytes"]
    assert least <= estimate
    *_, runs, fails = certificate["trials"]
    assert (runs["arena_bytes"], runs["failure"]) == (least, None)
    assert fails["arena_bytes"] == least - 16
    assert fails["failure"].startswith("NOT_ALLOCATED: ")
    adopted = Project.load(project).manifest
    assert (adopted.arena_bytes, adopted.arena_basis) == (least, "certified")

    # The same in firmware of its own: 16 bytes less, and the engine does not start.
    capsys.readouterr()
    smaller = build_project(tmp_path / "smaller", model, library, "--arena-bytes", least - 16)
    assert verify(smaller, report, "--random", 1) == 4
    assert "the inference engine did not start: NOT_ALLOCATED" in capsys.readouterr().err


def test_all_operators_that_are_let_through_are_tested():
    tested = {operator.opcode for operator in read_model(new_operators()).operators}
    tested |= {operator.opcode for operator in read_model(two_lstms()).operators}
    tested |= LAYERS.keys() | ELEMENTS.keys() | MOVES.keys() | PRODUCTS.keys()
    assert CURRENT_TFLM.operators.keys() <= tested


def test_there_is_one_least_size_and_the_board_survives_all_below_it(tmp_path, library):
    """Below it the interpreter says so, or follows a null pointer: a fault and a restart."""
    project = Project.load(build_project(tmp_path, tiny_classifier(), library))
    started = []
    with open_device(project) as device, Link(device) as link:
        client = Client(link)
        client.hello()
        for size in range(0, project.arena_bytes + 1, 16):
            try:
                started.append(client.try_arena(size).engine_status == EngineStatus.READY)
            except DeviceFaultError:
                assert client.hello().engine_status == EngineStatus.READY
                started.append(False)
    assert started == sorted(started)
    assert started[-1]


def test_the_interpreter_hears_what_the_host_hears(tmp_path, library):
    """The front end writes to the interpreter's input; an arena that is certified leaves it in place."""
    hearing = hearing_model(tmp_path / "hearing")
    model = hearing.model.read_bytes()
    project = build_project(tmp_path, model, library, "--front-end", hearing.front_end)
    report = tmp_path / "report"
    assert verify(project, report, "--random", 2, "--certify-arena", "--input", "audio") == 0
    assert verify(project, report, "--random", 12, "--input", "audio", "--random-blocks", 3) == 0
    document = read_json(report / "report.json")
    assert (document["engine"], document["identical"], document["audio"]["identical"]) == ("tflm", 12, 12)
    assert Project.load(project).manifest.arena_basis == "certified"

# SPDX-License-Identifier: Apache-2.0
"""The trace of a board that does not compute every channel: of the others, named as in the file."""

import numpy as np
import pytest

from mcu_ser.aot.channel_folding import fold_channels
from mcu_ser.aot.tflite_reader import read_model
from mcu_ser.board import load_board
from mcu_ser.cli.layer_table import _row
from mcu_ser.convert.oracle import layer_outputs
from mcu_ser.errors import MismatchError
from mcu_ser.generate.project import generate
from mcu_ser.report.sections import layer_rows
from mcu_ser.verify.bisect import first_wrong_layer
from mcu_ser.verify.client import Client
from mcu_ser.verify.layers import graph_on_board, model_layers, trace
from mcu_ser.verify.profile import layer_section
from tests.layered_model import DEPTHWISE, FIRST, MIDDLE, layered_model
from tests.lossy_link import ScriptedLink
from tests.unit.verify.test_layers import PATIENCE, SAMPLES, TracingBoard

DEAD = (1, 2, 4, 6)
MODEL = layered_model(dead=DEAD)
READ = read_model(MODEL, "layered")
GRAPH = fold_channels(READ)
LAYERS = model_layers(GRAPH)


class FoldedBoard(TracingBoard):
    """A board that computes what the folded graph has; `whole` computes every channel."""

    def __init__(self, tensors=None, *, whole=False):
        super().__init__(tensors)
        self.whole = whole

    def tensor(self, index):
        if index in self.tensors:
            return self.tensors[index]
        x = np.frombuffer(bytes(self.input), np.int8)
        (tensor,) = layer_outputs(MODEL, "m", x, [LAYERS[index].tensor])
        return (tensor if self.whole else LAYERS[index].computed(tensor)).tobytes()


def traced(board):
    client = Client(ScriptedLink(board), PATIENCE)
    return trace(client, client.hello(), MODEL, GRAPH, SAMPLES, 1)


def test_the_layers_are_those_of_the_board():
    assert [layer.left_out for layer in LAYERS] == [DEAD, DEAD, (), (), (), (), ()]
    assert [layer.bytes for layer in LAYERS] == [256, 256, 512, 8, 8, 4, 4]
    # 3 x 3 taps of 4 channels for 4 filters and 64 pixels, and half of the 64 x 64 of the pointwise layer.
    assert [layer.macs for layer in LAYERS[:3]] == [9216, 2304, 2048]


def test_a_board_that_leaves_channels_out_differs_nowhere():
    found = traced(FoldedBoard())
    assert all(entry.identical for entry in found.layers)
    assert found.layers[FIRST].expected.shape == (1, 8, 8, 4)
    assert first_wrong_layer(found) is None


def test_a_wrong_channel_has_the_number_that_the_file_gives_it():
    (whole,) = layer_outputs(MODEL, "m", SAMPLES.x[1], [LAYERS[DEPTHWISE].tensor])
    tensor = LAYERS[DEPTHWISE].computed(whole).copy()
    # Of the channels 0, 3, 5 and 7 that are left, the third.
    tensor[0, 2, 6, 2] ^= 4
    wrong = first_wrong_layer(traced(FoldedBoard({DEPTHWISE: tensor.tobytes()})))
    assert (wrong.index, wrong.first, wrong.channel_indices) == (DEPTHWISE, (0, 2, 6, 5), (5,))
    assert (wrong.shape, wrong.values, wrong.channels) == ((1, 8, 8, 4), 256, 4)
    assert wrong.expected == whole.reshape(8, 8, 8)[2, 6, 5]


def test_a_board_that_computes_every_channel_is_another():
    with pytest.raises(MismatchError, match=r"layer 0.* has 512 B on the board, 256 B in the model"):
        traced(FoldedBoard(whole=True))


def test_the_report_says_how_many_channels_are_left_out():
    section = layer_section(traced(FoldedBoard()), None, profile=False)
    assert [layer["left_out"] for layer in section["layers"]] == [4, 4, 0, 0, 0, 0, 0]
    rows = layer_rows({"layers": section})
    assert [row["shape"] for row in rows[1:3]] == ["1 × 8 × 8 × 4 of 8", "1 × 8 × 8 × 8"]
    times = layer_section(traced(FoldedBoard()), None, profile=True)["layers"]
    assert [_row(times[i], predicted=False)[2] for i in (1, 2)] == ["1x8x8x4 of 8", "1x8x8x8"]


@pytest.mark.parametrize(("engine", "kept"), [("aot", 4), ("tflm", 8)])
def test_engine_tflm_computes_every_channel(engine, kept, tmp_path):
    path = tmp_path / "model.tflite"
    path.write_bytes(MODEL)
    board = load_board("arduino_nano_33_ble")
    project = generate(path, board, engine, tmp_path / "project")
    graph = graph_on_board(project)
    assert graph.results(graph.operators[MIDDLE - 1])[0].shape[-1] == kept

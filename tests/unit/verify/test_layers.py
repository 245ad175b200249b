# SPDX-License-Identifier: Apache-2.0
"""The trace of a sample on boards that are functions: what a board may say of its layers, and what not."""

import json
from functools import cache
from pathlib import Path

import numpy as np
import pytest

from mcu_ser.aot.tflite_reader import read_model
from mcu_ser.board import load_board
from mcu_ser.cli.main import build_parser, main
from mcu_ser.cli.verify import _next_command
from mcu_ser.convert.oracle import layer_outputs
from mcu_ser.errors import DeviceFaultError, LinkError, MismatchError
from mcu_ser.generate.engine_model import Arena
from mcu_ser.generate.project import Project, generate
from mcu_ser.verify.bisect import first_wrong_layer
from mcu_ser.verify.client import Client
from mcu_ser.verify.layers import TICKS_PER_MAC, generate_with_layers, model_layers, trace
from mcu_ser.verify.messages import LAYOUTS, RECORDS, LayerPage, LayerRecord, PayloadError
from mcu_ser.verify.patience import Patience
from mcu_ser.verify.profile import layer_section, layer_times, total_ticks
from mcu_ser.verify.protocol import ErrorCode, MessageType, crc32
from mcu_ser.verify.report import Report
from mcu_ser.verify.samples import random_samples
from tests.layered_model import MIDDLE, OPERATORS, layered_model
from tests.lossy_link import PretendBoard, ScriptedLink, refusal
from tests.native_firmware import TestModel
from tests.tiny_model import tiny_classifier

MODEL = layered_model()
GRAPH = read_model(MODEL, "layered")
LAYERS = model_layers(GRAPH)
FIRMWARE = TestModel(input_bytes=256, output_bytes=4)
PATIENCE = Patience(hello_s=5, answer_s=5, inference_s=5)
SPEC = GRAPH.tensors[GRAPH.inputs[0]]
SAMPLES = random_samples(3, 1, SPEC)


@cache
def oracle_tensors(sample):
    """The right tensor of each layer, for the bytes of a sample."""
    x = np.frombuffer(sample, np.int8)
    return [tensor.tobytes() for tensor in layer_outputs(MODEL, "m", x, [layer.tensor for layer in LAYERS])]


class TracingBoard(PretendBoard):
    """A board whose layers are the oracle's, but for those in `tensors`: index -> bytes."""

    def __init__(self, tensors=None, changes=None, **hello):
        super().__init__(FIRMWARE, changes, **hello)
        self.tensors = tensors or {}
        self.runs = 0
        self.stopped = None

    def tensor(self, index):
        return self.tensors.get(index, oracle_tensors(bytes(self.input))[index])

    def page(self, frame, **wrong):
        values, _ = LAYOUTS["LAYERS"].unpack(frame.payload)
        assert values["input_crc"] == crc32(bytes(self.input))
        self.runs += 1
        self.stopped = values["last"]
        records = []
        for index in range(values["first"], values["last"] + 1):
            tensor = self.tensor(index)
            fields = {"crc": crc32(tensor), "bytes": len(tensor), "ticks": 100 * index + self.runs} | wrong
            records.append(RECORDS["LAYER"].pack(fields))
        return values["sample"], records

    def _layers(self, frame):
        sample, records = self.page(frame)
        fields = {"sample": sample, "layers": len(LAYERS)}
        return LAYOUTS["LAYERS_ANSWER"].pack(fields, b"".join(records))

    def _tensor(self, frame):
        values, _ = LAYOUTS["TENSOR"].unpack(frame.payload)
        assert values["layer"] == self.stopped
        data = self.tensor(self.stopped)[values["offset"] :][: values["length"]]
        return LAYOUTS["TENSOR_ANSWER"].pack({"layer": self.stopped, "offset": values["offset"]}, data)


def tracing(board, sample=1, **options):
    link = ScriptedLink(board)
    client = Client(link, PATIENCE)
    hello = client.hello()
    oracle_tensors(SAMPLES.x[sample].tobytes())  # takes its time before anybody waits
    return trace(client, hello, MODEL, GRAPH, SAMPLES, sample, **options), link


def wrong_tensor(index, change):
    """The tensor of sample 1 with something added to some of its values."""
    tensor = np.frombuffer(oracle_tensors(SAMPLES.x[1].tobytes())[index], np.int8).copy()
    for at, added in change.items():
        tensor[at] += added
    return {index: tensor.tobytes()}


def test_the_layers_are_the_operators_of_the_file():
    assert tuple(layer.operator for layer in LAYERS) == OPERATORS
    assert [layer.bytes for layer in LAYERS] == [512, 512, 512, 8, 8, 4, 4]
    assert str(LAYERS[MIDDLE]) == "layer 2, CONV_2D (middle)"


def test_a_right_board_differs_nowhere():
    found, link = tracing(TracingBoard())
    assert all(entry.identical for entry in found.layers)
    assert (found.first_wrong, first_wrong_layer(found)) == (None, None)
    assert (found.sample, found.sample_id, found.tick_source) == (1, "random-1", "host")
    assert [entry.ticks for entry in found.layers] == [100 * i + 1 for i in range(7)]
    assert MessageType.TENSOR not in {frame.type for frame in link.requests}


def test_the_first_wrong_layer_is_read_and_described():
    tensors = wrong_tensor(MIDDLE, {100: 5, 101: -9}) | {5: b"\1\2\3\4"}
    found, _ = tracing(TracingBoard(tensors))
    assert [entry.identical for entry in found.layers] == [True, True, False, True, True, False, True]
    wrong = first_wrong_layer(found)
    assert (wrong.index, wrong.operator, wrong.name) == (MIDDLE, "CONV_2D", "middle")
    assert (wrong.differing, wrong.values, wrong.largest_difference) == (2, 512, 9)
    # 100 = (12 * 8) + 4, row 1, column 4.
    assert (wrong.first, wrong.device - wrong.expected) == ((0, 1, 4, 4), 5)
    assert (wrong.wrong_channels, wrong.channels, wrong.channel_indices) == (2, 8, (4, 5))
    assert str(wrong) == (
        "layer 2, CONV_2D (middle), is the first that differs: 2 of 512 values in 2 of 8 channels, by 9 at "
        f"most; first [0, 1, 4, 4]: {wrong.device}, expected {wrong.expected}"
    )
    assert json.loads(json.dumps(wrong.document()))["first"] == [0, 1, 4, 4]


def test_a_board_with_short_frames_tells_of_few_layers_at_a_time():
    tensors = wrong_tensor(MIDDLE, {0: 1})
    found, link = tracing(TracingBoard(tensors, max_payload=64))
    kinds = [frame.type for frame in link.requests]
    # (64 - 8) / 12 is 4: two runs for seven layers, and one for the tensor, read in pieces of 56 bytes.
    assert kinds.count(MessageType.LAYERS) == 3
    assert kinds.count(MessageType.TENSOR) >= 512 / 56
    assert first_wrong_layer(found).differing == 1


def test_the_median_of_the_runs_is_the_time():
    found, _ = tracing(TracingBoard(), runs=3)
    assert [entry.ticks for entry in found.layers] == [100 * i + 2 for i in range(7)]
    assert total_ticks(found) == 100 * 21 + 7 * 2
    times = layer_times(found, predicted={3: 77})
    assert times[3].predicted_ticks == 77
    assert times[2].ticks_per_mac == 202 / 4096
    assert times[3].ticks_per_mac is None
    assert times[6].share == 602 / 2114


def test_what_no_counter_counted_is_not_measured():
    found, _ = tracing(TracingBoard(tick_source=0))
    assert {entry.ticks for entry in found.layers} == {None}
    assert total_ticks(found) is None
    assert {time.share for time in layer_times(found)} == {None}


def test_ticks_that_may_have_wrapped_are_not_measured(monkeypatch):
    monkeypatch.setattr("mcu_ser.verify.layers.TICKS_PER_MAC", (1 << 32) // 4096)
    found, _ = tracing(TracingBoard())
    assert [entry.ticks is None for entry in found.layers] == [True, True, True, False, False, False, False]
    assert TICKS_PER_MAC >= 45


def test_a_run_that_was_disturbed_is_not_measured():
    seen = []

    def lose_the_first(board, frame):
        seen.append(frame)
        return [] if len(seen) == 1 else [board.answer(frame)]

    link = ScriptedLink(TracingBoard(changes={MessageType.LAYERS: lose_the_first}))
    client = Client(link, PATIENCE)
    hello = client.hello()
    client._trace_time.measured(0.001)
    found = trace(client, hello, MODEL, GRAPH, SAMPLES, 1)
    assert {entry.ticks for entry in found.layers} == {None}
    assert all(entry.identical for entry in found.layers)


def test_a_section_of_the_report_has_times_only_if_they_were_asked_for():
    found, _ = tracing(TracingBoard())
    plain = layer_section(found, None, profile=False)
    assert plain["ticks"] is None
    assert "share" not in plain["layers"][0]
    assert layer_section(found, None, profile=True)["ticks"] == {"source": "host", "total": 2107}


def test_firmware_that_does_not_trace_layers_is_a_mismatch():
    refuse = {MessageType.LAYERS: lambda board, frame: [refusal(frame, ErrorCode.UNKNOWN_TYPE)]}
    with pytest.raises(
        MismatchError, match=r"does not trace layers; try: mcu-ser generate with --layers, build and flash$"
    ):
        tracing(TracingBoard(changes=refuse))


def answer_with(make):
    return {MessageType.LAYERS: lambda board, frame: [board.wrap(frame, make(board, frame))]}


def page_of(sample, layers, records):
    return LAYOUTS["LAYERS_ANSWER"].pack({"sample": sample, "layers": layers}, b"".join(records))


@pytest.mark.parametrize(
    ("make", "error", "problem"),
    [
        (
            lambda board, frame: page_of(1, 9, board.page(frame)[1]),
            MismatchError,
            "the board has 9 layers, the model 7",
        ),
        (
            lambda board, frame: page_of(1, 7, board.page(frame, bytes=0xFFFFFFFF)[1]),
            MismatchError,
            r"layer 0, CONV_2D \(first\) has 4294967295 B on the board, 512 B in the model",
        ),
        (
            lambda board, frame: page_of(2, 7, board.page(frame)[1]),
            LinkError,
            "breaks the protocol: 7 layers of sample 2, expected 7 of 1",
        ),
        (
            lambda board, frame: page_of(1, 7, board.page(frame)[1][:-1]),
            LinkError,
            "breaks the protocol: 6 layers of sample 1, expected 7 of 1",
        ),
        (
            lambda board, frame: page_of(1, 7, [*board.page(frame)[1], b"x"]),
            LinkError,
            "breaks the protocol: 85 bytes of records, expected a multiple of 12",
        ),
        (
            lambda board, frame: page_of(1, 7, board.page(frame, crc=board.runs)[1]),
            DeviceFaultError,
            r"layer 0, CONV_2D \(first\) gives other bytes for the same input in another run; try: its",
        ),
    ],
)
def test_what_a_board_cannot_say_of_its_layers(make, error, problem):
    with pytest.raises(error, match=problem):
        tracing(TracingBoard(changes=answer_with(make)), runs=2)


def test_a_tensor_that_changes_between_two_runs_is_a_fault():
    def forget(board, frame):
        answer = board.answer(frame)
        board.tensors = {}
        return [answer]

    board = TracingBoard(wrong_tensor(MIDDLE, {0: 1}), {MessageType.LAYERS: forget})
    with pytest.raises(
        DeviceFaultError, match=r"layer 2.*gives other bytes for the same input in another run"
    ):
        tracing(board)


def test_a_tensor_without_the_crc_that_was_announced_is_a_fault():
    def spoil(board, frame):
        values, _ = LAYOUTS["TENSOR"].unpack(frame.payload)
        fields = {"layer": values["layer"], "offset": values["offset"]}
        return [board.wrap(frame, LAYOUTS["TENSOR_ANSWER"].pack(fields, bytes(values["length"])))]

    board = TracingBoard(wrong_tensor(MIDDLE, {0: 1}), {MessageType.TENSOR: spoil})
    with pytest.raises(
        DeviceFaultError, match=r"tensor of layer 2.*has not the CRC-32 that the board announced"
    ):
        tracing(board)


@pytest.mark.parametrize(("layer", "offset", "cut"), [(1, 0, 0), (2, 4, 0), (2, 0, 1)])
def test_a_piece_of_another_tensor_or_length_breaks_the_protocol(layer, offset, cut):
    def other(board, frame):
        values, _ = LAYOUTS["TENSOR"].unpack(frame.payload)
        fields = {"layer": layer, "offset": offset}
        data = bytes(values["length"] - cut)
        return [board.wrap(frame, LAYOUTS["TENSOR_ANSWER"].pack(fields, data))]

    board = TracingBoard(wrong_tensor(MIDDLE, {0: 1}), {MessageType.TENSOR: other})
    with pytest.raises(LinkError, match=r"breaks the protocol: .* tensor bytes at"):
        tracing(board)


def test_a_page_is_read_record_by_record():
    records = [RECORDS["LAYER"].pack({"crc": 1, "bytes": 2, "ticks": 3})] * 2
    assert LayerPage.unpack(page_of(5, 2, records)) == LayerPage(5, 2, (LayerRecord(1, 2, 3),) * 2)
    with pytest.raises(PayloadError, match="at least 8"):
        LayerPage.unpack(bytes(7))


@pytest.fixture
def projects(tmp_path):
    """A project whose firmware traces layers, and one whose does not."""
    model = tmp_path / "model.tflite"
    model.write_bytes(tiny_classifier())
    made = {}
    for name, options in (("traced", ["--layers"]), ("plain", [])):
        made[name] = tmp_path / name
        assert main(["generate", str(model), "--board", "host", "--out", str(made[name]), *options]) == 0
    return made


def test_a_project_that_does_not_trace_layers_is_refused_with_the_command_that_makes_one(
    projects, tmp_path, capsys
):
    out = tmp_path / "report"
    assert main(["verify", str(projects["plain"]), "--random", "2", "--out", str(out), "--bisect"]) == 2
    said = capsys.readouterr().err
    assert "has firmware that does not tell of its layers; try: mcu-ser generate " in said
    assert f"--engine aot --layers --out {projects['plain']}-layers" in said
    assert not out.exists()


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        (["--bisect", "--sample", "2"], "--sample: 2, limit 0 to 1"),
        (["--profile", "--sample", "-1"], "--sample: -1, limit 0 to 1"),
        (["--sample", "0"], "--sample: names the sample of --bisect or --profile; try: one of them with it"),
    ],
)
def test_a_sample_that_does_not_exist_or_is_named_in_vain(projects, tmp_path, capsys, options, problem):
    arguments = ["verify", str(projects["traced"]), "--random", "2", "--out", str(tmp_path / "report")]
    assert main([*arguments, *options]) == 2
    assert problem in capsys.readouterr().err
    assert not (tmp_path / "report").exists()


def test_the_command_that_traces_keeps_what_the_project_was_generated_with(tmp_path):
    model = tmp_path / "model.tflite"
    model.write_bytes(tiny_classifier())
    plain = generate(
        model, load_board("netduinoplus2"), "tflm", tmp_path / "p", baud=9600, arena=Arena(4096, "given")
    )
    command = generate_with_layers(plain).split()
    *options, out = command[command.index("--board") :]
    assert options == (
        "--board netduinoplus2 --engine tflm --layers --arena-bytes 4096 --baud 9600 --out".split()
    )
    assert main(command[1:]) == 0
    traced = Project.load(Path(out)).manifest
    assert (traced.layers, traced.arena_bytes, traced.baud) == (True, 4096, 9600)


def test_what_follows_a_failure_leads_to_its_layer(projects):
    plain, traced = (Project.load(projects[name]) for name in ("plain", "traced"))
    base = ["verify", "project", "--out", "report"]

    def after(options, project, *, verdict="fail", right=1, layers=None):
        args = build_parser().parse_args([*base, *options])
        return _next_command(
            args,
            project,
            Report({"verdict": verdict, "identical": right, "samples": 2, "layers": layers}, (), ()),
        )

    random, samples = ["--random", "2", "--seed", "5"], ["--samples", "x.npz", "--port", "COM3"]
    assert after(random, traced) == "mcu-ser verify project --random 2 --seed 5 --bisect --out report"
    assert after(samples, traced) == (
        "mcu-ser verify project --samples x.npz --port COM3 --bisect --out report"
    )
    assert after(random, plain) == generate_with_layers(plain)
    # What the layers told is all that there is to know: no second firmware with --layers.
    for layers in ({"problem": None}, {"problem": "layer 4"}):
        assert after(random, traced, layers=layers) == "mcu-ser inspect project/model.tflite --board all"
    for verdict in ("pass", "fail"):  # over a limit, perhaps, but nothing is computed wrong
        assert (
            after(random, plain, verdict=verdict, right=2)
            == "mcu-ser inspect project/model.tflite --board all"
        )

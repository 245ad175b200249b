# SPDX-License-Identifier: Apache-2.0
import argparse
import json
import math
import re

import numpy as np
import pytest

from mcu_ser.aot.kernel_build import Build
from mcu_ser.board import list_boards, load_board
from mcu_ser.cli import inspect
from mcu_ser.errors import BudgetError, ConfigError, ModelError
from mcu_ser.generate.fit import INTERPRETER_BYTES, OPERATOR_KIND_BYTES
from tests.layered_model import layered_model
from tests.tflite_builder import TfliteBuilder

# What the interpreter takes for a model of one kind of operator.
ONE_OPERATOR_BYTES = INTERPRETER_BYTES + OPERATOR_KIND_BYTES


def _model(elements=4, opcode="FULLY_CONNECTED"):
    model = TfliteBuilder()
    x = model.tensor((1, elements), scale=0.5, zero_point=-3, name="in")
    w = model.tensor((2, elements), scale=1.0, data=np.tile([0, 1], elements))
    y = model.tensor((1, 2), scale=0.25, name="[red]layer/" + "n" * 60 + ";fused")
    model.operator(opcode, [x, w], [y])
    return model.build([x], [y])


def _inspect(tmp_path, *options, file=None):
    path = tmp_path / "m.tflite"
    path.write_bytes(file or _model())
    parser = argparse.ArgumentParser()
    inspect.add_parser(parser.add_subparsers())
    return inspect.run(parser.parse_args(["inspect", str(path), *options]))


def test_layers_and_totals_are_shown(tmp_path, capsys):
    assert _inspect(tmp_path, "--board", "netduinoplus2") == 0
    text = capsys.readouterr().out
    for part in (
        "FULLY_CONNECTED",
        "50.0%",
        "input   1x4 int8, real = 0.5 * (int8 + 3)",
        "output  1x2 int8, real = 0.25 * (int8)",
        "MACs    8; *predicted for a Cortex-M4 with DSP instructions: ",
        "fully_connected",
        "arena   8 B as planned by engine aot, 0.0% above the lower bound of 8 B",
        "engine aot:\n  flash 21 B for the weights, most at layer 0, FULLY_CONNECTED [red]layer/",
        "  RAM   8 B for the arena, planned, most at layer 0, FULLY_CONNECTED",
        f"engine tflm, TFLite-Micro:\n  flash {len(_model()) + ONE_OPERATOR_BYTES} B for the model and the "
        "interpreter, most at layer 0",
        "takes, of what the board has for it beside runtime, kernels and stack.\nnext: mcu-ser generate",
        "--board netduinoplus2 --engine aot --out PROJECT",
    ):
        assert part in text


def test_zeros_that_may_be_left_out_have_a_table(tmp_path, capsys):
    model = TfliteBuilder()
    weights = np.full((16, 64), 3)
    weights[:, 16:] = 0
    x = model.tensor((1, 64), scale=1.0)
    w = model.tensor(weights.shape, scale=1.0, data=weights)
    y = model.tensor((1, 16), scale=64.0, zero_point=-128)
    model.operator("FULLY_CONNECTED", [x, w], [y])
    file = model.build([x], [y])
    assert _inspect(tmp_path, "--board", "netduinoplus2", file=file) == 0
    text = capsys.readouterr().out
    table = text.partition("layers that may leave out zeros")[2].splitlines()
    headings, _, row = table[2:5]
    assert headings.split("chosen")[1].split() == "weights zeros dense B sparse B dense* sparse*".split()
    _, chosen, *figures = row.split()
    assert chosen == "sparse"
    assert _inspect(tmp_path, "--board", "netduinoplus2", "--json", file=file) == 0
    (layer,) = json.loads(capsys.readouterr().out)["layers"]
    dense, sparse = (layer["sparse_choice"][form] for form in ("dense", "sparse"))
    assert [int(figure.replace(",", "")) for figure in figures] == [
        *(1024, 768, dense["bytes"], sparse["bytes"]),
        *(dense["predicted_instructions"], sparse["predicted_instructions"]),
    ]
    assert layer["sparse_choice"]["taken"] is True
    assert (layer["weight_bytes"], layer["kernel"]) == (sparse["bytes"], sparse["kernel"])


def test_the_error_of_every_prediction_stands_beside_its_kernel(tmp_path, capsys):
    model = TfliteBuilder()
    x = model.tensor((1, 8), scale=1.0)
    data = np.tile([1, 2], 16).reshape(4, 8)
    y = model.tensor((1, 4), scale=64.0)
    z = model.tensor((1, 4), scale=1 / 256, zero_point=-128)
    model.operator("FULLY_CONNECTED", [x, model.tensor((4, 8), scale=1.0, data=data)], [y])
    model.operator("SOFTMAX", [y], [z], Beta=1.0)
    file = model.build([x], [z])
    assert _inspect(tmp_path, "--board", "netduinoplus2", "--json", file=file) == 0
    layers = json.loads(capsys.readouterr().out)["layers"]
    assert [layer["depends_on_inputs"] for layer in layers] == [False, True]
    assert _inspect(tmp_path, "--board", "netduinoplus2", file=file) == 0
    text = capsys.readouterr().out
    rows = text.partition("bytes that they take")[2].splitlines()[4:6]
    percent = math.ceil(100 * layers[0]["prediction_error"])
    assert [row.split()[2] for row in rows] == [f"{percent}%", "~"]
    assert "over the layers that were measured; of ~ the mean over random inputs" in text


def test_a_model_without_sparse_forms_has_no_table_of_zeros(tmp_path, capsys):
    assert _inspect(tmp_path, "--board", "netduinoplus2") == 0
    assert "leave out zeros" not in capsys.readouterr().out


def _rows(text):
    """Board and engine -> the other cells of the verdict table."""
    rows, board = {}, ""
    for line in text.partition("tightest")[2].splitlines():
        cells = [cell for cell in re.split(r"\s{2,}", line.strip()) if cell]
        if len(cells) < 2:
            continue
        if cells[0] not in {"aot", "tflm"}:
            board = cells.pop(0)
        rows[board, cells[0]] = cells[1:]
    return rows


def test_every_board_and_engine_has_a_row(tmp_path, capsys):
    assert _inspect(tmp_path) == 0
    text = capsys.readouterr().out
    rows = _rows(text)
    assert {board for board, _ in rows} == {board.id for board in list_boards()}
    assert rows["netduinoplus2", "aot"][0] == "fits"
    assert rows["netduinoplus2", "aot"][-1] == "arena: layer 0"
    assert rows["netduinoplus2", "tflm"][0] == "fits"
    assert rows["host", "tflm"] == ["not on this platform"]
    assert max(map(len, text.partition("tightest")[2].splitlines()[:-1])) <= 110


def test_one_engine_alone(tmp_path, capsys):
    assert _inspect(tmp_path, "--engine", "tflm", "--board", "netduinoplus2") == 0
    text = capsys.readouterr().out
    assert "engine aot:" not in text
    assert set(_rows(text)) == {("netduinoplus2", "tflm")}
    assert "--board netduinoplus2 --engine tflm --out PROJECT" in text


def test_json_is_one_document(tmp_path, capsys):
    assert _inspect(tmp_path, "--json", "--board", "all") == 0
    document = json.loads(capsys.readouterr().out)
    assert document["macs"] == 8
    assert document["layers"][0]["operator"] == "FULLY_CONNECTED"
    assert document["layers"][0]["sparsity"] == 0.5
    assert document["layers"][0]["weight_shape"] == [2, 4]
    assert (document["layers"][0]["first"], document["layers"][0]["last"]) == (0, 1)
    assert document["layers"][0]["output_bytes"] == 2
    assert document["predicted_instructions"] == document["layers"][0]["predicted_instructions"] > 8
    assert [(b["bytes"], b["first"], b["last"]) for b in document["buffers"]][:2] == [(4, -1, 0), (2, 0, 1)]
    assert all(b["offset"] + b["bytes"] <= document["arena_bytes"] for b in document["buffers"])
    spec = {"name": "in", "shape": [1, 4], "scale": 0.5, "zero_point": -3, "bytes": 4, "dtype": "INT8"}
    spec["indices_of"] = 0
    assert document["input"] == spec
    rows = {(row["board_id"], row["engine"]): row for row in document["boards"]}
    assert rows["netduinoplus2", "aot"]["fits"] is True
    assert rows["netduinoplus2", "aot"]["flash_bytes"] == 21
    assert rows["netduinoplus2", "aot"]["arena_region"] == "RAM"
    assert rows["netduinoplus2", "tflm"]["flash_bytes"] == len(_model()) + ONE_OPERATOR_BYTES
    assert rows["netduinoplus2", "tflm"]["arena_basis"] == "estimated"
    assert (rows["host", "tflm"]["available"], rows["host", "tflm"]["fits"]) == (False, False)


def test_a_board_that_was_asked_for_must_fit(tmp_path, capsys):
    with pytest.raises(BudgetError, match="netduinoplus2: arena needs"):
        _inspect(tmp_path, "--board", "netduinoplus2", file=_model(200_000))
    limit = load_board("netduinoplus2").budget.arena_bytes
    rows = _rows(capsys.readouterr().out)
    assert rows["netduinoplus2", "aot"][0] == f"RAM short of {200_004 - limit:,} B"
    assert rows["netduinoplus2", "aot"][-1] == "arena: layer 0"
    assert rows["netduinoplus2", "tflm"][0].startswith("RAM short of ")


def test_of_all_boards_some_need_not_fit(tmp_path, capsys):
    assert _inspect(tmp_path, "--board", "all", file=_model(1_000_000)) == 0
    text = capsys.readouterr().out
    assert _rows(text)["netduinoplus2", "aot"][0].startswith("RAM short of ")
    assert _rows(text)["host", "aot"][0] == "fits"
    assert "--board host --engine aot" in text


def _per_channel_dense():
    model = TfliteBuilder()
    x = model.tensor((1, 4), scale=0.5)
    w = model.tensor((2, 4), scale=np.array([1.0, 2.0], np.float32), data=np.ones((2, 4)), name="w")
    y = model.tensor((1, 2), scale=0.25, name="dense")
    model.operator("FULLY_CONNECTED", [x, w], [y])
    return model.build([x], [y])


def test_a_library_that_would_be_wrong_is_refused_on_its_boards_alone(tmp_path, capsys):
    board = "arduino_nano_33_ble"
    assert _inspect(tmp_path, "--board", board, "--board", "all", file=_per_channel_dense()) == 0
    text = capsys.readouterr().out
    assert "Chirale_TensorFLowLite 2.0.0: cannot run this model\n  layer 0, FULLY_CONNECTED (dense): " in text
    rows = _rows(text)
    assert rows[board, "tflm"] == ["cannot run it"]
    assert (rows[board, "aot"][0], rows["netduinoplus2", "tflm"][0]) == ("fits", "fits")
    with pytest.raises(
        ModelError, match=r"no engine can run it:\n  engine tflm, the Arduino library .* layer 0"
    ):
        _inspect(tmp_path, "--board", board, "--engine", "tflm", file=_per_channel_dense())


def _tanh():
    """To an output that no converter makes."""
    model = TfliteBuilder()
    x = model.tensor((1, 4), scale=0.5, name="in")
    y = model.tensor((1, 4), scale=1 / 64, name="[b]squashed")
    model.operator("TANH", [x], [y], version=2)
    return model.build([x], [y])


def test_a_model_that_one_engine_runs_is_shown_with_what_the_other_lacks(tmp_path, capsys):
    assert _inspect(tmp_path, "--board", "netduinoplus2", file=_tanh()) == 0
    text = capsys.readouterr().out
    assert "[b]squashed" in text
    refusal = "layer 0, TANH ([b]squashed): the output must have scale 1/128 and zero point 0"
    assert f"engine aot: cannot run this model\n  {refusal}" in text
    assert _rows(text)["netduinoplus2", "aot"] == ["cannot run it"]
    assert _rows(text)["netduinoplus2", "tflm"][0] == "fits"
    assert "--engine tflm" in text
    assert _inspect(tmp_path, "--json", file=_tanh()) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["layers"] is None
    row = next(r for r in document["boards"] if (r["board_id"], r["engine"]) == ("netduinoplus2", "aot"))
    assert row["refusals"][0].startswith("layer 0, TANH")
    assert row["flash_bytes"] is None
    with pytest.raises(ModelError, match="no engine can run it:\n  engine aot: layer 0, TANH"):
        _inspect(tmp_path, "--board", "netduinoplus2", "--engine", "aot", file=_tanh())


def test_what_no_engine_takes_is_refused_by_each_in_its_words(tmp_path):
    model = TfliteBuilder()
    x = model.tensor((1, 4), "FLOAT32", name="in")
    y = model.tensor((1, 4), "FLOAT32", name="out")
    model.operator("RELU", [x], [y])
    with pytest.raises(ModelError) as caught:
        _inspect(tmp_path, file=model.build([x], [y]))
    assert "\n  engine aot: is a float model (input in is FLOAT32)" in str(caught.value)
    assert "\n  engine tflm, TFLite-Micro: is a float model (input in is FLOAT32)" in str(caught.value)
    assert "; try: full-integer quantisation" in str(caught.value)


def test_an_engine_that_the_platform_has_not_is_an_error(tmp_path):
    with pytest.raises(ConfigError, match="engine 'tflm': does not exist on the host; try: --engine aot"):
        _inspect(tmp_path, "--board", "host", "--engine", "tflm")


def test_an_unsupported_operator_is_an_error(tmp_path):
    with pytest.raises(ModelError) as caught:
        _inspect(tmp_path, file=_model(opcode="CUMSUM"))
    text = str(caught.value)
    assert "no engine can run it:\n  engine aot: layer 0, CUMSUM" in text
    assert "\n  engine tflm, TFLite-Micro: layer 0, CUMSUM" in text
    assert caught.value.exit_code == 2


def test_a_missing_model_is_an_error(tmp_path):
    parser = argparse.ArgumentParser()
    inspect.add_parser(parser.add_subparsers())
    with pytest.raises(ModelError, match="cannot be read"):
        inspect.run(parser.parse_args(["inspect", str(tmp_path / "absent.tflite")]))


def test_an_unknown_board_is_an_error(tmp_path):
    with pytest.raises(ConfigError, match="atlantis"):
        _inspect(tmp_path, "--board", "atlantis")


def test_the_memory_plan_is_drawn_on_request(tmp_path, capsys):
    picture = tmp_path / "plan.svg"
    assert _inspect(tmp_path, "--board", "netduinoplus2", "--memory-svg", str(picture)) == 0
    assert picture.read_text().startswith("<svg ")
    assert f"wrote {picture}\nnext: " in capsys.readouterr().out


def test_what_the_planner_does_not_take_is_not_drawn(tmp_path):
    with pytest.raises(ModelError, match="has no memory plan to draw: engine aot cannot run it"):
        _inspect(tmp_path, "--board", "netduinoplus2", "--memory-svg", str(tmp_path / "p.svg"), file=_tanh())
    assert not (tmp_path / "p.svg").exists()


def test_a_kernel_that_was_not_measured_is_said_to_be_unknown(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr("mcu_ser.aot.cost.COSTS", {Build.SPEED: {}})
    assert _inspect(tmp_path, "--board", "netduinoplus2") == 0
    text = capsys.readouterr().out
    assert "unknown" in text
    assert "predicted for" not in text


@pytest.mark.parametrize(("columns", "named"), [(80, False), (120, True)])
def test_tables_fit_the_terminal(columns, named, capsys):
    from rich.console import Console

    from mcu_ser.aot.compile import compile_model
    from mcu_ser.cli.console import Output
    from mcu_ser.cli.layer_costs import show_layer_costs
    from tests.layered_model import OPERATORS, layered_model

    output = Output()
    output._rich = Console(width=columns, markup=False)
    show_layer_costs(output, compile_model(layered_model()))
    text = capsys.readouterr().out
    assert "\N{HORIZONTAL ELLIPSIS}" not in text
    assert max(len(line.rstrip()) for line in text.splitlines()) <= columns
    rows = [line.split() for line in text.splitlines() if re.match(r" *\d+ ", line)]
    assert [row[1] for row in rows[: len(OPERATORS)]] == list(OPERATORS)
    assert ("first" in text) == named


def test_channels_that_are_not_computed_are_told(tmp_path, capsys):
    def inspected(*options, **model):
        assert _inspect(tmp_path, "--engine", "aot", *options, file=layered_model(**model)) == 0
        return capsys.readouterr().out

    said = " ".join(inspected(dead=(1, 2, 4, 6)).split())
    told = "folded 8 channels of 2 layers, on which no output depends: engine aot does not compute them"
    assert told in said
    layers = json.loads(inspected("--json", dead=(1, 2, 4, 6)))["layers"]
    assert [layer["left_out"] for layer in layers] == [4, 4, 0, 0, 0, 0, 0]
    assert "folded" not in inspected()

# SPDX-License-Identifier: Apache-2.0
from dataclasses import replace

import numpy as np
import pytest

from mcu_ser.aot.compile import compile_model
from mcu_ser.aot.tflite_reader import read_model
from mcu_ser.board import list_boards, load_board
from mcu_ser.errors import BudgetError
from mcu_ser.generate.fit import aot_needs, check_fit, find_fit, interpreter_bytes, tflm_needs
from mcu_ser.tflm.requirements import tflm_requirements
from mcu_ser.tflm.runtime_support import CURRENT_TFLM
from tests.tflite_builder import TfliteBuilder


def _file(elements, outputs=1):
    model = TfliteBuilder()
    x = model.tensor((1, elements), scale=1.0)
    a = model.tensor((1, elements), scale=1.0, name="wide;fused")
    w = model.tensor((outputs, elements), scale=1.0, data=np.zeros((outputs, elements)))
    y = model.tensor((1, outputs), scale=1.0, name="heavy")
    model.operator("RELU", [x], [a])
    model.operator("FULLY_CONNECTED", [a, w], [y])
    return model.build([x], [y])


def _model(elements, outputs=1):
    return aot_needs(compile_model(_file(elements, outputs)))


def test_a_small_model_fits():
    board = load_board("netduinoplus2")
    fit = find_fit(_model(100), board)
    assert fit.fits
    # 100 inputs, over which the output may lie, and the inputs widened for a kernel without zero weights.
    assert (fit.needs.arena_bytes, fit.arena_limit) == (100 + 2 * 100, board.budget.arena_bytes)
    assert fit.flash_limit == board.flash_bytes - board.budget.flash_reserve_bytes
    check_fit(_model(100), board)


def test_an_arena_that_is_too_large_names_the_excess_and_the_layer():
    board = load_board("netduinoplus2")
    with pytest.raises(BudgetError) as caught:
        check_fit(_model(60_000), board)
    limit = board.budget.arena_bytes
    assert str(caught.value) == (
        f"netduinoplus2: arena needs 120000 B, {120_000 - limit} B too many "
        f"(largest at layer 0, RELU wide), limit {limit} B; "
        "try: a smaller input, fewer channels in that layer, or a board with more RAM"
    )


def test_weights_that_are_too_many_name_the_excess_and_the_layer():
    board = load_board("netduinoplus2")
    model = _model(20_000, outputs=60)
    with pytest.raises(BudgetError) as caught:
        check_fit(model, board)
    limit = board.flash_bytes - board.budget.flash_reserve_bytes
    need = 60 * 20_000 + 60 * 4 + 5
    assert str(caught.value) == (
        f"netduinoplus2: flash needs {need} B for the weights, {need - limit} B too many "
        f"(largest at layer 1, FULLY_CONNECTED heavy), limit {limit} B; "
        "try: fewer channels in that layer, or a board with more flash"
    )


def test_the_limit_itself_fits():
    board = load_board("netduinoplus2")
    check_fit(_model(board.budget.arena_bytes // 2), board)


def test_the_host_has_no_limit():
    fit = find_fit(_model(1_000_000), load_board("host"))
    assert fit.fits
    assert (fit.arena_limit, fit.flash_limit) == (None, None)


def test_the_interpreter_needs_the_model_as_it_is_and_an_estimated_arena():
    model = _file(20_000, outputs=60)
    graph = read_model(model)
    requirements = tflm_requirements(model, graph, CURRENT_TFLM)
    needs = tflm_needs(requirements, graph)
    assert (needs.engine, needs.arena_basis) == ("tflm", "estimated")
    assert needs.flash_bytes == len(model) + interpreter_bytes(graph)
    # Measured: 33,408 B beside a model of FULLY_CONNECTED alone (ad01_int8), 32,768 B of it the reserve.
    assert interpreter_bytes(graph) >= 33_408 - 32_768
    assert needs.arena_bytes == requirements.arena_bytes
    assert needs.flash_layer == "layer 1, FULLY_CONNECTED heavy"
    assert needs.arena_layer == "layer 0, RELU wide"
    board = load_board("netduinoplus2")
    limit = board.flash_bytes - board.budget.flash_reserve_bytes
    with pytest.raises(BudgetError) as caught:
        check_fit(needs, board)
    assert str(caught.value).startswith(
        f"netduinoplus2: flash needs {needs.flash_bytes} B for the model and the interpreter, "
        f"{needs.flash_bytes - limit} B too many "
        "(largest at layer 1, FULLY_CONNECTED heavy)"
    )


@pytest.mark.parametrize(
    ("elements", "outputs", "dominant", "layer"),
    [(30_000, 1, "arena", "layer 0, RELU wide"), (10_000, 70, "flash", "layer 1, FULLY_CONNECTED heavy")],
)
def test_the_tighter_memory_and_its_largest_layer(elements, outputs, dominant, layer):
    fit = find_fit(_model(elements, outputs), load_board("netduinoplus2"))
    assert fit.fits
    assert (fit.dominant, fit.dominant_layer) == (dominant, layer)


@pytest.mark.parametrize("board", [b for b in list_boards() if b.budget], ids=lambda board: board.id)
def test_whatever_is_said_to_fit_can_be_placed(board):
    """Budget and placement by the linker script are one rule: neither takes what the other refuses."""
    needs = _model(100)
    largest = replace(needs, arena_bytes=board.budget.arena_bytes)
    assert find_fit(largest, board).fits
    assert find_fit(largest, board).arena_region in {region.name for region in board.ram_regions}
    above = replace(needs, arena_bytes=board.budget.arena_bytes + 1)
    assert (find_fit(above, board).fits, find_fit(above, board).arena_region) == (False, None)

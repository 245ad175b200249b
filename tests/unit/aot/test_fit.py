# SPDX-License-Identifier: Apache-2.0
import numpy as np
import pytest

from mcu_ser.aot.compile import compile_model
from mcu_ser.aot.fit import check_fit, find_fit
from mcu_ser.board import load_board
from mcu_ser.errors import BudgetError
from tests.tflite_builder import TfliteBuilder


def _model(elements, outputs=1):
    model = TfliteBuilder()
    x = model.tensor((1, elements), scale=1.0)
    a = model.tensor((1, elements), scale=1.0, name="wide;fused")
    w = model.tensor((outputs, elements), scale=1.0, data=np.zeros((outputs, elements)))
    y = model.tensor((1, outputs), scale=1.0, name="heavy")
    model.operator("RELU", [x], [a])
    model.operator("FULLY_CONNECTED", [a, w], [y])
    return compile_model(model.build([x], [y]))


def test_a_small_model_fits():
    board = load_board("netduinoplus2")
    fit = find_fit(_model(100), board)
    assert fit.fits
    assert (fit.arena_bytes, fit.arena_limit) == (200, board.budget.arena_bytes)
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
        f"netduinoplus2: weights need {need} B of flash, {need - limit} B too many "
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

# SPDX-License-Identifier: Apache-2.0
import dataclasses

import numpy as np
import pytest

from mcu_ser.errors import CheckFailedError
from mcu_ser.study.study import GridCell
from mcu_ser.study.whole_grid import require_whole, stages_of
from tests.made_up_study import made_up_study

ROWS = (("ds_cnn 16", ("speech_only", "nsl"), (1, 2)),)


def small(**changes):
    return made_up_study(rows=ROWS, utterances=10, **changes)


def with_cell(study, index, **changes):
    cells = list(study.cells)
    cells[index] = dataclasses.replace(cells[index], **changes)
    return dataclasses.replace(study, cells=tuple(cells))


def problem(study):
    with pytest.raises(CheckFailedError) as caught:
        require_whole(study)
    return str(caught.value)


def test_cells_come_in_the_order_of_the_grid():
    study = small()
    shuffled = dataclasses.replace(study, cells=study.cells[::-1])
    cells = require_whole(shuffled)
    assert tuple(cells) == study.grid
    assert all(
        (cell.model, cell.approach, cell.fold, cell.seed) == dataclasses.astuple(place)
        for place, cell in cells.items()
    )


def test_a_missing_cell_is_named():
    study = small()
    lacking = dataclasses.replace(study, cells=(*study.cells[:7], *study.cells[8:]))
    assert problem(lacking) == (
        "study made-up: lacks 1 of 20 cells: ds_cnn 16, speech_only, fold 3, seed 2; "
        "try: the same mcu-ser study command again: it computes what is missing"
    )


def test_a_seed_that_did_not_finish_is_missing_and_many_are_counted():
    study = small()
    first_seed = tuple(cell for cell in study.cells if cell.seed == 1)
    message = problem(dataclasses.replace(study, cells=first_seed))
    assert "lacks 10 of 20 cells: ds_cnn 16, speech_only, fold 1, seed 2; " in message
    assert "(and 5 more)" in message


def test_a_second_result_of_a_cell_is_refused():
    study = small()
    twice = dataclasses.replace(study, cells=(*study.cells, study.cells[0]))
    assert "has two results of ds_cnn 16, speech_only, fold 1, seed 1" in problem(twice)


def test_a_result_from_elsewhere_is_refused():
    study = small()
    strange = dataclasses.replace(study.cells[0], seed=9)
    message = problem(dataclasses.replace(study, cells=(*study.cells, strange)))
    assert "does not ask for: ds_cnn 16, speech_only, fold 1, seed 9" in message


def test_a_speaker_of_another_fold_is_refused():
    study = small()
    speakers = study.cells[3].speakers.copy()
    speakers[0] = "03"
    message = problem(with_cell(study, 3, speakers=speakers))
    assert "fold 4, seed 1 was tested on speaker 03, whom its fold does not test" in message


@pytest.mark.parametrize("name", ["ids", "y", "speakers"])
def test_other_utterances_are_refused(name):
    study = small()
    values = getattr(study.cells[11], name)
    message = problem(with_cell(study, 11, **{name: np.roll(values, 1)}))
    assert "were tested on different utterances" in message
    assert "ds_cnn 16, nsl, fold 2, seed 1 and ds_cnn 16, speech_only, fold 2, seed 1" in message


def test_a_speaker_who_is_tested_twice_is_refused():
    study = small()
    folds = (*study.folds[:4], dataclasses.replace(study.folds[4], test=("15", "16", "03")))
    assert "tests speaker 03 in fold 5 and in one before it" in problem(
        dataclasses.replace(study, folds=folds)
    )


def test_a_grid_without_all_folds_is_a_fault_of_the_program():
    study = small()
    fewer = dataclasses.replace(study, grid=study.grid[1:], cells=study.cells[1:])
    with pytest.raises(ValueError, match=r"ds_cnn 16, speech_only, seed 1 has folds \[1, 2, 3, 4\] of"):
        require_whole(fewer)
    with pytest.raises(ValueError, match="without cells"):
        require_whole(dataclasses.replace(study, grid=(), cells=()))


def test_stages():
    study = small(stages=("int8", "float"))
    assert stages_of(study, require_whole(study)) == ("float", "int8")
    whole = small()
    decisions = dict(whole.cells[5].decisions)
    del decisions["pruned"]
    lacking = with_cell(whole, 5, decisions=decisions)
    with pytest.raises(CheckFailedError, match=r"speech_only, fold 1, seed 2 lacks stage pruned"):
        stages_of(lacking, require_whole(lacking))
    no_int8 = small(stages=("float",))
    with pytest.raises(CheckFailedError, match="lacks stage int8"):
        stages_of(no_int8, require_whole(no_int8))


def test_a_place_is_named_for_people():
    assert str(GridCell("ds_cnn 16", "nsl", 0, 3)) == "ds_cnn 16, nsl, fold 1, seed 3"

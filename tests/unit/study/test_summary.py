# SPDX-License-Identifier: Apache-2.0
import dataclasses

import numpy as np
import pytest
from sklearn import metrics

from mcu_ser.errors import CheckFailedError
from mcu_ser.recipe.study import APPROACHES
from mcu_ser.study import statistics
from mcu_ser.study.names import APPROACH_NAMES
from mcu_ser.study.summary import summarise
from tests.made_up_study import CHANCES, made_up_study

ROWS = (
    ("ds_cnn 16", tuple(CHANCES), (1, 2, 3)),
    ("mobilenet15 0.25", ("speech_only", "fine_tuning"), (2,)),
)


@pytest.fixture(autouse=True)
def few_draws(monkeypatch):
    monkeypatch.setattr(statistics, "DRAWS", 500)


def of(document, approach, model="ds_cnn 16"):
    return next(
        each for each in document["results"] if (each["model"], each["approach"]) == (model, approach)
    )


def comparison(document, first, second, *, stage="int8", model="ds_cnn 16"):
    wanted = (model, first, second, stage)
    return next(
        each
        for each in document["comparisons"]
        if (each["model"], each["first"], each["second"], each["stage"]) == wanted
    )


def test_uar_is_scikit_learns_over_all_folds():
    study = made_up_study(ROWS)
    document = summarise(study).document
    for result in document["results"]:
        for stage, figures in result["stages"].items():
            for seed, uar in zip(result["seeds"], figures["uar_by_seed"], strict=True):
                cells = [
                    cell
                    for cell in study.cells
                    if (cell.model, cell.approach, cell.seed) == (result["model"], result["approach"], seed)
                ]
                truth = np.concatenate([cell.y for cell in cells])
                decided = np.concatenate([cell.decisions[stage] for cell in cells])
                assert uar == pytest.approx(metrics.balanced_accuracy_score(truth, decided), abs=1e-12)
            assert figures["uar"] == pytest.approx(np.mean(figures["uar_by_seed"]), abs=1e-15)
            assert figures["interval"][0] < figures["uar"] < figures["interval"][1]


def test_confusion_counts_every_decision_of_every_seed():
    document = summarise(made_up_study(ROWS)).document
    result = of(document, "nsl")
    assert np.sum(result["stages"]["int8"]["confusion"]) == 3 * result["utterances"] == 3 * 530
    single = of(document, "fine_tuning", "mobilenet15 0.25")
    recalls = [row[index] / sum(row) for index, row in enumerate(single["stages"]["float"]["confusion"])]
    assert single["stages"]["float"]["uar"] == pytest.approx(np.mean(recalls), abs=1e-12)


def test_every_approach_is_compared_and_holm_counts_a_stage_of_all_models():
    document = summarise(made_up_study(ROWS)).document
    int8 = [each for each in document["comparisons"] if each["stage"] == "int8"]
    assert [(each["model"], each["first"], each["second"]) for each in int8] == [
        ("ds_cnn 16", "fine_tuning", "speech_only"),
        ("ds_cnn 16", "frozen_features", "speech_only"),
        ("ds_cnn 16", "nsl", "speech_only"),
        ("ds_cnn 16", "nsl_fine_tuning", "speech_only"),
        ("ds_cnn 16", "nsl", "fine_tuning"),
        ("ds_cnn 16", "nsl_fine_tuning", "fine_tuning"),
        ("mobilenet15 0.25", "fine_tuning", "speech_only"),
    ]
    assert {each["family"] for each in document["comparisons"]} == {7}
    assert [each["p_holm"] for each in int8] == statistics.holm([each["p"] for each in int8])
    assert {each["stage"] for each in document["comparisons"]} == {"int8", "float"}
    clear = comparison(document, "nsl_fine_tuning", "speech_only")
    assert clear["significant"]
    assert clear["supported"]
    assert clear["difference"] == pytest.approx(
        of(document, "nsl_fine_tuning")["stages"]["int8"]["uar"]
        - of(document, "speech_only")["stages"]["int8"]["uar"],
        abs=1e-12,
    )
    assert list(clear["difference_by_speaker"]) == sorted(clear["difference_by_speaker"])
    assert np.mean(clear["difference_by_seed"]) == pytest.approx(clear["difference"], abs=1e-12)


@pytest.mark.parametrize(
    ("limits", "supported"),
    [((-0.01, 0.2), False), ((0.01, 0.2), True), ((-0.2, -0.01), True), (None, False)],
)
def test_a_difference_is_supported_if_its_interval_leaves_out_zero(monkeypatch, limits, supported):
    from mcu_ser.study import comparisons

    monkeypatch.setattr(comparisons, "interval", lambda *_, **__: limits)
    clear = comparison(summarise(made_up_study(ROWS)).document, "nsl_fine_tuning", "speech_only")
    assert clear["significant"]
    assert clear["supported"] is supported


def test_a_difference_is_supported_if_the_trainings_agree():
    one_seed = summarise(made_up_study((("ds_cnn 16", tuple(CHANCES), (1,)),))).document
    clear = comparison(one_seed, "nsl_fine_tuning", "speech_only")
    assert clear["significant"]
    assert (clear["trainings"], clear["training_p"]) == (5, 2 / 2**5)
    assert not clear["supported"]
    three_seeds = comparison(summarise(made_up_study(ROWS)).document, "nsl_fine_tuning", "speech_only")
    assert three_seeds["trainings"] == 15
    assert three_seeds["supported"]


def test_only_common_seeds_are_compared():
    rows = (
        ("ds_cnn 16", ("speech_only",), (1, 2, 3)),
        ("ds_cnn 16", ("nsl",), (3, 2)),
        ("ds_cnn 16", ("fine_tuning",), (7,)),
    )
    document = summarise(made_up_study(rows)).document
    assert comparison(document, "nsl", "speech_only")["seeds"] == [3, 2]
    speech, nsl = of(document, "speech_only"), of(document, "nsl")
    by_hand = np.mean(nsl["stages"]["int8"]["uar_by_seed"]) - np.mean(
        speech["stages"]["int8"]["uar_by_seed"][1:]
    )
    assert comparison(document, "nsl", "speech_only")["difference"] == pytest.approx(by_hand, abs=1e-12)
    assert [(each["first"], each["second"], each["stage"]) for each in document["not_compared"]] == [
        ("fine_tuning", "speech_only", "int8"),
        ("nsl", "fine_tuning", "int8"),
        ("fine_tuning", "speech_only", "float"),
        ("nsl", "fine_tuning", "float"),
    ]


def test_steps_are_the_differences_of_the_stages():
    result = of(summarise(made_up_study(ROWS)).document, "fine_tuning")
    steps = {(step["from"], step["to"]): step for step in result["steps"]}
    assert list(steps) == [
        ("float", "pruned"),
        ("pruned", "int8"),
        ("float", "int8"),
        ("post_training", "int8"),
    ]
    for (before, after), step in steps.items():
        by_hand = result["stages"][after]["uar"] - result["stages"][before]["uar"]
        assert step["difference"] == pytest.approx(by_hand, abs=1e-12)
        assert step["interval"][0] <= step["difference"] <= step["interval"][1]
    assert steps["float", "int8"]["difference"] < 0
    without_control = summarise(made_up_study(ROWS, stages=("float", "pruned", "int8"))).document
    assert len(of(without_control, "nsl")["steps"]) == 3


def test_one_fold():
    document = summarise(made_up_study(ROWS, groups=(("12", "14", "15", "16"),))).document
    assert [fold["test"] for fold in document["folds"]] == [["12", "14", "15", "16"]]
    assert of(document, "nsl")["stages"]["int8"]["interval"] is not None
    assert comparison(document, "nsl", "speech_only")["smallest_p"] == 0.125
    too_few = "4 test speakers are too few for any difference to be significant"
    assert any(too_few in sentence for sentence in document["verdict"][0]["sentences"])


def test_one_seed_has_an_interval_over_speakers():
    document = summarise(made_up_study((("ds_cnn 16", ("speech_only", "nsl"), (5,)),))).document
    low, high = of(document, "nsl")["stages"]["int8"]["interval"]
    assert low < of(document, "nsl")["stages"]["int8"]["uar"] < high


def test_one_speaker_has_no_interval():
    document = summarise(made_up_study(ROWS, groups=(("12",),))).document
    assert of(document, "nsl")["stages"]["int8"]["interval"] is None
    assert comparison(document, "nsl", "speech_only")["interval"] is None
    assert not comparison(document, "nsl", "speech_only")["significant"]


def without_class(study, fold, label):
    """The study with utterances of one class of one fold said as the class before."""
    cells = tuple(
        dataclasses.replace(cell, y=np.where(cell.y == label, label - 1, cell.y))
        if cell.fold in fold
        else cell
        for cell in study.cells
    )
    return dataclasses.replace(study, cells=cells)


def test_a_class_that_a_fold_lacks():
    study = without_class(made_up_study(ROWS), {2}, 6)
    document = summarise(study).document
    cell = next(each for each in document["cells"] if each["fold"] == 3)
    assert sum(cell["stages"]["int8"]["confusion"][6]) == 0
    recalls = [row[index] / sum(row) for index, row in enumerate(cell["stages"]["int8"]["confusion"][:6])]
    assert cell["stages"]["int8"]["uar"] == pytest.approx(np.mean(recalls), abs=1e-12)
    result = of(document, "fine_tuning")
    assert all(sum(row) for row in result["stages"]["int8"]["confusion"])


def test_a_class_that_all_folds_lack_is_left_out():
    study = without_class(made_up_study(ROWS), {0, 1, 2, 3, 4}, 6)
    result = of(summarise(study).document, "fine_tuning")
    confusion = result["stages"]["int8"]["confusion"]
    recalls = np.array([row[index] / sum(row) for index, row in enumerate(confusion[:6])])
    assert sum(confusion[6]) == 0
    assert result["stages"]["int8"]["uar"] == pytest.approx(recalls.mean(), abs=1e-12)


def test_sizes_are_those_of_the_largest_cell():
    study = made_up_study(ROWS)
    cells = (dataclasses.replace(study.cells[0], weight_bytes=50_000, sparsity=0.35), *study.cells[1:])
    result = of(summarise(dataclasses.replace(study, cells=cells)).document, "speech_only")
    assert result["weight_bytes"] == 50_000
    assert result["sparsity"] == pytest.approx(0.5 - 0.15 / 15, abs=1e-12)


def test_graphs_are_the_mean_over_seeds():
    document = summarise(made_up_study(ROWS)).document
    assert [(each["approach"], each["fold"]) for each in document["graphs"]] == [
        *(("nsl", fold) for fold in range(1, 6)),
        *(("nsl_fine_tuning", fold) for fold in range(1, 6)),
    ]
    assert document["graphs"][4]["figures"]["homophily"] == pytest.approx(0.69, abs=1e-12)
    assert of(document, "nsl")["chosen"][1] == {"fold": 2, "values": {"neighbours": 6, "multiplier": 0.1}}


def test_every_decision_can_be_recomputed_from_the_document():
    study = made_up_study(ROWS)
    document = summarise(study).document
    tests = {fold["fold"]: fold for fold in document["folds"]}
    for cell, written in zip(study.cells, document["cells"], strict=True):
        assert written["stages"]["int8"]["decisions"] == cell.decisions["int8"].tolist()
        assert tests[written["fold"]]["test_y"] == cell.y.tolist()
        assert tests[written["fold"]]["test_ids"] == cell.ids.tolist()


def test_an_incomplete_grid_is_refused():
    study = made_up_study(ROWS)
    with pytest.raises(
        CheckFailedError, match=r"lacks 1 of 85 cells: mobilenet15 0\.25, fine_tuning, fold 5"
    ):
        summarise(dataclasses.replace(study, cells=study.cells[:-1]))


def test_every_approach_of_a_recipe_has_a_name():
    assert APPROACHES == tuple(APPROACH_NAMES)

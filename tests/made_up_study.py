# SPDX-License-Identifier: Apache-2.0
"""Studies whose cells no model computed: decisions are drawn with a given chance of being right."""

import dataclasses

import numpy as np

from mcu_ser.study.cell_result import STAGES, CellResult
from mcu_ser.study.study import GridCell, Study, StudyFold

LABELS = ("anger", "boredom", "disgust", "fear", "happiness", "neutral", "sadness")
GROUPS = (("03", "08"), ("10", "09"), ("11", "13"), ("12", "14"), ("15", "16"))
# Chance of a right decision before speakers and seeds move it.
CHANCES = {
    "speech_only": 0.60,
    "fine_tuning": 0.68,
    "frozen_features": 0.55,
    "nsl": 0.59,
    "nsl_fine_tuning": 0.71,
}
LOSSES = {"float": 0.0, "pruned": 0.01, "int8": 0.015, "post_training": 0.03}


def made_up_study(
    rows=(("ds_cnn 16", tuple(CHANCES), (1, 2, 3)),),
    groups=GROUPS,
    labels=LABELS,
    utterances=53,
    stages=STAGES,
    **changes,
):
    """A whole study.

    Args:
        rows: Model, approaches and seeds of each row of the grid.
        groups: Test speakers per fold.
        labels: Class names.
        utterances: Per speaker.
        stages: That every cell went through.
        changes: Fields of Study to replace.
    """
    folds = tuple(fold_of(groups, number) for number in range(len(groups)))
    grid = tuple(
        GridCell(model, approach, fold, seed)
        for model, approaches, seeds in rows
        for approach in approaches
        for seed in seeds
        for fold in range(len(groups))
    )
    cells = tuple(made_up_cell(place, groups, len(labels), utterances, stages) for place in grid)
    study = Study(
        name="made-up",
        recipe='name = "made-up"\nseed = 1\n',
        labels=tuple(labels),
        folds=folds,
        grid=grid,
        cells=cells,
        versions={"numpy": "2.0", "tensorflow": "2.21.0"},
        corpora={"source": "ravdess, 1440 utterances", "target": "emodb, 535 utterances"},
        picture=made_up_picture(len(labels)),
        picture_caption="Fold 1, seed 1.",
        command="mcu-ser study --recipe made-up --out study",
        hardware="2 cores of a made-up processor",
        seconds=5400.0,
        choosing_seconds=12.5,
    )
    return dataclasses.replace(study, **changes)


def fold_of(groups, number):
    after = (number + 1) % len(groups)
    validation = groups[after] if len(groups) > 1 else ()
    train = tuple(
        name for index, group in enumerate(groups) if index not in {number, after} for name in group
    )
    return StudyFold(train, validation, groups[number])


def made_up_cell(place, groups, classes, utterances=53, stages=STAGES):
    """One cell; the same place gives the same cell."""
    test = np.random.default_rng([7, place.fold])
    speakers = np.repeat(np.array(groups[place.fold]), utterances)
    y = test.integers(0, classes, len(speakers))
    y[:classes] = np.arange(classes)[: len(y)]
    chance = {name: test.normal(0, 0.08) for name in groups[place.fold]}
    random = np.random.default_rng(
        [11, place.fold, place.seed, *place.model.encode(), *place.approach.encode()]
    )
    luck = random.uniform(size=len(y))
    wrong = (y + random.integers(1, classes, len(y))) % classes
    right_by = CHANCES.get(place.approach, 0.6) + np.array([chance[name] for name in speakers])
    graph = {}
    if place.approach.startswith("nsl"):
        graph = {
            "utterances": 428,
            "neighbours": 560 + place.fold,
            "edges": 420 + place.fold,
            "mean_weight": 0.83,
            "utterances_without_neighbours": 61,
            "homophily": 0.61 + 0.02 * place.fold,
            "homophily_by_chance": 0.16,
        }
    return CellResult(
        model=place.model,
        approach=place.approach,
        fold=place.fold,
        seed=place.seed,
        key=f"{abs(int(random.integers(2**60))):064x}",
        chosen={"neighbours": 3 + 3 * (place.fold % 3), "multiplier": 0.1} if graph else {},
        processor_seconds=70.0 + place.seed,
        parameters=39_000 if place.model.startswith("ds_cnn") else 61_500,
        tflite_bytes=59_904 if place.model.startswith("ds_cnn") else 131_072,
        weight_bytes=42_112 if place.model.startswith("ds_cnn") else 66_048,
        activation_bytes=64_000,
        sparsity=0.5,
        ids=np.array([f"{name}a{index:02d}" for index, name in enumerate(speakers)]),
        speakers=speakers,
        y=y.astype(np.int64),
        decisions={
            stage: np.where(luck < right_by - LOSSES[stage], y, wrong).astype(np.int64) for stage in stages
        },
        graph=graph,
    )


def made_up_picture(classes, points=428):
    random = np.random.default_rng(13)
    label = random.integers(0, classes, points)
    angle = 2 * np.pi * label / classes
    x = np.round(0.6 * np.cos(angle) + random.normal(0, 0.17, points), 4)
    y = np.round(0.6 * np.sin(angle) + random.normal(0, 0.17, points), 4)
    apart = (x[:, None] - x) ** 2 + (y[:, None] - y) ** 2 + 9 * np.eye(points)
    nearest = apart.argsort(axis=1)[:, :2]
    edges = sorted({(min(i, int(j)), max(i, int(j))) for i in range(points) for j in nearest[i]})
    return {
        "x": x.tolist(),
        "y": y.tolist(),
        "label": label.tolist(),
        "edges": [list(edge) for edge in edges],
        "explained": 0.41,
    }

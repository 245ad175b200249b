# SPDX-License-Identifier: Apache-2.0
"""What each part of a recipe is worth: .venv/bin/python tools/ablate_recipe.py --corpus-root ROOT --out DIR.

Every fold of the recipe's [study] trains on its training speakers and is scored on its validation speakers,
once as the recipe is and once without each part; its test speakers are not read. Over all folds every
speaker validates, though: what is kept by these figures was chosen with the speakers that a study tests,
each in another fold. UAR is pooled over the folds as in a study: two validation speakers may have said a
class once, and a mean over folds would rest on that.

The small model alone is trained, not pruned or quantised. What is finished is kept in DIR: the same command
goes on where it stopped.
"""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1]))

from mcu_ser.corpus.read import read_corpus
from mcu_ser.corpus.splits import without_speakers
from mcu_ser.errors import McuSerError
from mcu_ser.recipe import Recipe, load_recipe
from mcu_ser.recipe.study import GridRow, StudyRecipe
from mcu_ser.study.crew import available_cores, run_jobs
from mcu_ser.study.directory import StudyDir
from mcu_ser.study.grid import choice_job, model_name
from mcu_ser.study.prepare import prepare
from mcu_ser.study.results import METRICS, read_json
from mcu_ser.study.statistics import Tally, interval, pooled_uars
from mcu_ser.study.study import GridCell
from mcu_ser.study.verdict import points, points_interval

if TYPE_CHECKING:
    from mcu_ser.corpus.utterance import Corpus
    from mcu_ser.study.grid import Job
    from mcu_ser.study.prepare import Prepared
    from mcu_ser.study.progress import Progress

AS_IT_IS = "as it is"
# Keys of [training.fit] and [transfer.fit], and what they are without the part.
FIT_PARTS: dict[str, dict[str, Any]] = {
    "weight averaging": {"weight_averaging": 0.0},
    "balanced classes": {"class_balance": False},
    "label smoothing": {"label_smoothing": 0.0},
}
# The same for their augmentation. One speed still cuts clips from whole recordings, and tilt keeps its unit.
AUGMENTATION_PARTS: dict[str, dict[str, Any]] = {
    "speeds": {"speeds": (1.0,)},
    "length of the vocal tract": {"mel_warp_fraction": 0.0, "mel_shift_bands": 0.0},
    "tilt of the microphone": {"tilt": 0.0},
    "masks": {"masks": 0},
}


def main() -> None:
    """Print a table of parts."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--recipe", default="ravdess-emodb", help="default ravdess-emodb")
    parser.add_argument("--corpus-root", type=Path, help="where the recipe's corpora are")
    parser.add_argument("--out", type=Path, required=True, help="where results are kept")
    parser.add_argument("--seed", type=int, action="append", help="default: the recipe's")
    parser.add_argument("--jobs", type=int, default=available_cores(), help="processes")
    args = parser.parse_args()
    try:
        ablate(load_recipe(args.recipe), args.corpus_root, args.out, args.seed, args.jobs)
    except McuSerError as error:
        sys.exit(f"ablate_recipe: error: {error}")


def ablate(recipe: Recipe, corpus_root: Path | None, out: Path, seeds: list[int] | None, jobs: int) -> None:
    """Train what is not trained yet, and print the table."""
    study = StudyDir(out)
    study.open(recipe)
    folds_alone = StudyRecipe(folds=recipe.study.folds, rows=(GridRow(approaches=("speech_only",)),))
    plan = recipe.model_copy(update={"study": folds_alone})
    prepared = prepare(plan, corpus_root, graphs=recipe.graph.multiplier > 0)
    places = class_places(read_corpus(recipe.corpora.target, corpus_root), prepared)
    seeds = list(dict.fromkeys(seeds or [recipe.seed]))
    tried = {name: trials(one, prepared, seeds) for name, one in without(recipe).items()}
    every = [job for jobs_of_one in tried.values() for job in jobs_of_one]
    state = run_jobs(study, every, corpus_root=corpus_root, workers=jobs, watch=say)
    if state.failed:
        sys.exit(f"{len(state.failed)} trainings failed; {out / 'failures'} has the reasons")
    print_table({name: counted(study, jobs_of_one, places) for name, jobs_of_one in tried.items()})


def without(recipe: Recipe) -> dict[str, Recipe]:
    """The recipe as it is, and without each part that it has."""
    made = {AS_IT_IS: recipe}
    if recipe.transfer.method != "none":
        made["transfer"] = changed(recipe, {"transfer": {"method": "none"}})
    if recipe.graph.multiplier > 0:
        made["graph"] = changed(recipe, {"graph": {"multiplier": 0.0}})
    for name, keys in FIT_PARTS.items():
        made[name] = changed(recipe, {stage: {"fit": keys} for stage in ("transfer", "training")})
    for name, keys in AUGMENTATION_PARTS.items():
        having = [
            stage
            for stage in ("transfer", "training")
            if any(getattr(getattr(recipe, stage).fit.augmentation, key) for key in keys)
        ]
        made[name] = changed(recipe, {stage: {"fit": {"augmentation": keys}} for stage in having})
    return {name: one for name, one in made.items() if name == AS_IT_IS or one != recipe}


def changed(recipe: Recipe, changes: dict[str, Any]) -> Recipe:
    """The recipe with some of its keys, checked as a file would be."""
    return Recipe.model_validate(merged(recipe.model_dump(), changes))


def merged(document: dict[str, Any], changes: dict[str, Any]) -> dict[str, Any]:
    """A document of tables with some keys of some of its tables."""
    return document | {
        key: merged(document[key], value) if isinstance(value, dict) else value
        for key, value in changes.items()
    }


def trials(recipe: Recipe, prepared: Prepared, seeds: list[int]) -> list[Job]:
    """One training per seed and fold."""
    name = model_name(recipe.model)
    return [
        choice_job(recipe, GridCell(name, "speech_only", index, seed), seed, fold, prepared.inputs)
        for seed in seeds
        for index, fold in enumerate(prepared.folds)
    ]


def class_places(corpus: Corpus, prepared: Prepared) -> list[list[int]]:
    """For each fold, where its classes are among all: those of its test speakers may be nobody else's."""
    return [
        [prepared.labels.index(emotion) for emotion in without_speakers(corpus, fold.test).emotions]
        for fold in prepared.folds
    ]


def counted(study: StudyDir, jobs: list[Job], places: list[list[int]]) -> Tally:
    """Decisions on the validation speakers of each fold, whom the train stage finds where a test would be.

    Args:
        study: In which all jobs are done.
        jobs: From `trials`.
        places: From `class_places`.
    """
    tests = [read_json(study.cell(job.key) / METRICS)["train"]["target"]["test"] for job in jobs]
    classes = 1 + max(max(known) for known in places)
    confusions = np.zeros((len(jobs) // len(places), len(places), classes, classes), np.int64)
    for index, test in enumerate(tests):
        seed, fold = divmod(index, len(places))
        confusions[seed, fold][np.ix_(places[fold], places[fold])] = test["confusion"]
    # A fold's speakers share its model: folds are what an interval is over.
    names = tuple(f"fold {number}" for number in range(1, confusions.shape[1] + 1))
    seeds = tuple(job.place.seed for job in jobs[:: len(places)])
    return Tally(names, seeds, np.diagonal(confusions, axis1=2, axis2=3), confusions[0].sum(axis=2))


def print_table(counts: dict[str, Tally]) -> None:
    """Mean over seeds of the pooled UAR, and what each part adds in the same folds and seeds."""
    whole = counts[AS_IT_IS]
    print(f"validation UAR, pooled over folds, mean over seeds: {pooled_uars(whole).mean():.3f}")
    print("| without | UAR | the part adds, points | 95 % interval | by seed |\n|---|---|---|---|---|")
    for name, less in counts.items():
        if name != AS_IT_IS:
            gains = pooled_uars(whole) - pooled_uars(less)
            by_seed = ", ".join(points(gain) for gain in gains)
            print(
                f"| {name} | {pooled_uars(less).mean():.3f} | {points(gains.mean())} "
                f"| {points_interval(interval(whole, minus=less))} | {by_seed} |"
            )


def say(progress: Progress) -> None:
    """One line that is written again and again."""
    if sys.stderr.isatty():
        end = "\n" if progress.done == progress.total else ""
        print(f"\r{progress.done} of {progress.total} trainings", end=end, file=sys.stderr, flush=True)


if __name__ == "__main__":
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    main()

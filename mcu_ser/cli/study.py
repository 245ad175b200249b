# SPDX-License-Identifier: Apache-2.0
"""`mcu-ser study`: the paper's comparison, over models, approaches, folds and seeds."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from mcu_ser.cli.console import Output, add_json_option
from mcu_ser.cli.recipe_options import add_recipe_options, at_least_one
from mcu_ser.shell_command import shell_command

if TYPE_CHECKING:
    from mcu_ser.study.crew import Watch
    from mcu_ser.study.progress import Progress


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> argparse.ArgumentParser:
    """Add the command to the parser."""
    parser = commands.add_parser(
        "study",
        help="compare ways to train the small model, over folds and seeds",
        description="Train the small model in several ways (on speech alone, by transfer, with the graph), "
        "over all folds and seeds of the recipe's [study] table, each through pruning and int8, and compare "
        "them. What is finished is kept: the same command goes on where it was interrupted, and several "
        "machines may run it at once with one DIR on storage that they share.",
    )
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="directory of the study")
    add_recipe_options(parser)
    parser.add_argument(
        "--jobs",
        type=at_least_one,
        metavar="N",
        help="worker processes (default: as many as there are cores)",
    )
    add_json_option(parser)
    return parser


def run(args: argparse.Namespace) -> int:
    """Run the command; returns 0."""
    from mcu_ser.programs import require_packages
    from mcu_ser.recipe import load_recipe
    from mcu_ser.study.crew import available_cores
    from mcu_ser.study.directory import StudyDir
    from mcu_ser.study.prepare import prepare
    from mcu_ser.study.report import write_report
    from mcu_ser.study.run import compute_grid, gather
    from mcu_ser.study.terminal import results_table, verdict_lines

    output = Output(as_json=args.json)
    recipe = load_recipe(args.recipe)
    require_packages("train")
    prepared = prepare(recipe, args.corpus_root)
    study = StudyDir(args.out)
    study.open(recipe)
    with _watch() as watch:
        compute_grid(
            study,
            prepared,
            corpus_root=args.corpus_root,
            workers=args.jobs or available_cores(),
            watch=watch,
        )
    summary = write_report(args.out, gather(study, prepared, _command(args)))
    output.table(results_table(summary))
    for line in verdict_lines(summary):
        output.say(line)
    output.document(summary.document)
    output.wrote(
        *(args.out / name for name in ("study.json", "study.csv", "study.html")),
        next_command=shell_command("mcu-ser", "run", *_recipe_options(args), "--out", "RUN"),
    )
    return 0


def _command(args: argparse.Namespace) -> str:
    jobs = ["--jobs", args.jobs] if args.jobs else []
    return shell_command("mcu-ser", "study", *_recipe_options(args), "--out", args.out, *jobs)


def _recipe_options(args: argparse.Namespace) -> list[object]:
    return ["--recipe", args.recipe, *(["--corpus-root", args.corpus_root] if args.corpus_root else [])]


@contextmanager
def _watch() -> Iterator[Watch]:
    """Shows progress: a bar on a terminal, elsewhere a line whenever something has finished."""
    if not sys.stderr.isatty():
        yield _line_watch()
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn
    from rich.progress import Progress as Bar

    columns = (TextColumn("study"), BarColumn(), MofNCompleteColumn(), TextColumn("{task.description}"))
    with Bar(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("")
        yield lambda progress: bar.update(
            task,
            total=progress.total,
            completed=progress.done + progress.failed,
            description=_remark(progress),
        )


def _line_watch() -> Watch:
    shown: tuple[int, int] | None = None

    def watch(progress: Progress) -> None:
        nonlocal shown
        if (progress.done, progress.failed) != shown:
            shown = (progress.done, progress.failed)
            remark = _remark(progress)
            sys.stderr.write(f"study: {progress.done}/{progress.total}{', ' if remark else ''}{remark}\n")
            sys.stderr.flush()

    return watch


def _remark(progress: Progress) -> str:
    from mcu_ser.study.progress import in_words

    failed = f"{progress.failed} failed" if progress.failed else ""
    unfinished = progress.done + progress.failed < progress.total
    left = (
        f"about {in_words(progress.seconds_left)} left"
        if unfinished and progress.seconds_left is not None
        else ""
    )
    return ", ".join(part for part in (failed, left) if part)

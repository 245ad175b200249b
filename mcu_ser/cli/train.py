# SPDX-License-Identifier: Apache-2.0
"""`mcu-ser train`: corpora to log-mel, source model, similarity graph and the trained small model."""

from __future__ import annotations

import argparse
import os
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mcu_ser.cli.console import Output, add_json_option
from mcu_ser.cli.recipe_options import add_cache_option, add_recipe_options
from mcu_ser.shell_command import shell_command

if TYPE_CHECKING:
    from mcu_ser.artifacts import RunDir
    from mcu_ser.recipe import Recipe

_DESCRIPTION = """\
Train a model on the source corpus, make a similarity graph of the target corpus from its embeddings, and
train the small model on the target corpus with that graph.
"""

_OWN_CORPUS = """\
A recipe for recordings of your own, mine.toml:

  name = "mine"
  base = "ravdess-emodb"             # what is not said here; a shipped recipe, or a file beside this one
  [corpora.target]
  reader = "csv"
  manifest = "mine/emotions.csv"     # under --corpus-root, with the columns file,speaker,emotion
  test_speakers = ["anna", "ben"]    # everyone else trains

The paths of `file` start at the manifest. RAVDESS stays the source corpus; without it, add the tables
`[transfer]` with method = "none" and `[graph]` with multiplier = 0: then it is not read. A study needs folds
of your speakers, too: the table `[study]` with folds = { protocol = "leave_one_speaker_out" }.
"""


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> argparse.ArgumentParser:
    """Add the command to the parser."""
    parser = commands.add_parser(
        "train",
        help="train a source model, a graph and the small model",
        description=_DESCRIPTION,
        epilog=_OWN_CORPUS,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("run_dir", type=Path, metavar="RUN", help="run directory")
    add_recipe_options(parser)
    add_cache_option(parser)
    parser.add_argument(
        "--workers",
        action="store_true",
        help="share the training with the other processes that the environment variable TF_CONFIG names; "
        "all are started with the same command, and worker 0 writes RUN",
    )
    add_json_option(parser)
    return parser


def run(args: argparse.Namespace) -> int:
    """Run the command; returns 0."""
    from mcu_ser.artifacts import RunDir
    from mcu_ser.recipe import load_recipe

    output = Output(as_json=args.json)
    recipe = load_recipe(args.recipe)
    # TensorFlow takes seconds to import: only once the recipe is known to be good. It may be missing, and
    # that must not leave a run directory behind.
    from mcu_ser.train import stage
    from mcu_ser.train.cache import Cache

    run_dir = RunDir(args.run_dir)
    if args.workers:
        document = _run_as_worker(run_dir, recipe, args, output)
        if document is None:
            return 0
    else:
        run_dir.claim()
        document = stage.run(run_dir, recipe, args.corpus_root, output.track, Cache(args.cache))
    show_training(output, document)
    output.document(document)
    output.wrote(
        run_dir.float_model,
        run_dir.metrics(stage.STAGE),
        next_command=shell_command("mcu-ser", "compress", args.run_dir),
    )
    return 0


def _run_as_worker(
    run_dir: RunDir, recipe: Recipe, args: argparse.Namespace, output: Output
) -> dict[str, Any] | None:
    """Train as one of the workers of TF_CONFIG; returns the metrics in worker 0, which alone writes RUN."""
    from mcu_ser.artifacts import RunDir
    from mcu_ser.errors import ConfigError
    from mcu_ser.train import distributed, stage

    if args.cache:
        raise ConfigError(
            "--cache", "cannot be used with --workers: a worker that finds what others make waits"
        )
    place = distributed.place_of(os.environ)
    distributed.check_recipe(recipe, place)
    if place.is_chief:
        run_dir.claim()
    with tempfile.TemporaryDirectory() as scratch, distributed.losses_of_workers():
        workers = distributed.join()
        own = run_dir if place.is_chief else RunDir(Path(scratch))
        document = stage.run(own, recipe, args.corpus_root, output.track)
        workers.wait_for_all()
    if place.is_chief:
        return document
    output.document(document)
    output.say(f"worker {place.index} of {place.count} is done; worker 0 wrote {args.run_dir}")
    return None


def show_training(output: Output, document: dict[str, Any]) -> None:
    """Print what the train stage came to."""
    source, graph, target = document.get("source"), document.get("graph"), document["target"]
    if source:
        output.say(f"source model: {source['parameters']} parameters, {_uars(source)} on its own corpus")
    if graph:
        output.say(
            f"graph: {graph['edges']} edges between {graph['utterances']} utterances, "
            f"{graph['homophily']:.0%} of the same emotion ({graph['homophily_by_chance']:.0%} by chance)"
        )
    if "transfer" in document:
        output.say(f"small model on the source corpus: {_uars(document['transfer'])}")
    output.say(
        f"small model: {target['parameters']} parameters, epoch {target['fit']['chosen_epoch']} chosen, "
        f"{_uars(target)}"
    )


def _uars(document: dict[str, Any]) -> str:
    parts = [part for part in ("validation", "test") if part in document]
    return ", ".join(f"{part} UAR {document[part]['uar']:.3f}" for part in parts) or "not evaluated"

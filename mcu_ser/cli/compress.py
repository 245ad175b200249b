# SPDX-License-Identifier: Apache-2.0
"""`mcu-ser compress`: prune the trained model, then train it for int8 arithmetic."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mcu_ser.cli.console import Output, add_json_option
from mcu_ser.cli.recipe_options import add_cache_option, at_least_one
from mcu_ser.shell_command import shell_command

if TYPE_CHECKING:
    from mcu_ser.recipe import Recipe


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> argparse.ArgumentParser:
    """Add the command to the parser."""
    parser = commands.add_parser(
        "compress",
        help="prune the trained model and train it for int8",
        description="Prune the trained model of a run, then train it quantisation-aware. "
        "The graph loss stays on.",
    )
    parser.add_argument("run_dir", type=Path, metavar="RUN", help="run directory, after mcu-ser train")
    parser.add_argument(
        "--sparsity",
        type=_sparsity,
        metavar="S",
        help="share of weights that become zero, 0 <= S < 1, in place of pruning.sparsity_fraction in "
        "RUN/recipe.toml",
    )
    parser.add_argument(
        "--structure",
        choices=("unstructured", "block4"),
        help="what becomes zero: single weights, or fours along the input channels, which leave the firmware "
        "less to do, in place of pruning.structure in RUN/recipe.toml",
    )
    parser.add_argument(
        "--epochs",
        type=_epochs,
        metavar="N",
        help="epochs of pruning, in place of pruning.fit.epochs in RUN/recipe.toml: a model that is to "
        "lose more weights needs more of them",
    )
    add_cache_option(parser)
    add_json_option(parser)
    return parser


def run(args: argparse.Namespace) -> int:
    """Run the command; returns 0."""
    from mcu_ser.artifacts import RunDir
    from mcu_ser.recipe import load_recipe

    output = Output(as_json=args.json)
    run_dir = RunDir(args.run_dir)
    recipe = _with_options(load_recipe(run_dir.require(run_dir.recipe, "train")), args)
    run_dir.require(run_dir.float_model, "train")
    # TensorFlow takes seconds to import: only once the run directory is known to be good.
    from mcu_ser.compress import stage
    from mcu_ser.train.cache import Cache

    document = stage.run(run_dir, recipe, output.track, Cache(args.cache))
    show_compression(output, document)
    output.document(document)
    output.wrote(
        run_dir.pruned_model,
        run_dir.qat_weights,
        run_dir.metrics(stage.STAGE),
        next_command=shell_command("mcu-ser", "convert", args.run_dir),
    )
    return 0


def _with_options(recipe: Recipe, args: argparse.Namespace) -> Recipe:
    given = {"sparsity_fraction": args.sparsity, "structure": args.structure}
    changes: dict[str, Any] = {key: value for key, value in given.items() if value is not None}
    if args.epochs is not None:
        changes["fit"] = recipe.pruning.fit.model_copy(update={"epochs": args.epochs})
    return recipe.model_copy(update={"pruning": recipe.pruning.model_copy(update=changes)})


def _epochs(text: str) -> int:
    from mcu_ser.recipe.fit import MOST_EPOCHS

    epochs = at_least_one(text)
    if epochs > MOST_EPOCHS:
        raise argparse.ArgumentTypeError(f"{text} is above {MOST_EPOCHS}")
    return epochs


def _sparsity(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 <= value < 1:
        raise argparse.ArgumentTypeError(f"{text} is not a number from 0 to below 1")
    return value


def show_compression(output: Output, document: dict[str, Any]) -> None:
    """Print what the compress stage came to."""
    output.say(f"pruned: test UAR {document['pruned']['test']['uar']:.3f}")
    output.say(f"quantisation-aware: test UAR {document['qat']['test']['uar']:.3f}")

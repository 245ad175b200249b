# SPDX-License-Identifier: Apache-2.0
"""`mcu-ser convert`: the compressed model as an int8 .tflite, checked, with its test samples."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from mcu_ser.cli.console import Output, add_json_option
from mcu_ser.shell_command import shell_command

if TYPE_CHECKING:
    import argparse

    from mcu_ser.artifacts import RunDir


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> argparse.ArgumentParser:
    """Add the command to the parser."""
    parser = commands.add_parser(
        "convert",
        help="write the int8 .tflite and its test samples",
        description="Convert the compressed model of a run to an int8 .tflite, check its operators, "
        "sparsity and size, and measure it with the TFLite-Micro interpreter.",
    )
    parser.add_argument("run_dir", type=Path, metavar="RUN", help="run directory, after mcu-ser compress")
    parser.add_argument(
        "--post-training",
        action="store_true",
        help="measure post-training quantisation of the pruned model too, as a control",
    )
    parser.add_argument(
        "--corpus-root",
        type=Path,
        metavar="DIR",
        help="where the recipe's corpora are: keeps the test set as audio, for verify --input audio",
    )
    add_json_option(parser)
    return parser


def run(args: argparse.Namespace) -> int:
    """Run the command; returns 0."""
    from mcu_ser.artifacts import RunDir
    from mcu_ser.recipe import load_recipe

    output = Output(as_json=args.json)
    run_dir = RunDir(args.run_dir)
    recipe = load_recipe(run_dir.require(run_dir.recipe, "train"))
    run_dir.require(run_dir.qat_weights, "compress")
    # TensorFlow takes seconds to import: only once the run directory is known to be good.
    from mcu_ser.convert import audio, stage

    document = stage.run(run_dir, recipe, output.track, post_training=args.post_training)
    show_conversion(output, document)
    clips = audio.run(run_dir, recipe, args.corpus_root, output.track)
    show_audio(output, run_dir, clips)
    output.document(document | {"audio_clips": clips})
    hearing = ("--front-end", run_dir.front_end) if run_dir.front_end.exists() else ()
    output.wrote(
        *(
            path
            for path in (run_dir.tflite, run_dir.front_end, run_dir.samples, run_dir.audio)
            if path.exists()
        ),
        run_dir.predictions,
        run_dir.metrics(stage.STAGE),
        next_command=shell_command(
            *("mcu-ser", "generate", run_dir.tflite, "--board", "netduinoplus2", *hearing, "--out", "PROJECT")
        ),
    )
    return 0


def show_audio(output: Output, run_dir: RunDir, clips: int | None) -> None:
    """Say why there is no audio of the test set, where there could be some."""
    if clips is None and run_dir.front_end.exists():
        output.say("no audio of the test set: --corpus-root says where its recordings are")


def show_conversion(output: Output, document: dict[str, Any]) -> None:
    """Print what the convert stage came to."""
    from rich.table import Table

    table = Table(title=f"{document['samples']} test utterances")
    for column in ("model", "UAR", "accuracy"):
        table.add_column(column, justify="left" if column == "model" else "right")
    rows = {
        "float": "float",
        "pruned": "pruned",
        "quantisation-aware": "qat",
        "int8, TFLite-Micro": "int8",
        "int8, LiteRT": "litert",
        "int8 post-training": "post_training",
    }
    for title, key in rows.items():
        if document.get(key):
            table.add_row(title, f"{document[key]['uar']:.3f}", f"{document[key]['accuracy']:.3f}")
    output.table(table)
    file = document["file"]
    output.say(
        f"model.tflite: {file['file_bytes']} B, weights {file['weight_bytes']} B "
        f"({file['sparsity_fraction']:.0%} of the prunable ones zero), "
        f"activations {file['peak_activation_bytes']} B"
    )
    if document["litert"]:
        output.say(
            f"LiteRT differs from TFLite-Micro on {document['litert']['samples_that_differ']} of "
            f"{document['samples']} samples, by at most {document['litert']['largest_difference']}"
        )

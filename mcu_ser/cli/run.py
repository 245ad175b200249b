# SPDX-License-Identifier: Apache-2.0
"""`mcu-ser run`: every stage in order, from the corpora to the verdict."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from mcu_ser.cli.console import Output, add_json_option
from mcu_ser.cli.generate import add_optimize_option
from mcu_ser.cli.recipe_options import add_cache_option, add_recipe_options
from mcu_ser.shell_command import shell_command

if TYPE_CHECKING:
    import argparse

    from mcu_ser.artifacts import RunDir
    from mcu_ser.board import Board
    from mcu_ser.generate.project import Project
    from mcu_ser.recipe import Recipe
    from mcu_ser.verify.report import Report

T = TypeVar("T")


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> argparse.ArgumentParser:
    """Add the command to the parser."""
    parser = commands.add_parser(
        "run",
        help="everything: train, compress, convert, generate, build, verify",
        description="Train, compress, convert, generate, build and verify, in this order. "
        "Exits with 1 if the board's outputs differ from the host's.",
    )
    parser.add_argument("--out", type=Path, required=True, metavar="RUN", help="run directory")
    add_recipe_options(parser)
    add_cache_option(parser)
    parser.add_argument("--board", default="netduinoplus2", help="board id (default netduinoplus2, emulated)")
    parser.add_argument("--boards-dir", type=Path, metavar="DIR", help="take board files from here")
    parser.add_argument(
        "--engine",
        default="aot",
        help="aot (default): ahead-of-time C; tflm: the TFLite-Micro interpreter, its library in TFLM_ROOT",
    )
    parser.add_argument(
        "--input",
        choices=("features", "audio"),
        default="features",
        help="what the board is sent: the model's input (default), or audio, of which its firmware makes it",
    )
    add_optimize_option(parser)
    parser.add_argument("--port", metavar="URL", help="port of a flashed board instead of the emulated one")
    add_json_option(parser)
    return parser


def run(args: argparse.Namespace) -> int:
    """Run the command; returns 0 if every byte is equal, else 1."""
    from mcu_ser.artifacts import RunDir
    from mcu_ser.board import load_board
    from mcu_ser.recipe import load_recipe
    from mcu_ser.verify.report import discard_report

    output = Output(as_json=args.json)
    recipe = load_recipe(args.recipe)
    board = load_board(args.board, args.boards_dir)
    run_dir = RunDir(args.out)
    _require_all(board, args)
    _require_hearing(recipe, args.input)
    run_dir.claim()
    discard_report(run_dir.report(board.id, args.engine))

    started = time.monotonic()
    _train(output, run_dir, recipe, args)
    report = _deploy(output, run_dir, recipe, board, args)
    output.say(f"{time.monotonic() - started:.0f} s in all")
    output.document(report.document)
    directory = run_dir.report(board.id, args.engine)
    output.wrote(
        directory / "report.json",
        directory / "junit.xml",
        directory / "report.html",
        run_dir.manifest_path,
        next_command=shell_command("mcu-ser", "inspect", run_dir.tflite, "--board", "all"),
    )
    return 0 if report.passed else 1


def _require_all(board: Board, args: argparse.Namespace) -> None:
    """Find now what would otherwise be found missing after minutes of training."""
    from mcu_ser.aot.optimization import Optimization
    from mcu_ser.device.start import require_device
    from mcu_ser.generate.engine_model import require_optimization
    from mcu_ser.generate.project import require_engine
    from mcu_ser.programs import require_packages
    from mcu_ser.toolchain.build import require_programs

    require_engine(args.engine, board)
    require_optimization(args.engine, Optimization(args.optimize))
    require_packages("train")
    require_programs(board, args.engine)
    require_device(board, args.port)


def _require_hearing(recipe: Recipe, kind: str) -> None:
    from mcu_ser.errors import ConfigError

    if kind == "audio" and recipe.features.arithmetic != "integer":
        problem = f"is for features of integers; the recipe's are of {recipe.features.arithmetic}"
        raise ConfigError("--input audio", problem, hint='features.arithmetic = "integer"')


def _train(output: Output, run_dir: RunDir, recipe: Recipe, args: argparse.Namespace) -> None:
    from mcu_ser.cli.compress import show_compression
    from mcu_ser.cli.convert import show_audio, show_conversion
    from mcu_ser.cli.train import show_training
    from mcu_ser.compress import stage as compress
    from mcu_ser.convert import audio
    from mcu_ser.convert import stage as convert
    from mcu_ser.train import stage as train
    from mcu_ser.train.cache import Cache

    trained = _timed(
        output, "train", lambda: train.run(run_dir, recipe, args.corpus_root, output.track, Cache(args.cache))
    )
    show_training(output, trained)
    compressed = _timed(
        output, "compress", lambda: compress.run(run_dir, recipe, output.track, Cache(args.cache))
    )
    show_compression(output, compressed)
    converted = _timed(output, "convert", lambda: convert.run(run_dir, recipe, output.track))
    show_conversion(output, converted)
    show_audio(output, run_dir, audio.run(run_dir, recipe, args.corpus_root, output.track))


def _deploy(
    output: Output, run_dir: RunDir, recipe: Recipe, board: Board, args: argparse.Namespace
) -> Report:
    from mcu_ser.aot.optimization import Optimization
    from mcu_ser.cli.build import show_footprint
    from mcu_ser.generate.project import generate
    from mcu_ser.toolchain.build import build, require_programs

    where = run_dir.project(board.id, args.engine)
    front_end = run_dir.front_end if args.input == "audio" else None
    project = _timed(
        output,
        "generate",
        lambda: generate(
            run_dir.tflite,
            board,
            args.engine,
            where,
            front_end=front_end,
            optimization=Optimization(args.optimize),
        ),
    )
    manifest, read = where / "project.json", [run_dir.tflite, *([front_end] if front_end else [])]
    run_dir.record_stage("generate", seed=recipe.seed, read=read, wrote=[manifest], versions=_versions())
    built = _timed(output, "build", lambda: build(project))
    show_footprint(output, built.footprint)
    tools = {program.command: program.version() or "" for program in require_programs(board)}
    run_dir.record_stage("build", seed=recipe.seed, read=[manifest], wrote=[built.elf], versions=tools)
    return _verify(output, run_dir, recipe, project, args)


def _verify(
    output: Output, run_dir: RunDir, recipe: Recipe, project: Project, args: argparse.Namespace
) -> Report:
    from mcu_ser.cli.verify import show_report
    from mcu_ser.verify.audio_samples import front_end_of, load_audio
    from mcu_ser.verify.check import RunRequest, check
    from mcu_ser.verify.samples import load_samples

    if args.input == "audio":
        source = run_dir.audio
        samples = load_audio(source, front_end_of(project), project.output.bytes, output.track)
    else:
        source = run_dir.samples
        samples = load_samples(source, project.input, project.output.classes)
    out = run_dir.report(project.board.id, args.engine)
    request = RunRequest((args.port,) if args.port else ())
    report = _timed(
        output,
        "verify",
        lambda: check(
            project,
            samples,
            out,
            request,
            litert=True,
            command=args.command_line,
            track=output.track,
        ),
    )
    show_report(output, report)
    run_dir.record_stage(
        "verify",
        seed=recipe.seed,
        read=[source, project.root / "project.json", project.elf_path],
        wrote=[out / name for name in ("report.json", "junit.xml", "report.html")],
        versions=_versions(),
    )
    return report


def _versions() -> dict[str, str]:
    from mcu_ser.programs import package_versions

    return {name: version or "" for name, version in package_versions("").items()}


def _timed(output: Output, stage: str, work: Callable[[], T]) -> T:
    output.say(f"== {stage}")
    started = time.monotonic()
    result = work()
    output.say(f"   {stage} took {time.monotonic() - started:.1f} s")
    return result

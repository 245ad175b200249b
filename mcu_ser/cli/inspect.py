# SPDX-License-Identifier: Apache-2.0
"""`mcu-ser inspect`: what a .tflite is made of, what it costs, and which boards it fits."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from mcu_ser.cli.console import Output, add_json_option
from mcu_ser.shell_command import shell_command

if TYPE_CHECKING:
    import argparse

    from mcu_ser.aot.compile import CompiledModel, Layer, TensorSpec
    from mcu_ser.aot.fit import Fit
    from mcu_ser.board import Board

_MAX_NAME = 36


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> argparse.ArgumentParser:
    """Add the command to the parser."""
    parser = commands.add_parser(
        "inspect",
        help="show what a .tflite costs and which boards it fits",
        description="Show the layers of an int8 .tflite, what they cost, and whether the model fits a board.",
    )
    parser.add_argument("model", type=Path, metavar="MODEL.tflite", help="int8 model")
    parser.add_argument(
        "--board",
        action="append",
        metavar="BOARD",
        help="a board that the model must fit; may be repeated (default: show all boards)",
    )
    parser.add_argument("--boards-dir", type=Path, metavar="DIR", help="take board files from here")
    add_json_option(parser)
    return parser


def run(args: argparse.Namespace) -> int:
    """Run the command; returns 0.

    Raises:
        ModelError: The model cannot be read, or has layers that the engine does not support.
        BudgetError: The model does not fit a board that was asked for by name.
    """
    from mcu_ser.aot.compile import compile_model
    from mcu_ser.aot.fit import check_fit, find_fit

    output = Output(as_json=args.json)
    named = args.board or ["all"]
    boards = _boards(named, args.boards_dir)
    compiled = compile_model(_read(args.model), str(args.model))
    fits = [find_fit(compiled, board) for board in boards]
    output.document(_document(args.model, compiled, fits))
    if not args.json:
        _print_layers(output, compiled)
        _print_totals(output, compiled)
        _print_fits(output, fits)
    for board in boards:
        if board.id in named:
            check_fit(compiled, board)
    generate = shell_command(
        *("mcu-ser", "generate", args.model, "--board", _next_board(fits), "--out", "PROJECT")
    )
    output.wrote(next_command=generate)
    return 0


def _read(path: Path) -> bytes:
    from mcu_ser.errors import ModelError

    try:
        return path.read_bytes()
    except OSError as error:
        raise ModelError(path, f"cannot be read ({error.strerror})") from error


def _boards(names: list[str], directory: Path | None) -> list[Board]:
    from mcu_ser.board import list_boards, load_board

    named = [name for name in dict.fromkeys(names) if name != "all"]
    boards = [load_board(name, directory) for name in named]
    if "all" in names:
        boards += [board for board in list_boards(directory) if board.id not in named]
    return boards


def _next_board(fits: list[Fit]) -> str:
    return next((fit.board_id for fit in fits if fit.fits), "BOARD")


def _shape(shape: tuple[int, ...]) -> str:
    return "x".join(map(str, shape))


def _label(layer: Layer) -> str:
    from mcu_ser.aot.ir import short_name

    name = short_name(layer.name)
    return name if len(name) <= _MAX_NAME else "..." + name[3 - _MAX_NAME :]


def _print_layers(output: Output, compiled: CompiledModel) -> None:
    from rich.table import Table
    from rich.text import Text

    table = Table()
    for heading in ("#", "operator", "name"):
        table.add_column(heading, no_wrap=heading == "#", overflow="fold")
    for heading in ("output", "MACs", "weights B", "zeros", "arena at", "live B"):
        table.add_column(heading, justify="right", no_wrap=True)
    for layer in compiled.layers:
        table.add_row(
            str(layer.index),
            layer.operator,
            # Names come from the file; Text keeps rich from reading markup in them.
            Text(_label(layer)),
            _shape(layer.output_shape),
            str(layer.macs) if layer.macs else "",
            str(layer.weight_bytes) if layer.weight_bytes else "",
            "" if layer.sparsity is None else f"{layer.sparsity:.1%}",
            str(layer.arena_offset),
            str(layer.live_bytes),
        )
    output.table(table)


def _print_totals(output: Output, compiled: CompiledModel) -> None:
    bound = compiled.plan.lower_bound
    over = f"{compiled.arena_bytes / bound - 1:.1%} above the lower bound of {bound} B"
    peak = compiled.peak_layer
    output.say(f"model   {compiled.name}, SHA-256 {compiled.sha256}")
    output.say(f"input   {_spec_text(compiled.input)}")
    output.say(f"output  {_spec_text(compiled.output)}")
    output.say(f"MACs    {compiled.macs}")
    output.say(f"weights {compiled.weight_bytes} B of flash, biases and multipliers included")
    where = f"; most alive at layer {peak.index}, {peak.operator}" if peak else ""
    output.say(f"arena   {compiled.arena_bytes} B of RAM, {over}{where}")


def _spec_text(spec: TensorSpec) -> str:
    offset = f" {'-' if spec.zero_point > 0 else '+'} {abs(spec.zero_point)}" if spec.zero_point else ""
    return f"{_shape(spec.shape)} int8, real = {spec.scale:.9g} * (int8{offset})"


def _print_fits(output: Output, fits: list[Fit]) -> None:
    for fit in fits:
        output.say(f"{fit.board_id}: {_verdict(fit)}")


def _verdict(fit: Fit) -> str:
    flash = "" if fit.flash_limit is None else f" of {fit.flash_limit}"
    arena = "" if fit.arena_limit is None else f" of {fit.arena_limit}"
    need = f"weights {fit.flash_bytes}{flash} B, arena {fit.arena_bytes}{arena} B"
    if fit.fits:
        return f"fits ({need})"
    excess = [
        f"{count} B of {kind} too many"
        for kind, count in (("flash", fit.flash_excess), ("RAM", fit.arena_excess))
        if count
    ]
    return f"does not fit: {', '.join(excess)} ({need})"


def _document(path: Path, compiled: CompiledModel, fits: list[Fit]) -> dict[str, Any]:
    from dataclasses import asdict

    return {
        "model": str(path),
        "sha256": compiled.sha256,
        "input": asdict(compiled.input),
        "output": asdict(compiled.output),
        "macs": compiled.macs,
        "weight_bytes": compiled.weight_bytes,
        "arena_bytes": compiled.arena_bytes,
        "arena_lower_bound": compiled.plan.lower_bound,
        "layers": [asdict(layer) for layer in compiled.layers],
        "boards": [
            {
                **asdict(fit),
                "flash_excess": fit.flash_excess,
                "arena_excess": fit.arena_excess,
                "fits": fit.fits,
            }
            for fit in fits
        ],
    }

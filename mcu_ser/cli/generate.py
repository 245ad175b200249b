# SPDX-License-Identifier: Apache-2.0
"""`mcu-ser generate`: a .tflite and a board, turned into a firmware project."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING

from mcu_ser.cli.console import Output, add_json_option

if TYPE_CHECKING:
    import argparse


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> argparse.ArgumentParser:
    """Add the command to the parser."""
    parser = commands.add_parser(
        "generate",
        help="turn a .tflite into a firmware project for a board",
        description="Turn an int8 .tflite into a firmware project that builds by itself.",
    )
    parser.add_argument("model", type=Path, metavar="MODEL.tflite", help="int8 model")
    parser.add_argument("--board", required=True, help="board id; `mcu-ser boards list` shows them")
    parser.add_argument(
        "--engine", default="aot", help="aot (default): ahead-of-time C; tflm: the TFLite-Micro interpreter"
    )
    parser.add_argument(
        "--arena-bytes",
        type=int,
        metavar="N",
        help="engine tflm: size of its arena (default: an estimate; verify --certify-arena finds the least)",
    )
    parser.add_argument(
        "--baud", type=int, metavar="N", help="bit rate of the serial port, to 921600 (default: the board's)"
    )
    parser.add_argument(
        "--layers",
        action="store_true",
        help="firmware that tells of each layer, for verify --bisect and --profile",
    )
    parser.add_argument(
        "--front-end",
        type=Path,
        metavar="JSON",
        help="firmware that computes its input of audio: the front_end.json that convert wrote",
    )
    _add_winograd(parser)
    add_optimize_option(parser)
    parser.add_argument("--out", required=True, type=Path, metavar="PROJECT", help="directory to write")
    parser.add_argument("--boards-dir", type=Path, metavar="DIR", help="take board files from here")
    add_json_option(parser)
    return parser


def _add_winograd(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--winograd-bytes",
        type=int,
        default=0,
        metavar="N",
        help="engine aot: spend up to N bytes more flash on 3x3 convolutions by Winograd's algorithm, which "
        "takes about half of the instructions for equal bytes (default: 0)",
    )


def add_optimize_option(parser: argparse.ArgumentParser) -> None:
    """Add `--optimize`, which generate, run and inspect have."""
    parser.add_argument(
        "--optimize",
        choices=("speed", "size"),
        default="speed",
        help="engine aot: fewest instructions (default), or least code and the smallest arena; equal bytes",
    )


def run(args: argparse.Namespace) -> int:
    """Run the command; returns 0."""
    from mcu_ser.aot.optimization import Optimization
    from mcu_ser.board import load_board
    from mcu_ser.generate.engine_model import Arena
    from mcu_ser.generate.project import generate

    output = Output(as_json=args.json)
    board = load_board(args.board, args.boards_dir)
    arena = None if args.arena_bytes is None else Arena(args.arena_bytes, "given")
    project = generate(
        args.model,
        board,
        args.engine,
        args.out,
        baud=args.baud,
        arena=arena,
        layers=args.layers,
        front_end=args.front_end,
        winograd_bytes=args.winograd_bytes,
        optimization=Optimization(args.optimize),
    )
    manifest = project.manifest
    output.say(
        f"{board.id}, engine {project.engine}: {manifest.macs} MACs, weights {manifest.weight_bytes} B, "
        f"arena {manifest.arena_bytes} B, {manifest.arena_basis}"
    )
    if manifest.taken_off:
        output.say(taken_off_text(manifest.taken_off))
    if manifest.winograd_bytes:
        output.say(_winograd_text(manifest.winograd_bytes, manifest.winograd_layers))
    if project.front_end_path is not None:
        from mcu_ser.features.front_end import FrontEnd
        from mcu_ser.generate.front_end import front_end_size

        size = front_end_size(FrontEnd.load(project.front_end_path)).on(project.board)
        output.say(f"front end: flash {size.flash_bytes} B, RAM {size.ram_bytes} B")
    output.document({"project": str(args.out), **manifest.model_dump(mode="json", exclude={"files"})})
    output.wrote(args.out, next_command=f"mcu-ser build {shlex.quote(str(args.out))}")
    return 0


def taken_off_text(operators: tuple[str, ...]) -> str:
    """One line about the float edges that are not in the firmware."""
    return (
        f"taken off: {' and '.join(operators)}; the host quantises samples, and the board's ends are integers"
    )


def _winograd_text(given: int, layers: tuple[int, ...]) -> str:
    if not layers:
        return f"Winograd's algorithm: no layer that it makes faster within {given} B of flash and the arena"
    numbers = ", ".join(map(str, layers))
    return f"Winograd's algorithm: layer{'s' * (len(layers) > 1)} {numbers}, within {given} B of flash"

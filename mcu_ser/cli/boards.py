# SPDX-License-Identifier: Apache-2.0
"""`mcu-ser boards`: the boards there are, everything known about one, and those that are connected."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mcu_ser.cli.console import Output, add_debug_option, add_json_option

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mcu_ser.board import Board, MemoryRegion
    from mcu_ser.flash.detect import Detected


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> argparse.ArgumentParser:
    """Add the command to the parser."""
    parser = commands.add_parser(
        "boards",
        help="list the boards, show one, or detect those that are connected",
        description="List the boards, show one, or detect those that are connected.",
    )
    actions = parser.add_subparsers(title="actions", metavar="ACTION", required=True, dest="action")
    listing = actions.add_parser("list", help="every board, one line each")
    show = actions.add_parser("show", help="the board file of one board")
    show.add_argument("board", metavar="BOARD", help="board id")
    detect = actions.add_parser(
        "detect",
        help="serial ports, which boards they may be, and which firmware these run",
        description="List the serial ports, which boards they may be by their USB ids, and which firmware of "
        "mcu-ser these run. The ids of an ST-LINK do not tell the board that it is on.",
    )
    detect.add_argument("--no-ask", action="store_true", help="open no port")
    detect.add_argument(
        "--baud", type=_baud, default=115200, metavar="N", help="rate at which boards are asked (115200)"
    )
    for action in (listing, show, detect):
        action.add_argument("--boards-dir", type=Path, metavar="DIR", help="take board files from here")
        add_json_option(action)
        add_debug_option(action)
    return parser


def run(args: argparse.Namespace) -> int:
    """Run the command; returns 0."""
    from mcu_ser.board import list_boards, load_board

    output = Output(as_json=args.json)
    if args.action == "detect":
        _detect(output, list_boards(args.boards_dir), args)
    elif args.action == "list":
        boards = list_boards(args.boards_dir)
        _print_list(output, boards)
        output.document([board.model_dump(mode="json") for board in boards])
        output.say(f"next: mcu-ser boards show {boards[0].id}")
    else:
        board = load_board(args.board, args.boards_dir)
        output.say(board.yaml_text.rstrip("\n"))
        output.document(board.model_dump(mode="json"))
        # A comment, so that what is printed is a board file too: the start of another board's.
        output.say(f"# next: mcu-ser generate MODEL.tflite --board {board.id} --out PROJECT")
    return 0


def _print_list(output: Output, boards: tuple[Board, ...]) -> None:
    from rich.table import Table

    table = Table()
    for heading in ("id", "MCU", "core", "clock", "flash", "RAM", "status"):
        table.add_column(heading, no_wrap=True)
    for board in boards:
        table.add_row(
            board.id,
            board.mcu.part,
            board.mcu.core,
            f"{board.mcu.clock_hz // 1_000_000} MHz" if board.mcu.clock_hz else "",
            _kilobytes(board.flash_regions[:1]),
            _kilobytes(board.ram_regions),
            board.status.level,
        )
    output.table(table)


def _kilobytes(regions: tuple[MemoryRegion, ...]) -> str:
    """Sizes of memory regions, e.g. "128 + 64 KB"."""
    return " + ".join(str(region.bytes // 1024) for region in regions) + (" KB" if regions else "")


def _detect(output: Output, boards: tuple[Board, ...], args: argparse.Namespace) -> None:
    """Print the ports, and what may be behind them."""
    from mcu_ser.flash.detect import detect

    found = detect(boards, baud=args.baud, asking=not args.no_ask)
    output.document([_document(entry) for entry in found])
    if not found:
        output.say("no serial port")
    for entry in found:
        output.say(f"{entry.port}")
        if entry.boards:
            output.say(f"    may be: {', '.join(entry.boards)}")
        output.say(f"    {_what_runs(entry)}")
    if any(entry.port.is_st_link and entry.hello is None for entry in found):
        output.say(
            "the USB ids of an ST-LINK do not tell the board that it is on; a firmware of mcu-ser does"
        )
    output.say(f"next: {_after_detect(found, boards)}")


def _after_detect(found: Sequence[Detected], boards: tuple[Board, ...]) -> str:
    """The command for the board that was found, else for one that needs no port."""
    running = [entry for entry in found if entry.hello is not None]
    if running:
        return f"mcu-ser flash PROJECT --port {running[0].port.device}"
    if any(entry.boards for entry in found):
        return "mcu-ser flash PROJECT --port PORT"
    # One that can be bought before one that is only an emulator's.
    emulated = [board.id for board in boards if board.emulator is not None and board.flash is not None]
    if not emulated:
        return "mcu-ser boards list"
    return f"mcu-ser generate MODEL.tflite --board {emulated[0]} --out PROJECT"


def _what_runs(entry: Detected) -> str:
    if entry.hello is not None:
        hello = entry.hello
        return f"runs mcu-ser's firmware for {hello.board_id}: engine {hello.engine}, build {hello.build_id}"
    if entry.in_boot_loader:
        return "waits in its boot loader"
    if entry.problem is not None:
        return f"no firmware of mcu-ser answers ({entry.problem})"
    return "not asked" if entry.boards else "no known board"


def _document(entry: Detected) -> dict[str, Any]:
    hello = entry.hello
    return {
        "port": entry.port.device,
        "usb_id": None if entry.port.usb_id is None else list(entry.port.usb_id),
        "product": entry.port.product,
        "serial_number": entry.port.serial_number,
        "boards": list(entry.boards),
        "in_boot_loader": entry.in_boot_loader,
        "firmware": None
        if hello is None
        else {
            "board": hello.board_id,
            "engine": hello.engine,
            "build_id": hello.build_id,
            "model_sha256": hello.model_sha256,
        },
        "problem": entry.problem,
    }


def _baud(text: str) -> int:
    # 1200 baud would start the boot loader of an Arduino board.
    if not text.isdecimal() or int(text) < 9600:
        raise argparse.ArgumentTypeError(f"{text!r} is no rate of at least 9600 baud")
    return int(text)

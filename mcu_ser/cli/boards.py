# SPDX-License-Identifier: Apache-2.0
"""`mcu-ser boards`: the boards there are, and everything known about one of them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from mcu_ser.cli.console import Output, add_json_option

if TYPE_CHECKING:
    import argparse

    from mcu_ser.board import Board


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> argparse.ArgumentParser:
    """Add the command to the parser."""
    parser = commands.add_parser(
        "boards", help="list the boards, or show one", description="List the boards, or show one."
    )
    actions = parser.add_subparsers(title="actions", metavar="ACTION", required=True, dest="action")
    listing = actions.add_parser("list", help="every board, one line each")
    show = actions.add_parser("show", help="the board file of one board")
    show.add_argument("board", metavar="BOARD", help="board id")
    for action in (listing, show):
        action.add_argument("--boards-dir", type=Path, metavar="DIR", help="take board files from here")
        add_json_option(action)
    return parser


def run(args: argparse.Namespace) -> int:
    """Run the command; returns 0."""
    from mcu_ser.board import list_boards, load_board

    output = Output(as_json=args.json)
    if args.action == "list":
        boards = list_boards(args.boards_dir)
        _print_list(output, boards)
        output.document([board.model_dump(mode="json") for board in boards])
        output.say(f"next: mcu-ser boards show {boards[0].id}")
    else:
        board = load_board(args.board, args.boards_dir)
        output.say(board.yaml_text.rstrip("\n"))
        output.document(board.model_dump(mode="json"))
        output.say(f"next: mcu-ser generate MODEL.tflite --board {board.id} --out PROJECT")
    return 0


def _print_list(output: Output, boards: tuple[Board, ...]) -> None:
    from rich.table import Table

    table = Table()
    for heading in ("id", "name", "platform", "MCU", "clock", "flash", "RAM", "status"):
        table.add_column(heading)
    for board in boards:
        table.add_row(
            board.id,
            board.name,
            board.platform,
            board.mcu.part,
            f"{board.mcu.clock_hz // 1_000_000} MHz" if board.mcu.clock_hz else "",
            f"{board.flash_bytes // 1024} KB" if board.flash_bytes else "",
            f"{board.ram_bytes // 1024} KB" if board.ram_bytes else "",
            board.status.level,
        )
    output.table(table)

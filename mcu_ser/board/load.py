# SPDX-License-Identifier: Apache-2.0
"""Reads board files: one YAML per board type, strict about everything that YAML is lax about."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from mcu_ser.board.model import Board
from mcu_ser.board.validation import facts
from mcu_ser.errors import ConfigError
from mcu_ser.resources import boards_dir as shipped_boards_dir


class _BoardYaml(yaml.SafeLoader):
    """Safe YAML in which repeated keys are errors, and aliases too: they can make a short file endless."""

    def compose_node(self, parent: Any, index: Any) -> Any:
        if self.check_event(yaml.AliasEvent):
            raise yaml.composer.ComposerError(None, None, "aliases (*name) are not allowed", None)
        return super().compose_node(parent, index)

    def construct_mapping(self, node: Any, deep: bool = False) -> dict[Any, Any]:
        keys = [self.construct_object(key, deep=True) for key, _ in node.value]
        for position, key in enumerate(keys):
            if key in keys[:position]:
                raise yaml.constructor.ConstructorError(
                    None, None, f"key {key!r} is repeated", node.value[position][0].start_mark
                )
        return super().construct_mapping(node, deep=deep)


def parse_board(text: str, path: Path) -> Board:
    """The board that the YAML `text` describes; `path` names it in errors.

    Raises:
        ConfigError: Not YAML, an unknown or missing key, a wrong value, or sums that cannot be.
    """
    try:
        data = _tuples(yaml.load(text, Loader=_BoardYaml))
    except (yaml.YAMLError, ValueError, TypeError, RecursionError) as error:
        raise ConfigError(path, f"is not a board file: {_one_line(error)}") from error
    if not isinstance(data, dict):
        raise ConfigError(path, "is not a board file: no mapping of keys at the top")
    try:
        board = Board.model_validate(data)
    except ValidationError as error:
        raise ConfigError(path, "; ".join(facts(error))) from error
    board._yaml_text = text
    return board


def load_board(board_id: str, boards_dir: Path | None = None) -> Board:
    """The board of that id, from `boards_dir` or, without it, from the boards that come with mcu-ser.

    Raises:
        ConfigError: No such board, or its file is wrong.
    """
    directory = boards_dir or shipped_boards_dir()
    known = _board_ids(directory)
    if board_id not in known:
        raise ConfigError(
            f"board {board_id!r}",
            f"is not in {directory if boards_dir else 'mcu-ser'}",
            hint="one of " + ", ".join(known),
        )
    path = directory / f"{board_id}.yaml"
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(path, f"cannot be read ({error})", hint="a readable UTF-8 file") from error
    board = parse_board(text, path)
    if board.id != board_id:
        raise ConfigError(path, f"id: {board.id!r} is not the name of the file, {board_id!r}")
    return board


def list_boards(boards_dir: Path | None = None) -> tuple[Board, ...]:
    """Every board of `boards_dir`, or every one that comes with mcu-ser, by id.

    Raises:
        ConfigError: The directory is absent or empty, or a file in it is wrong.
    """
    directory = boards_dir or shipped_boards_dir()
    return tuple(load_board(board_id, directory) for board_id in _board_ids(directory))


def _board_ids(directory: Path) -> list[str]:
    board_ids = sorted(path.stem for path in directory.glob("*.yaml"))
    if not board_ids:
        raise ConfigError(
            directory,
            "holds no board files (*.yaml)",
            hint="--boards-dir DIR with some, or without the option for the boards of mcu-ser",
        )
    return board_ids


def _tuples(value: Any) -> Any:
    """`value` with every list as a tuple: strict frozen models take no lists."""
    if isinstance(value, dict):
        return {key: _tuples(item) for key, item in value.items()}
    return tuple(_tuples(item) for item in value) if isinstance(value, list) else value


def _one_line(error: BaseException) -> str:
    return " ".join(str(error).split())

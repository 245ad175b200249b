# SPDX-License-Identifier: Apache-2.0
"""Board files: one YAML per board type, turned into a checked, frozen `Board` for every later stage."""

from mcu_ser.board.load import list_boards, load_board, parse_board
from mcu_ser.board.model import Board, MemoryRegion

__all__ = ["Board", "MemoryRegion", "list_boards", "load_board", "parse_board"]

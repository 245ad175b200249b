# SPDX-License-Identifier: Apache-2.0
"""The options of every command that starts from corpora."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import argparse


def add_recipe_options(parser: argparse.ArgumentParser) -> None:
    """Add `--recipe` and `--corpus-root`."""
    parser.add_argument(
        "--recipe",
        default="synthetic",
        metavar="R",
        help="shipped recipe (synthetic, ravdess-emodb) or a TOML file (default synthetic)",
    )
    parser.add_argument("--corpus-root", type=Path, metavar="DIR", help="where the recipe's corpora are")

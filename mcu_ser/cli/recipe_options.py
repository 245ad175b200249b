# SPDX-License-Identifier: Apache-2.0
"""The options that commands which train have in common, and their types."""

from __future__ import annotations

import argparse
from pathlib import Path


def add_recipe_options(parser: argparse.ArgumentParser) -> None:
    """Add `--recipe` and `--corpus-root`."""
    parser.add_argument(
        "--recipe",
        default="synthetic",
        metavar="R",
        help="shipped recipe (synthetic, ravdess-emodb, paper) or a TOML file, for which see "
        "`mcu-ser train --help` (default synthetic)",
    )
    parser.add_argument("--corpus-root", type=Path, metavar="DIR", help="where the recipe's corpora are")


def add_cache_option(parser: argparse.ArgumentParser) -> None:
    """Add `--cache`."""
    parser.add_argument(
        "--cache",
        type=Path,
        metavar="DIR",
        help="keep features and models of the source corpus here, by the hash of their inputs, and take "
        "those that are",
    )


def at_least_one(text: str) -> int:
    """A count: the type of an option that takes a whole number from 1."""
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text} is not a number of 1 or more")
    return int(text)

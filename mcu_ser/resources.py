# SPDX-License-Identifier: Apache-2.0
"""Finds boards/, firmware_templates/ and recipes, in a checkout as in an installed wheel."""

from __future__ import annotations

from pathlib import Path

_PACKAGE = Path(__file__).resolve().parent


def _data_dir(name: str) -> Path:
    # The wheel carries the top-level data directories inside the package (pyproject.toml,
    # force-include); a checkout has them beside it.
    installed = _PACKAGE / "_data" / name
    return installed if installed.is_dir() else _PACKAGE.parent / name


def boards_dir() -> Path:
    """Directory of the board files that come with mcu-ser."""
    return _data_dir("boards")


def firmware_templates_dir() -> Path:
    """Directory of the C runtime and the platform templates."""
    return _data_dir("firmware_templates")


def recipes_dir() -> Path:
    """Directory of the recipes that come with mcu-ser."""
    return _PACKAGE / "recipes"

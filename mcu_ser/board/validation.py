# SPDX-License-Identifier: Apache-2.0
"""Turns pydantic's errors about a board file into one readable fact per wrong key."""

from __future__ import annotations

from typing import Any

from pydantic import ValidationError


class NestedError(ValueError):
    """Errors of a section that is validated by itself; carried out through pydantic's own error list."""

    def __init__(self, section: str, error: ValidationError) -> None:
        super().__init__("; ".join(facts(error, section)))


def facts(error: ValidationError, section: str = "") -> list[str]:
    """One `key: what is wrong with its value` per validation error."""
    found = []
    for detail in error.errors(include_url=False):
        nested = detail.get("ctx", {}).get("error")
        if isinstance(nested, NestedError):
            found.append(str(nested))
            continue
        key = ".".join(str(part) for part in (section, *detail["loc"]) if part != "")
        found.append(f"{key}: {_wording(detail)}" if key else _wording(detail))
    return found


def _wording(detail: Any) -> str:
    if detail["type"] == "extra_forbidden":
        return "unknown key"
    if detail["type"] == "missing":
        return "missing"
    if detail["type"] == "value_error":
        return str(detail["ctx"]["error"])
    return f"{detail['input']!r}: {detail['msg'][0].lower()}{detail['msg'][1:]}"

# SPDX-License-Identifier: Apache-2.0
"""Lays the tables of a recipe over those of the recipe that it names as its `base`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

# Keys that say which of several tables this one is: a corpus, a model, a source model, a protocol of folds.
KINDS = ("reader", "family", "model", "protocol")
# Keys that stand for each other: who says one does not want the base's other.
ALTERNATIVES = ({"similarity_threshold", "similarity_quantile"}, {"speeds", "time_stretch_fraction"})


def laid_over(base: Mapping[str, Any], own: Mapping[str, Any]) -> dict[str, Any]:
    """The tables of `own`, and of `base` what `own` leaves out.

    Tables are joined key by key, at any depth. A table of another kind takes the place of the base's as a
    whole: the test speakers of EmoDB mean nothing in a corpus of one's own. So does an array, and with it all
    its tables. A key takes the place of its alternative, and of another manifest only the reader stays.

    Args:
        base: Resolved, so that every table says of which kind it is.
        own: As the file has it.
    """
    joined = {key: value for key, value in base.items() if _stays(key, base, own)}
    for key, value in own.items():
        below = base.get(key)
        if isinstance(value, dict) and isinstance(below, dict) and _same_kind(below, value):
            joined[key] = laid_over(below, value)
        else:
            joined[key] = value
    return joined


def _same_kind(below: Mapping[str, Any], above: Mapping[str, Any]) -> bool:
    return all(above[kind] == below.get(kind) for kind in KINDS if isinstance(above.get(kind), str))


def _stays(key: str, base: Mapping[str, Any], own: Mapping[str, Any]) -> bool:
    if own.get("manifest", base.get("manifest")) != base.get("manifest"):
        return key == "reader"
    return not any(own.keys() & (keys - {key}) for keys in ALTERNATIVES if key in keys)

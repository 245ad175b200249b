# SPDX-License-Identifier: Apache-2.0
"""The verdict on two firmwares of one model, and the document that `compare.json` holds."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from mcu_ser.artifacts import canonical_json, write_text
from mcu_ser.errors import ConfigError
from mcu_ser.toolchain.firmware_parts import FirmwareParts, Part
from mcu_ser.verify.report import NAMED_MISMATCHES, Outputs, Report

SCHEMA = 1
COMPARISON_NAME = "compare.json"

# Of each project's report; the rest is the same for both.
_OWN_FIGURES = (
    *("board", "engine", "build_id", "changed_files", "identical", "mismatches"),
    *("flash_bytes", "ram_bytes", "flash_limit_bytes", "ram_limit_bytes"),
    *("instructions", "ticks", "stack_high_water_bytes", "link"),
)
_SHARED_FIGURES = ("model_sha256", "oracle", "mcu_ser", "samples", "samples_origin")


@dataclass(frozen=True, eq=False)
class Side:
    """One of the two projects.

    Attributes:
        name: Name of its directory.
        arena_bytes: What its manifest says; likewise where that comes from, `arena_basis`.
        parts: What its flash and RAM go to; None if the build left no map.
        report: Its answers against the oracle's.
        outputs: The answers, int8 (n, output bytes).
    """

    name: str
    arena_bytes: int
    arena_basis: str
    parts: FirmwareParts | None
    report: Report
    outputs: Outputs

    def document(self) -> dict[str, Any]:
        """What `compare.json` says of it; parts in the order of a table, None if they are not known."""
        parts = self.parts
        return {
            "name": self.name,
            "arena_bytes": self.arena_bytes,
            "arena_basis": self.arena_basis,
            "flash_parts": None if parts is None else _named(parts.flash),
            "ram_parts": None if parts is None else _named(parts.ram),
            **{key: self.report.document[key] for key in _OWN_FIGURES},
        }


@dataclass(frozen=True, eq=False)
class Comparison:
    """Two projects that got the same samples; `sample_ids` names these."""

    a: Side
    b: Side
    sample_ids: tuple[str, ...]

    @property
    def passed(self) -> bool:
        """Whether every output byte of both equals the other's and the oracle's."""
        return self.identical == len(self.sample_ids) and self.a.report.passed and self.b.report.passed

    @property
    def identical(self) -> int:
        """Samples whose output bytes are equal on both."""
        return int(np.count_nonzero(self._differing() == 0))

    @property
    def ticks_comparable(self) -> bool:
        """Whether both durations count the same thing on the same type of board."""
        a, b = self.a.report.document, self.b.report.document
        counted = [document["instructions"]["median"] is not None for document in (a, b)]
        keys = ("source", "hz")
        return (
            a["board"] == b["board"]
            and counted[0] == counted[1]
            and all(a["ticks"][key] == b["ticks"][key] for key in keys)
            and all(document["ticks"]["median"] is not None for document in (a, b))
        )

    @property
    def reason(self) -> str:
        """The verdict in words."""
        total = len(self.sample_ids)
        if self.passed:
            return f"all {total} outputs of both equal the oracle's byte for byte"
        if self.identical == total:
            return f"all {total} outputs equal each other; {self._against_oracle()}"
        first = self.sample_ids[int(np.argmax(self._differing() > 0))]
        return (
            f"{total - self.identical} of {total} outputs differ from each other, first: {first}; "
            f"{self._against_oracle()}"
        )

    def document(self) -> dict[str, Any]:
        """The content of `compare.json`."""
        shared = self.a.report.document
        return {
            "schema": SCHEMA,
            **{key: shared[key] for key in _SHARED_FIGURES},
            "projects": [self.a.document(), self.b.document()],
            "identical": self.identical,
            "mismatches": self._mismatches(),
            "ticks_comparable": self.ticks_comparable,
            "verdict": "pass" if self.passed else "fail",
            "reason": self.reason,
        }

    def write(self, directory: Path) -> Path:
        """Write `compare.json`; returns its path.

        Raises:
            ConfigError: It cannot be written.
        """
        path = directory / COMPARISON_NAME
        write_text(path, canonical_json(self.document()))
        return path

    def _differing(self) -> Any:
        """Output bytes per sample in which the two differ, int64 (n,)."""
        return np.count_nonzero(self.a.outputs != self.b.outputs, axis=1)

    def _mismatches(self) -> list[dict[str, Any]]:
        differing = self._differing()
        return [
            {
                "sample": int(index),
                "id": self.sample_ids[index],
                "differing_bytes": int(differing[index]),
            }
            for index in np.flatnonzero(differing)[:NAMED_MISMATCHES]
        ]

    def _against_oracle(self) -> str:
        total = len(self.sample_ids)
        wrong = [
            f"{total - side.report.document['identical']} of {letter}"
            for letter, side in (("A", self.a), ("B", self.b))
            if not side.report.passed
        ]
        return f"from the oracle's differ {' and '.join(wrong)}"


def discard_comparison(directory: Path) -> None:
    """Remove an older run's `compare.json`, so that it is not taken for that of a run which does not end.

    Raises:
        ConfigError: It cannot be removed.
    """
    try:
        (directory / COMPARISON_NAME).unlink(missing_ok=True)
    except OSError as error:
        problem = f"cannot take a report ({error.strerror})"
        raise ConfigError(directory, problem, hint="another --out") from error


def _named(parts: Mapping[Part, int]) -> dict[str, int]:
    return {part.value: size for part, size in parts.items()}

# SPDX-License-Identifier: Apache-2.0
"""The calls of `mcu-ser study` that worked in one directory: how long in all, and on what hardware."""

from __future__ import annotations

import os
import platform
import secrets
import time
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from mcu_ser.artifacts import canonical_json, write_text
from mcu_ser.errors import ConfigError
from mcu_ser.study.results import read_json

if TYPE_CHECKING:
    from collections.abc import Iterable

# A call that is killed loses at most this much of its time.
_SAVE_EVERY_S = 30.0


@dataclass
class Call:
    """This call; `keep` now and then, and at its end.

    Args:
        directory: Holds a file per call.
        workers: Processes of this call.
    """

    directory: Path
    workers: int
    _started: float = field(default_factory=time.time)
    _saved: float = 0.0
    _name: str = field(default_factory=lambda: f"{secrets.token_hex(8)}.json")

    def keep(self, *, now: bool = False) -> None:
        """Write down how long the call has lasted, if it is time to, or `now`."""
        ended = time.time()
        if not now and ended - self._saved < _SAVE_EVERY_S:
            return
        self._saved = ended
        document = {"started": self._started, "ended": ended, "hardware": hardware(self.workers)}
        write_text(self.directory / self._name, canonical_json(document))


def hardware(workers: int) -> str:
    """Processor, cores and workers of this machine in a line."""
    processor = platform.processor() or platform.machine()
    with suppress(OSError):
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
        names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
        processor = names[0] if names else processor
    return f"{processor}, {os.cpu_count()} cores, {workers} workers"


def all_calls(directory: Path) -> tuple[float, str]:
    """Seconds during which at least one call was at work, and the hardware of all of them."""
    documents = []
    for path in sorted(directory.glob("[!.]*.json")):
        with suppress(ConfigError, KeyError, TypeError, ValueError):
            one = read_json(path)
            documents.append((float(one["started"]), float(one["ended"]), str(one["hardware"])))
    return (
        _covered((started, ended) for started, ended, _ in documents),
        "; ".join(sorted({hardware for _, _, hardware in documents})),
    )


def _covered(spans: Iterable[tuple[float, float]]) -> float:
    """Length of the union of spans of time."""
    total, reached = 0.0, float("-inf")
    for started, ended in sorted(spans):
        total += max(0.0, ended - max(started, reached))
        reached = max(reached, ended)
    return total

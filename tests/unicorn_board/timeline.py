# SPDX-License-Identifier: Apache-2.0
"""Time on a simulated board: cycles of its core, and seconds across changes of the core's clock."""

from __future__ import annotations

import math


class Timeline:
    """Time since power-on; `cycles` may be advanced by anybody, `hz` is the core's clock now."""

    def __init__(self, hz: int) -> None:
        self.cycles = 0
        self.hz = hz
        self._mark_cycles = 0
        self._mark_s = 0.0

    @property
    def now(self) -> float:
        """Seconds since power-on."""
        return self._mark_s + (self.cycles - self._mark_cycles) / self.hz

    def change_clock(self, hz: int) -> None:
        """From now on a second has `hz` cycles."""
        self._mark_s, self._mark_cycles, self.hz = self.now, self.cycles, hz

    def cycles_at(self, moment_s: float) -> int:
        """The cycle at which `moment_s` is past, at the present clock."""
        # One to spare: seconds are rounded, and the moment must not lie ahead afterwards.
        return self._mark_cycles + math.ceil((moment_s - self._mark_s) * self.hz) + 1

    def moment_of(self, cycle: int) -> float:
        """Seconds since power-on at `cycle`, at the present clock."""
        return self._mark_s + (cycle - self._mark_cycles) / self.hz

    def skip_to(self, moment_s: float) -> None:
        """Let time pass without anything happening in between."""
        self.cycles = max(self.cycles, self.cycles_at(moment_s))

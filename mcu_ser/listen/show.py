# SPDX-License-Identifier: Apache-2.0
"""A decision as JSON, as a line, and as bars on a terminal."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from mcu_ser.features.listening import level_dbfs

if TYPE_CHECKING:
    from rich.console import RenderableType

    from mcu_ser.verify.listen_client import Decision, ListenWindow
    from mcu_ser.verify.messages import Hello

_BAR = 40
# The quietest level that the meter shows.
_METER_DBFS = -90.0


@dataclass(frozen=True)
class Scale:
    """How output bytes become scores: (value - zero_point) * scale, of the classes `labels`."""

    labels: tuple[str, ...]
    scale: float
    zero_point: int

    @classmethod
    def of_hello(cls, hello: Hello, labels: Sequence[str] | None) -> Scale:
        """That of a board; without `labels` the classes have numbers."""
        from struct import pack, unpack

        (scale,) = unpack("<f", pack("<I", hello.output_scale_bits))
        names = labels or [f"class {index}" for index in range(hello.output_bytes)]
        return cls(tuple(names), scale, hello.output_zero_point)

    def values(self, output: bytes) -> list[int]:
        """The int8 values that came of an output."""
        return [byte - 256 if byte > 127 else byte for byte in output]

    def scores(self, output: bytes) -> list[float]:
        return [(value - self.zero_point) * self.scale for value in self.values(output)]

    def best(self, output: bytes) -> int:
        """The first class with the highest value."""
        values = self.values(output)
        return values.index(max(values))


def document(decision: Decision, window: ListenWindow, scale: Scale) -> dict[str, Any]:
    """A decision as JSON; label, output and CRCs are null in silence."""
    level = level_dbfs(decision.power)
    is_open = decision.is_open and bool(decision.output)
    return {
        "seconds": round(window.seconds(decision.rows), 6),
        "rows": decision.rows,
        "gate_open": decision.is_open,
        "level_dbfs": round(level, 2) if math.isfinite(level) else None,
        "label": scale.labels[scale.best(decision.output)] if is_open else None,
        "output": scale.values(decision.output) if is_open else None,
        "features_crc32": f"{decision.features_crc:08x}" if decision.is_open else None,
        "output_crc32": f"{decision.output_crc:08x}" if decision.is_open else None,
        "model_ticks": decision.ticks if decision.is_open else None,
        "front_end_ticks": decision.front_end_ticks,
        "lost_blocks": decision.lost_blocks,
        "lost_samples": decision.lost_samples,
    }


def level_text(power: int) -> str:
    """Power as text of a fixed width."""
    level = level_dbfs(power)
    return f"{level:6.1f} dBFS" if math.isfinite(level) else "  -inf dBFS"


def line(decision: Decision, window: ListenWindow, scale: Scale) -> str:
    """A decision as one line: when, how loud, the class and its score, then the other scores."""
    start = f"{window.seconds(decision.rows):8.2f} s  {level_text(decision.power)}"
    if not decision.is_open or not decision.output:
        return f"{start}  (silence)"
    best, scores = scale.best(decision.output), scale.scores(decision.output)
    others = "  ".join(
        f"{label} {score:.2f}"
        for index, (label, score) in enumerate(zip(scale.labels, scores, strict=False))
        if index != best
    )
    return f"{start}  {scale.labels[best]} {scores[best]:.2f}" + (f"  ({others})" if others else "")


def picture(decision: Decision, window: ListenWindow, scale: Scale) -> RenderableType:
    """A decision as a bar per class; those of silence are empty."""
    from rich.table import Table
    from rich.text import Text

    is_open = decision.is_open and bool(decision.output)
    values = scale.values(decision.output) if is_open else [-128] * len(scale.labels)
    scores = scale.scores(decision.output) if is_open else []
    best = scale.best(decision.output) if is_open else None
    level = max(_METER_DBFS, level_dbfs(decision.power)) if decision.power else _METER_DBFS
    table = Table.grid(padding=(0, 1))
    table.add_row(
        Text(f"{window.seconds(decision.rows):.2f} s"),
        Text(_bar(1.0 - level / _METER_DBFS), style="cyan"),
        Text(level_text(decision.power).strip()),
    )
    for index, (label, value) in enumerate(zip(scale.labels, values, strict=False)):
        style = "bold green" if index == best else ""
        score = f"{scores[index]:.2f}" if is_open else "silence" if index == 0 else ""
        table.add_row(Text(label, style), Text(_bar((value + 128) / 255), style or "blue"), Text(score))
    if decision.lost_blocks:
        table.add_row(Text(f"{decision.lost_blocks} blocks lost", style="red"))
    return table


def _bar(share: float) -> str:
    """A bar of a fixed width, filled to `share` of 0 to 1."""
    eighths = round(share * _BAR * 8)
    full, rest = divmod(eighths, 8)
    return ("█" * full + (" ▏▎▍▌▋▊▉"[rest] if rest else "")).ljust(_BAR, "·")

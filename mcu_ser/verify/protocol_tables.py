# SPDX-License-Identifier: Apache-2.0
"""Turns the tables of `protocol` and `messages` into those of PROTOCOL.md, for people who write a firmware.

`python -m mcu_ser.verify.protocol_tables` rewrites the end of the text, behind `MARKER`; a test refuses a
text whose tables are not these.
"""

from __future__ import annotations

import enum
from collections.abc import Iterable, Sequence
from pathlib import Path

from mcu_ser.artifacts import write_text
from mcu_ser.verify import messages, protocol

TEXT_PATH = Path(__file__).with_name("PROTOCOL.md")
MARKER = "<!-- The rest is generated: python -m mcu_ser.verify.protocol_tables -->\n"

_CODES = {"B": "u8", "H": "u16", "I": "u32", "i": "i32"}


def render() -> str:
    """Everything behind `MARKER`."""
    sections = [
        "## Numbers",
        "Message types:",
        _table(("type", "message"), ((f"0x{kind.value:02X}", kind.name) for kind in protocol.MessageType)),
        *_numbers("Codes of ERROR:", protocol.ErrorCode),
        *_numbers("Bits of `features` in HELLO_ANSWER:", protocol.Feature),
        *_numbers("`source` of LISTEN:", protocol.ListenSource),
        *_numbers("Bits of `flags` in LISTEN:", protocol.ListenFlag),
        *_numbers("`engine_status`, and the detail of ERROR with code ENGINE:", protocol.EngineStatus),
        *_numbers("`tick_source`:", messages.TickSource),
        *_numbers("`reset_cause`:", messages.ResetCause),
        "## Layouts",
        "All integers are little endian. `data` is as many bytes as the frame's length leaves.",
        *_layout("Frame header", protocol.HEADER),
        *(part for name, layout in messages.LAYOUTS.items() for part in _layout(name, layout)),
        *(part for name, layout in messages.RECORDS.items() for part in _layout(f"Record {name}", layout)),
    ]
    return "\n\n".join(sections) + "\n"


def _numbers(title: str, members: type[enum.IntEnum | enum.IntFlag]) -> tuple[str, str]:
    return title, _table(("number", "name"), ((str(member.value), str(member.name)) for member in members))


def _layout(name: str, layout: messages.Layout) -> tuple[str, str]:
    offsets = layout.offsets()
    rows = [(str(offsets[field]), field, _type_name(code)) for field, code in layout.fields]
    if layout.tail:
        rows.append((str(layout.bytes), "data", "bytes"))
    return f"### {name}", _table(("offset", "field", "type"), rows)


def _type_name(code: str) -> str:
    count, kind = code[:-1], code[-1]
    if kind == "s":
        return f"{count} bytes"
    return f"{count} x {_CODES[kind]}" if count else _CODES[kind]


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


if __name__ == "__main__":
    text, _, _ = TEXT_PATH.read_text(encoding="utf-8").partition(MARKER)
    write_text(TEXT_PATH, text + MARKER + "\n" + render())

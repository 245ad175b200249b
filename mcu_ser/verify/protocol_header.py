# SPDX-License-Identifier: Apache-2.0
"""Turns the tables of `protocol` and `messages` into the C header of the firmware.

`python -m mcu_ser.verify.protocol_header` rewrites firmware_templates/runtime/protocol_messages.h; a test
refuses a header that is not the one these tables give.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from mcu_ser.artifacts import write_text
from mcu_ser.resources import firmware_templates_dir
from mcu_ser.verify import messages, packing, protocol

_INTRODUCTION = """\
/* SPDX-License-Identifier: Apache-2.0 */
/* Numbers and payload layouts of protocol version 1.
 * Generated from mcu_ser/verify/protocol.py and messages.py by `python -m mcu_ser.verify.protocol_header`.
 * <MESSAGE>_AT_<FIELD> is the offset of a field in the payload; all integers are little endian.
 * <MESSAGE>_FIELDS_BYTES is the length of the fields; data, where a message carries any, follows them.
 * LAYER_... is a record of which such data consist; FRAME_AT_... are the fields before the payload. */
"""


def render() -> str:
    """The text of protocol_messages.h."""
    sections = [
        _INTRODUCTION + "#ifndef MCU_SER_PROTOCOL_MESSAGES_H\n#define MCU_SER_PROTOCOL_MESSAGES_H",
        "\n".join(
            (
                f"#define PROTOCOL_VERSION {protocol.PROTOCOL_VERSION}u",
                f"#define PROTOCOL_ANSWER 0x{protocol.ANSWER:02X}u",
                f"#define PROTOCOL_MAX_RANK {messages.MAX_RANK}u",
                f"#define PACKED_BLOCK_VALUES {packing.BLOCK_VALUES}u",
                f"#define PACKED_PARAMETER_BITS {packing.PARAMETER_BITS}u",
                f"#define FRAME_HEADER_BYTES {protocol.HEADER_BYTES}u",
                f"#define FRAME_CRC_BYTES {protocol.OVERHEAD_BYTES - protocol.HEADER_BYTES}u",
                *_offsets("FRAME", protocol.HEADER),
            )
        ),
        _enum(
            "message_type", ((f"MESSAGE_{kind.name}", f"0x{kind.value:02X}") for kind in protocol.MessageType)
        ),
        _enum("feature", ((f"FEATURE_{e.name}", str(e.value)) for e in protocol.Feature)),
        _enum("listen_source", ((f"LISTEN_{e.name}", str(e.value)) for e in protocol.ListenSource)),
        _enum("listen_flag", ((f"LISTEN_{e.name}", str(e.value)) for e in protocol.ListenFlag)),
        _enum("error_code", ((f"ERROR_{e.name}", str(e.value)) for e in protocol.ErrorCode)),
        _enum("engine_status", ((f"ENGINE_{e.name}", str(e.value)) for e in protocol.EngineStatus)),
        *(_layout(name, layout) for name, layout in messages.LAYOUTS.items()),
        *(_layout(name, layout) for name, layout in messages.RECORDS.items()),
        "#endif\n",
    ]
    return "\n\n".join(sections)


def _enum(name: str, members: Iterable[tuple[str, str]]) -> str:
    body = ",\n".join(f"  {member} = {value}" for member, value in members)
    return f"enum {name} {{\n{body}\n}};"


def _offsets(message: str, layout: messages.Layout) -> list[str]:
    return [f"#define {message}_AT_{name.upper()} {at}u" for name, at in layout.offsets().items()]


def _layout(message: str, layout: messages.Layout) -> str:
    lines = _offsets(message, layout)
    lines += [
        f"#define {message}_{name.upper()}_BYTES {code[:-1]}u"
        for name, code in layout.fields
        if code.endswith("s") and name != "reserved"
    ]
    return "\n".join([*lines, f"#define {message}_FIELDS_BYTES {layout.bytes}u"])


def header_path() -> Path:
    """Where the firmware templates keep the header."""
    return firmware_templates_dir() / "runtime" / "protocol_messages.h"


if __name__ == "__main__":
    write_text(header_path(), render())

# SPDX-License-Identifier: Apache-2.0
"""Undoes packing.py, written from PROTOCOL.md alone, one bit at a time."""

from mcu_ser.verify.messages import LAYOUTS


class NotPackedError(ValueError):
    """The data are not what `count` promises."""


def unpacked(payload: bytes, known: bytes) -> bytes:
    """The values of INPUT_PACKED as bytes, given those that are in place before them."""
    values, data = LAYOUTS["INPUT_PACKED"].unpack(payload)
    bits = "".join(f"{byte:08b}" for byte in data)
    x = [byte - 256 if byte > 127 else byte for byte in known[: values["offset"]]]
    at = 0

    def take(count):
        nonlocal at
        at += count
        if at > len(bits):
            raise NotPackedError("too short")
        return int(bits[at - count : at] or "0", 2)

    k = 0
    for index in range(values["count"]):
        if index % 32 == 0:
            k = take(3)
        if k == 7:
            code = take(8)
        else:
            zeros = 0
            while take(1) == 0:
                zeros += 1
            code = (zeros << k) + take(k)
        if code > 255:
            raise NotPackedError("no code")
        x.append(_wrapped(_predicted(x, values["left"], values["above"]) + _difference(code)))
    if len(bits) - at > 7 or "1" in bits[at:]:
        raise NotPackedError("too long")
    return bytes(value & 0xFF for value in x[values["offset"] :])


def _predicted(x, left, above):
    a, b, c = (x[-distance] if distance <= len(x) else 0 for distance in (left, above, left + above))
    return sorted((a, b, a + b - c))[1]


def _difference(code):
    return -(code + 1) // 2 if code % 2 else code // 2


def _wrapped(value):
    return (value + 128) % 256 - 128

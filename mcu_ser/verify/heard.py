# SPDX-License-Identifier: Apache-2.0
"""What a board with a front end says of the features that it made of one clip."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True)
class Heard:
    """The feature map of one clip, and what it cost.

    Attributes:
        wrong_features: The map as the board has it, int8, if it is not the expected one; else None.
        rows: Frames that the board computed.
        ticks: What they and the map took; wraps at 2^32.
        undisturbed: Whether nothing was sent to the board while it computed them.
    """

    wrong_features: bytes | None
    rows: int
    ticks: int
    undisturbed: bool

    def as_document(self) -> dict[str, Any]:
        """As JSON."""
        wrong = self.wrong_features
        return asdict(self) | {"wrong_features": None if wrong is None else wrong.hex()}

    @classmethod
    def of_document(cls, values: dict[str, Any], map_bytes: int) -> Heard:
        """Read what `as_document` gave.

        Raises:
            KeyError, TypeError, ValueError: It cannot be.
        """
        wrong = values["wrong_features"]
        heard = cls(**values | {"wrong_features": None if wrong is None else bytes.fromhex(wrong)})
        counts_right = all(type(count) is int and 0 <= count < 1 << 32 for count in (heard.rows, heard.ticks))
        if not counts_right or type(heard.undisturbed) is not bool:
            raise ValueError("a count is out of range")
        if heard.wrong_features is not None and len(heard.wrong_features) != map_bytes:
            raise ValueError(f"a map of {len(heard.wrong_features)} bytes")
        return heard

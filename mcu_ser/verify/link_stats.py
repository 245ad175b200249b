# SPDX-License-Identifier: Apache-2.0
"""What passed over a link, or over several: counted by `exchange` and `client`, for reports."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class LinkStats:
    """What passed over the link so far.

    Attributes:
        frames: Frames sent.
        retries: Frames among them that were sent again.
        answers: Good frames received.
        bad_frames: Damaged frames received.
        bytes: Bytes in both directions.
        seconds: Time since the link was taken into use.
        sent_bytes: Bytes sent.
        payload_bytes: Bytes of inputs and outputs among all: what the caller has of it.
        computing_s: Time from requests to run the model to their answers.
        capacity_bytes_per_s: What the line can carry each way, by its rate; None if it has none (TCP).
    """

    frames: int
    retries: int
    answers: int
    bad_frames: int
    bytes: int
    seconds: float
    sent_bytes: int = 0
    payload_bytes: int = 0
    computing_s: float = 0.0
    capacity_bytes_per_s: float | None = None

    @property
    def payload_bytes_per_s(self) -> float:
        """Mean rate of inputs and outputs over all of the time."""
        return self.payload_bytes / self.seconds if self.seconds > 0 else 0.0

    @property
    def busy_fraction(self) -> float | None:
        """Share of the time in which the line to the device was in use; None without a rate."""
        if not self.capacity_bytes_per_s or self.seconds <= 0:
            return None
        return self.sent_bytes / self.capacity_bytes_per_s / self.seconds

    @property
    def bytes_per_s(self) -> float:
        """Mean rate over all of the time."""
        return self.bytes / self.seconds if self.seconds > 0 else 0.0

    @classmethod
    def sum(cls, links: Sequence[LinkStats]) -> LinkStats:
        """What passed over several links; the time is that of the longest."""
        names = ("frames", "retries", "answers", "bad_frames", "bytes", "sent_bytes", "payload_bytes")
        sums = {name: sum(getattr(link, name) for link in links) for name in names}
        capacities = [link.capacity_bytes_per_s for link in links if link.capacity_bytes_per_s is not None]
        return cls(
            **sums,
            seconds=max(link.seconds for link in links),
            computing_s=sum(link.computing_s for link in links),
            capacity_bytes_per_s=sum(capacities) if len(capacities) == len(links) else None,
        )

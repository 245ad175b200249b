# SPDX-License-Identifier: Apache-2.0
"""Words what a report says of audio: the feature maps that the board made, and what its front end costs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mcu_ser.features.clip import SAMPLE_RATE_HZ

if TYPE_CHECKING:
    from collections.abc import Mapping

Document = dict[str, Any]


def audio_facts(document: Document) -> list[tuple[str, str]]:
    """What is asked first of a run with audio; nothing of another."""
    audio = document["audio"]
    if audio is None:
        return []
    facts = [("feature maps equal to the host's", f"{audio['identical']:,} of {_clips(document)}")]
    cost = audio["front_end"]
    if cost is not None:
        facts.append((f"front end, {front_end_unit(document)} per frame", f"{cost['ticks_per_row']:,.0f}"))
    return facts


def front_end_unit(document: Document) -> str:
    """What the board counted."""
    if document["instructions"]["median"] is not None:
        return "instructions"
    return f"{document['ticks']['source']} ticks"


def audio_text(document: Document) -> str | None:
    """What was sent, and what the front end was measured on; None of a run without audio."""
    audio = document["audio"]
    if audio is None:
        return None
    sent = f"{_clips(document)}, {audio['samples'] / SAMPLE_RATE_HZ:,.1f} s at 16 kHz"
    cost = audio["front_end"]
    if cost is None:
        return f"{sent}. What the front end takes was not measured."
    counted = f"{cost['ticks']:,} {front_end_unit(document)} for {cost['rows']:,} frames and the map"
    return f"{sent}. With nothing sent meanwhile, the front end took {counted}."


def _clips(document: Document) -> str:
    audio = document["audio"]
    return f"{audio['clips']:,} " + ("windows of streams" if audio["stream"] else "clips")


def map_rows(document: Document) -> list[Mapping[str, str]]:
    """The maps that differ and are named."""
    audio = document["audio"]
    return [
        {
            "id": mismatch["id"],
            "sample": str(mismatch["sample"]),
            "values": str(mismatch["differing_bytes"]),
            "largest": str(mismatch["largest_difference"]),
            "where": f"frame {mismatch['frame']}, band {mismatch['band']}",
            "expected": str(mismatch["expected"]),
            "device": str(mismatch["device"]),
        }
        for mismatch in ([] if audio is None else audio["mismatches"])
    ]

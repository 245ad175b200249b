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
        what = f"front end, measured: {front_end_unit(document)} per frame, map included"
        facts.append((what, f"{cost['ticks_per_row']:,.0f}"))
    return facts


def front_end_facts(document: Document) -> list[tuple[str, str]]:
    """What the front end takes apart from the model, as its sizes tell; nothing where nobody told."""
    needs = _needs(document)
    if needs is None:
        return []
    return [
        (f"instructions per frame of {needs['frame_ms']:g} ms", f"{needs['instructions_per_frame']:,}"),
        ("instructions per map", f"{needs['instructions_per_map']:,}"),
        (f"instructions per clip of {needs['frames']:,} frames", f"{needs['instructions_per_clip']:,}"),
        ("estimated cycles per frame", f"{needs['cycles_per_frame']:,}"),
        ("estimated cycles per map", f"{needs['cycles_per_map']:,}"),
        ("flash, at most", f"{needs['flash_bytes']:,} B"),
        ("RAM", f"{needs['ram_bytes']:,} B"),
    ]


def front_end_text(document: Document) -> str | None:
    """Of what these figures are; None where there are none."""
    needs = _needs(document)
    if needs is None:
        return None
    core = f"a Cortex-M4 {'with' if needs['dsp'] else 'without'} DSP instructions"
    return (
        "What the front end takes apart from the model, as its sizes tell; "
        f"instructions are those of {core}, cycles are estimated from its manual, without wait states."
    )


def _needs(document: Document) -> Mapping[str, Any] | None:
    needs: Mapping[str, Any] | None = (document["audio"] or {}).get("front_end_needs")
    return needs


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

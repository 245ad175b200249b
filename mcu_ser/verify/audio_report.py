# SPDX-License-Identifier: Apache-2.0
"""What a report says of audio: whether the board made the host's features of it, and what they cost."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from mcu_ser.verify.samples import STREAM_MARK

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mcu_ser.verify.heard import Heard
    from mcu_ser.verify.samples import Samples

# The report names this many maps that differ; the counts are always whole.
NAMED_MAPS = 20


def audio_section(
    samples: Samples, heard: Mapping[int, Heard], needs: dict[str, Any] | None = None
) -> dict[str, Any] | None:
    """The key `audio`; None of samples that are no audio.

    Args:
        samples: What was sent; `x` are the maps that the host makes of the clips.
        heard: What the board said of each of them.
        needs: What the front end takes apart from the model, as `report_sections.Background` has it.
    """
    if samples.clips is None:
        return None
    wrong = {index: said.wrong_features for index, said in sorted(heard.items())}
    named = [_mismatch(samples, index, features) for index, features in wrong.items() if features is not None]
    return {
        "clips": len(samples.clips),
        "samples": _length(samples),
        "stream": samples.stream,
        "identical": len(heard) - len(named),
        "mismatches": named[:NAMED_MAPS],
        "front_end": _cost(heard),
        "front_end_needs": needs,
    }


def differing_features(samples: Samples, heard: Mapping[int, Heard]) -> tuple[int, ...]:
    """How many bytes of each sample's map are not the host's; all 0 of samples that are no audio."""
    counts = [0] * len(samples.x)
    for index, said in heard.items():
        if said.wrong_features is not None:
            map_of_board = np.frombuffer(said.wrong_features, np.int8)
            counts[index] = int(np.count_nonzero(map_of_board != samples.x[index]))
    return tuple(counts)


def features_problem(section: Mapping[str, Any] | None) -> str | None:
    """What is wrong with the features, in words; None if nothing is."""
    if section is None or section["identical"] == section["clips"]:
        return None
    first, count = section["mismatches"][0], section["clips"] - section["identical"]
    return (
        f"{count} of {section['clips']} feature maps differ from the host's; first: {first['id']}, "
        f"frame {first['frame']}, band {first['band']}: {first['device']}, expected {first['expected']}"
    )


def _length(samples: Samples) -> int:
    """Samples of all clips; of streams, as far as they were heard."""
    assert samples.clips is not None
    longest: dict[str, int] = {}
    for id, pcm in zip(samples.ids, samples.clips, strict=True):
        name = id.rpartition(STREAM_MARK)[0] if samples.stream else id
        longest[name] = max(longest.get(name, 0), len(pcm))
    return sum(longest.values()) if samples.stream else sum(map(len, samples.clips))


def _mismatch(samples: Samples, index: int, features: bytes) -> dict[str, Any]:
    assert samples.bands is not None
    expected, device = samples.x[index], np.frombuffer(features, np.int8)
    differing = np.flatnonzero(expected != device)
    first = int(differing[0])
    return {
        "sample": index,
        "id": samples.ids[index],
        "differing_bytes": len(differing),
        "largest_difference": int(np.abs(expected.astype(np.int16) - device.astype(np.int16)).max()),
        "frame": first // samples.bands,
        "band": first % samples.bands,
        "expected": int(expected[first]),
        "device": int(device[first]),
    }


def _cost(heard: Mapping[int, Heard]) -> dict[str, Any] | None:
    """Ticks of the clips during which nothing was sent to the board; None if there is none."""
    measured = [said for said in heard.values() if said.undisturbed and said.rows and said.ticks]
    if not measured:
        return None
    rows, ticks = (sum(getattr(said, name) for said in measured) for name in ("rows", "ticks"))
    return {"rows": rows, "ticks": ticks, "ticks_per_row": ticks / rows}

# SPDX-License-Identifier: Apache-2.0
"""Sections of `report.json` that others compare or draw: every answer, durations, memory, provenance."""

from __future__ import annotations

import binascii
import hashlib
import platform
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from mcu_ser.artifacts import sha256_file
from mcu_ser.features.front_end import FrontEnd
from mcu_ser.generate.front_end import front_end_size
from mcu_ser.generate.front_end_cost import front_end_cost
from mcu_ser.generate.manifest import MANIFEST_NAME
from mcu_ser.generate.project_files import BOARD_NAME, MODEL_NAME
from mcu_ser.programs import package_versions
from mcu_ser.verify.predicted_cost import sparse_layers

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    import numpy.typing as npt

    from mcu_ser.generate.project import Project
    from mcu_ser.toolchain.footprint import Footprint
    from mcu_ser.verify.samples import Samples

# As many bars as can be told apart on a phone.
HISTOGRAM_BINS = 24


@dataclass(frozen=True)
class Background:
    """What a report says of a firmware beside its size.

    Attributes:
        arena: Bytes of the arena, where that size comes from, and the board's budget for it.
        stack_budget_bytes: What the board reserves for the stack, None without limit.
        provenance: Command, board, compiler, versions and hashes.
        front_end: What the front end takes apart from the model, told from its sizes; None without one.
        sparse_layers: The layers that may leave out zeros (`predicted_cost.sparse_layers`).
    """

    arena: dict[str, Any]
    stack_budget_bytes: int | None
    provenance: dict[str, Any]
    front_end: dict[str, Any] | None = None
    sparse_layers: Sequence[dict[str, Any]] = ()


def background_of(project: Project, command: str | None) -> Background:
    """The background of a project that is built; `command` is what the user typed."""
    budget, emulator, manifest = project.board.budget, project.board.emulator, project.manifest
    return Background(
        arena={
            "bytes": manifest.arena_bytes,
            "basis": manifest.arena_basis,
            "budget_bytes": None if budget is None else budget.arena_bytes,
        },
        stack_budget_bytes=None if budget is None else budget.stack_bytes,
        provenance={
            "command": command,
            "board_name": project.board.name,
            "mcu": f"{project.board.mcu.part}, {project.board.mcu.core}",
            "emulator": None if emulator is None else f"{emulator.kind}, machine {emulator.machine}",
            "compiler": compiler_of(project.elf_path),
            "macs": manifest.macs,
            "weight_bytes": manifest.weight_bytes,
            "optimization": manifest.optimization,
            "versions": _versions(),
            "hashes": {
                path.name: sha256_file(path)
                for path in (
                    *(project.root / name for name in (BOARD_NAME, MANIFEST_NAME, MODEL_NAME)),
                    project.elf_path,
                )
                if path.is_file()
            },
        },
        front_end=None if project.front_end_path is None else _front_end(project, project.front_end_path),
        sparse_layers=sparse_layers(project),
    )


def _front_end(project: Project, path: Path) -> dict[str, Any]:
    front_end = FrontEnd.load(path)
    size, cost = front_end_size(front_end).on(project.board), front_end_cost(front_end.spec)
    dsp = "dsp" in project.board.mcu.features
    return {
        "frames": front_end.spec.frames,
        "frame_ms": cost.frame_ms,
        "dsp": dsp,
        "instructions_per_frame": cost.per_frame if dsp else cost.per_frame_portable,
        "instructions_per_map": cost.per_map,
        "instructions_per_clip": cost.per_clip if dsp else cost.per_clip_portable,
        "cycles_per_frame": cost.cycles_per_frame if dsp else cost.cycles_per_frame_portable,
        "cycles_per_map": cost.cycles_per_map,
        "flash_bytes": size.flash_bytes,
        "ram_bytes": size.ram_bytes,
    }


def answers(samples: Samples, expected: npt.NDArray[Any], actual: npt.NDArray[Any]) -> dict[str, Any]:
    """Every answer, short enough to be kept and exact enough to be compared with another run's."""
    return {
        "ids": list(samples.ids),
        "oracle_crc32": [binascii.crc32(row.tobytes()) for row in expected],
        "device_crc32": [binascii.crc32(row.tobytes()) for row in actual],
        "oracle_classes": decisions(expected).tolist(),
        "device_classes": decisions(actual).tolist(),
    }


def decisions(outputs: npt.NDArray[Any]) -> npt.NDArray[np.int64]:
    """The class of each sample: that of its largest score, or the index that the model gives, without sign.

    Args:
        outputs: (n, outputs): scores of int8 or int16, or indices of int32.
    """
    if outputs.dtype == np.int32:
        return np.ascontiguousarray(outputs[:, 0]).view(np.uint32).astype(np.int64)
    largest: npt.NDArray[np.int64] = outputs.argmax(axis=1)
    return largest


def samples_digest(samples: Samples) -> str:
    """SHA-256 of the samples as they are sent, and of their true classes: equal for equal test sets."""
    digest = hashlib.sha256(f"{samples.x.shape}".encode())
    digest.update(np.ascontiguousarray(samples.x).tobytes())
    for pcm in samples.clips or ():
        digest.update(f"{len(pcm)}".encode())
        digest.update(pcm.astype("<i2").tobytes())
    if samples.y is not None:
        digest.update(samples.y.astype("<i8").tobytes())
    return digest.hexdigest()


def histogram(ticks: npt.NDArray[np.uint64]) -> dict[str, Any] | None:
    """Counts in bins of a whole number of ticks; None if nothing was measured."""
    if not len(ticks):
        return None
    first, last = int(ticks.min()), int(ticks.max())
    width = -(-(last - first + 1) // HISTOGRAM_BINS)
    bins = (ticks - np.uint64(first)) // np.uint64(width)
    return {"first": first, "width": width, "counts": np.bincount(bins.astype(np.int64)).tolist()}


def memory(footprint: Footprint) -> list[dict[str, Any]]:
    """What the firmware takes of each memory region."""
    return [
        {"name": region.name, "kind": region.kind, "bytes": region.bytes, "limit_bytes": region.limit_bytes}
        for region in footprint.regions
    ]


def compiler_of(elf: Path) -> str | None:
    """What the compiler wrote into the firmware about itself; None if it wrote nothing that can be read."""
    from elftools.common.exceptions import ELFError
    from elftools.elf.elffile import ELFFile

    try:
        with elf.open("rb") as stream:
            section = ELFFile(stream).get_section_by_name(".comment")
            text = b"" if section is None else section.data()
    except (OSError, ELFError):
        return None
    # Strings that end in zero, one per compiler that had a part in it.
    said = sorted({part.decode("ascii", "replace") for part in text.split(b"\0") if part})
    return "; ".join(said) or None


def _versions() -> dict[str, str]:
    packages = {name: version for name, version in package_versions("").items() if version is not None}
    return packages | {"python": platform.python_version()}

# SPDX-License-Identifier: Apache-2.0
"""Runs the same samples on the boards of two projects, and measures what their firmware takes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from mcu_ser.compare.comparison import Comparison, Side
from mcu_ser.convert.oracle import Oracle
from mcu_ser.device.start import require_device
from mcu_ser.errors import ConfigError
from mcu_ser.progress import Track, silent
from mcu_ser.shell_command import shell_command
from mcu_ser.toolchain.firmware_parts import find_parts
from mcu_ser.verify.check import RunRequest, find_facts, run_on_device
from mcu_ser.verify.report import build_report

if TYPE_CHECKING:
    from mcu_ser.generate.project import Project
    from mcu_ser.verify.samples import Samples


def require_same_model(a: Project, b: Project) -> None:
    """Check that two projects can be compared.

    Raises:
        ConfigError: They are of different models.
    """
    if a.model_sha256 != b.model_sha256:
        command = ("mcu-ser", "generate", a.model_path, "--board", b.board.id, "--engine", b.engine)
        raise ConfigError(
            b.root,
            f"holds another model than {a.root} (SHA-256 {b.model_sha256[:16]}, {a.model_sha256[:16]})",
            hint=shell_command(*command, "--out", "PROJECT_B"),
        )


def compare(
    projects: Sequence[Project],
    samples: Samples,
    *,
    ports: Sequence[str | None] = (None, None),
    track: Track = silent,
) -> Comparison:
    """Run all samples on both boards, one after the other, and compare every output byte.

    Args:
        projects: Two projects of one model, built.
        samples: What is sent to both.
        ports: Port URL of each project's board; without one its emulated board is started.
        track: Shows progress.

    Raises:
        ConfigError: The projects are of different models, or one is not built or was changed since, or
            there is no board to run it on.
        DeviceError: A run could not be completed.
    """
    a, b = projects
    require_same_model(a, b)
    # Whatever can be wrong with the second project is found before the first one runs.
    facts = [find_facts(project) for project in projects]
    parts = [find_parts(project.elf_path) for project in projects]
    for project, port in zip(projects, ports, strict=True):
        require_device(project.board, port)
    measured = [
        run_on_device(project, samples, RunRequest(() if port is None else (port,)), track=track)
        for project, port in zip(projects, ports, strict=True)
    ]
    expected = Oracle(a.model_path.read_bytes(), a.model_path.name).run(samples.x, track)
    sides = [
        Side(
            name=project.root.resolve().name,
            arena_bytes=project.arena_bytes,
            arena_basis=project.manifest.arena_basis,
            parts=parts[index],
            report=build_report(
                facts=facts[index],
                samples=samples,
                expected=expected,
                measurement=measured[index],
                litert=None,
            ),
            outputs=measured[index].outputs,
        )
        for index, project in enumerate(projects)
    ]
    return Comparison(sides[0], sides[1], samples.ids)

# SPDX-License-Identifier: Apache-2.0
"""`verify` as a function: oracle, board, comparison, report."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from mcu_ser.convert.litert import litert_outputs
from mcu_ser.convert.oracle import Oracle
from mcu_ser.device.link import Link
from mcu_ser.device.start import open_device
from mcu_ser.errors import ConfigError, DeviceError
from mcu_ser.programs import package_versions
from mcu_ser.progress import Track, silent
from mcu_ser.toolchain.footprint import measure
from mcu_ser.verify.client import Client
from mcu_ser.verify.harness import Expectation, HarnessResult, run_samples
from mcu_ser.verify.messages import TickSource
from mcu_ser.verify.report import Measurement, Report, Subject, build_failure, build_report

if TYPE_CHECKING:
    from mcu_ser.generate.project import Project
    from mcu_ser.verify.samples import Samples


def check(
    project: Project,
    samples: Samples,
    out: Path,
    *,
    port: str | None = None,
    litert: bool = False,
    track: Track = silent,
) -> Report:
    """Send every sample to the board, compare every output byte with the oracle's, write the report to `out`.

    When the run cannot be completed, `out` gets a report with verdict "fail" and the error is raised: no
    older report is left to be mistaken for this run's.

    Args:
        project: The firmware project, built.
        samples: What is sent.
        out: Directory of `report.json` and `junit.xml`.
        port: Port URL of a board; without it the project's emulated board is started.
        litert: Whether LiteRT's answers are reported beside, if TensorFlow is installed.
        track: Shows progress.

    Raises:
        ConfigError: The project is not built.
        DeviceError: The run could not be completed.
    """
    if not project.elf_path.is_file():
        raise ConfigError(project.root, "is not built", hint=f"mcu-ser build {project.root}")
    footprint = measure(project.elf_path, project.board)
    subject = Subject(
        board=project.board.id,
        engine=project.engine,
        model_sha256=project.model_sha256,
        build_id=project.build_id,
        oracle=f"tflite-micro {package_versions('')['tflite-micro']}",
    )
    model = project.model_path.read_bytes()
    expected = Oracle(model, project.model_path.name).run(samples.x, track)
    try:
        result = _run_on_board(project, samples, port, track)
    except DeviceError as error:
        build_failure(subject, samples, str(error)).write(out)
        raise
    report = build_report(
        subject=subject,
        samples=samples,
        expected=expected,
        measurement=_measurement(result, emulated_board=project.board.emulator is not None),
        footprint=footprint,
        litert=litert_outputs(model, samples.x) if litert else None,
    )
    report.write(out)
    return report


def _run_on_board(project: Project, samples: Samples, port: str | None, track: Track) -> HarnessResult:
    with ExitStack() as stack:
        device = stack.enter_context(open_device(project, port))
        link = stack.enter_context(Link(device))
        return run_samples(Client(link), Expectation.of(project), samples.x, track, what=project.board.id)


def _measurement(result: HarnessResult, *, emulated_board: bool) -> Measurement:
    hello = result.hello
    # Every real Cortex-M4 has a working DWT, and knows its clocks when it has not. A firmware that counts
    # with a TIM2 of unknown frequency runs in QEMU, at one instruction per nanosecond (device.emulator).
    counts_instructions = emulated_board and hello.tick_source is TickSource.TIM2 and hello.tick_hz == 0
    return Measurement(
        outputs=result.outputs,
        # A repeated request is received by an interrupt, whose instructions would be counted too.
        ticks=result.ticks[result.undisturbed],
        tick_source=hello.tick_source.name.lower(),
        tick_hz=hello.tick_hz,
        ticks_are_instructions=counts_instructions,
        link=asdict(result.link) | {"bytes_per_s": result.link.bytes_per_s},
        stack_high_water_bytes=result.device.stack_high_water,
    )

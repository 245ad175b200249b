# SPDX-License-Identifier: Apache-2.0
"""`verify` as a function: oracle, board, comparison, report."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mcu_ser.convert.litert import litert_outputs
from mcu_ser.convert.oracle import Oracle
from mcu_ser.device.link import Link
from mcu_ser.device.start import open_devices
from mcu_ser.errors import DeviceError, McuSerError
from mcu_ser.programs import package_versions
from mcu_ser.progress import Track, silent
from mcu_ser.toolchain.build_record import require_fresh_build
from mcu_ser.toolchain.footprint import measure
from mcu_ser.verify.audio_client import AudioClient
from mcu_ser.verify.bisect import first_wrong_layer
from mcu_ser.verify.client import Client
from mcu_ser.verify.harness import Expectation, HarnessResult, run_boards
from mcu_ser.verify.journal import Journal, Record, RunIdentity
from mcu_ser.verify.layers import TICKS_PER_MAC, LayerRequest, require_layers, trace_on_device
from mcu_ser.verify.limits import NO_LIMITS, Limits
from mcu_ser.verify.messages import TickSource
from mcu_ser.verify.predicted_cost import predicted_instructions
from mcu_ser.verify.profile import layer_section
from mcu_ser.verify.report import (
    Facts,
    Measurement,
    Report,
    build_failure,
    build_report,
    with_layers,
    with_limits,
)
from mcu_ser.verify.report_sections import background_of
from mcu_ser.verify.shards import Ledger
from mcu_ser.wording import counted

if TYPE_CHECKING:
    import numpy.typing as npt

    from mcu_ser.generate.project import Project
    from mcu_ser.verify.samples import Samples

_log = logging.getLogger(__name__)

REPEAT_EVERY = 16
"""One in so many samples is run twice, if nothing else is asked for."""


@dataclass(frozen=True)
class RunRequest:
    """How the samples are run.

    Attributes:
        ports: Port URLs of identical boards, which share the samples; none: the project's emulated board is
            started, or the real one found by its USB ids.
        repeat_every: One in so many samples is run twice; 0: none is.
        resume: Whether to go on where an interrupted run with the same report directory stopped.
        block_seed: Cuts audio into blocks of random length; None: as long as the line allows.
    """

    ports: tuple[str, ...] = ()
    repeat_every: int = REPEAT_EVERY
    resume: bool = False
    block_seed: int | None = None


def check(
    project: Project,
    samples: Samples,
    out: Path,
    request: RunRequest = RunRequest(),
    *,
    litert: bool = False,
    layers: LayerRequest | None = None,
    limits: Limits = NO_LIMITS,
    command: str | None = None,
    track: Track = silent,
) -> Report:
    """Send every sample to the board, compare every output byte with the oracle's, write the report to `out`.

    What is refused before a board is asked anything changes nothing in `out`. From then until the verdict,
    `out` holds a report with verdict "fail": whatever ends the run early, no older report is left to be
    mistaken for this run's. An interrupted run's journal stays until a board has given an answer.

    Args:
        project: The firmware project, built.
        samples: What is sent.
        out: Directory of `report.json` and `junit.xml`; until the run is complete also of its journal.
        request: How they are run.
        litert: Whether LiteRT's answers are reported beside, if TensorFlow is installed.
        layers: What is asked about the layers of one sample.
        limits: What the firmware may take at most; more fails the check.
        command: What the user typed, for the report.
        track: Shows progress.

    Raises:
        ConfigError: The project is not built, was changed since, traces no layers though they are asked for,
            `out` cannot be written, or there is no such run to go on with.
        SamplesError: The sample whose layers are asked for does not exist.
        DeviceError: The run could not be completed.
    """
    limits.require_countable(project.board)
    facts = find_facts(project, command)
    if layers is not None:
        require_layers(project, samples, layers)
    # A board that is not there is a run that failed; only what contradicts itself is refused.
    with suppress(DeviceError):
        open_devices(project, request.ports)
    with (
        _journal(project, samples, out, request) as (journal, known),
        _failed_until_written(facts, samples, out),
    ):
        # The board first: a wrong port is then found before the oracle has computed everything.
        measurement = run_on_device(project, samples, request, journal=journal, known=known, track=track)
        report = _judged(project, facts, samples, measurement, litert=litert, track=track)
        if layers is not None:
            port = next((board["port"] for board in measurement.boards if board["lost"] is None), None)
            report = _layers_checked(project, report, samples, layers, port=port, track=track)
        report = with_limits(report, limits)
        report.write(out)
        journal.discard()
    return report


@contextmanager
def _failed_until_written(facts: Facts, samples: Samples, out: Path) -> Iterator[None]:
    """Holds a report with verdict "fail" in `out`, which says in the end why the run ended early."""
    build_failure(facts, samples, "the run was not completed").write(out)
    try:
        yield
    except BaseException as error:
        unnamed = f"the run was ended by {type(error).__name__}"
        reason = "interrupted" if isinstance(error, KeyboardInterrupt) else str(error) or unnamed
        build_failure(facts, samples, reason).write(out)
        raise


def find_facts(project: Project, command: str | None = None) -> Facts:
    """What is known of a project before it runs; `command` is what the user typed.

    Raises:
        ConfigError: It is not built, or was changed since.
    """
    require_fresh_build(project)
    return Facts(
        board=project.board.id,
        engine=project.engine,
        model_sha256=project.model_sha256,
        build_id=project.build_id,
        oracle=f"tflite-micro {package_versions('')['tflite-micro']}",
        changed_files=project.changed_files(),
        footprint=measure(project.elf_path, project.board),
        background=background_of(project, command),
    )


@contextmanager
def _journal(
    project: Project, samples: Samples, out: Path, request: RunRequest
) -> Iterator[tuple[Journal, tuple[Record, ...]]]:
    """The journal of a run and the answers that it holds; says how to go on if the run ends early."""
    identity = RunIdentity.of(
        model_sha256=project.model_sha256,
        build_id=project.build_id,
        x=samples.x,
        output_bytes=project.output.bytes,
        repeat_every=request.repeat_every,
        clips=samples.clips,
    )
    journal, known = Journal.resume(out, identity) if request.resume else (Journal.begin(out, identity), ())
    with journal:
        try:
            yield journal, known
        except BaseException as error:
            if not journal.answers:
                raise
            kept = f"{journal.path} keeps {counted(journal.answers, 'answer')}"
            text = f"{kept}; the same command with --resume goes on from there"
            if isinstance(error, KeyboardInterrupt):
                raise KeyboardInterrupt(text) from error  # no fault to be logged: the user's wish
            _log.warning(text)
            raise


def _judged(
    project: Project, facts: Facts, samples: Samples, measurement: Measurement, *, litert: bool, track: Track
) -> Report:
    model = project.model_path.read_bytes()
    return build_report(
        facts=facts,
        samples=samples,
        expected=Oracle(model, project.model_path.name).run(samples.x, track),
        measurement=measurement,
        litert=_litert_outputs(model, samples) if litert else None,
    )


def _layers_checked(
    project: Project,
    report: Report,
    samples: Samples,
    request: LayerRequest,
    *,
    port: str | None,
    track: Track,
) -> Report:
    sample = request.sample
    if sample is None:
        sample = next((index for index, count in enumerate(report.differing_bytes) if count), 0)
    trace = trace_on_device(project, samples, sample, request, port=port, track=track)
    wrong = first_wrong_layer(trace)
    # A prediction is of instructions, and stands beside nothing else.
    counted = request.profile and report.document["instructions"]["median"] is not None
    predicted = predicted_instructions(project) if counted else None
    section = layer_section(trace, wrong, profile=request.profile, predicted=predicted)
    return with_layers(report, section, None if wrong is None else str(wrong))


def run_on_device(
    project: Project,
    samples: Samples,
    request: RunRequest = RunRequest(),
    *,
    journal: Journal | None = None,
    known: Sequence[Record] = (),
    track: Track = silent,
) -> Measurement:
    """Run every sample on the board or boards of a project.

    Args:
        project: The firmware project, built.
        samples: What is sent.
        request: How they are run; whether to resume is the caller's, who has the journal.
        journal: Takes every answer as it comes.
        known: Answers of an interrupted run, which is continued.
        track: Shows progress.

    Raises:
        DeviceError: The run could not be completed.
    """
    expectation = Expectation.of(project)
    ledger = Ledger(
        len(samples.x),
        expectation.output_bytes,
        request.ports or (None,),
        repeat_every=request.repeat_every,
        journal=journal,
        known=known,
    )
    with ExitStack() as stack:
        devices = [stack.enter_context(device) for device in open_devices(project, request.ports)]
        links = [stack.enter_context(Link(device)) for device in devices]
        clients: list[Client] = [
            Client(link) if samples.clips is None else AudioClient(link, block_seed=request.block_seed)
            for link in links
        ]
        result = run_boards(
            clients,
            expectation,
            samples.x,
            ledger,
            track,
            clips=samples.clips,
            stream=samples.stream,
            what=project.board.id,
        )
    return _measurement(result, project)


def _litert_outputs(model: bytes, samples: Samples) -> npt.NDArray[Any] | None:
    """LiteRT's answers; None when it has none, for it is information and decides nothing."""
    try:
        return litert_outputs(model, samples.x)
    except (ImportError, RuntimeError, ValueError, McuSerError) as error:
        _log.warning("LiteRT gives no answers: %s", error)
        return None


def _measurement(result: HarnessResult, project: Project) -> Measurement:
    hello = result.hello
    # Every real Cortex-M4 has a working DWT, and knows its clocks when it has not. A firmware that counts
    # with a TIM2 of unknown frequency runs in QEMU, at one instruction per nanosecond (device.emulator).
    emulated = project.board.emulator is not None
    counts_instructions = emulated and hello.tick_source is TickSource.TIM2 and hello.tick_hz == 0
    # The device counts in 32 bits. What may have wrapped is not reported, nor what no counter counted.
    may_wrap = project.manifest.macs * TICKS_PER_MAC >= 1 << 32
    counted = not may_wrap and hello.tick_source is not TickSource.NONE
    return Measurement(
        outputs=result.outputs.view(project.output.numpy_type),
        # A repeated request is received by an interrupt, whose instructions would be counted too.
        ticks=result.ticks[result.undisturbed & counted],
        tick_source=hello.tick_source.name.lower(),
        tick_hz=hello.tick_hz,
        ticks_are_instructions=counts_instructions,
        link=asdict(result.link)
        | {
            "bytes_per_s": result.link.bytes_per_s,
            "payload_bytes_per_s": result.link.payload_bytes_per_s,
            "busy_fraction": result.link.busy_fraction,
        },
        stack_high_water_bytes=result.device.stack_high_water,
        repeats=asdict(result.repeats),
        boards=[asdict(share) for share in result.boards],
        heard=result.heard,
    )

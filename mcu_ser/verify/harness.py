# SPDX-License-Identifier: Apache-2.0
"""Runs samples on boards and vouches for the answers: the right firmware, every sample, nothing lost.

What comes back is complete or an error; whether the outputs are right is for the caller to judge.
"""

from __future__ import annotations

import dataclasses
import struct
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
import numpy.typing as npt

from mcu_ser.errors import DeviceError, DeviceFaultError, MismatchError, SamplesError
from mcu_ser.progress import Track, silent
from mcu_ser.verify.audio_client import AudioClient
from mcu_ser.verify.client import Answer, Client
from mcu_ser.verify.heard import Heard
from mcu_ser.verify.link_stats import LinkStats
from mcu_ser.verify.messages import DeviceStats, Hello
from mcu_ser.verify.protocol import EngineStatus, engine_status_text
from mcu_ser.verify.shards import Ledger, Repeats, Share, Task, serve_together

if TYPE_CHECKING:
    from mcu_ser.generate.project import Project

_REBUILD = "mcu-ser build and flash of this project"
# A sample is run so often at most until nothing disturbs its inference.
_MEASURE_TRIES = 4

Clips: TypeAlias = Sequence[npt.NDArray[np.int16]]


@dataclass(frozen=True)
class Expectation:
    """What HELLO must say before a sample is sent.

    Attributes:
        model_sha256: 64 hex digits.
        build_id: 32 hex digits.
        input_scale_bits: Quantisation scale as the bits of an IEEE-754 binary32; likewise for the output.
    """

    board_id: str
    engine: str
    model_sha256: str
    build_id: str
    input_bytes: int
    output_bytes: int
    input_shape: tuple[int, ...]
    output_shape: tuple[int, ...]
    input_scale_bits: int
    input_zero_point: int
    output_scale_bits: int
    output_zero_point: int
    arena_bytes: int

    @classmethod
    def of(cls, project: Project) -> Expectation:
        """What the firmware of a project says."""
        return cls(
            board_id=project.board.id,
            engine=project.engine,
            model_sha256=project.model_sha256,
            build_id=project.build_id,
            input_bytes=project.input.bytes,
            output_bytes=project.output.bytes,
            input_shape=tuple(project.input.shape),
            output_shape=tuple(project.output.shape),
            input_scale_bits=_float_bits(project.input.scale),
            input_zero_point=project.input.zero_point,
            output_scale_bits=_float_bits(project.output.scale),
            output_zero_point=project.output.zero_point,
            arena_bytes=project.arena_bytes,
        )


@dataclass(frozen=True, eq=False)
class Stimuli:
    """What n samples are to a board: `x`, int8 (n, input bytes), or the clips or streams it is made of."""

    x: npt.NDArray[np.int8]
    clips: Clips | None = None
    stream: bool = False

    def run(self, client: Client, sample: int) -> Answer:
        """The board's answer to one of them; errors are those of the client."""
        data = self.x[sample].tobytes()
        if self.clips is None:
            return client.run(sample, data)
        assert isinstance(client, AudioClient)
        # One clip tells what the front end costs; all of them would make a run wait for each block.
        return client.hear(sample, self.clips[sample], data, alone=sample == 0, stream=self.stream)


@dataclass(frozen=True, eq=False)
class HarnessResult:
    """The answers of one or more boards to n samples.

    Attributes:
        outputs: Raw output tensors, int8 (n, output bytes).
        ticks: Duration of each inference, uint64 (n,), in the ticks that `hello` describes.
        undisturbed: bool (n,): whether nothing was sent to the board during that inference. One that was
            disturbed has been run again, up to a number of tries; the ticks are those of the last.
        hello: What the first board said about itself.
        device: What the boards counted since they started, in sum; of stacks the largest.
        link: What passed over the links, in sum; the time is that of the longest.
        repeats: Samples that were run twice, with the same bytes both times.
        boards: Who has computed what.
        heard: What boards with a front end said of their features, by sample.
        reruns: Runs of samples whose time was disturbed, beside those that the answers count.
    """

    outputs: npt.NDArray[np.int8]
    ticks: npt.NDArray[np.uint64]
    undisturbed: npt.NDArray[np.bool_]
    hello: Hello
    device: DeviceStats
    link: LinkStats
    repeats: Repeats
    boards: tuple[Share, ...]
    heard: Mapping[int, Heard] = dataclasses.field(default_factory=dict)
    reruns: int = 0


def run_samples(
    client: Client,
    expected: Expectation,
    x: npt.NDArray[np.int8],
    track: Track = silent,
    *,
    what: str = "verify",
    repeat_every: int = 0,
) -> HarnessResult:
    """Run every sample on the board behind `client`.

    Args:
        client: A fresh client.
        expected: What the board must be.
        x: Quantised inputs, int8 (n, input bytes), n at least 1.
        track: Shows progress, one step per run of a sample.
        what: What the progress is called.
        repeat_every: One in so many samples is run twice; 0: none is.

    Raises:
        SamplesError: `x` has the wrong shape or dtype.
        MismatchError: The board has another firmware than `expected`.
        LinkError, DeviceFaultError: The run could not be completed; names the sample and the last message.
    """
    ledger = Ledger(len(x), expected.output_bytes, repeat_every=repeat_every)
    return run_boards([client], expected, x, ledger, track, what=what)


def run_boards(
    clients: Sequence[Client],
    expected: Expectation,
    x: npt.NDArray[np.int8],
    ledger: Ledger,
    track: Track = silent,
    *,
    clips: Clips | None = None,
    stream: bool = False,
    what: str = "verify",
) -> HarnessResult:
    """Run what is left in `ledger` on the boards behind `clients`, which share it.

    Args:
        clients: Fresh clients of identical boards, in the order of the ledger's ports.
        expected: What every board must be.
        x: Quantised inputs, int8 (n, input bytes), n at least 1.
        ledger: What is to be done with them.
        track: Shows progress, one step per run of a sample.
        clips: What is sent instead of `x`, which the front ends of the boards make of them; the clients are
            then `AudioClient`s.
        stream: The clips are streams so far (`Samples.stream`).
        what: What the progress is called.

    Raises:
        SamplesError: `x` has the wrong shape or dtype.
        MismatchError: A board has another firmware than `expected`, or counts time otherwise than the first.
        LinkError, DeviceFaultError: Not even one board came to the end, or a board gives other bytes in
            another run; names the sample and the last message.
    """
    _require_samples(x, expected.input_bytes)
    hellos = [_greet(client, expected) for client in clients]
    for client, hello in zip(clients, hellos, strict=True):
        _require_same_ticks(client.url, hellos[0], hello)
    counted: list[DeviceStats] = []
    with track(what, ledger.left) as advance:

        def work(board: int) -> None:
            counted.append(_work(clients[board], board, Stimuli(x, clips, stream), ledger, advance))

        if len(clients) == 1:
            work(0)
        else:
            serve_together(ledger, [partial(work, board) for board in range(len(clients))])
    return HarnessResult(
        outputs=ledger.outputs,
        ticks=ledger.ticks,
        undisturbed=ledger.undisturbed,
        hello=hellos[0],
        device=_summed(counted),
        link=LinkStats.sum([client.link_stats() for client in clients]),
        repeats=ledger.repeats(),
        boards=ledger.shares(),
        heard=ledger.heard,
        reruns=ledger.reruns,
    )


def _greet(client: Client, expected: Expectation) -> Hello:
    hello = client.hello()
    require_match(client.url, expected, hello)
    return hello


def _work(
    client: Client,
    board: int,
    stimuli: Stimuli,
    ledger: Ledger,
    advance: Callable[[int], None],
) -> DeviceStats:
    """Run samples on one board until the ledger has no more for it; returns what the board has counted."""
    before, sent = client.stats(), 0
    if ledger.probe is not None:
        with _naming_sample(client, ledger.probe, len(stimuli.x)):
            answer = stimuli.run(client, ledger.probe)
        ledger.require_same(board, ledger.probe, answer.output, answer.heard)
        sent += 1
    while (task := ledger.take(board)) is not None:
        with _naming_sample(client, task.sample, len(stimuli.x), again=task.again):
            answer, runs = _measured(client, board, stimuli, ledger, task)
        ledger.done(board, answer)
        sent += runs
        advance(1)
    after = client.stats()
    try:
        _require_count(client.url, (after.inferences - before.inferences) & 0xFFFFFFFF, sent)
    except DeviceFaultError as error:
        ledger.stop(error)  # no mere loss of a board: what it has answered is in doubt
        raise
    return after


def _measured(client: Client, board: int, stimuli: Stimuli, ledger: Ledger, task: Task) -> tuple[Answer, int]:
    """The answer to a sample, run again while its inference was disturbed, and how many runs that took.

    Only the time of a sample's first task is reported, so a repeat need not be measured.
    """
    answer, runs = stimuli.run(client, task.sample), 1
    while not (answer.undisturbed or task.again) and runs < _MEASURE_TRIES:
        again = stimuli.run(client, task.sample)
        runs += 1
        ledger.rerun(board, task.sample, answer, again)
        # The board does not hear again what it has of a stream: what that took is known from the first run.
        answer = dataclasses.replace(again, heard=answer.heard) if stimuli.stream else again
    return answer, runs


def _summed(counted: Sequence[DeviceStats]) -> DeviceStats:
    every = [asdict(stats) for stats in counted]
    sums = {name: sum(stats[name] for stats in every) for name in every[0]}
    return DeviceStats(
        **sums | {name: max(stats[name] for stats in every) for name in ("stack_bytes", "stack_high_water")}
    )


def require_match(url: str, expected: Expectation, hello: Hello) -> None:
    """Compare everything that HELLO says with what the project expects.

    Raises:
        MismatchError: Something differs; names the first difference.
        DeviceFaultError: The firmware is the right one, but its engine did not start.
    """
    for field, text in _COMPARED:
        want, got = getattr(expected, field), getattr(hello, field)
        if want != got:
            problem = f"the board has {text} {_show(field, got)}, expected {_show(field, want)}"
            raise MismatchError(url, problem, hint=_REBUILD)
    if hello.engine_status != 0:
        problem = f"the inference engine did not start: {engine_status_text(hello.engine_status)}"
        too_small = hello.engine_status == EngineStatus.NOT_ALLOCATED
        hint = f"mcu-ser generate with --arena-bytes above {hello.arena_bytes}" if too_small else None
        raise DeviceFaultError(url, problem, hint=hint)


# In the order in which a difference is most telling.
_COMPARED = (
    ("board_id", "board id"),
    ("engine", "engine"),
    ("model_sha256", "model SHA-256"),
    ("input_shape", "input shape"),
    ("output_shape", "output shape"),
    ("input_bytes", "input bytes"),
    ("output_bytes", "output bytes"),
    ("input_scale_bits", "input scale"),
    ("input_zero_point", "input zero point"),
    ("output_scale_bits", "output scale"),
    ("output_zero_point", "output zero point"),
    ("arena_bytes", "arena bytes"),
    ("build_id", "build id"),
)


def _show(field: str, value: Any) -> str:
    if field.endswith("_bits"):
        return f"{struct.unpack('<f', struct.pack('<I', value))[0]!r} (0x{value:08x})"
    if field.endswith("_shape"):
        return "x".join(map(str, value)) or "none"
    return repr(value) if isinstance(value, str) else str(value)


def _float_bits(value: float) -> int:
    return int(struct.unpack("<I", struct.pack("<f", value))[0])


def _require_samples(x: npt.NDArray[np.int8], input_bytes: int) -> None:
    if x.dtype != np.int8 or x.ndim != 2 or x.shape[1] != input_bytes or len(x) == 0:
        problem = f"are {x.dtype} of shape {x.shape}, expected int8 of shape (n, {input_bytes}), n at least 1"
        raise SamplesError("samples", problem)


def _require_same_ticks(url: str, first: Hello, hello: Hello) -> None:
    if (hello.tick_source, hello.tick_hz) != (first.tick_source, first.tick_hz):
        problem = (
            f"counts {hello.tick_source.name} ticks at {hello.tick_hz} Hz, "
            f"the first board {first.tick_source.name} at {first.tick_hz} Hz"
        )
        raise MismatchError(url, problem, hint="boards of one kind, or one of them alone")


def _require_count(url: str, counted: int, sent: int) -> None:
    if counted != sent:
        problem = f"the board counted {counted} inferences in this run, the host {sent}"
        raise DeviceFaultError(url, problem, hint="closing other programs that use the port")


@contextmanager
def _naming_sample(client: Client, index: int, count: int, *, again: bool = False) -> Iterator[None]:
    """Adds to a device error where in the run it happened."""
    try:
        yield
    except DeviceError as error:
        second = ", run again" if again else ""
        where = f"sample {index} of {count}{second}, last message {client.last_message}"
        raise type(error)(
            error.subject, f"{error.problem} ({where})", limit=error.limit, hint=error.hint
        ) from error

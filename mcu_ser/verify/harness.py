# SPDX-License-Identifier: Apache-2.0
"""Runs samples on a board and vouches for the answers: the right firmware, every sample, nothing lost.

What comes back is complete or an error; whether the outputs are right is for the caller to judge.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from mcu_ser.errors import DeviceError, DeviceFaultError, MismatchError, SamplesError
from mcu_ser.progress import Track, silent
from mcu_ser.verify.client import Client
from mcu_ser.verify.exchange import LinkStats
from mcu_ser.verify.messages import DeviceStats, Hello
from mcu_ser.verify.protocol import EngineStatus, engine_status_text

if TYPE_CHECKING:
    from mcu_ser.generate.project import Project

_REBUILD = "mcu-ser build and flash of this project"


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
class HarnessResult:
    """The answers of a board to n samples.

    Attributes:
        outputs: Raw output tensors, int8 (n, output bytes).
        ticks: Duration of each inference, uint64 (n,), in the ticks that `hello` describes.
        undisturbed: bool (n,): whether nothing was sent to the board during that inference.
        hello: What the board said about itself.
        device: What the board counted since it started.
        link: What passed over the link.
    """

    outputs: npt.NDArray[np.int8]
    ticks: npt.NDArray[np.uint64]
    undisturbed: npt.NDArray[np.bool_]
    hello: Hello
    device: DeviceStats
    link: LinkStats


def run_samples(
    client: Client,
    expected: Expectation,
    x: npt.NDArray[np.int8],
    track: Track = silent,
    *,
    what: str = "verify",
) -> HarnessResult:
    """Run every sample on the board behind `client`.

    Args:
        client: A fresh client.
        expected: What the board must be.
        x: Quantised inputs, int8 (n, input bytes), n at least 1.
        track: Shows progress, one step per sample.
        what: What the progress is called.

    Raises:
        SamplesError: `x` has the wrong shape or dtype.
        MismatchError: The board has another firmware than `expected`.
        LinkError, DeviceFaultError: The run could not be completed; names the sample and the last message.
    """
    _require_samples(x, expected.input_bytes)
    hello = client.hello()
    require_match(client.url, expected, hello)
    before = client.stats()
    count = len(x)
    outputs = np.empty((count, expected.output_bytes), np.int8)
    ticks, undisturbed = np.empty(count, np.uint64), np.empty(count, np.bool_)
    with track(what, count) as advance:
        for index in range(count):
            with _naming_sample(client, index, count):
                answer = client.run(index, x[index].tobytes())
            outputs[index] = np.frombuffer(answer.output, np.int8)
            ticks[index] = answer.ticks
            undisturbed[index] = answer.undisturbed
            advance(1)
    after = client.stats()
    _require_count(client.url, (after.inferences - before.inferences) & 0xFFFFFFFF, count)
    return HarnessResult(outputs, ticks, undisturbed, hello, after, client.link_stats())


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


def _require_count(url: str, counted: int, sent: int) -> None:
    if counted != sent:
        problem = f"the board counted {counted} inferences in this run, the host {sent}"
        raise DeviceFaultError(url, problem, hint="closing other programs that use the port")


@contextmanager
def _naming_sample(client: Client, index: int, count: int) -> Iterator[None]:
    """Adds to a device error where in the run it happened."""
    try:
        yield
    except DeviceError as error:
        where = f"sample {index} of {count}, last message {client.last_message}"
        raise type(error)(
            error.subject, f"{error.problem} ({where})", limit=error.limit, hint=error.hint
        ) from error

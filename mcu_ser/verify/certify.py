# SPDX-License-Identifier: Apache-2.0
"""Finds the least arena in which TFLite-Micro runs a model on the board, and makes it the project's.

The estimate of the generator errs on the safe side, and what is really needed depends on the kernels that the
library was made with. So the board is asked: it prepares the interpreter within so many bytes of its arena,
runs one inference, and the output must be the oracle's. Nothing is flashed for a trial.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from mcu_ser.artifacts import canonical_json, write_text
from mcu_ser.convert.oracle import Oracle
from mcu_ser.device.link import Link
from mcu_ser.device.start import open_device
from mcu_ser.errors import CheckFailedError, ConfigError, DeviceError, DeviceFaultError
from mcu_ser.generate.byte_arrays import ALIGNMENT
from mcu_ser.generate.engine_model import Arena
from mcu_ser.generate.project import generate, require_replaceable
from mcu_ser.progress import Track, silent
from mcu_ser.tflm.library import library_of_build
from mcu_ser.toolchain.build import build
from mcu_ser.toolchain.build_record import require_fresh_build
from mcu_ser.verify.client import Client
from mcu_ser.verify.harness import Expectation, require_match
from mcu_ser.verify.protocol import EngineStatus, engine_status_text
from mcu_ser.verify.report import discard_report

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from mcu_ser.generate.project import Project

CERTIFICATE_NAME = "arena.json"


@dataclass(frozen=True)
class Trial:
    """One size that was tried; `failure` says why the model does not run in it, None if it does."""

    arena_bytes: int
    failure: str | None


@dataclass(frozen=True)
class Certificate:
    """The least multiple of 16 bytes in which the model runs on the board.

    The last two trials are that size, which ran, and 16 bytes less, which did not.
    """

    arena_bytes: int
    trials: tuple[Trial, ...]


def certify_arena(project: Project, x: npt.NDArray[np.int8], port: str | None, track: Track) -> Certificate:
    """Ask the board of a project for the least arena.

    Args:
        project: With engine tflm, built.
        x: Samples, int8 (n, input bytes); the first is run in every trial.
        port: Port URL of a board; without it the project's emulated board is started.
        track: Shows progress.

    Raises:
        ConfigError: The project has another engine, or is not built.
        CheckFailedError: The model does not run right in the arena that the firmware has.
        DeviceError: The trials could not be completed.
    """
    _require_certifiable(project)
    expected = Oracle(project.model_path.read_bytes(), project.model_path.name).run(x[:1])[0].tobytes()
    with open_device(project, port) as device, Link(device) as link:
        client = Client(link)
        require_match(client.url, Expectation.of(project), client.hello())
        # As many trials as halving takes, and the two that are the proof.
        with track("certify", (project.arena_bytes // ALIGNMENT).bit_length() + 3) as advance:
            return find_least_arena(client, project.arena_bytes, x[0].tobytes(), expected, advance)


def _require_certifiable(project: Project) -> None:
    if project.engine != "tflm":
        problem = f"has engine {project.engine}, whose arena is planned exactly"
        raise ConfigError(project.root, problem, hint="verify without --certify-arena")
    require_fresh_build(project)


def find_least_arena(
    client: Client, whole_bytes: int, sample: bytes, expected: bytes, advance: Callable[[int], None]
) -> Certificate:
    """Halve the arena of `whole_bytes` until what runs and what does not are 16 bytes apart.

    Raises:
        CheckFailedError: Not even the whole arena gives the expected output.
    """
    trials: list[Trial] = []

    def runs(arena_bytes: int) -> bool:
        failure = _try(client, arena_bytes, sample, expected)
        trials.append(Trial(arena_bytes, failure))
        advance(1)
        return failure is None

    if not runs(whole_bytes):
        problem = f"does not run in the {whole_bytes} B of arena that the firmware has: {trials[0].failure}"
        raise CheckFailedError(client.url, problem, hint="mcu-ser generate with a larger --arena-bytes")
    least, too_few = whole_bytes // ALIGNMENT, 0
    while least - too_few > 1:
        middle = (least + too_few) // 2
        if runs(middle * ALIGNMENT):
            least = middle
        else:
            too_few = middle
    # The proof, after all the trials in between: neither depends on what was tried before it.
    if not runs(least * ALIGNMENT) or runs((least - 1) * ALIGNMENT):
        problem = f"runs in {least * ALIGNMENT} B of arena at one time and not at another"
        raise CheckFailedError(client.url, problem)
    return Certificate(least * ALIGNMENT, tuple(trials))


def adopt_arena(project: Project, certificate: Certificate, out: Path) -> Project:
    """Make the certified arena the project's: generated anew, and built with the same library.

    Args:
        project: What was certified. Its directory is replaced, whole or not at all.
        certificate: The arena.
        out: Directory that gets the certificate as `arena.json`.

    Raises:
        ConfigError: The project holds something of the user's, or is the current directory.
        CheckFailedError: It cannot be built.
    """
    library = library_of_build(project.build_dir)
    arena = Arena(certificate.arena_bytes, "certified")
    adopted = generate(
        project.model_path,
        project.board,
        project.engine,
        project.root,
        baud=project.baud,
        arena=arena,
        layers=project.manifest.layers,
        front_end=project.front_end_path,
    )
    build(adopted, library)
    out.mkdir(parents=True, exist_ok=True)
    write_text(out / CERTIFICATE_NAME, canonical_json(asdict(certificate)))
    return adopted


def certify(
    project: Project, x: npt.NDArray[np.int8], out: Path, *, port: str | None = None, track: Track = silent
) -> tuple[Project, Certificate]:
    """Find the least arena on the board and make it the project's; returns the project as it then is.

    A board behind `port` still runs the firmware with the old arena. What is refused before a board is asked
    anything changes nothing; from then on a report in `out`, which is of the old arena, is gone.

    Raises:
        ConfigError, CheckFailedError, DeviceError: As `certify_arena` and `adopt_arena`.
    """
    require_replaceable(project.root)  # before the trials, not after them
    _require_certifiable(project)
    with suppress(DeviceError):  # a board that is not there is no refusal
        open_device(project, port)
    discard_report(out)  # that of the arena before
    certificate = certify_arena(project, x, port, track)
    return adopt_arena(project, certificate, out), certificate


def _try(client: Client, arena_bytes: int, sample: bytes, expected: bytes) -> str | None:
    """Why the model does not run in so much arena; None if it does, and gives the expected output."""
    try:
        trial = client.try_arena(arena_bytes)
        if trial.engine_status != EngineStatus.READY:
            return engine_status_text(trial.engine_status)
        output = client.run(0, sample).output
    except DeviceFaultError as error:
        # Too small an arena may end in a fault. If the board is gone for good, this HELLO says so.
        client.hello()
        return error.problem
    return None if output == expected else "the output is not the oracle's"

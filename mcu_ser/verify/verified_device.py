# SPDX-License-Identifier: Apache-2.0
"""A board that programs and tests can ask for outputs, each of which is the oracle's or an error."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from mcu_ser.convert.oracle import Oracle
from mcu_ser.device.link import Link
from mcu_ser.device.start import open_device
from mcu_ser.errors import CheckFailedError
from mcu_ser.generate.project import Project
from mcu_ser.toolchain.build_record import require_fresh_build
from mcu_ser.toolchain.footprint import measure
from mcu_ser.verify.client import Client
from mcu_ser.verify.harness import Expectation, HarnessResult, require_match, run_samples
from mcu_ser.verify.samples import quantized_rows

if TYPE_CHECKING:
    from types import TracebackType
    from typing import Any

    from numpy.typing import NDArray

    from mcu_ser.toolchain.footprint import Footprint


class VerifiedDevice:
    """The board of a project; enter it to start it.

    Args:
        project: A firmware project, built, or its directory.
        port: Port URL of a board that runs it; without it the project's emulated board is started.

    Attributes:
        project: What runs on it.

    Raises:
        ConfigError: The directory holds no firmware project.
    """

    def __init__(self, project: Project | Path | str, port: str | None = None) -> None:
        self.project = project if isinstance(project, Project) else Project.load(Path(project))
        self._port = port
        self._stack = ExitStack()
        self._link: Link | None = None
        self._last: HarnessResult | None = None

    def __enter__(self) -> VerifiedDevice:
        """Start the board and compare everything that it says of itself with the project.

        Raises:
            ConfigError: The project is not built, or was changed since.
            DeviceError: It does not answer, or runs another firmware.
        """
        require_fresh_build(self.project)
        self._oracle = Oracle(self.project.model_path.read_bytes(), self.project.model_path.name)
        with ExitStack() as stack:
            device = stack.enter_context(open_device(self.project, self._port))
            link = stack.enter_context(Link(device))
            client = Client(link)
            require_match(client.url, Expectation.of(self.project), client.hello())
            self._stack, self._link = stack.pop_all(), link
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._link = None
        self._stack.close()

    @property
    def footprint(self) -> Footprint:
        """Flash and RAM of the firmware."""
        return measure(self.project.elf_path, self.project.board)

    @property
    def ticks(self) -> NDArray[np.uint64]:
        """Durations of the last run's inferences, uint64 (n,), in ticks of its counter; none before a run.

        On an emulated STM32 board these are executed instructions.

        Raises:
            CheckFailedError: A request was repeated while the board computed, in every try, so that not all
                were measured.
        """
        if self._last is None:
            return np.empty(0, np.uint64)
        measured, runs = int(self._last.undisturbed.sum()), len(self._last.undisturbed)
        if measured < runs:
            problem = f"only {measured} of {runs} inferences were measured undisturbed"
            raise CheckFailedError(self.project.board.id, problem, hint="the run on a host that is less busy")
        return self._last.ticks

    def run(self, x: NDArray[Any]) -> NDArray[Any]:
        """Run samples on the board; returns its raw outputs, of their type, (n, output elements).

        Args:
            x: Float features, which are quantised as the model wants it, or tensors of its type; of shape
                (n, *input shape without batch) or (n, input elements), n at least 1.

        Raises:
            SamplesError: They do not fit the model.
            CheckFailedError: An output is not the oracle's, byte for byte.
            DeviceError: The run could not be completed.
        """
        if self._link is None:
            raise ValueError("the device is not open: use it in a `with` statement")
        rows = quantized_rows("x", np.asarray(x), self.project.input)
        result = run_samples(Client(self._link), Expectation.of(self.project), rows)
        expected = self._oracle.run(rows)
        outputs = result.outputs.view(self.project.output.numpy_type)
        wrong = np.flatnonzero((expected != outputs).any(axis=1))
        if len(wrong):
            first = int(wrong[0])
            problem = (
                f"{len(wrong)} of {len(rows)} outputs are not the oracle's; first: sample {first}, "
                f"{outputs[first].tolist()[:16]} for {expected[first].tolist()[:16]}"
            )
            hint = "mcu-ser generate --layers, then mcu-ser verify --bisect"
            raise CheckFailedError(self.project.board.id, problem, hint=hint)
        self._last = result
        return outputs

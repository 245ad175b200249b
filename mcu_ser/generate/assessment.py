# SPDX-License-Identifier: Apache-2.0
"""What each engine makes of a model on each board: it fits, does not fit, or cannot be run at all."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from mcu_ser.aot.compile import CompiledModel, compile_model
from mcu_ser.aot.optimization import Optimization
from mcu_ser.aot.tflite_reader import read_model
from mcu_ser.artifacts import sha256_hex
from mcu_ser.errors import ConfigError, McuSerError, ModelError
from mcu_ser.generate.engine_model import engine_model
from mcu_ser.generate.fit import Fit, FrontEndSize, Needs, aot_needs, check_fit, find_fit
from mcu_ser.tflm.runtime_support import Runtime, runtime_for

if TYPE_CHECKING:
    from mcu_ser.aot.ir import Graph
    from mcu_ser.board import Board


@dataclass(frozen=True)
class Answer:
    """What an engine says of a model, whatever the board: its needs, or why it cannot run it.

    Attributes:
        library: What runs the layers, as messages name it.
        needs: None if it cannot.
        refusals: One line for each layer that it cannot run, or one for the whole model.
    """

    library: str
    needs: Needs | None
    refusals: tuple[str, ...] = ()


@dataclass(frozen=True)
class Verdict:
    """What becomes of a model on a board with an engine.

    `answer` is None where the platform has no such engine; `fit` is None then, and where the engine refuses.
    """

    board_id: str
    engine: str
    answer: Answer | None
    fit: Fit | None

    @property
    def fits(self) -> bool:
        return self.fit is not None and self.fit.fits


@dataclass(frozen=True, eq=False)
class Assessment:
    """A model as the engines see it; `compiled` is None if the ahead-of-time engine refuses it."""

    name: str
    sha256: str
    graph: Graph
    compiled: CompiledModel | None
    verdicts: tuple[Verdict, ...]

    def answers(self) -> tuple[Answer, ...]:
        """Every different answer, in the order of the verdicts."""
        return tuple(dict.fromkeys(v.answer for v in self.verdicts if v.answer is not None))


def assess(
    model: bytes,
    name: str,
    boards: Sequence[Board],
    engines: Sequence[str],
    front_end: FrontEndSize | None = None,
    optimization: Optimization = Optimization.SPEED,
) -> Assessment:
    """Look at a model with some engines, on some boards.

    Args:
        model: Content of the .tflite.
        name: What to call it in errors, e.g. its path.
        boards: In the order of the verdicts; for each board one verdict per engine.
        engines: `aot`, `tflm`, or both.
        front_end: What the front end takes beside the model; None for firmware without one.
        optimization: What engine aot builds for.

    Raises:
        ModelError: The file is damaged.
        ConfigError: A board file names a library that is not known.
    """
    graph = read_model(model, name)
    compiled, aot = _ask_aot(model, name, optimization)
    # Few libraries serve many boards.
    asked: dict[str, Answer] = {}

    def ask(engine: str, board: Board) -> Answer | None:
        if engine == "aot":
            return aot
        runtime = runtime_for(board)
        if runtime is None:
            return None
        if runtime.name not in asked:
            asked[runtime.name] = _ask_tflm(model, name, board, runtime)
        return asked[runtime.name]

    verdicts = (
        _verdict(board, engine, ask(engine, board), front_end) for board in boards for engine in engines
    )
    return Assessment(name, sha256_hex(model), graph, compiled, tuple(verdicts))


def check_assessment(assessment: Assessment, board: Board) -> None:
    """Check that a board can run the model with one of the engines that were asked.

    Raises:
        BudgetError: It is too big for all of them; says by how much for the first.
        ModelError: No engine can run it.
        ConfigError: The platform of the board has none of the engines.
    """
    verdicts = [verdict for verdict in assessment.verdicts if verdict.board_id == board.id]
    if any(verdict.fits for verdict in verdicts):
        return
    for verdict in verdicts:
        if verdict.fit is not None:
            check_fit(verdict.fit.needs, board)
    raise _refusal(assessment.name, verdicts)


def check_runnable(assessment: Assessment) -> None:
    """Check that there is a board, of those asked about, with an engine that runs the model.

    Raises:
        ModelError: No engine can run it; names all layers, for each engine.
        ConfigError: The platforms of the boards have none of the engines.
    """
    if not any(verdict.fit is not None for verdict in assessment.verdicts):
        raise _refusal(assessment.name, assessment.verdicts)


def _refusal(name: str, verdicts: Iterable[Verdict]) -> McuSerError:
    answers = dict.fromkeys(verdict.answer for verdict in verdicts if verdict.answer is not None)
    if not answers:
        return ConfigError("engine 'tflm'", "does not exist on the host", hint="--engine aot")
    lines = (f"{answer.library}: {line}" for answer in answers for line in answer.refusals)
    return ModelError(name, "no engine can run it:" + "".join(f"\n  {line}" for line in lines))


def _verdict(board: Board, engine: str, answer: Answer | None, front_end: FrontEndSize | None) -> Verdict:
    needs = None if answer is None else answer.needs
    size = None if front_end is None else front_end.on(board)
    fit = None if needs is None else find_fit(needs.with_front_end(size), board)
    return Verdict(board.id, engine, answer, fit)


def _lines(error: ModelError) -> tuple[str, ...]:
    """One line per layer of an error that names layers, else one for the model."""
    _, *layers = error.problem.split("\n  ")
    hint = f"; try: {error.hint}" if error.hint else ""
    return tuple(layers) or (error.problem + hint,)


def _ask_aot(model: bytes, name: str, optimization: Optimization) -> tuple[CompiledModel | None, Answer]:
    library = "engine aot"
    try:
        compiled = compile_model(model, name, optimization=optimization)
    except ModelError as error:
        return None, Answer(library, None, _lines(error))
    return compiled, Answer(library, aot_needs(compiled))


def _ask_tflm(model: bytes, name: str, board: Board, runtime: Runtime) -> Answer:
    library = f"engine tflm, {runtime.name}"
    try:
        return Answer(library, engine_model(model, name, board, "tflm").needs)
    except ModelError as error:
        return Answer(library, None, _lines(error))

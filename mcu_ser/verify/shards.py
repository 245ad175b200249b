# SPDX-License-Identifier: Apache-2.0
"""Shares the samples of a run among boards: what is left, who has computed what, and whether they agree.

Each board takes the next sample when it is ready for one. A sample whose board is lost goes to another. Some
samples are run a second time, in another order, by another board where there is one; the bytes must be the
same.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from mcu_ser.errors import DeviceError, DeviceFaultError

if TYPE_CHECKING:
    from mcu_ser.verify.client import Answer
    from mcu_ser.verify.heard import Heard
    from mcu_ser.verify.journal import Journal, Record

_NOBODY = -1
# How long a run that ends early waits for boards to end what they are at.
_END_WAIT_S = 1.0
_LOOK_S = 0.05


@dataclass(frozen=True)
class Task:
    """A sample to run; `again` if it has been run before, and must give the same bytes."""

    sample: int
    again: bool


@dataclass(frozen=True)
class Share:
    """What one board has done.

    Attributes:
        port: Its port; None for one that the run has started itself.
        samples: How many samples' answers in the result are its.
        ranges: Their numbers, e.g. "0-5,9,11-12".
        repeats: How many samples it has run that had been run before.
        lost: Why it did not come to the end of the run; None if it did.
    """

    port: str | None
    samples: int
    ranges: str
    repeats: int
    lost: str | None


@dataclass(frozen=True)
class Repeats:
    """Samples that were run twice with the same bytes both times.

    Attributes:
        every: One in so many samples is run twice; 0: none is.
        samples: How many they are.
        across_boards: How many of them by two boards.
    """

    every: int
    samples: int
    across_boards: int


class Ledger:
    """The samples of one run. Its methods may be called by several threads, one for each board.

    Args:
        samples: How many there are, n.
        output_bytes: Length of each answer.
        ports: The boards, by their ports; None stands for one that the run has started itself.
        repeat_every: One in so many samples is run twice, from the first on; 0: none is.
        journal: Takes every answer as it comes.
        known: Answers of an interrupted run, which is continued.

    Attributes:
        outputs: int8 (n, output_bytes).
        ticks: uint64 (n,), duration of each sample's inference; that of its repeat is not kept.
        undisturbed: bool (n,), whether nothing disturbed it.
        heard: What boards with a front end said of it, by sample, in the first run of each.
        probe: A sample of the interrupted run, which every board has to run first to show that it computes
            the same; None in a new run.
        error: What has ended the run early.
        reruns: How many runs were for their time alone.
    """

    def __init__(
        self,
        samples: int,
        output_bytes: int,
        ports: Sequence[str | None] = (None,),
        *,
        repeat_every: int = 0,
        journal: Journal | None = None,
        known: Sequence[Record] = (),
    ) -> None:
        self.outputs = np.zeros((samples, output_bytes), np.int8)
        self.ticks = np.zeros(samples, np.uint64)
        self.undisturbed = np.zeros(samples, np.bool_)
        self.heard: dict[int, Heard] = {}
        self.error: BaseException | None = None
        self.reruns = 0
        self._repeat_every = repeat_every
        self._journal = journal
        self._changed = threading.Condition()
        self._stopped = False
        self._ports = list(ports)
        self._live = set(range(len(ports)))
        self._lost: dict[int, DeviceError] = {}
        self._held: dict[int, Task] = {}
        self._by = np.full(samples, _NOBODY)
        self._again_by = np.full(samples, _NOBODY)
        for record in known:
            self._restore(record)
        self.probe = known[-1].sample if known else None
        self._first = deque(int(sample) for sample in np.flatnonzero(self._by == _NOBODY))
        again = repeat_order(samples, repeat_every)
        self._again = deque(sample for sample in again if self._again_by[sample] == _NOBODY)

    @property
    def left(self) -> int:
        """How many runs of samples are to be done."""
        return len(self._first) + len(self._again) + len(self._held)

    @property
    def has_boards(self) -> bool:
        """Whether a board is left."""
        return bool(self._live)

    @property
    def last_loss(self) -> DeviceError | None:
        """Why the board that was lost last was lost."""
        return list(self._lost.values())[-1] if self._lost else None

    def take(self, board: int) -> Task | None:
        """The next task of a board; waits for one as long as there may be one. None: the run is over."""
        with self._changed:
            while not self._stopped and board in self._live:
                task = self._next(board)
                if task is not None:
                    self._held[board] = task
                    return task
                if not self.left:
                    break
                self._changed.wait()
            return None

    def done(self, board: int, answer: Answer) -> None:
        """Take the answer to the task that the board has.

        Raises:
            DeviceFaultError: The sample gave other bytes before; the run is over.
            ConfigError: The journal cannot be written.
        """
        with self._changed:
            task = self._held[board]
            if task.again:
                self._require_same(board, task.sample, answer.output)
                self._require_same_features(board, task.sample, answer.heard)
                self._again_by[task.sample] = board
            else:
                if answer.heard is not None:
                    self.heard[task.sample] = answer.heard
                self.outputs[task.sample] = np.frombuffer(answer.output, np.int8)
                self.ticks[task.sample] = answer.ticks
                self.undisturbed[task.sample] = answer.undisturbed
                self._by[task.sample] = board
            if self._journal is not None:
                self._journal.append(task, self._ports[board], answer)
            del self._held[board]
            self._changed.notify_all()

    def require_same(self, board: int, sample: int, output: bytes, heard: Heard | None = None) -> None:
        """Check that a board gives the bytes, and the features, that are known of a sample.

        Raises:
            DeviceFaultError: It does not; the run is over.
        """
        with self._changed:
            self._require_same(board, sample, output)
            self._require_same_features(board, sample, heard)

    def rerun(self, board: int, sample: int, first: Answer, then: Answer) -> None:
        """Count a run that was for its time alone, `then`; but for time it must say what `first` said.

        Raises:
            DeviceFaultError: It does not; the run is over.
        """
        with self._changed:
            self.reruns += 1
            if first.output != then.output:
                self._differs(board, board, sample, "bytes")
            if first.heard and then.heard and first.heard.wrong_features != then.heard.wrong_features:
                self._differs(board, board, sample, "features")

    def lose(self, board: int, error: DeviceError) -> None:
        """A board is lost: what it was at goes to the others."""
        with self._changed:
            self._live.discard(board)
            self._lost[board] = error
            task = self._held.pop(board, None)
            if task is not None:
                (self._again if task.again else self._first).appendleft(task.sample)
            self._changed.notify_all()

    def stop(self, error: BaseException | None = None) -> None:
        """End the run: no board gets another task. The first error is kept."""
        with self._changed:
            self._stopped = True
            self.error = self.error or error
            self._changed.notify_all()

    def repeats(self) -> Repeats:
        """What was run twice."""
        twice = self._again_by != _NOBODY
        across = twice & (self._again_by != self._by)
        return Repeats(self._repeat_every, int(twice.sum()), int(across.sum()))

    def shares(self) -> tuple[Share, ...]:
        """Who has computed what; boards of an interrupted run that are not in this one come last."""
        return tuple(
            Share(
                port=port,
                samples=int(np.count_nonzero(self._by == board)),
                ranges=number_ranges(np.flatnonzero(self._by == board).tolist()),
                repeats=int(np.count_nonzero(self._again_by == board)),
                lost=str(self._lost[board]) if board in self._lost else None,
            )
            for board, port in enumerate(self._ports)
        )

    def _next(self, board: int) -> Task | None:
        if self._first:
            return Task(self._first.popleft(), again=False)
        alone = self._live == {board}
        for sample in self._again:
            if self._by[sample] != _NOBODY and (alone or self._by[sample] != board):
                self._again.remove(sample)
                return Task(sample, again=True)
        return None

    def _require_same(self, board: int, sample: int, output: bytes) -> None:
        if output != self.outputs[sample].tobytes():
            self._differs(board, int(self._by[sample]), sample, "bytes")

    def _require_same_features(self, board: int, sample: int, heard: Heard | None) -> None:
        before = self.heard.get(sample)
        if heard is not None and before is not None and heard.wrong_features != before.wrong_features:
            self._differs(board, int(self._by[sample]), sample, "features")

    def _differs(self, board: int, earlier: int, sample: int, what: str) -> None:
        """Ends the run: a board gives something else than before."""
        names = [str(self._ports[number] or "the board") for number in (board, earlier)]
        before = "before" if names[0] == names[1] else f"on {names[1]}"
        error = DeviceFaultError(
            names[0],
            f"sample {sample} gives other {what} than {before}, for the same input",
            hint="its supply voltage, clock and flash wait states",
        )
        self.stop(error)
        raise error

    def _restore(self, record: Record) -> None:
        if record.port not in self._ports:
            self._ports.append(record.port)
        board = self._ports.index(record.port)
        if record.again:
            self._again_by[record.sample] = board
            return
        self.outputs[record.sample] = np.frombuffer(record.output, np.int8)
        self.ticks[record.sample] = record.ticks
        self.undisturbed[record.sample] = record.undisturbed
        if record.heard is not None:
            self.heard[record.sample] = record.heard
        self._by[record.sample] = board


def serve_together(ledger: Ledger, works: Sequence[Callable[[], None]]) -> None:
    """Have all boards work, each in a thread of its own, until nothing is left or all are lost.

    Args:
        ledger: What is to be done.
        works: Work of each board, until the ledger has no more for it.

    Raises:
        DeviceError: All boards are lost, or one gave other bytes than before.
    """

    def run(board: int) -> None:
        try:
            works[board]()
        except DeviceError as error:
            ledger.lose(board, error)
        except BaseException as error:  # noqa: BLE001  raised again where the user waits
            ledger.stop(error)

    threads = [
        threading.Thread(target=run, args=(board,), name=f"board {board}", daemon=True)
        for board in range(len(works))
    ]
    for thread in threads:
        thread.start()
    try:
        while ledger.error is None and any(thread.is_alive() for thread in threads):
            for thread in threads:
                thread.join(_LOOK_S)
    finally:
        ledger.stop()
        for thread in threads:
            thread.join(_END_WAIT_S)
    if ledger.error is not None:
        raise ledger.error
    last = ledger.last_loss
    if last is not None and not ledger.has_boards:
        problem = f"{last.problem}; all {len(works)} boards are lost, this one was the last"
        raise type(last)(last.subject, problem, limit=last.limit, hint=last.hint) from last


def repeat_order(samples: int, every: int) -> list[int]:
    """The samples that are run twice, in the order of their second run.

    Backwards, so that another sample comes before each; only the last of them comes at the end, for it may be
    the one that has just been run.
    """
    numbers = list(range(0, samples, every)) if every else []
    return [*reversed(numbers[:-1]), *numbers[-1:]]


def number_ranges(numbers: Sequence[int]) -> str:
    """Ascending numbers in short, e.g. "0-5,9,11-12"."""
    ranges: list[list[int]] = []
    for number in numbers:
        if ranges and number == ranges[-1][1] + 1:
            ranges[-1][1] = number
        else:
            ranges.append([number, number])
    return ",".join(str(first) if first == last else f"{first}-{last}" for first, last in ranges)

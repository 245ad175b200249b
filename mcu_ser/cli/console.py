# SPDX-License-Identifier: Apache-2.0
"""What the commands print: text and progress bars for people, one JSON document for programs."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import argparse

    from rich.console import Console
    from rich.table import Table

    from mcu_ser.progress import Advance


def add_json_option(parser: argparse.ArgumentParser) -> None:
    """Add `--json` to a command that can answer with one document."""
    parser.add_argument("--json", action="store_true", help="print one JSON document instead of text")


def add_debug_option(parser: argparse.ArgumentParser) -> None:
    """Add `--debug` to an action of a command, beside the command's own, which sets it if this does not."""
    import argparse

    parser.add_argument(
        "--debug", action="store_true", default=argparse.SUPPRESS, help="log details, show tracebacks"
    )


class Output:
    """Prints for one command.

    Args:
        as_json: Text goes to stderr, so that stdout holds the JSON document alone.
    """

    def __init__(self, *, as_json: bool = False) -> None:
        self._as_json = as_json
        self._rich: Console | None = None

    @property
    def console(self) -> Console:
        """The rich console for people; made when first used (rich takes 0.1 s to import)."""
        if self._rich is None:
            # A pipe has no width of its own; 110 columns keep tables whole in CI logs.
            width = None if sys.stdout.isatty() else 110
            # Names and labels are the user's; markup in them is text.
            self._rich = _piped_console()(
                stderr=self._as_json, highlight=False, markup=False, emoji=False, width=width
            )
        return self._rich

    def say(self, text: str) -> None:
        """One line for people; `text` is printed as it is."""
        (sys.stderr if self._as_json else sys.stdout).write(f"{text}\n")

    def table(self, table: Table) -> None:
        """A table for people."""
        self.console.print(table)

    def document(self, document: Any) -> None:
        """The JSON answer of the command, if `--json` was given."""
        if self._as_json:
            from mcu_ser.artifacts import canonical_json

            sys.stdout.write(canonical_json(document))

    def wrote(self, *paths: Path, next_command: str | None = None) -> None:
        """Name what was written, and the command that usually follows."""
        for path in paths:
            self.say(f"wrote {path}")
        if next_command:
            self.say(f"next: {next_command}")

    @contextmanager
    def track(self, what: str, total: int) -> Iterator[Advance]:
        """A `mcu_ser.progress.Track`: a bar on a terminal, one line per quarter elsewhere (CI logs)."""
        if not sys.stderr.isatty():
            yield _line_progress(what, total)
            return
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
        with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
            task = bar.add_task(what, total=total)
            yield lambda count: bar.advance(task, count)


def _piped_console() -> type[Console]:
    """A rich console that leaves a reader who went away to `main`."""
    from rich.console import Console

    class PipedConsole(Console):
        def on_broken_pipe(self) -> None:
            # Rich would exit with 1, which says that a check failed.
            raise BrokenPipeError

    return PipedConsole


def _line_progress(what: str, total: int) -> Advance:
    done = 0

    def advance(count: int) -> None:
        nonlocal done
        before, done = done, done + count
        if total and before * 4 // total != done * 4 // total:
            sys.stderr.write(f"{what}: {done}/{total}\n")
            sys.stderr.flush()

    return advance

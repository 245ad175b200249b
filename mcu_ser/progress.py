# SPDX-License-Identifier: Apache-2.0
"""How library code reports progress without printing: a `Track` opens one counted piece of work.

    with track("log-mel", len(files)) as advance:
        for file in files:
            ...
            advance(1)

The command line passes a `Track` that draws a bar; the default draws nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager

Advance = Callable[[int], None]
Track = Callable[[str, int], AbstractContextManager[Advance]]


@contextmanager
def silent(what: str, total: int) -> Iterator[Advance]:
    """A `Track` that draws nothing."""
    yield lambda count: None

# SPDX-License-Identifier: Apache-2.0
"""How long the client waits before it sends again, and before it gives up."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Patience:
    """Time limits in seconds, each from the first sending of a request.

    Attributes:
        hello_s: For the first answer of a device.
        answer_s: For anything that the device does at once.
        inference_s: For one inference.
    """

    hello_s: float = 6.0
    answer_s: float = 15.0
    inference_s: float = 60.0


class RoundTrip:
    """Estimates the time to wait for an answer that the device gives at once (RFC 6298, section 2)."""

    _FIRST_S = 0.5
    # As TCP's on Linux: a busy host may pause for this long, and what is sent again in vain makes it busier.
    _FLOOR_S = 0.1

    def __init__(self) -> None:
        self._smoothed: float | None = None
        self._variation = 0.0
        self._missed = 0

    def missed(self) -> None:
        """No answer came in the time that was waited; the wait stays longer until a round trip is measured.

        A board slower than the wait would have every message repeated, and never be measured (RFC 6298, rules
        5.5 and 5.7).
        """
        self._missed += 1

    def measured(self, seconds: float) -> None:
        """Take a round trip of a message that was sent once (RFC 6298, section 3: of no other)."""
        self._missed = 0
        if self._smoothed is None:
            self._smoothed, self._variation = seconds, seconds / 2
            return
        self._variation += (abs(self._smoothed - seconds) - self._variation) / 4
        self._smoothed += (seconds - self._smoothed) / 8

    def wait_s(self, attempt: int) -> float:
        """Seconds to wait for the answer to the `attempt`-th sending (from 0)."""
        base = self._FIRST_S if self._smoothed is None else self._smoothed + 4 * self._variation
        return max(base, self._FLOOR_S) * back_off(max(attempt, self._missed))


class InferenceTime:
    """Estimates the time to wait for an inference.

    A request that is repeated while the device computes costs it receive interrupts inside the measured
    time, so the estimate is generous: the slowest inference so far, eight times.
    """

    _FIRST_S = 2.0
    _FLOOR_S = 0.25
    _LONGEST_GUESS_S = 16.0

    def __init__(self) -> None:
        self._slowest: float | None = None
        self._guess_s = self._FIRST_S

    def measured(self, seconds: float) -> None:
        """Take the time from request to answer of an inference that was requested once."""
        self._slowest = max(seconds, self._slowest or 0.0)

    def repeated(self, seconds: float) -> None:
        """Take the time from the first of several requests for an inference to its answer.

        It took no longer than that. As long as none is measured, twice the time is the guess: a model slower
        than the guess would have every request repeated and never be measured (RFC 6298, rules 5.5 and 5.7),
        and a quick one, whose answer was damaged, need not be waited for so long.
        """
        self._guess_s = min(max(self._FLOOR_S, 2 * seconds), self._LONGEST_GUESS_S)

    def wait_s(self, attempt: int) -> float:
        """Seconds to wait for the answer to the `attempt`-th sending (from 0)."""
        base = self._guess_s if self._slowest is None else max(self._FLOOR_S, 8 * self._slowest)
        return base * back_off(attempt)


def back_off(attempt: int) -> float:
    """Factor on the wait: doubles twice. A line that loses bytes is not congested, so it grows no further."""
    return (1.0, 2.0, 4.0)[min(attempt, 2)]

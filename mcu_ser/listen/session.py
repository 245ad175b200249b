# SPDX-License-Identifier: Apache-2.0
"""One listening, from LISTEN to its end: plays a recording if there is one, and counts what comes back."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from mcu_ser.features.listening import due_maps
from mcu_ser.verify.listen_client import Decision, ListenClient, ListenWindow, Sound
from mcu_ser.verify.protocol import ListenSource, crc32

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from mcu_ser.features.front_end import FrontEnd
    from mcu_ser.features.listening import Gate

# How long to wait for something to show before the clock is looked at again.
_LOOK_AGAIN_S = 0.05
# A board that says nothing for as long as two decisions take, and so much more, is asked whether it lives.
_SILENCE_S = 3.0


@dataclass(frozen=True, eq=False)
class ListenRequest:
    """What to listen to.

    Attributes:
        period: Hops from one decision to the next.
        gate: What counts as sound.
        pcm: What the host plays, int16 (n,); None: the board's microphone.
        real_time: Whether it is played at 16,000 samples per second, or as fast as the board takes it.
        seconds: When to stop; None: at the end of `pcm`, or never.
        send_sound: Whether a board's microphone is to be heard here.
    """

    period: int
    gate: Gate
    pcm: NDArray[np.int16] | None = None
    real_time: bool = True
    seconds: float | None = None
    send_sound: bool = False


@dataclass
class Heard:
    """What was heard so far.

    Attributes:
        decisions: How many decisions came, `voiced` of them with the gate open.
        missing: Decisions that the line has lost.
        lost_blocks: Of the microphone, that the board had no room for; `lost_samples` are in them.
        compared: Feature maps that were compared with the host's; `wrong` of them are others.
        first_wrong: The frame with which the first of these ends, counted from the start of the stream.
        last_rows: Frames up to the last decision.
        played_samples: How much of the recording was played.
        features: By the frames up to each decision on sound, the CRC-32 of its map.
    """

    decisions: int = 0
    voiced: int = 0
    missing: int = 0
    lost_blocks: int = 0
    lost_samples: int = 0
    compared: int = 0
    wrong: int = 0
    first_wrong: int | None = None
    last_rows: int = 0
    played_samples: int = 0
    features: dict[int, int] = field(default_factory=dict)

    def count(self, decision: Decision) -> None:
        """Take note of the next decision."""
        self.missing += max(0, decision.number - self.decisions - self.missing)
        self.decisions += 1
        self.voiced += decision.is_open
        self.lost_blocks, self.lost_samples = decision.lost_blocks, decision.lost_samples
        self.last_rows = decision.rows
        if decision.is_open:
            self.features[decision.rows] = decision.features_crc

    def compare(self, pcm: NDArray[np.int16], front_end: FrontEnd, request: ListenRequest) -> None:
        """Hold the board's maps against the host's of `pcm`, which is all that it heard from the start on."""
        maps = due_maps(pcm, front_end, request.period, request.gate)
        expected = {one.rows: crc32(one.features.tobytes()) for one in maps}
        wrong = [rows for rows, crc in sorted(self.features.items()) if crc != expected.get(rows)]
        self.compared, self.wrong = len(self.features), len(wrong)
        self.first_wrong = wrong[0] if wrong else None


class ListenSession:
    """One listening. `run` is its whole course.

    Args:
        client: After its `hello`.
        request: What to listen to.
        clock: Seconds, as time.monotonic.
        stopped: Asked between two requests whether the user has had enough.
    """

    def __init__(
        self,
        client: ListenClient,
        request: ListenRequest,
        clock: Callable[[], float] = time.monotonic,
        stopped: Callable[[], bool] = lambda: False,
    ) -> None:
        self._client = client
        self._request = request
        self._clock = clock
        self._stopped = stopped
        self.heard = Heard()
        source = ListenSource.MICROPHONE if request.pcm is None else ListenSource.LINE
        self.window: ListenWindow = client.listen(
            source, request.period, request.gate, send_sound=request.send_sound
        )

    def run(self) -> Iterator[Decision | Sound]:
        """What the board says, as it comes, until the end of the recording or of the time, or until stopped.

        Raises:
            DeviceError: The board fails, or falls silent.
        """
        yield from self._microphone() if self._request.pcm is None else self._recording(self._request.pcm)
        self._client.stop()
        yield from self._take(0.0)

    def _recording(self, pcm: NDArray[np.int16]) -> Iterator[Decision | Sound]:
        rate, block = self.window.sample_rate_hz, self._client.block_samples
        if self._request.seconds is not None:
            pcm = pcm[: int(self._request.seconds * rate)]
        start = self._clock()
        for at in range(0, len(pcm), block):
            # A microphone gives a block when its last sample is there.
            due = start + min(at + block, len(pcm)) / rate
            while self._request.real_time and (left := due - self._clock()) > 0 and not self._stopped():
                yield from self._take(min(left, _LOOK_AGAIN_S))
            if self._stopped():
                break
            self._client.play(pcm[at : at + block])
            self.heard.played_samples = min(at + block, len(pcm))
            yield from self._take(0.0)
        self._client.settle()
        yield from self._take(0.0)

    def _microphone(self) -> Iterator[Decision | Sound]:
        start = last_heard = self._clock()
        window = self.window
        between = 2 * self._request.period * window.hop_samples / window.sample_rate_hz
        patience = between + window.seconds(window.frames) + _SILENCE_S
        end = math.inf if self._request.seconds is None else start + self._request.seconds
        while self._clock() < end and not self._stopped():
            for said in self._take(_LOOK_AGAIN_S):
                last_heard = self._clock()
                yield said
            if self._clock() - last_heard > patience:
                self._client.settle()
                last_heard = self._clock()

    def _take(self, wait_s: float) -> Iterator[Decision | Sound]:
        for said in self._client.heard(wait_s):
            if isinstance(said, Decision):
                self.heard.count(said)
            yield said

# SPDX-License-Identifier: Apache-2.0
"""The requests for firmware that hears: audio goes to the board, which computes the features itself.

Audio travels as inputs do (go-back-N), but is counted in samples, and no clip is kept on the board: each
block goes into the front end as it comes. What comes back is the CRC-32 of the feature map beside the output;
a map that is not the expected one is fetched.
"""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import TYPE_CHECKING

from mcu_ser.errors import DeviceFaultError
from mcu_ser.verify.client import Answer, Client
from mcu_ser.verify.exchange import Exchange
from mcu_ser.verify.heard import Heard
from mcu_ser.verify.messages import LAYOUTS
from mcu_ser.verify.protocol import MessageType, crc32
from mcu_ser.verify.transfer import InputTransfer
from mcu_ser.verify.window import Chunk, InputWindow

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from mcu_ser.device.link import Link
    from mcu_ser.verify.messages import Hello
    from mcu_ser.verify.patience import Patience, RoundTrip

SAMPLE_BYTES = 2


@dataclass(frozen=True)
class Hearing:
    """Answer to HEAR. `output` is the start of the output, as much as fits in one frame."""

    sample: int
    ticks: int
    output_crc: int
    features_crc: int
    rows: int
    front_end_ticks: int
    output: bytes

    @classmethod
    def unpack(cls, payload: bytes) -> Hearing:
        values, output = LAYOUTS["HEAR_ANSWER"].unpack(payload)
        ticks = values.pop("ticks_low") | values.pop("ticks_high") << 32
        return cls(**values, ticks=ticks, output=output)


class AudioTransfer(InputTransfer):
    """The transfer of one clip, or of a part of a stream; the window counts samples.

    Args:
        exchange: A link with an open session.
        window: What is where.
        pcm: The clip, or the stream so far.
        round_trip: Learns the time that answers take.
        give_up_s: Seconds without progress after which the board counts as silent.
        stream: Whether it is a stream.
    """

    def __init__(
        self,
        exchange: Exchange,
        window: InputWindow,
        pcm: bytes,
        round_trip: RoundTrip,
        give_up_s: float,
        *,
        stream: bool,
    ) -> None:
        super().__init__(exchange, window, pcm, round_trip, give_up_s)
        self._samples = 0 if stream else len(pcm) // SAMPLE_BYTES

    def _message(self, chunk: Chunk) -> tuple[MessageType, bytes]:
        fields = {"offset": chunk.start, "samples": self._samples}
        block = self._data[SAMPLE_BYTES * chunk.start : SAMPLE_BYTES * chunk.end]
        return MessageType.AUDIO, LAYOUTS["AUDIO"].pack(fields, block)


class RandomBlocks(InputWindow):
    """A window whose chunks are of any length up to that of the others."""

    generator: random.Random

    def _chunk_length(self) -> int:
        return self.generator.randint(1, self.chunk_bytes)


class AudioClient(Client):
    """A conversation with a board that has the front end.

    Args:
        link: The port.
        patience: How long to wait for what.
        block_seed: Cuts clips into blocks of random length, to show that it does not matter; None: into
            blocks as long as the line allows.
    """

    def __init__(
        self, link: Link, patience: Patience | None = None, *, block_seed: int | None = None
    ) -> None:
        super().__init__(link, patience)
        self._generator = None if block_seed is None else random.Random(block_seed)
        self._stream = b""  # what the board has of one

    def hello(self) -> Hello:
        """Start a new session, as `Client.hello`."""
        self._stream = b""
        return super().hello()

    def hear(
        self,
        sample: int,
        pcm: npt.NDArray[np.int16],
        features: bytes,
        *,
        alone: bool = False,
        stream: bool = False,
    ) -> Answer:
        """Send a clip and have the board run its front end and the model on it.

        Args:
            sample: Number of the sample, below 2^32; the board repeats it in its answer.
            pcm: The clip, int16 (at least 1,), or a stream so far, of at least one window: only what the
                board has not heard of it yet is sent.
            features: The map that the front end must make of it.
            alone: Send each block only when the one before it has been worked off: nothing then disturbs the
                time that the front end takes.
            stream: Whether `pcm` is a stream.

        Raises:
            MismatchError: The firmware has no front end.
            DeviceFaultError: The engine fails, or the board's data does not have the CRC it claims.
        """
        data = pcm.astype("<i2").tobytes()
        retries = self._exchange.stats().retries
        fresh = len(data) - self._known(data, stream=stream)
        heard, undisturbed = self._with_input(
            lambda: self._write_audio(data, alone=alone, stream=stream),
            lambda: self._hear(sample, crc32(data)),
        )
        self._stream = data if stream else b""
        quiet = alone and self._exchange.stats().retries == retries
        output = heard.output + self._fetch(
            MessageType.OUTPUT, {}, len(heard.output), self._said_hello.output_bytes
        )
        self._require_crc(f"output of sample {sample}", output, heard.output_crc)
        wrong = None
        if heard.features_crc != crc32(features):
            wrong = self._fetch(MessageType.FEATURE_MAP, {}, 0, len(features))
            self._require_crc(f"feature map of sample {sample}", wrong, heard.features_crc)
        self._payload_bytes += fresh + len(output)
        of_front_end = Heard(wrong, heard.rows, heard.front_end_ticks, undisturbed=quiet)
        return Answer(output, heard.ticks, undisturbed, of_front_end)

    def _known(self, pcm: bytes, *, stream: bool) -> int:
        """How many bytes of it the board has heard."""
        return len(self._stream) if stream and pcm.startswith(self._stream) else 0

    def _write_audio(self, pcm: bytes, *, alone: bool, stream: bool) -> None:
        hello = self._said_hello
        known = self._known(pcm, stream=stream)
        self._stream = b""  # what the board has is not known again before it has been heard
        if known == len(pcm):
            return
        largest = (hello.max_payload - LAYOUTS["AUDIO"].bytes) // SAMPLE_BYTES
        kind = InputWindow if self._generator is None else RandomBlocks
        window = kind(
            total=len(pcm) // SAMPLE_BYTES,
            first_seq=self._exchange.next_seq,
            credit=1 if alone else hello.credit,
            chunk_bytes=min(self._chunk_bytes // SAMPLE_BYTES, largest),
            largest_chunk_bytes=largest,
        )
        if isinstance(window, RandomBlocks) and self._generator is not None:
            window.generator = self._generator
        window.received = known // SAMPLE_BYTES
        transfer = AudioTransfer(
            self._exchange, window, pcm, self._round_trip, self._patience.answer_s, stream=stream
        )
        self._carry(transfer, window)
        self._chunk_bytes = SAMPLE_BYTES * window.chunk_bytes

    def _hear(self, sample: int, audio_crc: int) -> tuple[Hearing, bool]:
        """The board's answer, and whether the request was sent only once."""
        request = LAYOUTS["HEAR"].pack({"sample": sample, "audio_crc": audio_crc})
        answer, undisturbed = self._compute(MessageType.HEAR, request, self._inference_time)
        heard = self._unpack(Hearing.unpack, answer)
        if heard.sample != sample:
            raise self._exchange.broken(f"answer for sample {heard.sample}, expected {sample}")
        length, limit = len(heard.output), self._said_hello.output_bytes
        if length > limit:
            raise self._exchange.broken(f"{length} output bytes, expected at most {limit}")
        return heard, undisturbed

    def _require_crc(self, what: str, data: bytes, announced: int) -> None:
        if crc32(data) != announced:
            problem = f"{what} has not the CRC-32 that the board announced"
            raise DeviceFaultError(self.url, problem, hint="a reset of the board")

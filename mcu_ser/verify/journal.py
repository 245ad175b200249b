# SPDX-License-Identifier: Apache-2.0
"""The journal of a run: every answer as it comes, so that a run that was interrupted can be continued.

A text file of lines, each a CRC-32 in hex and a JSON object. The first says which run this is: model, build,
samples. A line that was being written when the run ended is left out; anything else that is wrong is an
error, never a guess.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from contextlib import nullcontext, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, BinaryIO

from mcu_ser.artifacts import sha256_hex
from mcu_ser.errors import ConfigError
from mcu_ser.verify.heard import Heard
from mcu_ser.verify.protocol import crc32
from mcu_ser.verify.report_schema import REPORT_NAME

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from mcu_ser.verify.client import Answer
    from mcu_ser.verify.shards import Task

JOURNAL_NAME = "journal.jsonl"
_SCHEMA = 1
_ANEW = "the run without --resume"


@dataclass(frozen=True)
class RunIdentity:
    """What must be the same for a run to be continued. Hashes are hex.

    Attributes:
        samples_sha256: Of the bytes of all inputs, in order; of audio, of its features and then its samples.
        samples: How many they are.
        output_bytes: Length of each answer.
        repeat_every: One in so many samples is run twice.
        input_bytes: Length of each input, or feature map.
    """

    model_sha256: str
    build_id: str
    samples_sha256: str
    samples: int
    output_bytes: int
    repeat_every: int
    input_bytes: int = 0

    @classmethod
    def of(
        cls,
        *,
        model_sha256: str,
        build_id: str,
        x: npt.NDArray[np.int8],
        output_bytes: int,
        repeat_every: int,
        clips: Sequence[npt.NDArray[np.int16]] | None = None,
    ) -> RunIdentity:
        """The identity of a run of the inputs `x` (n, input bytes), or of the clips that give them."""
        sent = [x.tobytes(), *(pcm.tobytes() for pcm in clips or ())]
        digest = sha256_hex(b"".join(sent))
        return cls(model_sha256, build_id, digest, len(x), output_bytes, repeat_every, x.shape[1])


@dataclass(frozen=True)
class Record:
    """An answer to `sample` of the board at `port` (None: started by the run); `again`: it is the second."""

    sample: int
    again: bool
    port: str | None
    output: bytes
    ticks: int
    undisturbed: bool
    heard: Heard | None = None


class Journal:
    """An open journal; a context manager. Made by `begin` or `resume`.

    Attributes:
        path: Its file.
        answers: How many answers it holds.
    """

    def __init__(
        self, path: Path, identity: RunIdentity, stream: BinaryIO | None = None, answers: int = 0
    ) -> None:
        self.path = path
        self.answers = answers
        self._identity = identity
        self._stream = stream

    @classmethod
    def begin(cls, directory: Path, identity: RunIdentity) -> Journal:
        """Start a journal in `directory`.

        An older one stays until the first answer is written down: a board that is not there, or not the
        right one, takes nothing from an interrupted run.
        """
        return cls(directory / JOURNAL_NAME, identity)

    @classmethod
    def resume(cls, directory: Path, identity: RunIdentity) -> tuple[Journal, tuple[Record, ...]]:
        """Open the journal in `directory` to go on; returns it and the answers that it holds.

        Raises:
            ConfigError: There is none, the run is complete, it is that of another run, or it is damaged.
        """
        path = directory / JOURNAL_NAME
        if not path.exists():
            _require_incomplete(directory)
        records, whole_bytes = read_journal(path, identity)
        try:
            stream = path.open("r+b")
            stream.truncate(whole_bytes)
            stream.seek(whole_bytes)
        except OSError as error:
            raise _unwritable(path, error) from error
        return cls(path, identity, stream, len(records)), records

    def append(self, task: Task, port: str | None, answer: Answer) -> None:
        """Write down an answer. It outlives this process, though not a failure of the computer's power.

        Raises:
            ConfigError: It cannot be written.
        """
        values: dict[str, Any] = {
            "sample": task.sample,
            "again": task.again,
            "port": port,
            "output": answer.output.hex(),
        }
        values |= {"ticks": answer.ticks, "undisturbed": answer.undisturbed}
        if answer.heard is not None:
            values["heard"] = answer.heard.as_document()
        try:
            if self._stream is None:
                self.path.parent.mkdir(parents=True, exist_ok=True)
                self._stream = self.path.open("wb")
                self._stream.write(_line({"schema": _SCHEMA} | asdict(self._identity)))
            self._stream.write(_line(values))
            self._stream.flush()
        except OSError as error:
            raise _unwritable(self.path, error) from error
        self.answers += 1

    def discard(self) -> None:
        """The run is complete: remove the journal."""
        self._close()
        self.path.unlink(missing_ok=True)

    def __enter__(self) -> Journal:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        # After an error the system says the same again, in worse words.
        with nullcontext() if error is None else suppress(ConfigError):
            self._close()

    def _close(self) -> None:
        if self._stream is not None:
            try:
                self._stream.close()
            except OSError as error:  # it flushes what an earlier flush could not
                raise _unwritable(self.path, error) from error


def read_journal(path: Path, identity: RunIdentity) -> tuple[tuple[Record, ...], int]:
    """The answers in a journal, and the length of its whole lines in bytes.

    Raises:
        ConfigError: There is none, it is that of another run, or it is damaged.
    """
    try:
        data = path.read_bytes()
    except FileNotFoundError as error:
        raise ConfigError(path, "is not there: no run was interrupted", hint=_ANEW) from error
    except OSError as error:
        raise ConfigError(path, f"cannot be read ({error.strerror})", hint=_ANEW) from error
    *lines, torn = data.split(b"\n")
    parsed = [_parse(path, number, line) for number, line in enumerate(lines, start=1)]
    if not parsed:
        raise ConfigError(path, "holds nothing to continue", hint=_ANEW)
    _require_identity(path, parsed[0], identity)
    records, seen = [], dict[int, bytes]()
    for number, values in enumerate(parsed[1:], start=2):
        record = _record(path, number, values, identity)
        known = seen.get(record.sample)
        if (known is not None) != record.again or (record.again and known != record.output):
            raise _damaged(path, number)
        seen[record.sample] = record.output
        records.append(record)
    return tuple(records), len(data) - len(torn)


def _line(values: dict[str, Any]) -> bytes:
    text = json.dumps(values, sort_keys=True).encode()
    return b"%08x %b\n" % (crc32(text), text)


def _require_incomplete(directory: Path) -> None:
    """Check that `directory` holds no report of a run that came to its end; what cannot be read is none."""
    path = directory / REPORT_NAME
    try:
        document = json.loads(path.read_bytes())
    except (OSError, ValueError):
        return
    if isinstance(document, dict) and document.get("identical") is not None:
        verdict = document.get("verdict")
        raise ConfigError(path, f"is of a complete run, verdict {verdict}: nothing to go on with", hint=_ANEW)


def _parse(path: Path, number: int, line: bytes) -> dict[str, Any]:
    check, _, text = line.partition(b" ")
    if check != b"%08x" % crc32(text):
        raise _damaged(path, number)
    try:
        values = json.loads(text)
    except ValueError as error:
        raise _damaged(path, number) from error
    if not isinstance(values, dict):
        raise _damaged(path, number)
    return values


def _require_identity(path: Path, head: dict[str, Any], identity: RunIdentity) -> None:
    expected = {"schema": _SCHEMA} | asdict(identity)
    for name, want in expected.items():
        if head.get(name) != want:
            what = name.replace("_", " ")
            problem = f"is the journal of another run: {what} {head.get(name)!r}, this run has {want!r}"
            raise ConfigError(path, problem, hint=_ANEW)


def _record(path: Path, number: int, values: dict[str, Any], identity: RunIdentity) -> Record:
    try:
        heard = values.get("heard")
        read = None if heard is None else Heard.of_document(heard, identity.input_bytes)
        record = Record(**values | {"output": bytes.fromhex(values["output"]), "heard": read})
    except (KeyError, TypeError, ValueError) as error:
        raise _damaged(path, number) from error
    in_range = (
        type(record.sample) is int
        and 0 <= record.sample < identity.samples
        and len(record.output) == identity.output_bytes
        and type(record.ticks) is int
        and 0 <= record.ticks < 1 << 64
    )
    if not in_range:
        raise _damaged(path, number)
    return record


def _damaged(path: Path, number: int) -> ConfigError:
    return ConfigError(path, f"is damaged in line {number}", hint=_ANEW)


def _unwritable(path: Path, error: OSError) -> ConfigError:
    return ConfigError(path, f"cannot be written ({error.strerror})", hint="another --out, or free space")

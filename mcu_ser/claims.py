# SPDX-License-Identifier: Apache-2.0
"""Claims: files by which processes of any number of machines share out work without locks or a server.

A claim is a file that only one process can make. Its owner touches it from time to time; one that
nobody touches belongs to a dead process and is moved away, by a rename that only one process wins. Claims
save work and nothing else: results are named by their inputs, so a job done twice has one result.
"""

from __future__ import annotations

import errno
import json
import os
import secrets
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path

# Network file systems show another machine's changes after up to a minute.
STALE_AFTER_S = 180.0
_HEARTBEAT_S = 15.0


@dataclass(frozen=True)
class Owner:
    """The process behind a claim.

    Args:
        machine: Host name, and on Linux what tells apart its boots and its containers.
        pid: Process number on that machine.
        token: Random, so that a process number used again is another owner.
    """

    machine: str
    pid: int
    token: str

    @classmethod
    def this_process(cls) -> Owner:
        """A new owner for this process."""
        return cls(_machine(), os.getpid(), secrets.token_hex(8))

    def is_known_dead(self) -> bool:
        """Whether it was a process of this machine that is no more; False for what cannot be known."""
        if self.machine != _machine():
            return False
        try:
            os.kill(self.pid, 0)
        except ProcessLookupError:
            return True
        except OSError:
            return False
        return False


# What file systems without links say.
_NO_LINKS = (errno.EPERM, errno.ENOTSUP, errno.ENOSYS, errno.EOPNOTSUPP)

# Of a claim that is being written at this moment, or is damaged: only its age tells.
_UNKNOWN = Owner("", 0, "")


@cache
def _machine() -> str:
    parts = [socket.gethostname()]
    with suppress(OSError):
        parts.append(Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip())
        parts.append(str(Path("/proc/self/ns/pid").readlink()))
    return " ".join(parts)


@dataclass(frozen=True)
class Claims:
    """The claims in a directory, as one owner sees them.

    Args:
        directory: Holds a file per claim, by the name of the job.
        owner: In whose name `claimed` claims.
        stale_after_s: Age after which an untouched claim is a dead process's.
        heartbeat_s: Time between two touches of an own claim.
    """

    directory: Path
    owner: Owner
    stale_after_s: float = STALE_AFTER_S
    heartbeat_s: float = _HEARTBEAT_S

    @contextmanager
    def claimed(self, name: str) -> Iterator[bool]:
        """Yield whether the claim was got; while the block runs, it is kept alive."""
        if not self._take(name):
            yield False
            return
        stop = threading.Event()
        heart = threading.Thread(target=self._beat, args=(name, stop), daemon=True)
        heart.start()
        try:
            yield True
        finally:
            stop.set()
            heart.join()
            self.release(name, self.owner)

    def held(self) -> dict[str, Owner]:
        """Every claim that is not stale, by name."""
        now = self._now()
        return {
            path.name: owner
            for path in sorted(self.directory.glob("[!.]*"))
            if (owner := _read(path)) and not self._is_stale(path, owner, now)
        }

    def of_process(self, pid: int) -> dict[str, Owner]:
        """Every claim of a process of this machine, by name."""
        owners = {path.name: _read(path) for path in sorted(self.directory.glob("[!.]*"))}
        return {
            name: owner
            for name, owner in owners.items()
            if owner and owner.pid == pid and owner.machine == _machine()
        }

    def release(self, name: str, owner: Owner) -> None:
        """Give up a claim, if it still is this owner's."""
        path = self.directory / name
        if _read(path) == owner:
            path.unlink(missing_ok=True)

    def _take(self, name: str) -> bool:
        path = self.directory / name
        self.directory.mkdir(parents=True, exist_ok=True)
        if _create(path, self.owner):
            return True
        owner = _read(path)
        if owner is None or not self._is_stale(path, owner, self._now()):
            return False
        self._remove_stale(path, owner)
        return _create(path, self.owner)

    def _remove_stale(self, path: Path, owner: Owner) -> None:
        away = path.with_name(f".{self.owner.token}.stale")
        try:
            path.rename(away)
        except FileNotFoundError:
            return  # another process was quicker
        moved = _read(away)
        away.unlink()
        if moved and moved != owner:
            _create(path, moved)  # another process was quicker, and this is its new claim

    def _is_stale(self, path: Path, owner: Owner, now: float) -> bool:
        try:
            age_s = now - path.stat().st_mtime
        except FileNotFoundError:
            return False
        return age_s > self.stale_after_s or owner.is_known_dead()

    def _now(self) -> float:
        """The time by the clock of the file system, which may be another machine's."""
        self.directory.mkdir(parents=True, exist_ok=True)
        probe = self.directory / f".{self.owner.token}.clock"
        probe.write_bytes(b"")
        os.utime(probe)
        now = probe.stat().st_mtime
        probe.unlink()
        return now

    def _beat(self, name: str, stop: threading.Event) -> None:
        while not stop.wait(self.heartbeat_s):
            # A claim that was taken over stays so: two do the work, and neither is harmed.
            if _read(self.directory / name) == self.owner:
                with suppress(OSError):
                    os.utime(self.directory / name)


def _create(path: Path, owner: Owner) -> bool:
    """Make the claim; False if there is one."""
    # A link appears with its content: a process killed meanwhile leaves no claim whose owner nobody knows.
    whole = path.with_name(f".{owner.token}.{path.name}")
    text = json.dumps(asdict(owner))
    try:
        whole.write_text(text, encoding="utf-8")
        os.link(whole, path)
    except FileExistsError:
        return False
    except OSError as error:
        if error.errno not in _NO_LINKS:
            raise
        return _create_in_place(path, text)
    finally:
        whole.unlink(missing_ok=True)
    return True


def _create_in_place(path: Path, text: str) -> bool:
    try:
        handle = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o644)
    except FileExistsError:
        return False
    with os.fdopen(handle, "w", encoding="utf-8") as stream:
        stream.write(text)
    return True


def _read(path: Path) -> Owner | None:
    """The owner of a claim; None if there is no claim."""
    try:
        return Owner(**json.loads(path.read_text(encoding="utf-8")))
    except FileNotFoundError:
        return None
    except (OSError, ValueError, TypeError):
        return _UNKNOWN

# SPDX-License-Identifier: Apache-2.0
"""How fast samples travel: .venv/bin/python tools/bench_link.py MODEL [--samples NPZ].

Three lines, each with the same samples:
1. The emulated board against a bare byte pump: bytes that the same firmware reads from the same link and
   drops. Pump and samples take turns, for a busy computer changes both.
2. The firmware as a native program behind a line of 115200 baud: payload against what the line can carry,
   with the inputs as they are and packed (random samples do not pack: give real ones).
3. MLPerf Tiny's text protocol on such a line, against a device that answers at once: 31 bytes in hex to a
   command, each acknowledged (mlcommons/tiny, benchmark/runner/device_under_test.py).

The lines of 2 and 3 are programs too, which a busy computer can only slow down: the best of some turns is
printed.
"""

from __future__ import annotations

import argparse
import socket
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from contextlib import ExitStack, suppress
from pathlib import Path
from urllib.parse import urlsplit

from mcu_ser.board import load_board
from mcu_ser.device.device import DEFAULT_BAUD, AttachedPort
from mcu_ser.device.link import Link
from mcu_ser.device.start import open_emulated
from mcu_ser.generate.project import Project, generate
from mcu_ser.toolchain.build import build
from mcu_ser.verify.client import Client
from mcu_ser.verify.harness import Expectation, require_match, run_samples
from mcu_ser.verify.link_stats import LinkStats
from mcu_ser.verify.samples import Samples, load_samples, random_samples

CAPACITY = DEFAULT_BAUD / 10  # 8N1
_PUMP_BYTES = 20_000
_TURNS = 8
_THROTTLED_TURNS = 3
_ASCII_CHUNK = 31
_READY = b"m-ready\r\n"
# How far this program may wake up late and still make up for it.
_LATENESS_S = 0.2
_BLOCK = 32
_WAYS = (("as it is", False), ("packed", True))


class ThrottledLine:
    """A proxy before the TCP port of `target` that passes `CAPACITY` bytes per second each way."""

    def __init__(self, target: str) -> None:
        parts = urlsplit(target)
        self._target = (parts.hostname, parts.port or 0)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"socket://127.0.0.1:{self._listener.getsockname()[1]}"

    def __enter__(self) -> ThrottledLine:
        threading.Thread(target=self._serve, daemon=True).start()
        return self

    def __exit__(self, *error: object) -> None:
        self._listener.close()

    def _serve(self) -> None:
        near, _ = self._listener.accept()
        far = socket.create_connection(self._target)
        for connection in (near, far):
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        threading.Thread(target=_pass_on, args=(near, far), daemon=True).start()
        _pass_on(far, near)


def _pass_on(source: socket.socket, sink: socket.socket) -> None:
    free_at = time.monotonic()
    with suppress(OSError):
        while True:
            try:
                # What has been waiting goes on where the line is, however late this is looked at.
                data = source.recv(_BLOCK, socket.MSG_DONTWAIT)
                free_at = max(free_at, time.monotonic() - _LATENESS_S)
            except BlockingIOError:
                data = source.recv(_BLOCK)
                free_at = time.monotonic()
            if not data:
                break
            free_at += len(data) / CAPACITY
            time.sleep(max(0.0, free_at - time.monotonic()))
            sink.sendall(data)
        sink.shutdown(socket.SHUT_WR)


def emulated(project: Project, samples: Samples) -> None:
    """Line 1."""
    for name, packs in _WAYS:
        _emulated(project, samples, name, packs=packs)


def _emulated(project: Project, samples: Samples, name: str, *, packs: bool) -> None:
    expected, x = Expectation.of(project), samples.x
    pumped = sent = payload = repeated = 0
    pump_s = run_s = 0.0
    with open_emulated(project) as device, Link(device) as link:
        client = Client(link, packs=packs)
        require_match(client.url, expected, client.hello())
        client.run(0, x[0].tobytes())  # it learns how long answers take
        learned_s = client.link_stats().computing_s
        for turn in range(_TURNS):
            started = time.monotonic()
            pumped += _pump(link, client)
            pump_s += time.monotonic() - started
            before, started, stats = link.bytes_sent, time.monotonic(), client.link_stats()
            for index in range(turn * 3, turn * 3 + 3):
                answer = client.run(index, x[index % len(x)].tobytes())
                payload += x.shape[1] + len(answer.output)
            run_s += time.monotonic() - started
            sent += link.bytes_sent - before
            repeated += client.link_stats().retries - stats.retries
        computing_s = client.link_stats().computing_s - learned_s
    pump, wire = pumped / pump_s, sent / run_s
    _row("emulated board: byte pump", pump)
    _row(f"emulated board: payload, {name}", payload / run_s, pump)
    _row("  on the wire", wire, pump)
    _row("  while the model does not run", sent / (run_s - computing_s), pump)
    print(f"  {repeated} frames repeated")


def _pump(link: Link, client: Client) -> int:
    """Send bytes that the firmware's decoder takes in and drops; returns how many."""
    before = link.bytes_sent
    while link.bytes_sent - before < _PUMP_BYTES:
        link.write(b"\x41" * 500)
    client.echo(b"")  # answered when all of them are read
    return link.bytes_sent - before


def throttled(project: Project, samples: Samples) -> None:
    """Line 2."""
    for name, packs in _WAYS:
        stats = max(
            (_run_throttled(project, samples, packs=packs) for _ in range(_THROTTLED_TURNS)),
            key=lambda turn: turn.payload_bytes_per_s,
        )
        _row(f"115200 baud: payload, {name}", stats.payload_bytes_per_s, CAPACITY)
        _row("  to the board", stats.sent_bytes / stats.seconds, CAPACITY)
        print(f"  {stats.frames} frames, {stats.retries} repeated; the model ran {stats.computing_s:.2f} s")


def _run_throttled(project: Project, samples: Samples, *, packs: bool) -> LinkStats:
    with ExitStack() as stack:
        device = stack.enter_context(open_emulated(project))
        line = stack.enter_context(ThrottledLine(device.url))
        link = stack.enter_context(Link(AttachedPort(line.url)))
        return run_samples(Client(link, packs=packs), Expectation.of(project), samples.x).link


def text_protocol(samples: Samples, output_bytes: int) -> None:
    """Line 3."""
    seconds = min(_text_seconds(samples, output_bytes) for _ in range(_THROTTLED_TURNS))
    _row("115200 baud: text protocol", samples.x.size / seconds, CAPACITY)


def _text_seconds(samples: Samples, output_bytes: int) -> float:
    results = "m-results-[" + ",".join(["0.000"] * output_bytes) + "]\r\n"
    with socket.create_server(("127.0.0.1", 0)) as listener:
        answers = {b"infer": results.encode() + _READY}
        threading.Thread(target=_answer_text, args=(listener, answers), daemon=True).start()
        with ThrottledLine(f"socket://127.0.0.1:{listener.getsockname()[1]}") as line, Link(line.url) as link:
            started = time.monotonic()
            for row in samples.x:
                data = row.tobytes()
                _command(link, f"db load {len(data)}")
                for at in range(0, len(data), _ASCII_CHUNK):
                    _command(link, f"db {data[at : at + _ASCII_CHUNK].hex()}")
                _command(link, "infer 1 0")
            return time.monotonic() - started


def _command(link: Link, text: str) -> None:
    link.write(f"{text}%".encode())
    received = b""
    while not received.endswith(_READY):
        received += link.read(10.0)


def _answer_text(listener: socket.socket, answers: dict[bytes, bytes]) -> None:
    connection, _ = listener.accept()
    pending = b""
    with suppress(OSError):
        while data := connection.recv(4096):
            *commands, pending = (pending + data).split(b"%")
            for command in commands:
                connection.sendall(answers.get(command.split(b" ")[0], _READY))


def _row(what: str, rate: float, bound: float | None = None) -> None:
    share = "" if bound is None else f"{100 * rate / bound:6.1f} %"
    print(f"{what:40}{rate:10.0f} B/s{share}", flush=True)


def main() -> int:
    """Run the benchmarks that the options name."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("model", type=Path)
    parser.add_argument("--samples", type=Path, help="npz (default: random bytes)")
    parser.add_argument("--count", type=int, default=24, help="samples on the lines of 115200 baud")
    parser.add_argument("--board", default="netduinoplus2", help="emulated board")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        projects = {}
        for board in (args.board, "host"):
            projects[board] = generate(args.model, load_board(board), "aot", Path(scratch) / board)
            build(projects[board])
        host = projects["host"]
        samples = (
            load_samples(args.samples, host.input, host.output.bytes)
            if args.samples
            else random_samples(args.count, 1, host.input)
        )
        few = Samples(samples.x[: args.count], None, None, samples.ids[: args.count], samples.origin)
        lines: tuple[Callable[[], None], ...] = (
            lambda: emulated(projects[args.board], few),
            lambda: throttled(host, few),
            lambda: text_protocol(few, host.output.bytes),
        )
        for line in lines:
            line()
    return 0


if __name__ == "__main__":
    sys.exit(main())

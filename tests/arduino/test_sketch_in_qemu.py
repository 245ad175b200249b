# SPDX-License-Identifier: Apache-2.0
"""The Arduino sketch on an emulated Cortex-M4, behind a stand-in of the Arduino API with USB's semantics."""

from __future__ import annotations

import re
import time
from pathlib import Path

import numpy as np
import pytest

from mcu_ser.board import load_board
from mcu_ser.cli.main import main
from mcu_ser.convert.oracle import Oracle
from mcu_ser.device.link import Link
from mcu_ser.errors import BuildError, LinkError
from mcu_ser.generate.project import Project
from mcu_ser.resources import firmware_templates_dir
from mcu_ser.verify.check import RunRequest, check
from mcu_ser.verify.client import Client
from mcu_ser.verify.harness import Expectation, run_samples
from mcu_ser.verify.messages import ResetCause, TickSource
from mcu_ser.verify.patience import Patience
from mcu_ser.verify.protocol import Frame, FrameDecoder, MessageType, encode_frame
from mcu_ser.verify.samples import Samples
from tests.arduino_firmware import BOARD, SketchEmulator, build_sketch, require_arduino_tools
from tests.lossy_link import Faults, LossyLink
from tests.tiny_model import tiny_classifier

pytestmark = pytest.mark.emulator

SHARED_MODELS = Path(__file__).parents[3] / "shared" / "models"
SESSION = 0x1234


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    require_arduino_tools("qemu-system-arm")
    path = tmp_path_factory.mktemp("model") / "model.tflite"
    path.write_bytes(tiny_classifier())
    return path


@pytest.fixture(scope="module")
def project(model: Path, tmp_path_factory: pytest.TempPathFactory) -> Project:
    with pytest.MonkeyPatch.context() as monkeypatch:
        return build_sketch(tmp_path_factory.mktemp("sketch"), model, monkeypatch)


@pytest.fixture
def board(project: Project):
    with SketchEmulator(project.elf_path) as board:
        yield board


def samples_of(project: Project, count: int, seed: int = 0) -> Samples:
    rng = np.random.default_rng(seed)
    x = rng.integers(-128, 128, (count, project.input.bytes)).astype(np.int8)
    return Samples(x=x, y=None, labels=None, ids=tuple(map(str, range(count))), origin="random")


class Wire:
    """Frames sent and received by hand, to see what the client's patience would hide."""

    def __init__(self, link: Link) -> None:
        self.link = link
        self._decoder = FrameDecoder()
        self._seq = 0

    def send(self, kind: MessageType, payload: bytes = b"") -> int:
        self.link.write(encode_frame(Frame(kind, SESSION, self._seq, payload)))
        self._seq += 1
        return self._seq - 1

    def receive(self, wait_s: float = 1.0) -> list[Frame]:
        """The frames of the next answer; empty if none comes in time."""
        end = time.monotonic() + wait_s
        while time.monotonic() < end:
            frames = [f for f in self._decoder.feed(self.link.read(0.05)) if f.session == SESSION]
            if frames:
                return frames
        return []

    def ask(self, kind: MessageType, payload: bytes = b"", wait_s: float = 20.0) -> Frame:
        seq = self.send(kind, payload)
        frames = self.receive(wait_s)
        assert [(f.type, f.seq) for f in frames] == [(kind | 0x80, seq)]
        return frames[0]


def wire_bytes(payload: bytes) -> int:
    return len(encode_frame(Frame(MessageType.ECHO | 0x80, SESSION, 1, payload)))


def payload_of_wire_bytes(length: int) -> bytes:
    return next(bytes([1] * n) for n in range(length) if wire_bytes(bytes([1] * n)) == length)


def test_build_and_verify_of_the_sketch_are_identical_to_the_oracle(
    project: Project, board: SketchEmulator, tmp_path: Path
) -> None:
    report = check(project, samples_of(project, 40), tmp_path / "report", RunRequest((board.url,)))
    assert report.passed
    assert report.document["verdict"] == "pass"
    seen = board.report()
    assert (seen.begins, seen.refused_writes) == (1, 0)
    assert seen.longest_write <= 63


def test_commands_work_on_the_sketch(
    project: Project, board: SketchEmulator, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    samples = tmp_path / "samples.npz"
    np.savez(samples, x=samples_of(project, 5).x.reshape(5, *project.input.shape[1:]))
    out = ["--samples", str(samples), "--out", str(tmp_path / "report")]
    assert main(["verify", str(project.root), "--port", board.url, *out]) == 0
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("mcu_ser.flash.ports.list_ports", lambda: ())
        assert main(["verify", str(project.root), *out]) == 4
    assert "arduino_nano_33_ble: no port has its USB ids (2341:805a)" in capsys.readouterr().err


@pytest.mark.skipif(not SHARED_MODELS.is_dir(), reason="the development models are not beside the checkout")
def test_a_published_model_is_identical(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    require_arduino_tools("qemu-system-arm")
    project = build_sketch(tmp_path, SHARED_MODELS / "kws_ref_model.tflite", monkeypatch)
    with SketchEmulator(project.elf_path) as board:
        report = check(project, samples_of(project, 12), tmp_path / "report", RunRequest((board.url,)))
        seen = board.report()
    assert report.passed
    # The real thread has no more.
    assert 0 < seen.stack_used < 4096


def test_hello_tells_of_the_board(project: Project, board: SketchEmulator) -> None:
    with Link(board) as link:
        hello = Client(link).hello()
    assert (hello.board_id, hello.build_id) == (BOARD, project.build_id)
    assert (hello.core_hz, hello.reset_cause, hello.fault) == (64_000_000, ResetCause.POWER_ON, None)
    # QEMU's counter stands still, and a counter that does is not believed.
    assert (hello.tick_source, hello.tick_hz) == (TickSource.NONE, 0)
    assert hello.max_payload == 512


def test_every_length_of_an_answer_arrives_at_once(board: SketchEmulator) -> None:
    """A last packet of exactly 64 bytes would lie in the host's driver until more comes."""
    with Link(board) as link:
        wire = Wire(link)
        wire.ask(MessageType.HELLO)
        for length in (*range(17, 30), *range(58, 72), *range(120, 136), *range(184, 200), 320, 512):
            payload = payload_of_wire_bytes(length)
            assert wire.ask(MessageType.ECHO, payload).payload == payload


@pytest.mark.parametrize("block", ["64u", "1000u"])
def test_blocks_of_64_bytes_are_held_back_by_the_host(
    model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, block: str
) -> None:
    """The stand-in would find it if the sketch wrote more than 63 bytes at once."""
    edit = ("firmware/src/port_arduino.cpp", "#define WRITE_BYTES 63u", f"#define WRITE_BYTES {block}")
    project = build_sketch(tmp_path, model, monkeypatch, [edit])
    with SketchEmulator(project.elf_path) as board, Link(board) as link:
        wire = Wire(link)
        wire.ask(MessageType.HELLO)
        wire.send(MessageType.ECHO, payload_of_wire_bytes(64))
        assert wire.receive() == []
        assert board.report().longest_write >= 64


def test_garbage_and_stale_bytes_before_the_first_request(board: SketchEmulator) -> None:
    noise = np.random.default_rng(3).bytes(700)
    half = encode_frame(Frame(MessageType.ECHO, SESSION, 9, bytes(100)))[:50]
    with Link(board) as link:
        link.write(b"AT\rAT+GMI\r" + noise + half)
        client = Client(link)
        client.hello()
        assert client.echo(b"x" * 300) == b"x" * 300


def test_port_that_is_closed_amid_a_request_and_opened_again(board: SketchEmulator) -> None:
    with Link(board) as link:
        wire = Wire(link)
        wire.ask(MessageType.HELLO)
        request = encode_frame(Frame(MessageType.ECHO, SESSION, 1, b"cut off" * 30))
        link.write(request[:100])
        time.sleep(0.2)
        board.close_port()
        # What was under way is lost; the sketch must neither wait for the port nor forget how to speak.
        link.write(request[100:])
        time.sleep(0.2)
        assert wire.receive(0.3) == []
        board.open_port()
        client = Client(link)
        client.hello()
        assert client.echo(b"again") == b"again"
        seen = board.report()
        assert seen.refused_writes >= 1
        assert seen.begins == 1


def answers_after_opening(board: SketchEmulator, link: Link) -> list[bytes]:
    """What the board says by itself when the port is opened after a request that it could not answer."""
    wire = Wire(link)
    wire.ask(MessageType.HELLO)
    board.close_port()
    link.write(encode_frame(Frame(MessageType.ECHO, SESSION, 1, b"y" * 200)))
    assert wire.receive(0.5) == []
    board.open_port()
    return [frame.payload for frame in wire.receive(0.5)]


def test_answer_that_nobody_took_is_lost_and_given_again(board: SketchEmulator) -> None:
    with Link(board) as link:
        assert answers_after_opening(board, link) == []
        link.write(encode_frame(Frame(MessageType.ECHO, SESSION, 1, b"y" * 200)))
        assert [frame.payload for frame in Wire(link).receive(20.0)] == [b"y" * 200]


def test_sketch_that_waits_for_a_closed_port_is_found(
    model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    edit = ("firmware/src/port_arduino.cpp", "if (sent == 0) {", "if (sent > 1000) {")
    project = build_sketch(tmp_path, model, monkeypatch, [edit])
    with SketchEmulator(project.elf_path) as board, Link(board) as link:
        assert answers_after_opening(board, link) == [b"y" * 200]


def test_board_that_starts_while_nobody_listens(board: SketchEmulator) -> None:
    with Link(board) as link:
        Client(link).hello()
        board.press_reset()
        assert board.report().refused_writes == 1, "BOOT has no reader"
        with pytest.raises(LinkError):
            Client(link, Patience(hello_s=0.5)).hello()
        board.open_port()
        hello = Client(link).hello()
    assert hello.reset_cause == ResetCause.PIN


def ask_for_reset(board: SketchEmulator, link: Link, wait_s: float = 20.0) -> ResetCause:
    """Restart the board by the protocol; returns what it tells of the cause."""
    wire = Wire(link)
    wire.ask(MessageType.HELLO)
    with board.restart():
        wire.ask(MessageType.RESET, wait_s=wait_s)
    board.open_port()
    return Client(link).hello().reset_cause


def test_reset_is_answered_before_the_board_restarts(board: SketchEmulator) -> None:
    with Link(board) as link:
        assert ask_for_reset(board, link) == ResetCause.SOFTWARE
        board.press_reset()
        board.open_port()
        assert Client(link).hello().reset_cause == ResetCause.PIN
        # Causes do not add up: this one is told alone.
        assert ask_for_reset(board, link) == ResetCause.SOFTWARE


@pytest.mark.parametrize(
    ("file", "old", "new"),
    [
        ("mcu_cortex_m.cpp", "  delay(FLUSH_MS);\n", ""),
        ("mcu_cortex_m.cpp", "  NRF_POWER->RESETREAS = causes;\n", ""),
    ],
    ids=["no time for the last packet", "causes add up"],
)
def test_defects_of_a_reset_are_found(
    model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, file: str, old: str, new: str
) -> None:
    """The test above would fail if the sketch did not do its part."""
    project = build_sketch(tmp_path, model, monkeypatch, [(f"firmware/src/{file}", old, new)])
    with SketchEmulator(project.elf_path) as board, Link(board) as link:
        Client(link).hello()
        board.press_reset()
        board.open_port()
        with pytest.raises((AssertionError, LinkError)):
            Client(link, Patience(hello_s=1.0)).hello()
            assert ask_for_reset(board, link, wait_s=2.0) == ResetCause.SOFTWARE


def test_bad_line_costs_retries_and_nothing_else(project: Project, board: SketchEmulator) -> None:
    samples = samples_of(project, 12)
    with LossyLink(board, Faults(drop=0.001, flip=0.002, double=0.001), seed=5) as link:
        result = run_samples(Client(link), Expectation.of(project), samples.x)
    expected = Oracle(project.model_path.read_bytes(), "model").run(samples.x)
    assert (result.outputs == expected).all()
    assert result.link.retries > 0


def test_host_that_sends_far_ahead_is_made_to_wait(board: SketchEmulator) -> None:
    """The ring holds 256 bytes; USB keeps the rest at the host."""
    with Link(board) as link:
        wire = Wire(link)
        wire.ask(MessageType.HELLO)
        payload = bytes(range(1, 201))
        frames = [encode_frame(Frame(MessageType.ECHO, SESSION, 1 + n, payload)) for n in range(8)]
        link.write(b"".join(frames))
        answers: list[Frame] = []
        while len(answers) < len(frames):
            more = wire.receive(20.0)
            assert more
            answers += more
    assert [frame.payload for frame in answers] == [payload] * len(frames)


def test_cxx_headers_that_use_std_abs_survive_arduino_h(
    model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every header of TFLite-Micro does; Arduino.h makes abs a macro."""
    header = 'namespace std { inline long abs(long x) { return x < 0 ? -x : x; } }\n#include "src/server.h"'
    edits = [("firmware/firmware.ino", '#include "src/server.h"', header)]
    assert build_sketch(tmp_path, model, monkeypatch, edits).elf_path.is_file()
    undone = [*edits, ("firmware/firmware.ino", "#undef abs", "//")]
    with pytest.raises(BuildError, match=r"firmware\.ino:\d+:\d+: error: expected unqualified-id"):
        build_sketch(tmp_path / "undone", model, monkeypatch, undone)


def test_names_of_mbed_os_are_left_to_it(
    model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    edit = ("firmware/src/port.h", "#define port_read mcu_ser_port_read\n", "")
    with pytest.raises(BuildError, match="multiple definition of `port_read'"):
        build_sketch(tmp_path, model, monkeypatch, [edit])


def test_no_source_asks_for_1200_baud() -> None:
    """On USB that speed means: enter the boot loader."""
    for path in (firmware_templates_dir() / "arduino").iterdir():
        code = re.sub(r"/\*.*?\*/|^;.*?$|^#.*?$|//.*?$", "", path.read_text(), flags=re.DOTALL | re.MULTILINE)
        assert "1200" not in code or path.name == "README.md.j2", path.name
    assert load_board(BOARD).serial.baud != 1200
